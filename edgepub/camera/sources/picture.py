"""Converts decoded pictures for the model."""

import threading
from typing import Any

import av
import cv2
import numpy as np
from av.video.reformatter import VideoReformatter
from numpy.typing import NDArray

from edgepub.camera.frames import Fit, Picture
from edgepub.camera.sources.gate import Gate
from edgepub.camera.sources.limits import MAX_PIXELS, describe_too_large
from edgepub.camera.sources.planes import shrink
from edgepub.core.errors import SourceError

_MAX_FAILURES = 10  # in a row
_RIGHT_ANGLE = 90


class Converter:
    """Converts a stream's pictures to blue, green and red, as they are meant to be seen. For one thread.

    Args:
        gate: counts the pictures that cannot be converted.
        title: the source, for errors.
        rotate: degrees clockwise to turn all pictures, 0, 90, 180 or 270, beside what the stream says.

    """

    def __init__(self, gate: Gate, title: str, rotate: int) -> None:
        self._gate = gate
        self._rotate = rotate
        self._title = title
        self._reformatter = VideoReformatter()
        self._failures = 0  # in a row

    def convert(self, picture: av.VideoFrame, fit: Fit | None) -> Picture | None:
        """Return a picture's pixels; None if it cannot be converted.

        An interlaced picture shows two moments. Only the first is used, doubled in height, so that what moves has no
        comb. A picture that the stream says to turn is turned.

        Args:
            picture: the decoded picture.
            fit: the size that the model takes; None: full size.

        Raises:
            SourceError: none can be converted.

        """
        try:
            turns = round((picture.rotation - self._rotate) / _RIGHT_ANGLE) % 4  # counterclockwise
            full = _Full(picture, turns)
            size = fit.size(full.width, full.height) if fit else None
            small = shrink(picture, *(size[::-1] if turns % 2 else size)) if size else None
            if small is None:
                converted = Picture(_to_bgr(self._reformatter, picture, turns))
            else:
                converted = Picture(_to_bgr(self._reformatter, small, turns), full)
        except (av.FFmpegError, ValueError, MemoryError):
            self._gate.count_undecodable(captured=True)
            self._failures += 1
            if self._failures >= _MAX_FAILURES:
                raise SourceError(describe_too_large(self._title, "its pictures cannot be converted")) from None
            return None
        self._failures = 0
        return converted


class _Full:
    """A decoded picture at its full size, converted when somebody looks at it; for any thread."""

    def __init__(self, picture: av.VideoFrame, turns: int) -> None:
        sides = picture.width, picture.height
        self.width, self.height = sides[::-1] if turns % 2 else sides
        self._picture = picture
        self._turns = turns
        self._image: NDArray[Any] | None = None
        self._lock = threading.Lock()

    def image(self) -> NDArray[Any]:
        """Return the pixels, shape (height, width, 3), unsigned bytes."""
        with self._lock:
            if self._image is None:
                self._image = _to_bgr(VideoReformatter(), self._picture, self._turns)
            return self._image


def _to_bgr(reformatter: VideoReformatter, picture: av.VideoFrame, turns: int) -> NDArray[Any]:
    if picture.width * picture.height > MAX_PIXELS:
        raise ValueError
    converted = reformatter.reformat(picture, format="bgr24", threads=1)
    plane = converted.planes[0]
    rows = np.frombuffer(memoryview(plane), np.uint8).reshape(-1, plane.line_size)
    image: NDArray[Any] = rows[: picture.height, : 3 * picture.width].reshape(picture.height, picture.width, 3)
    if picture.interlaced_frame and picture.height > 1:
        image = cv2.resize(image[::2], (picture.width, picture.height), interpolation=cv2.INTER_LINEAR)
    return np.ascontiguousarray(np.rot90(image, turns) if turns else image)
