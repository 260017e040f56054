"""Outlines of masks: which pixels belong to an object, as a polygon."""

import base64
from math import ceil, isfinite
from typing import Any, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from edgepub.camera.frames import PixelMap
from edgepub.camera.results.budget import Budget
from edgepub.camera.results.space import Space
from edgepub.core.errors import InvalidResultError

MAX_MASK_POINTS = 200
"""In one polygon."""
_MAX_PIXELS = 4096 * 4096
_TOLERANCE = 0.75  # of a pixel of the mask: a straight edge that the mask's grid shows as steps is one line
_COARSER = 1.5
_MIN_CORNERS = 3
_MIN_SIDE = 256  # of a mask whose pixels are fine enough
_MAX_SIDE = 1024  # of a mask whose pixels are fine enough to leave some out

Polygon = list[tuple[float, float]]


class Mask(NamedTuple):
    """The pixels of an object."""

    pixels: NDArray[Any]
    """Shape (height, width)."""
    category: int
    """The value of the pixels that belong to the object."""
    place: PixelMap
    """Converts these pixels to those of the model's input."""


def read_mask(raw: Any, space: Space) -> Mask:  # noqa: ANN401  (from a model)
    """Return a mask as PySDK encodes it.

    Args:
        raw: `data` (runs: as many values as lengths, 32-bit numbers in base64), and the size and place of the mask in
            the model's input: `width`, `height`, `x_min`, `y_min`.
        space: where its pixels are.

    """
    try:
        width, height = space.input_size or (0, 0)
        width, height = int(raw.get("width", width)), int(raw.get("height", height))
        place = PixelMap(1.0, 1.0, float(raw.get("x_min", 0)), float(raw.get("y_min", 0)))
        pixels = _decode_runs(raw["data"], width, height, space.budget)
    except (AttributeError, KeyError, OverflowError, TypeError, ValueError):
        raise InvalidResultError("a detection with a mask that is not as PySDK encodes masks") from None
    if not isfinite(place.left + place.top):
        raise InvalidResultError("a detection with a mask whose place is not finite")
    return Mask(pixels, 1, place)


def outline(mask: Mask, space: Space) -> Polygon:
    """Return the outline of a mask's largest part; empty if it has fewer than three corners. Holes are ignored.

    Args:
        mask: the mask.
        space: where its pixels are.

    """
    step_y, step_x = (ceil(side / _MAX_SIDE) for side in mask.pixels.shape)
    pixels = (mask.pixels[step_y // 2 :: step_y, step_x // 2 :: step_x] == mask.category).view(np.uint8)
    # OpenCV's contours go through the middles of pixels: half a pixel of a coarse mask would be missing all around.
    finer = max(1, _MIN_SIDE // max(pixels.shape))
    pixels = pixels.repeat(finer, axis=0).repeat(finer, axis=1) if finer > 1 else pixels
    contours, _ = cv2.findContours(pixels, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
    if not contours:
        return []
    largest = max(contours, key=cv2.contourArea)
    tolerance = finer * _TOLERANCE
    corners = cv2.approxPolyDP(largest, tolerance, closed=True)
    while len(corners) > MAX_MASK_POINTS:
        tolerance *= _COARSER
        corners = cv2.approxPolyDP(largest, tolerance, closed=True)
    if len(corners) < _MIN_CORNERS:
        return []
    convert = PixelMap(step_x / finer, step_y / finer, 0.0, 0.0).then(mask.place).then(space.to_frame)
    points = (corners[:, 0, :] + 0.5) * (convert.scale_x, convert.scale_y) + (convert.left, convert.top)
    points = np.clip(points, 0, (space.width, space.height))
    return [(x, y) for x, y in np.round(points, 1).tolist()]


def _decode_runs(
    data: Any,  # noqa: ANN401  (from a model)
    width: int,
    height: int,
    budget: Budget,
) -> NDArray[np.uint8]:
    runs = np.frombuffer(base64.b64decode(data), np.uint32)
    values, lengths = np.split(runs, [len(runs) // 2])
    if not 0 < width * height == lengths.sum(dtype=np.uint64) <= _MAX_PIXELS or width < 0:
        raise ValueError("another number of pixels")
    budget.take(pixels=width * height)
    return np.repeat((values != 0).astype(np.uint8), lengths).reshape(height, width)
