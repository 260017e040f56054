"""The clock of the analysis: that of the source, continued when the source is opened again. Pure."""

from edgepub.camera.frames import Frame


class Clock:
    """Gives each frame's time in seconds; it never goes back, also over openings of the source and restarts."""

    def __init__(self) -> None:
        self._offset_s = 0.0
        self._is_open = False
        self._last: tuple[float, float] | None = None  # the time that it gave last, and the same as Unix seconds

    def now_s(self, frame: Frame) -> float:
        """Return a frame's time. The time between two openings of the source is that of the wall clock."""
        if not self._is_open:
            self._is_open = True
            if self._last is not None:
                last_s, timestamp = self._last
                self._offset_s = last_s + max(0.0, frame.timestamp - timestamp) - frame.source_s
        now_s = frame.source_s + self._offset_s
        self._last = now_s, frame.timestamp
        return now_s

    def close(self) -> None:
        """Expect frames of another opening of the source."""
        self._is_open = False

    def restore(self, timestamp: float) -> None:
        """Continue from a moment of an earlier run, given in Unix seconds: it was at 0."""
        self._last = 0.0, timestamp
