"""Makes decoded pictures smaller plane by plane, before they are converted to blue, green and red."""

import sys
from typing import Any

import av
import cv2
import numpy as np
from numpy.typing import NDArray

_BYTE_BITS = 8


def shrink(picture: av.VideoFrame, width: int, height: int) -> av.VideoFrame | None:
    """Make a picture smaller, by the interpolation with which PySDK would do it later (bilinear).

    Of an interlaced picture, which shows two moments, only the first is used.

    Args:
        picture: the picture.
        width: the width to make it, in pixels.
        height: the height.

    Returns:
        The picture in the same pixel format; None: not with this pixel format.

    """
    pixels = picture.format
    if not _is_supported(pixels):
        return None
    sample = np.uint8 if pixels.components[0].bits == _BYTE_BITS else np.uint16
    small = av.VideoFrame(width, height, pixels.name)
    small.colorspace, small.color_range = picture.colorspace, picture.color_range
    for index, (plane, small_plane) in enumerate(zip(picture.planes, small.planes, strict=True)):
        samples = sum(component.plane == index for component in pixels.components)
        rows, small_rows = _view(plane, samples, sample), _view(small_plane, samples, sample)
        if picture.interlaced_frame and len(rows) > 1:
            rows = rows[::2]
        shrunk = cv2.resize(rows, small_rows.shape[1::-1], interpolation=cv2.INTER_LINEAR)
        small_rows[:] = shrunk.reshape(small_rows.shape)
    return small


def _is_supported(pixels: av.VideoFormat) -> bool:
    """Tell whether the pixel format's planes hold samples of whole bytes, side by side."""
    return (
        (pixels.is_planar or len(pixels.components) == 1)
        and not pixels.has_palette
        and min(component.bits for component in pixels.components) >= _BYTE_BITS
        and (pixels.components[0].bits == _BYTE_BITS or pixels.is_big_endian == (sys.byteorder == "big"))
    )


def _view(plane: Any, samples: int, sample: type) -> NDArray[Any]:  # noqa: ANN401  (PyAV does not export its type)
    rows: NDArray[Any] = np.frombuffer(memoryview(plane), sample).reshape(plane.height, -1)
    return rows[:, : plane.width * samples].reshape(plane.height, plane.width, samples)
