"""The clock of the analysis: that of the source, continued when the source is opened again. Pure."""

from edgepub.camera.frames import Frame

_MAX_PAUSE_S = 30 * 86_400.0
"""The longest time between two runs that is believed."""


class Clock:
    """Gives each frame's time in seconds; it never goes back, also over openings of the source and restarts."""

    def __init__(self) -> None:
        self._offset_s = 0.0
        self._is_open = False
        self._last: tuple[float, float] | None = None  # the time that it gave last, and the same on the monotonic clock
        self._restored: float | None = None  # where an earlier run ended, in Unix seconds; it was at 0

    def now_s(self, frame: Frame) -> float:
        """Return a frame's time. The time between two runs is that of the wall clock, which may have been set."""
        if not self._is_open:
            self._is_open = True
            if self._last is not None:
                last_s, captured_s = self._last
                self._offset_s = last_s + max(0.0, frame.captured_s - captured_s) - frame.source_s
            elif self._restored is not None:
                passed_s = min(max(0.0, frame.timestamp - self._restored), _MAX_PAUSE_S)
                self._offset_s = passed_s - frame.source_s
        now_s = frame.source_s + self._offset_s
        self._last = now_s, frame.captured_s
        return now_s

    def close(self) -> None:
        """Expect frames of another opening of the source."""
        self._is_open = False

    def restore(self, timestamp: float) -> None:
        """Continue from a moment of an earlier run, given in Unix seconds: it was at 0."""
        self._restored = timestamp
