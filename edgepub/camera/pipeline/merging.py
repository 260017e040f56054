"""Objects that were found more than once: by several models, or in several tiles. Pure."""

from collections.abc import Sequence
from typing import Any

from edgepub.camera.frames import Box

MAX_IOU = 0.5
"""Two objects of one label are the same if their boxes' intersection is more than this part of their union."""
MAX_COVERED = 0.7
"""Of different tiles also if it is more than this part of the smaller box: a border cuts objects."""

MAX_COMPARED = 1000
"""The most objects that are compared: each is compared with each other. The best ones of each result are."""

Objects = list[dict[str, Any]]
_Entry = tuple[dict[str, Any], int]


def is_cut(found: Sequence[Objects]) -> bool:
    """Return whether `merge` compares only the best of the objects of some results, and leaves out the others."""
    return len(found) > 1 and any(len(objects) > MAX_COMPARED // len(found) for objects in found)


def merge(found: Sequence[Objects], *, tiles: bool) -> Objects:
    """Return the objects of several results, each once: the one with the highest score, of tiles the largest one.

    Objects of the same result are never the same: the model has its own rule for them.

    Args:
        found: the objects of each result.
        tiles: whether the results are of different parts of the frame.

    """
    if len(found) <= 1:
        return found[0] if found else []
    found = [_best(objects, MAX_COMPARED // len(found)) for objects in found]
    rank = _area if tiles else _score
    order = [(detection, source) for source, objects in enumerate(found) for detection in objects]
    order.sort(key=rank, reverse=True)
    kept: list[_Entry] = []
    by_label: dict[str, list[tuple[Box, int]]] = {}
    for detection, source in order:
        others = by_label.setdefault(detection["label"], [])
        box = detection["bbox"]
        for before, other in others:
            if source != other and _is_same(box, before, tiles=tiles):
                break
        else:
            others.append((box, source))
            kept.append((detection, source))
    kept.sort(key=lambda entry: entry[1])  # in the order of the results
    return [detection for detection, _ in kept]


def _best(objects: Objects, count: int) -> Objects:
    if len(objects) <= count:
        return objects
    return sorted(objects, key=lambda detection: float(detection["score"]), reverse=True)[:count]


def _score(entry: _Entry) -> float:
    score: float = entry[0]["score"]
    return score


def _area(entry: _Entry) -> tuple[float, float]:
    """Return an object's area, and its score: a border cuts objects of tiles into smaller ones."""
    x1, y1, x2, y2 = entry[0]["bbox"]
    return (x2 - x1) * (y2 - y1), entry[0]["score"]


def _is_same(one: Box, other: Box, *, tiles: bool) -> bool:
    if one[0] >= other[2] or other[0] >= one[2] or one[1] >= other[3] or other[1] >= one[3]:
        return False  # most pairs
    both = (min(one[2], other[2]) - max(one[0], other[0])) * (min(one[3], other[3]) - max(one[1], other[1]))
    areas = [(x2 - x1) * (y2 - y1) for x1, y1, x2, y2 in (one, other)]
    return both > MAX_IOU * (sum(areas) - both) or (tiles and both > MAX_COVERED * min(areas))
