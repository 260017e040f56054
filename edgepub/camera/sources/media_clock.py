"""The time at which a picture is due, by the timestamps of a file or of a stream that comes in parts."""

from av.video.stream import VideoStream

_DEFAULT_FPS = 25.0  # without a frame rate
_MIN_HOLE_S = 5.0
_MIN_HOLE_PERIODS = 10


class MediaClock:
    """Gives the time of each picture, in seconds from the first: by its timestamp, else by the frame rate.

    A hole in the timestamps is passed: two recordings that were put one after the other have timestamps of their own.

    Args:
        video: the stream.
        period_s: from one picture to the next; None: by the stream's frame rate.

    """

    def __init__(self, video: VideoStream, period_s: float | None = None) -> None:
        self._period_s = period_s or 1 / float(video.average_rate or video.guessed_rate or _DEFAULT_FPS)
        self._first_s: float | None = None
        self._max_hole_s = max(_MIN_HOLE_S, _MIN_HOLE_PERIODS * self._period_s)
        self.end_s = 0.0
        """When the picture after the last one is due, if it has no timestamp."""

    def due_s(self, timestamp_s: float | None) -> float:
        """Return when a picture is due.

        Args:
            timestamp_s: its timestamp, in seconds; None without one.

        """
        if timestamp_s is None:
            due_s = self.end_s
        elif self._first_s is None:
            self._first_s, due_s = timestamp_s, 0.0
        else:
            due_s = timestamp_s - self._first_s
            # Not after the previous one, or long after it: the timestamps continue from here.
            if not self.end_s - self._period_s < due_s < self.end_s + self._max_hole_s:
                due_s = self.end_s
                self._first_s = timestamp_s - due_s
        self.end_s = due_s + self._period_s
        return due_s
