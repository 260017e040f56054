"""What the objects of one result may have together, so that an odd result costs neither seconds nor megabytes."""

import contextlib
from typing import Any

import orjson

from edgepub.core.errors import InvalidResultError

MAX_OBJECTS = 500
"""In one result. A model without non-maximum suppression gives thousands, nearly all of them the same few objects."""
MAX_POINTS = 5000
"""Landmarks and corners of masks in one result: ten faces with 468 points each, or 290 persons with 17 points each."""
MAX_PIXELS = 20 * 1920 * 1080
"""Pixels of masks and segmentations in one result."""
MAX_BYTES = 800_000
"""Bytes of tensors, included values and landmarks' texts in one result, as JSON: with everything else about 1 MB, which
is what some brokers take at most."""
_SMALL = frozenset({"label", "score", "bbox", "bbox_norm", "category_id", "track_id"})
"""Keys whose values are small: objects with only these are within all limits but that of their number."""


class TooManyError(InvalidResultError):
    """The objects of a result have more together than one result may have."""


class Budget:
    """What is left for the objects of one result."""

    def __init__(self) -> None:
        self._points = MAX_POINTS
        self._pixels = MAX_PIXELS
        self._bytes = MAX_BYTES

    def take(self, *, points: int = 0, pixels: int = 0, size_bytes: int = 0) -> None:
        """Take something for an object, before the work that it makes; nothing if less is left.

        Raises:
            TooManyError: less is left.

        """
        if points > self._points:
            raise TooManyError(f"a result with more than {MAX_POINTS} points")
        if pixels > self._pixels:
            raise TooManyError(f"a result whose masks have more than {MAX_PIXELS} pixels")
        if size_bytes > self._bytes:
            raise TooManyError(f"a result with more than {MAX_BYTES} bytes of tensors, included values and texts")
        self._points -= points
        self._pixels -= pixels
        self._bytes -= size_bytes

    @property
    def left(self) -> tuple[int, int]:
        """The points and bytes that are left."""
        return self._points, self._bytes

    def give_back(self, *, points: int = 0, size_bytes: int = 0) -> None:
        """Give back what was taken and turned out not to be needed."""
        self._points += points
        self._bytes += size_bytes


def limit_objects(objects: list[dict[str, Any]]) -> tuple[list[dict[str, Any]], int]:
    """Return the best of several results' objects, in their order, and how many are left out."""
    if len(objects) <= MAX_OBJECTS and all(detection.keys() <= _SMALL for detection in objects):
        return objects, 0
    budget = Budget()
    kept: list[int] = []
    for index in sorted(range(len(objects)), key=lambda index: float(objects[index]["score"]), reverse=True):
        detection = objects[index]
        if len(kept) == MAX_OBJECTS:
            break
        with contextlib.suppress(TooManyError):
            points = len(detection.get("landmarks", ())) + len(detection.get("mask", ()))
            budget.take(points=points, size_bytes=len(orjson.dumps(detection)))
            kept.append(index)
    return [objects[index] for index in sorted(kept)], len(objects) - len(kept)
