"""The path of an object through the frame, in few points. Pure."""

from collections.abc import Sequence
from math import hypot

MAX_POINTS = 50
"""Points of a path that is given away."""
_MAX_KEPT = 200
_MIN_STEP = 0.01  # of the frame
_MIN_TOLERANCE = 0.002  # of the frame

PathPoint = tuple[float, float, float]
"""Seconds, and x and y in parts of the frame."""


class Path:
    """Where an object has been. Its points are at least 1 % of the frame apart, more on a long path."""

    def __init__(self) -> None:
        self._points: list[PathPoint] = []
        self._step = _MIN_STEP
        self._last: PathPoint | None = None

    def add(self, at_s: float, x: float, y: float) -> None:
        """Add a point that is later than all others; any other adds nothing."""
        if self._last and at_s <= self._last[0]:
            return
        self._last = at_s, x, y
        points = self._points
        if points and abs(x - points[-1][1]) < self._step and abs(y - points[-1][2]) < self._step:
            return
        points.append(self._last)
        if len(points) > _MAX_KEPT:
            self._step *= 2
            del points[1::2]

    @property
    def kept(self) -> list[PathPoint]:
        """All points that are kept, at most 200."""
        return self._points + ([self._last] if self._last and self._last is not self._points[-1] else [])

    def points(self, max_points: int = MAX_POINTS) -> list[PathPoint]:
        """Return the path with at most so many points: those at which it turns, the first and the last."""
        points = self.kept
        tolerance = _MIN_TOLERANCE
        while True:
            simplified = _simplify(points, tolerance)
            if len(simplified) <= max_points:
                return simplified
            tolerance *= 1.5


def _simplify(points: Sequence[PathPoint], tolerance: float) -> list[PathPoint]:
    """Return the points without those that are near the line between others.

    Douglas and Peucker, "Algorithms for the reduction of the number of points required to represent a digitized line or
    its caricature", Cartographica 10 (1973).
    """
    if len(points) <= len(("first", "last")):
        return list(points)
    kept = {0, len(points) - 1}
    ranges = [(0, len(points) - 1)]
    while ranges:
        first, last = ranges.pop()
        distances = [_distance(points[index], points[first], points[last]) for index in range(first + 1, last)]
        if distances and (furthest := max(distances)) > tolerance:
            middle = first + 1 + distances.index(furthest)
            kept.add(middle)
            ranges += [(first, middle), (middle, last)]
    return [points[index] for index in sorted(kept)]


def _distance(point: PathPoint, start: PathPoint, end: PathPoint) -> float:
    """Return how far a point is from the segment between two others."""
    (_, x, y), (_, x1, y1), (_, x2, y2) = point, start, end
    length2 = (x2 - x1) ** 2 + (y2 - y1) ** 2
    part = 0.0 if not length2 else min(1.0, max(0.0, ((x - x1) * (x2 - x1) + (y - y1) * (y2 - y1)) / length2))
    return hypot(x - x1 - part * (x2 - x1), y - y1 - part * (y2 - y1))
