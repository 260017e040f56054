"""Opens and closes OpenCV's VideoCapture, reads frames past damaged ones, and limits the frame rate."""

import os
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from math import inf

import cv2

from edgepub.camera.rates import RateLimiter
from edgepub.core.errors import SourceError
from edgepub.telemetry.metrics import CameraMetrics

# A damaged frame fails like the end of the stream does, but the next one is good.
_MAX_DAMAGED_FRAMES = 10
_MAX_DAMAGED_S = 1.0
_QUIET = "-8"  # AV_LOG_QUIET
# RTSP over TCP: over UDP a lost packet gives a green frame. And without `fpsprobesize` FFmpeg watches a stream for five
# seconds, to learn its frame rate, before it gives the first frame.
_OPTIONS = "rtsp_transport;tcp|fpsprobesize;0"


@contextmanager
def open_capture(name: str | int, backend: int, parameters: Sequence[int], reason: str) -> Iterator[cv2.VideoCapture]:
    """Open a capture, and release it at the end.

    Raises:
        SourceError: OpenCV cannot open it; `reason` is the error's text.

    """
    # Both write to stderr past our log, and FFmpeg may print the URL with its password.
    os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", _QUIET)
    cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)
    os.environ.setdefault("OPENCV_FFMPEG_CAPTURE_OPTIONS", _OPTIONS)
    try:
        capture = cv2.VideoCapture(name, backend, parameters)
    except cv2.error:
        raise SourceError(reason) from None
    try:
        if not capture.isOpened():
            raise SourceError(reason)
        yield capture
    finally:
        capture.release()


def grab(capture: cv2.VideoCapture) -> bool:
    """Grab the next frame that can be decoded; return False if there is none: the end, or the stream is lost."""
    give_up_s = time.monotonic() + _MAX_DAMAGED_S
    for _ in range(_MAX_DAMAGED_FRAMES):
        if capture.grab():
            return True
        if time.monotonic() > give_up_s:
            break
    return False


class Gate:
    """Limits the frame rate, evenly, before any further work on a frame; counts all frames that come.

    Args:
        max_fps: frames a second, at most; None: no limit.
        metrics: the camera's metrics.

    """

    def __init__(self, max_fps: float | None, metrics: CameraMetrics) -> None:
        self._metrics = metrics
        self.set_max_fps(max_fps)

    def set_max_fps(self, max_fps: float | None) -> None:
        """Set another limit. Callable from any thread."""
        self._max_fps = inf if max_fps is None else max_fps
        self.reset()

    def reset(self) -> None:
        """Prepare for a new source, whose clock may differ."""
        self._limiter = RateLimiter(self._max_fps)

    def admit(self, captured_s: float) -> bool:
        """Return whether to use the frame captured at this moment, on its source's clock."""
        self._metrics.count_captured()
        admitted = self._limiter.admit(captured_s)
        if not admitted:
            self._metrics.count_sampled("max_fps")
        return admitted
