"""Places: whether an object is where another one was, and places of objects that are gone but may be back. Pure."""

from collections.abc import Sequence
from typing import NamedTuple

_SIDE = 0.15
"""A side of a box is where it was if it is off by less than this part of the box's width or height."""
_SIDES = 3
_EDGE = 0.01  # of the frame
FOUND_IOU = 0.5
"""An object that is found again is at its place if its box overlaps as much."""
_MIN_VISITS = 2
"""An object was at its place before if others were so often: one that passes may be found there by chance."""
_MAX_PLACES = 100
_REMEMBERED = 10.0
"""A place is remembered for so many times as long as the object was there,"""
_MIN_REMEMBERED_S, _MAX_REMEMBERED_S = 60.0, 86_400.0
"""and within these bounds."""

Box = Sequence[float]


def is_at(box: Box, home: Box, min_iou: float) -> bool:
    """Return whether a box is where another one was.

    Either their intersection over union is large enough, or three of its sides are where they were: then a part of the
    object is hidden, or has been raised like an arm. A side at the edge of the frame is no evidence: an object that
    enters or leaves has one there.

    Args:
        box: x and y of its upper left corner, and of its lower right one, in parts of the frame.
        home: where it was.
        min_iou: the intersection over union that is enough.

    """
    left, top, right, bottom = box
    home_left, home_top, home_right, home_bottom = home
    width, height = min(right, home_right) - max(left, home_left), min(bottom, home_bottom) - max(top, home_top)
    if width <= 0 or height <= 0:
        return False
    both = width * height
    home_width, home_height = home_right - home_left, home_bottom - home_top
    if both >= min_iou * ((right - left) * (bottom - top) + home_width * home_height - both):
        return True
    across, down = _SIDE * home_width, _SIDE * home_height
    sides = (
        abs(left - home_left) <= across and left > _EDGE,
        abs(right - home_right) <= across and right < 1 - _EDGE,
        abs(top - home_top) <= down and top > _EDGE,
        abs(bottom - home_bottom) <= down and bottom < 1 - _EDGE,
    )
    return sum(sides) >= _SIDES


class _Place(NamedTuple):
    label: str
    home: Box
    since_s: float
    seen_s: float
    visits: int


class PlaceMemory:
    """The places of objects that were never elsewhere, such as a statue that is found only now and then."""

    def __init__(self) -> None:
        self._places: list[_Place] = []  # the one that was added last is the last

    def add(self, label: str, home: Box, since_s: float, seen_s: float) -> None:
        """Remember a place.

        Args:
            label: the object's label.
            home: its box.
            since_s: since when it was there.
            seen_s: when it was found last.

        """
        visits = 1
        self._places = [place for place in self._places if seen_s - place.seen_s <= _remembered_s(place)]
        if known := self._find(label, home):
            self._places.remove(known)
            home, since_s, visits = known.home, known.since_s, known.visits + 1
        self._places = [*self._places[1 - _MAX_PLACES :], _Place(label, home, since_s, seen_s, visits)]

    def find(self, label: str, box: Box, now_s: float) -> tuple[Box, float] | None:
        """Return where an object is that is found again now, and since when; None if it is another one."""
        known = self._find(label, box)
        if known is None or known.visits < _MIN_VISITS or now_s - known.seen_s > _remembered_s(known):
            return None
        return known.home, known.since_s

    def _find(self, label: str, box: Box) -> _Place | None:
        places = (place for place in self._places if place.label == label and is_at(box, place.home, FOUND_IOU))
        return next(places, None)


def _remembered_s(place: _Place) -> float:
    return min(max(_REMEMBERED * (place.seen_s - place.since_s), _MIN_REMEMBERED_S), _MAX_REMEMBERED_S)
