"""Finds the objects in a model's result, of whatever kind it is. Each function raises InvalidResultError.

The kinds are those of PySDK (`degirum.postprocessor.InferenceResults.results`), and what a Python postprocessor may
return instead.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgepub.camera.frames import PixelMap, Result
from edgepub.camera.results.masks import Mask
from edgepub.core.errors import InvalidResultError

_USUAL = frozenset({"bbox", "category_id", "landmarks", "mask", "score"})
"""Keys of the objects of which PySDK has a kind."""
_MAX_CATEGORIES = 1024
_BACKGROUND = "background"
_MIN_PROBABILITY = 0.5  # of the only category, of a model that gives probabilities


def flatten(entry: Mapping[str, Any], result: Result, include: Collection[str]) -> Iterable[Mapping[str, Any]]:
    """Return the objects of one entry of a result: nearly always it is one itself.

    Args:
        entry: the entry.
        result: the result.
        include: keys that are published; an entry that has one of them is an object in any case.

    """
    if "data" in entry and "label" not in entry and "bbox" not in entry and "data" not in include:
        is_tensor = "shape" in entry or "name" in entry
        return [_embedding(entry)] if is_tensor else _segments(entry["data"], result)
    if not entry.keys() & _USUAL and any(key in entry for key in include):
        return [{"label": "result", "score": 1.0, **entry}]
    return [entry]


def _embedding(raw: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return a raw tensor as one object."""
    name = raw.get("name")
    label = name if isinstance(name, str) and name and not name.isdigit() else f"tensor {name or ''}".strip()
    return {**raw, "label": label, "score": 1.0, "embedding": raw["data"]}


def _segments(data: Any, result: Result) -> Iterator[Mapping[str, Any]]:  # noqa: ANN401  (from a model)
    """Yield an object for each category of a semantic segmentation: its share of the frame, its box and its mask."""
    categories = _read_categories(data)
    rows, columns = categories.shape
    width, height = (result.to_frame and result.input_size) or result.frame.size
    to_input = PixelMap(width / columns, height / rows, 0.0, 0.0)
    left, top, right, bottom = _visible_part(to_input.then(result.to_frame), result, columns, rows)
    categories = categories[top:bottom, left:right]
    place = PixelMap(to_input.scale_x, to_input.scale_y, left * to_input.scale_x, top * to_input.scale_y)
    x1, y1, x2, y2 = result.visible or (0, 0, *result.frame.size)
    visible_share = (x2 - x1) * (y2 - y1) / (result.frame.size[0] * result.frame.size[1])
    for category in np.flatnonzero(np.bincount(categories.ravel())).tolist():
        label = result.labels.get(category, str(category))
        if label == _BACKGROUND:
            continue
        pixels = (categories == category).view(np.uint8)
        x, y = np.flatnonzero(pixels.any(axis=0)).tolist(), np.flatnonzero(pixels.any(axis=1)).tolist()
        yield {
            "label": label,
            "category_id": category,
            "score": 1.0,
            "share": round(float(pixels.mean()) * visible_share, 4),
            "bbox": [*place.point(x[0], y[0]), *place.point(x[-1] + 1, y[-1] + 1)],
            "mask": Mask(pixels, place),
        }


def _read_categories(data: Any) -> NDArray[np.intp]:  # noqa: ANN401  (from a model)
    """Return the category of each pixel; of a model that gives scores for each category instead, the best one."""
    try:
        values = np.asarray(data).squeeze()
        if values.ndim == len(("rows", "columns", "categories")):
            values = values.argmax(axis=-1)
        categories = values.astype(np.intp)
        if values.dtype.kind == "f" and not (values == categories).all():
            categories = (values > _MIN_PROBABILITY).astype(np.intp)
    except (OverflowError, TypeError, ValueError):
        raise InvalidResultError("a segmentation whose data are no numbers") from None
    if categories.ndim != len(("rows", "columns")) or not categories.size:
        raise InvalidResultError("a segmentation that has not one category for each pixel, in rows")
    if categories.min() < 0 or categories.max() >= _MAX_CATEGORIES:
        raise InvalidResultError(f"a segmentation with a category that is not from 0 to {_MAX_CATEGORIES - 1}")
    return categories


def _visible_part(to_frame: PixelMap, result: Result, columns: int, rows: int) -> tuple[int, int, int, int]:
    """Return the part of a segmentation that shows the frame and not what is around it: left, top, right, bottom."""
    if not to_frame.scale_x or not to_frame.scale_y:
        raise InvalidResultError("a segmentation of a frame that is too narrow")
    x1, y1, x2, y2 = result.visible or (0, 0, *result.frame.size)
    left, right = (round((x - to_frame.left) / to_frame.scale_x) for x in (x1, x2))
    top, bottom = (round((y - to_frame.top) / to_frame.scale_y) for y in (y1, y2))
    left, top = min(max(left, 0), columns - 1), min(max(top, 0), rows - 1)
    return left, top, min(max(right, left + 1), columns), min(max(bottom, top + 1), rows)
