"""Suppresses repeated warnings for growing intervals, and counts the suppressed ones."""

import logging
import re
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from math import inf

_MIN_INTERVAL_S = 60.0
_MAX_INTERVAL_S = 3600.0
_NEW_AFTER_S = 600.0
"""A warning that did not come for this long is treated as new. Longer than any pause between two attempts."""
_MAX_PLACES = 1000
_MAX_TEXTS = 10
"""Different texts per place in the code. A place may quote input from others, or log a new text each time."""
_OTHER_TEXTS = 0
# A number on its own, not one in a name or a topic: those identify a thing, and another thing is another warning.
_NUMBER = re.compile(r"(?<![\w/.-])(?:0x[\da-fA-F]+|\d+(?:\.\d+)*)")

_Place = tuple[str, int, str | None]


@dataclass(slots=True)
class _Repeat:
    logged_s: float
    last_s: float
    interval_s: float = _MIN_INTERVAL_S
    unsaid: int = 0
    """How many were suppressed since the last one was logged."""

    def update(self, now_s: float, changed_s: float) -> bool:
        """Return whether to log the record now; otherwise count it as suppressed."""
        is_new = changed_s > self.last_s or now_s - self.last_s >= _NEW_AFTER_S
        if is_new:
            self.interval_s = _MIN_INTERVAL_S
        self.last_s = now_s
        if now_s - self.logged_s < self.interval_s:
            self.unsaid += 1
            return False
        self.logged_s = now_s
        if not is_new:
            self.interval_s = min(2 * self.interval_s, _MAX_INTERVAL_S)
        return True


class RepeatFilter(logging.Filter):
    """Passes a new warning or error immediately, and equal ones at growing intervals with their number as `unsaid`.

    Records are equal if they come from the same place in the code and the same camera, their texts differ only in
    numbers, and their exceptions are the same. A record at level info for a camera means that something has changed:
    after it, or after a long time without the warning, the intervals start again. Thread-safe.

    Args:
        clock: monotonic seconds.

    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self._clock = clock
        self._lock = threading.Lock()
        self._places: dict[_Place, dict[int, _Repeat]] = {}  # the most recently used place is last
        self._changed_s: dict[tuple[str, str | None], float] = {}  # by logger and camera

    def filter(self, record: logging.LogRecord) -> bool:
        """Return whether to log a record."""
        camera = getattr(record, "camera", None)
        now_s = self._clock()
        if record.levelno < logging.WARNING:
            if record.levelno == logging.INFO:
                self._changed_s[record.name, camera] = now_s
            return True
        try:
            text = _text(record)
        except Exception:  # noqa: BLE001  (an argument cannot be formatted; the handler reports it)
            return True
        with self._lock:
            repeats = self._repeats_at((record.pathname, record.lineno, camera))
            key = _key(repeats, hash(text), now_s)
            if key not in repeats:
                repeats[key] = _Repeat(now_s, now_s)
                return True
            repeat = repeats[key]
            is_logged = repeat.update(now_s, self._changed_s.get((record.name, camera), -inf))
            if is_logged:
                record.unsaid, repeat.unsaid = repeat.unsaid, 0
            return is_logged

    def _repeats_at(self, place: _Place) -> dict[int, _Repeat]:
        repeats = self._places.pop(place, {})
        if len(self._places) >= _MAX_PLACES:
            del self._places[next(iter(self._places))]
        self._places[place] = repeats
        return repeats


def _key(repeats: dict[int, _Repeat], key: int, now_s: float) -> int:
    """Return the key of a text, or `_OTHER_TEXTS` if the place has too many different texts."""
    if key not in repeats and len(repeats) >= _MAX_TEXTS:
        for old in [old for old, repeat in repeats.items() if now_s - repeat.last_s >= _NEW_AFTER_S]:
            del repeats[old]
        if len(repeats) >= _MAX_TEXTS:
            return _OTHER_TEXTS
    return key


def _text(record: logging.LogRecord) -> str:
    """Return the text that equal records have in common."""
    text = record.getMessage()
    if record.exc_info and (error := record.exc_info[1]):
        frame = error.__traceback__
        while frame and frame.tb_next:
            frame = frame.tb_next
        where = (frame.tb_frame.f_code.co_filename, frame.tb_lineno) if frame else None
        text = f"{text}\n{type(error).__qualname__}: {error}\n/{where}"
    return _NUMBER.sub("#", text)
