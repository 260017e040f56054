"""Complaints that repeat themselves are said ever more seldom, and then how often they were."""

import logging
import re
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from math import inf

_FIRST_S = 60.0
_LONGEST_S = 3600.0
_QUIET_S = 600.0
"""Longer than any pause between two tries: what has not come for so long is not the same trouble any more."""
_MOST_PLACES = 1000
_MOST_TEXTS = 10
"""That are told apart of one place: it may quote what anybody has sent, or a text that is a new one each time."""
_OTHERS = 0
# A number that stands alone, not one in a name or a topic: those name a thing, and another is another complaint.
_NUMBER = re.compile(r"(?<![\w/.-])(?:0x[\da-fA-F]+|\d+(?:\.\d+)*)")

_Place = tuple[str, int, str | None]


@dataclass(slots=True)
class _Complaint:
    said_s: float
    last_s: float
    interval_s: float = _FIRST_S
    unsaid: int = 0

    def comes(self, now_s: float, changed_s: float) -> bool:
        """Count it, or return that it is to be said now."""
        is_new = changed_s > self.last_s or now_s - self.last_s >= _QUIET_S
        if is_new:
            self.interval_s = _FIRST_S
        self.last_s = now_s
        if now_s - self.said_s < self.interval_s:
            self.unsaid += 1
            return False
        self.said_s = now_s
        if not is_new:
            self.interval_s = min(2 * self.interval_s, _LONGEST_S)
        return True


class RepeatFilter(logging.Filter):
    """Lets a warning or an error pass at once, and equal ones after growing pauses, with their number as `unsaid`.

    Equal are those of one place in the code and one camera whose texts differ in numbers alone, and whose exceptions
    are the same. What a logger says of a camera at info is that something has changed: after that, or when none came
    for long, the pauses begin anew. For any thread.

    Args:
        clock: monotonic seconds.

    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self._clock = clock
        self._lock = threading.Lock()
        self._places: dict[_Place, dict[int, _Complaint]] = {}  # that of the last one last
        self._changed_s: dict[tuple[str, str | None], float] = {}  # by logger and camera

    def filter(self, record: logging.LogRecord) -> bool:
        """Return whether a record is to be said."""
        camera = getattr(record, "camera", None)
        now_s = self._clock()
        if record.levelno < logging.WARNING:
            if record.levelno == logging.INFO:
                self._changed_s[record.name, camera] = now_s
            return True
        try:
            text = _text(record)
        except Exception:  # noqa: BLE001  (of what it is to show; the handler says so)
            return True
        with self._lock:
            complaints = self._of_place((record.pathname, record.lineno, camera))
            key = _key(complaints, hash(text), now_s)
            if key not in complaints:
                complaints[key] = _Complaint(now_s, now_s)
                return True
            complaint = complaints[key]
            is_said = complaint.comes(now_s, self._changed_s.get((record.name, camera), -inf))
            if is_said:
                record.unsaid, complaint.unsaid = complaint.unsaid, 0
            return is_said

    def _of_place(self, place: _Place) -> dict[int, _Complaint]:
        complaints = self._places.pop(place, {})
        if len(self._places) >= _MOST_PLACES:
            del self._places[next(iter(self._places))]
        self._places[place] = complaints
        return complaints


def _key(complaints: dict[int, _Complaint], key: int, now_s: float) -> int:
    """Return the key of a text; the last place is for all that there is no room for."""
    if key not in complaints and len(complaints) >= _MOST_TEXTS:
        for old in [old for old, each in complaints.items() if now_s - each.last_s >= _QUIET_S]:
            del complaints[old]
        if len(complaints) >= _MOST_TEXTS:
            return _OTHERS
    return key


def _text(record: logging.LogRecord) -> str:
    """Return what makes a complaint the same as another."""
    text = record.getMessage()
    if record.exc_info and (error := record.exc_info[1]):
        last = error.__traceback__
        while last and last.tb_next:
            last = last.tb_next
        where = (last.tb_frame.f_code.co_filename, last.tb_lineno) if last else None
        text = f"{text}\n{type(error).__qualname__}: {error}\n/{where}"
    return _NUMBER.sub("#", text)
