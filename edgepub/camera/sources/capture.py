"""Opens and closes OpenCV's VideoCapture, reads frames past damaged ones, and limits the frame rate."""

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from io import BufferedReader
from math import inf
from typing import Any, cast

import cv2
from numpy.typing import NDArray

from edgepub.camera.rates import RateLimiter
from edgepub.camera.sources.limits import MAX_PIXELS, limit_ffmpeg
from edgepub.core.errors import SourceError
from edgepub.telemetry.metrics import CameraMetrics

# A damaged frame fails like the end of the stream does, but the next one is good.
_MAX_DAMAGED_FRAMES = 10
_MAX_DAMAGED_S = 1.0


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

    def count_undecodable(self, *, captured: bool = False) -> None:
        """Count a frame that cannot be decoded; `captured`: it was admitted, so it is counted as captured already."""
        if not captured:
            self._metrics.count_captured()
        self._metrics.count_sampled("undecodable")


class Reader:
    """Reads the frames of an open capture.

    Args:
        capture: the capture.
        gate: limits the frame rate.
        title: the source, for errors.

    """

    def __init__(self, capture: cv2.VideoCapture, gate: Gate, title: str) -> None:
        self.capture = capture
        self._gate = gate
        self._title = title
        self._unconverted = 0  # in a row

    @property
    def pixels(self) -> int:
        """The pixels of a picture; 0 if the size is not known yet."""
        return int(self.capture.get(cv2.CAP_PROP_FRAME_WIDTH) * self.capture.get(cv2.CAP_PROP_FRAME_HEIGHT))

    def check_size(self) -> None:
        """Check that the pictures are not too large.

        Raises:
            SourceError: they are.

        """
        if self.pixels > MAX_PIXELS:
            self._gate.count_undecodable()
            width, height = (self.capture.get(key) for key in (cv2.CAP_PROP_FRAME_WIDTH, cv2.CAP_PROP_FRAME_HEIGHT))
            raise self._too_large(f"its pictures have {width:.0f} x {height:.0f} pixels")

    def grab(self) -> bool:
        """Grab the next frame that can be decoded; return False if there is none: the end, or the stream is lost."""
        give_up_s = time.monotonic() + _MAX_DAMAGED_S
        for damaged in range(_MAX_DAMAGED_FRAMES):
            if self.capture.grab():
                for _ in range(damaged):
                    self._gate.count_undecodable()
                return True
            if time.monotonic() > give_up_s:
                break
        return False

    def retrieve(self, captured_s: float) -> NDArray[Any] | None:
        """Return the frame that was grabbed; None if it is not used, because of the frame rate or damaged.

        Args:
            captured_s: when it was captured, on the source's clock.

        Raises:
            SourceError: no frame can be converted.

        """
        if not self._gate.admit(captured_s):
            return None
        ok, image = self.capture.retrieve()
        if ok and image is not None:
            self._unconverted = 0
            return image
        self._gate.count_undecodable(captured=True)
        self._unconverted += 1
        if self._unconverted >= _MAX_DAMAGED_FRAMES:
            raise self._too_large("its pictures cannot be converted")
        return None

    def _too_large(self, what: str) -> SourceError:
        return SourceError(
            f"{self._title}: {what}; at most {MAX_PIXELS:,} are allowed: set a lower resolution in the camera, "
            "or use another of its streams"
        )


@contextmanager
def open_reader(
    source: str | int | BufferedReader, backend: int, parameters: Sequence[int], gate: Gate, title: str, reason: str
) -> Iterator[Reader]:
    """Open a source, and close it at the end.

    Args:
        source: a URL, a webcam's number, or an open file.
        backend: the backend of OpenCV.
        parameters: its parameters.
        gate: limits the frame rate.
        title: the source, for errors.
        reason: the error's text if it cannot be opened.

    Raises:
        SourceError: OpenCV cannot open it, or its pictures are too large.

    """
    # It writes to stderr past our log.
    cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)
    limit_ffmpeg()
    try:
        # Its types do not say that OpenCV takes a file of Python for such a reader.
        stream = cast("cv2.IStreamReader", source) if isinstance(source, BufferedReader) else source
        capture = cv2.VideoCapture(stream, backend, parameters)
    except cv2.error:
        raise SourceError(reason) from None
    try:
        if not capture.isOpened():
            raise SourceError(reason)
        reader = Reader(capture, gate, title)
        reader.check_size()
        yield reader
    finally:
        capture.release()
