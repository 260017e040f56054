"""OpenCV's VideoCapture, opened without noise and closed for certain; and the gate behind it."""

import os
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from math import inf

import cv2

from edgepub.camera.rates import RateLimiter
from edgepub.core.errors import SourceError
from edgepub.telemetry.metrics import CameraMetrics

# A damaged frame fails like the end of the stream does; but the next one is good.
_DAMAGED_FRAMES = 10
_DAMAGED_S = 1.0
_QUIET = "-8"  # AV_LOG_QUIET
# RTSP over TCP: over UDP a lost packet is a green frame. And FFmpeg need not watch a stream for five seconds, to learn
# its frame rate, before it gives the first frame.
_OPTIONS = "rtsp_transport;tcp|fpsprobesize;0"


@contextmanager
def open_capture(name: str | int, backend: int, parameters: Sequence[int], why_not: str) -> Iterator[cv2.VideoCapture]:
    """Open a capture, and release it at the end.

    Raises:
        SourceError: with `why_not`, when OpenCV cannot open it.

    """
    # Both write to stderr past our log, and FFmpeg may name the URL with its password.
    os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", _QUIET)
    cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)
    os.environ.setdefault("OPENCV_FFMPEG_CAPTURE_OPTIONS", _OPTIONS)
    try:
        capture = cv2.VideoCapture(name, backend, parameters)
    except cv2.error:
        raise SourceError(why_not) from None
    try:
        if not capture.isOpened():
            raise SourceError(why_not)
        yield capture
    finally:
        capture.release()


def grab(capture: cv2.VideoCapture) -> bool:
    """Take the next frame that can be decoded; return False when there is none: the end, or a stream that is lost."""
    give_up_s = time.monotonic() + _DAMAGED_S
    for _ in range(_DAMAGED_FRAMES):
        if capture.grab():
            return True
        if time.monotonic() > give_up_s:
            break
    return False


class Gate:
    """Lets so many frames a second through, evenly, before anything is done with them; counts all that come.

    Args:
        max_fps: the most frames a second; None: all.
        counts: the camera's counts.

    """

    def __init__(self, max_fps: float | None, counts: CameraMetrics) -> None:
        self._counts = counts
        self.set_max_fps(max_fps)

    def set_max_fps(self, max_fps: float | None) -> None:
        """Let so many through from now on; from any thread."""
        self._max_fps = inf if max_fps is None else max_fps
        self.reset()

    def reset(self) -> None:
        """Begin with a new source, whose clock may be another."""
        self._spacing = RateLimiter(self._max_fps)

    def admit(self, captured_s: float) -> bool:
        """Return whether the frame captured at this moment, on the clock of its source, is used."""
        self._counts.count_captured()
        admitted = self._spacing.admit(captured_s)
        if not admitted:
            self._counts.count_sampled("max_fps")
        return admitted
