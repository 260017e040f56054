"""Finds the objects in a model's result, of whatever kind it is. Each function raises InvalidResultError.

The kinds are those of PySDK (`degirum.postprocessor.InferenceResults.results`), and what a Python postprocessor may
return instead.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgepub.camera.frames import PixelMap, Result
from edgepub.camera.results.budget import Budget
from edgepub.camera.results.masks import Mask
from edgepub.core.errors import InvalidResultError

_USUAL = frozenset({"bbox", "category_id", "landmarks", "mask", "score"})
"""Keys of the objects of which PySDK has a kind."""
_MAX_CATEGORIES = 1024
_MAX_SIDE = 8192  # pixels of a segmentation
_BACKGROUND = "background"
_MIN_PROBABILITY = 0.5  # of the only category, of a model that gives probabilities


def flatten(
    entry: Mapping[str, Any], result: Result, include: Collection[str], budget: Budget
) -> Iterable[Mapping[str, Any]]:
    """Return the objects of one entry of a result: nearly always it is one itself.

    Args:
        entry: the entry.
        result: the result.
        include: keys that are published; an entry that has one of them is an object in any case.
        budget: what is left for the result's objects.

    """
    if "data" in entry and "label" not in entry and "bbox" not in entry and "data" not in include:
        is_tensor = "shape" in entry or "name" in entry
        return [_embedding(entry)] if is_tensor else _segments(entry["data"], result, budget)
    if not entry.keys() & _USUAL and any(key in entry for key in include):
        return [{"label": "result", "score": 1.0, **entry}]
    return [entry]


def _embedding(raw: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return a raw tensor as one object."""
    name = raw.get("name")
    label = name if isinstance(name, str) and name and not name.isdigit() else f"tensor {name or ''}".strip()
    return {**raw, "label": label, "score": 1.0, "embedding": raw["data"]}


def _segments(
    data: Any,  # noqa: ANN401  (from a model)
    result: Result,
    budget: Budget,
) -> Iterator[Mapping[str, Any]]:
    """Yield an object for each category of a semantic segmentation: its share of the frame, its box and its mask."""
    categories = _read_categories(data, budget)
    rows, columns = categories.shape
    width, height = (result.to_frame and result.input_size) or result.frame.size
    to_input = PixelMap(width / columns, height / rows, 0.0, 0.0)
    left, top, right, bottom = _visible_part(to_input.then(result.to_frame), result, columns, rows)
    categories = categories[top:bottom, left:right]
    place = PixelMap(to_input.scale_x, to_input.scale_y, left * to_input.scale_x, top * to_input.scale_y)
    x1, y1, x2, y2 = result.visible or (0, 0, *result.frame.size)
    visible_share = (x2 - x1) * (y2 - y1) / (result.frame.size[0] * result.frame.size[1])
    counts = np.bincount(categories.ravel())
    across, down = _find_spans(categories, len(counts))
    for category in np.flatnonzero(counts).tolist():
        label = result.labels.get(category, str(category))
        if label == _BACKGROUND:
            continue
        (start_x, end_x), (start_y, end_y) = across[category], down[category]
        yield {
            "label": label,
            "category_id": category,
            "score": 1.0,
            "share": round(float(counts[category]) / categories.size * visible_share, 4),
            "bbox": [*place.point(start_x, start_y), *place.point(end_x, end_y)],
            "mask": Mask(
                categories[start_y:end_y, start_x:end_x],
                category,
                PixelMap(1.0, 1.0, float(start_x), float(start_y)).then(place),
            ),
        }


def _find_spans(categories: NDArray[np.intp], count: int) -> tuple[list[tuple[int, int]], list[tuple[int, int]]]:
    """Return where each category starts and ends, across and down, in one pass over the pixels for all of them."""
    rows, columns = categories.shape
    is_in_column, is_in_row = np.zeros((count, columns), np.bool_), np.zeros((count, rows), np.bool_)
    is_in_column[categories, np.arange(columns)] = True
    is_in_row[categories, np.arange(rows)[:, np.newaxis]] = True
    across, down = (
        list(zip(hits.argmax(axis=1).tolist(), (hits.shape[1] - hits[:, ::-1].argmax(axis=1)).tolist(), strict=True))
        for hits in (is_in_column, is_in_row)
    )
    return across, down


def _read_categories(data: Any, budget: Budget) -> NDArray[np.intp]:  # noqa: ANN401  (from a model)
    """Return the category of each pixel; of a model that gives scores for each category instead, the best one."""
    try:
        values = np.asarray(data).squeeze()
        budget.take(pixels=values.size)
        if values.ndim == len(("rows", "columns", "categories")):
            values = values.argmax(axis=-1)
        categories = values.astype(np.intp)
        if values.dtype.kind == "f" and not (values == categories).all():
            categories = (values > _MIN_PROBABILITY).astype(np.intp)
    except (OverflowError, TypeError, ValueError):
        raise InvalidResultError("a segmentation whose data are no numbers") from None
    if categories.ndim != len(("rows", "columns")) or not categories.size:
        raise InvalidResultError("a segmentation that has not one category for each pixel, in rows")
    if max(categories.shape) > _MAX_SIDE:
        raise InvalidResultError(f"a segmentation with more than {_MAX_SIDE} rows or columns")
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
