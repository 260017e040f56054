"""Converts decoded pictures for the model."""

from typing import Any

import av
import cv2
import numpy as np
from av.video.reformatter import VideoReformatter
from numpy.typing import NDArray

from edgepub.camera.sources.gate import Gate
from edgepub.camera.sources.limits import MAX_PIXELS, describe_too_large
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

    def convert(self, picture: av.VideoFrame) -> NDArray[Any] | None:
        """Return the pixels, shape (height, width, 3), unsigned bytes; None if the picture cannot be converted.

        An interlaced picture shows two moments. Only the first is used, doubled in height, so that what moves has no
        comb. A picture that the stream says to turn is turned.

        Raises:
            SourceError: none can be converted.

        """
        try:
            image = self._to_bgr(picture)
        except (av.FFmpegError, ValueError, MemoryError):
            self._gate.count_undecodable(captured=True)
            self._failures += 1
            if self._failures >= _MAX_FAILURES:
                raise SourceError(describe_too_large(self._title, "its pictures cannot be converted")) from None
            return None
        self._failures = 0
        return image

    def _to_bgr(self, picture: av.VideoFrame) -> NDArray[Any]:
        if picture.width * picture.height > MAX_PIXELS:
            raise ValueError
        converted = self._reformatter.reformat(picture, format="bgr24", threads=1)
        plane = converted.planes[0]
        rows = np.frombuffer(memoryview(plane), np.uint8).reshape(-1, plane.line_size)
        image: NDArray[Any] = rows[: picture.height, : 3 * picture.width].reshape(picture.height, picture.width, 3)
        if picture.interlaced_frame and picture.height > 1:
            image = cv2.resize(image[::2], (picture.width, picture.height), interpolation=cv2.INTER_LINEAR)
        if turns := round((picture.rotation - self._rotate) / _RIGHT_ANGLE) % 4:  # counterclockwise
            image = np.rot90(image, turns)
        return np.ascontiguousarray(image)
