"""Where an object is: in a zone, on one side of a line. In fractions of the frame, x to the right and y down."""

from collections.abc import Mapping
from math import hypot
from typing import Any, Literal

import cv2
import numpy as np

from edgepub.config.areas import Anchor, LineSettings, Point, ZoneSettings

Direction = Literal["left", "right"]
Object = Mapping[str, Any]

MARGIN = 0.01
"""Nearer to a line than this part of the frame an object is on neither of its sides, nor does it leave a zone."""

_ALONG = {"left": 0.0, "center": 0.5, "right": 1.0, "top": 0.0, "bottom": 1.0}


class Zone:
    """A polygon.

    Args:
        settings: its corners, the labels that matter, and the anchor.

    """

    def __init__(self, settings: ZoneSettings) -> None:
        self.settings = settings
        self._contour = np.array(settings.polygon, np.float32)
        self._labels = None if settings.labels is None else frozenset(settings.labels)
        self._anchor = _parts(settings.anchor)

    def holds(self, of: Object, *, was_in: bool) -> bool:
        """Return whether an object is in it; on its border is in it, and who was in it must clearly leave."""
        if self._labels is not None and of["label"] not in self._labels:
            return False
        beyond = -MARGIN if was_in else 0.0
        return cv2.pointPolygonTest(self._contour, _point(of, self._anchor), measureDist=True) >= beyond


class Line:
    """A line that objects cross, and on which side of it each was last.

    An object crosses it when it was clearly on one side and is clearly on the other, and went there between the line's
    ends. So one that stands or walks on it does not cross, and one that jumps over it does.

    Args:
        settings: its ends, the labels that matter, and the anchor.

    """

    def __init__(self, settings: LineSettings) -> None:
        self.settings = settings
        self._start = settings.start
        self._x, self._y = settings.to[0] - settings.start[0], settings.to[1] - settings.start[1]
        self._length = hypot(self._x, self._y)
        self._labels = None if settings.labels is None else frozenset(settings.labels)
        self._anchor = _parts(settings.anchor)
        self._last: dict[int, tuple[float, Point]] = {}  # by track: the distance from the line, and the point

    def crossed(self, of: Object, *, believed: bool) -> Direction | None:
        """Return to which side a tracked object has crossed it, looking from the line's start to its end.

        Args:
            of: the object.
            believed: it is there for certain; before that only its first place is kept.

        """
        if self._labels is not None and of["label"] not in self._labels:
            return None
        point = _point(of, self._anchor)
        distance = self._distance(point)
        if abs(distance) < MARGIN:
            return None
        last = self._last.setdefault(of["track_id"], (distance, point))
        if not believed:
            return None
        self._last[of["track_id"]] = distance, point
        if last[0] * distance > 0 or not self._is_between_the_ends(*last, distance, point):
            return None
        return "right" if distance > 0 else "left"

    def forget(self, track_id: int) -> None:
        """Forget an object that is gone."""
        self._last.pop(track_id, None)

    def _distance(self, point: Point) -> float:
        """Return how far a point is from the whole straight line; positive to the right of it, where y goes down."""
        return (self._x * (point[1] - self._start[1]) - self._y * (point[0] - self._start[0])) / self._length

    def _is_between_the_ends(self, before: float, old: Point, after: float, new: Point) -> bool:
        part = before / (before - after)
        x, y = old[0] + part * (new[0] - old[0]), old[1] + part * (new[1] - old[1])
        along = ((x - self._start[0]) * self._x + (y - self._start[1]) * self._y) / self._length**2
        return 0 <= along <= 1


def _parts(anchor: Anchor) -> tuple[float, float]:
    """Return where in a box the anchor is, from its left and from its top, 0 to 1."""
    vertical, _, horizontal = anchor.partition("_")
    return _ALONG[horizontal or vertical], _ALONG[vertical]


def _point(of: Object, anchor: tuple[float, float]) -> Point:
    x1, y1, x2, y2 = of["bbox_norm"]
    return x1 + anchor[0] * (x2 - x1), y1 + anchor[1] * (y2 - y1)
