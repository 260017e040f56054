"""Whether an object is in a zone, or on which side of a line. In fractions of the frame, x to the right, y down."""

from collections.abc import Mapping
from math import hypot
from typing import Any, Literal

import cv2
import numpy as np

from edgepub.config.areas import Anchor, IgnoreSettings, LineSettings, Point, ZoneSettings

Direction = Literal["left", "right"]
Object = Mapping[str, Any]

MARGIN = 0.01
"""A part of the frame. An object nearer than this to a line is on neither side; nearer to a zone, it does not leave."""

_ALONG = {"left": 0.0, "center": 0.5, "right": 1.0, "top": 0.0, "bottom": 1.0}


class Zone:
    """A zone, or an ignore area: a polygon.

    Args:
        settings: its corners, its labels and its anchor.

    """

    def __init__(self, settings: ZoneSettings | IgnoreSettings) -> None:
        self.settings = settings
        self._contour = np.array(settings.polygon, np.float32)
        self._labels = None if settings.labels is None else frozenset(settings.labels)
        self._anchor = _anchor_fractions(settings.anchor)
        # Most objects are not even near, and to compare four numbers costs less than the distance from a polygon.
        left, top = self._contour.min(0).tolist()
        right, bottom = self._contour.max(0).tolist()
        self._near = left - MARGIN, top - MARGIN, right + MARGIN, bottom + MARGIN

    def contains(self, detection: Object, *, was_in: bool) -> bool:
        """Return whether an object is in the zone, or on its border; one that was in it must clearly leave."""
        if self._labels is not None and detection["label"] not in self._labels:
            return False
        x, y = _anchor_point(detection, self._anchor)
        left, top, right, bottom = self._near
        if not (left <= x <= right and top <= y <= bottom):
            return False
        return cv2.pointPolygonTest(self._contour, (x, y), measureDist=True) >= (-MARGIN if was_in else 0.0)


class Line:
    """A line that objects cross, and the side on which each object was last.

    An object crosses the line when it was clearly on one side, is clearly on the other, and passed between the line's
    ends. So an object that stands or walks on the line does not cross it, and one that jumps over it does.

    Args:
        settings: its ends, its labels and its anchor.

    """

    def __init__(self, settings: LineSettings) -> None:
        self.settings = settings
        self._start = settings.start
        self._x, self._y = settings.to[0] - settings.start[0], settings.to[1] - settings.start[1]
        self._length = hypot(self._x, self._y)
        self._labels = None if settings.labels is None else frozenset(settings.labels)
        self._anchor = _anchor_fractions(settings.anchor)
        self._last: dict[int, tuple[float, Point]] = {}  # by track: the distance from the line, and the point

    def check_crossing(self, detection: Object, *, is_present: bool) -> Direction | None:
        """Return to which side a tracked object has crossed the line, seen from start to end; None if it has not.

        Args:
            detection: the object.
            is_present: whether it is present; before that only its first position is kept.

        """
        if self._labels is not None and detection["label"] not in self._labels:
            return None
        point = _anchor_point(detection, self._anchor)
        distance = self._distance(point)
        if abs(distance) < MARGIN:
            return None
        last = self._last.setdefault(detection["track_id"], (distance, point))
        if not is_present:
            return None
        self._last[detection["track_id"]] = distance, point
        if last[0] * distance > 0 or not self._is_between_ends(*last, distance, point):
            return None
        return "right" if distance > 0 else "left"

    def exchange(self, one: int, other: int) -> None:
        """Exchange what is known of two tracks that were mixed up: neither has crossed the line now."""
        known = {track: self._last.pop(track, None) for track in (one, other)}
        for track, last in ((one, known[other]), (other, known[one])):
            if last is not None:
                self._last[track] = last

    def forget(self, track_id: int) -> None:
        """Forget an object that is gone."""
        self._last.pop(track_id, None)

    def _distance(self, point: Point) -> float:
        """Return the distance of a point from the infinite line; positive to the right of it, as y goes down."""
        return (self._x * (point[1] - self._start[1]) - self._y * (point[0] - self._start[0])) / self._length

    def _is_between_ends(self, before: float, old: Point, after: float, new: Point) -> bool:
        part = before / (before - after)
        x, y = old[0] + part * (new[0] - old[0]), old[1] + part * (new[1] - old[1])
        along = ((x - self._start[0]) * self._x + (y - self._start[1]) * self._y) / self._length**2
        return 0 <= along <= 1


def _anchor_fractions(anchor: Anchor) -> tuple[float, float]:
    """Return the anchor's place in a box, from its left and from its top, 0 to 1."""
    vertical, _, horizontal = anchor.partition("_")
    return _ALONG[horizontal or vertical], _ALONG[vertical]


def _anchor_point(detection: Object, anchor: tuple[float, float]) -> Point:
    x1, y1, x2, y2 = detection["bbox_norm"]
    return x1 + anchor[0] * (x2 - x1), y1 + anchor[1] * (y2 - y1)
