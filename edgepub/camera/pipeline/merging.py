"""Objects that were found more than once: by several models, or in several tiles. Pure."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from edgepub.camera.frames import Box

MAX_IOU = 0.5
"""Two objects of one label are the same if their boxes' intersection is more than this part of their union."""
MAX_COVERED = 0.7
"""Of different tiles also if it is more than this part of the smaller box: a border cuts objects."""

MAX_COMPARED = 1000
"""The most objects that are compared: each is compared with each other. The best ones of each result are."""

_INEXACT = 0.02
"""How far a box may stick out of another one and still be in it, in parts of its size: boxes are rarely exact."""

Objects = list[dict[str, Any]]
_Entry = tuple[dict[str, Any], int]


class Merged(NamedTuple):
    """The objects of several results."""

    kept: Objects
    """Each once."""
    others: Objects
    """Those that were not compared, and duplicates that stick out of the box that is kept."""


def merge(found: Sequence[Objects], has_score: Callable[[dict[str, Any]], bool], *, tiles: bool) -> Merged:
    """Return the objects of several results, each once: the one with the highest score, of tiles the largest one.

    Objects of the same result are never the same: the model has its own rule for them.

    Args:
        found: the objects of each result.
        has_score: returns whether an object has enough score to be wanted: it is kept before those that have not.
        tiles: whether the results are of different parts of the frame.

    """
    if len(found) <= 1:
        return Merged(found[0] if found else [], [])
    rank = _area if tiles else _score
    others: Objects = []
    order: list[_Entry] = []
    for source, objects in enumerate(found):
        best, count = objects, MAX_COMPARED // len(found)
        if len(objects) > count:
            best = sorted(objects, key=lambda one: (has_score(one), _score(one)), reverse=True)
            others += best[count:]
        order += [(detection, source) for detection in best[:count]]
    order.sort(key=lambda entry: (has_score(entry[0]), rank(entry[0])), reverse=True)
    kept: list[_Entry] = []
    by_label: dict[str, list[tuple[Box, int]]] = {}
    for detection, source in order:
        compared = by_label.setdefault(detection["label"], [])
        box = detection["bbox"]
        for before, other in compared:
            if source != other and _is_same(box, before, tiles=tiles):
                if not _is_in(box, before):
                    others.append(detection)
                break
        else:
            compared.append((box, source))
            kept.append((detection, source))
    kept.sort(key=lambda entry: entry[1])  # in the order of the results
    return Merged([detection for detection, _ in kept], others)


def _score(detection: dict[str, Any]) -> tuple[float, ...]:
    return (detection["score"],)


def _area(detection: dict[str, Any]) -> tuple[float, ...]:
    """Return an object's area, and its score: a border cuts objects of tiles into smaller ones."""
    x1, y1, x2, y2 = detection["bbox"]
    return (x2 - x1) * (y2 - y1), detection["score"]


def _is_in(one: Box, other: Box) -> bool:
    across, down = _INEXACT * (one[2] - one[0]), _INEXACT * (one[3] - one[1])
    return (
        other[0] <= one[0] + across
        and other[1] <= one[1] + down
        and one[2] - across <= other[2]
        and one[3] - down <= other[3]
    )


def _is_same(one: Box, other: Box, *, tiles: bool) -> bool:
    if one[0] >= other[2] or other[0] >= one[2] or one[1] >= other[3] or other[1] >= one[3]:
        return False  # most pairs
    both = (min(one[2], other[2]) - max(one[0], other[0])) * (min(one[3], other[3]) - max(one[1], other[1]))
    areas = [(x2 - x1) * (y2 - y1) for x1, y1, x2, y2 in (one, other)]
    return both > MAX_IOU * (sum(areas) - both) or (tiles and both > MAX_COVERED * min(areas))
