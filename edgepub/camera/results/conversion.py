"""Converts one object of a model's result into the payload's form. Each function raises InvalidResultError.

The texts of the errors quote nothing of the object: it may be long, and equal mistakes are logged once.
"""

from collections.abc import Iterable, Mapping, Sequence
from math import atan2, cos, isfinite, sin
from typing import Any

from edgepub.camera.frames import Box, PixelMap
from edgepub.camera.results.landmarks import convert_landmarks
from edgepub.camera.results.masks import MAX_MASK_POINTS, Mask, outline, read_mask
from edgepub.camera.results.space import Space
from edgepub.camera.results.values import read_category, read_embedding, read_included, read_number, read_text
from edgepub.core.errors import InvalidResultError

_MORE = frozenset({"angle", "landmarks", "mask", "embedding", "share", "classifier", "handedness", "text"})
"""Keys of the objects that are more than a box."""
PUBLISHED = _MORE | {"bbox", "category_id", "label", "score", "results"}
"""Keys of a model's objects that are published without being named in `include`."""


def convert(raw: Mapping[str, Any], label: str, score: float, landmarks: Sequence[Any], space: Space) -> dict[str, Any]:
    """Return one object in the payload's form, its box clipped to the frame.

    The box of a rotated object is the extent of its corners; without a box, that of its mask or its landmarks; without
    these, it is the whole frame.
    """
    width, height, to_frame = space.width, space.height, space.to_frame
    box = _read_box(raw, to_frame) if "bbox" in raw else None
    more: dict[str, Any] = {}
    if not _MORE.isdisjoint(raw):
        more = _convert_more(raw, landmarks, space)
        box = _extent(more.get("corners")) or box or _extent(more.get("mask")) or _extent_of_landmarks(more)
    if space.include:
        more |= read_included(raw, space.include, space.budget)
    x1, y1, x2, y2 = box or space.visible
    if not (0.0 <= x1 <= x2 <= width and 0.0 <= y1 <= y2 <= height):
        (x1, x2), (y1, y2) = _clip(x1, x2, width), _clip(y1, y2, height)
    # Rounded to 1/100 of a pixel and 1/100,000 of the frame. `round` with digits costs three times as much.
    detection = {
        "label": label,
        "score": round(score, 4),
        "bbox": (
            int(100 * x1 + 0.5) / 100,
            int(100 * y1 + 0.5) / 100,
            int(100 * x2 + 0.5) / 100,
            int(100 * y2 + 0.5) / 100,
        ),
        "bbox_norm": (
            int(1e5 * x1 / width + 0.5) / 1e5,
            int(1e5 * y1 / height + 0.5) / 1e5,
            int(1e5 * x2 / width + 0.5) / 1e5,
            int(1e5 * y2 / height + 0.5) / 1e5,
        ),
    }
    category = raw.get("category_id")
    if category is not None:
        detection["category_id"] = read_category(category)
    return detection | more if more else detection


def _convert_more(raw: Mapping[str, Any], landmarks: Sequence[Any], space: Space) -> dict[str, Any]:
    """Return what an object has beyond its box, in the payload's form."""
    more: dict[str, Any] = {}
    if raw.get("landmarks") is not None:
        third = "z" if "handedness" in raw else "visibility"
        more["landmarks"] = convert_landmarks(landmarks, space, third)
    if raw.get("angle") is not None and "bbox" in raw:
        more["corners"] = corners = _rotate(raw, space.to_frame)
        (x1, y1), (x2, y2) = corners[:2]
        more["angle"] = round(atan2(y2 - y1, x2 - x1), 4)
    if (mask := raw.get("mask")) is not None:
        pixels = mask if isinstance(mask, Mask) else read_mask(mask, space)
        space.budget.take(points=MAX_MASK_POINTS)  # how many it has is known only when it has been found
        polygon = outline(pixels, space)
        space.budget.give_back(points=MAX_MASK_POINTS - len(polygon))
        if polygon:
            more["mask"] = polygon
    if isinstance(raw.get("handedness"), float | int):
        more["handedness"] = read_number(raw, "handedness")
    if isinstance(mask, Mask):  # a semantic segmentation
        more["share"] = raw["share"]
    for key in ("classifier", "text"):
        if isinstance(raw.get(key), str):
            more[key] = read_text(raw[key], key)
    if raw.get("embedding") is not None:
        more["embedding"] = read_embedding(raw["embedding"], space.budget)
    return more


def _read_box(raw: Mapping[str, Any], to_frame: PixelMap | None) -> Box:
    try:
        x1, y1, x2, y2 = map(float, raw["bbox"])
    except (OverflowError, TypeError, ValueError):
        raise InvalidResultError("a detection with a bbox that is no four numbers") from None
    if not isfinite(x1 + y1 + x2 + y2):
        raise InvalidResultError("a detection with a bbox that is not finite")
    if to_frame:
        scale_x, scale_y, left, top = to_frame
        return left + scale_x * x1, top + scale_y * y1, left + scale_x * x2, top + scale_y * y2
    return x1, y1, x2, y2


def _rotate(raw: Mapping[str, Any], to_frame: PixelMap | None) -> list[tuple[float, float]]:
    """Return the corners of a box that is turned around its centre: first what is its upper left one unless turned.

    They are turned in the model's pixels, as its picture may be stretched.
    """
    x1, y1, x2, y2 = _read_box(raw, None)
    angle = read_number(raw, "angle")
    across, down = abs(x2 - x1) / 2, abs(y2 - y1) / 2
    cosine, sine = cos(angle), sin(angle)
    corners = []
    for right, low in ((-across, -down), (across, -down), (across, down), (-across, down)):
        x, y = (x1 + x2) / 2 + right * cosine - low * sine, (y1 + y2) / 2 + right * sine + low * cosine
        x, y = to_frame.point(x, y) if to_frame else (x, y)
        corners.append((round(x, 2), round(y, 2)))
    return corners


def _clip(start: float, end: float, length: float) -> tuple[float, float]:
    """Return one side of a box within the frame. Some models give the corners in another order, or outside."""
    low, high = sorted((start, end))
    return min(max(low, 0.0), length), min(max(high, 0.0), length)


def _extent_of_landmarks(more: Mapping[str, Any]) -> Box | None:
    return _extent(mark["landmark"] for mark in more.get("landmarks", ()))


def _extent(points: Iterable[tuple[float, float]] | None) -> Box | None:
    """Return the smallest box with these points; None without points."""
    points = list(points or ())
    if not points:
        return None
    xs, ys = [x for x, _ in points], [y for _, y in points]
    return min(xs), min(ys), max(xs), max(ys)
