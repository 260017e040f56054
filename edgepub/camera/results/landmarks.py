"""Converts an object's landmarks into the payload's form. Each function raises InvalidResultError."""

from collections.abc import Mapping, Sequence
from math import floor, isfinite
from typing import Any

from edgepub.camera.results.space import Space
from edgepub.camera.results.values import read_included, read_label
from edgepub.core.errors import InvalidResultError

_MIN_VALUES = 3  # of a landmark with a depth or a visibility
_MAX_CONNECTIONS = 50  # of a landmark: in a mesh of a face it has up to ten or so
_INDEX_BYTES = 5  # of a connection in JSON, with its comma


def find_landmarks(raw: Mapping[str, Any]) -> Sequence[Any]:
    """Return an object's landmarks, not converted; none if it has no such key."""
    landmarks = raw.get("landmarks")
    if landmarks is None:
        return ()
    if not isinstance(landmarks, list | tuple):
        raise InvalidResultError(f"landmarks are a list, these are of type {type(landmarks).__name__}")
    return landmarks


def convert_landmarks(marks: Sequence[Any], space: Space, third: str) -> list[dict[str, Any]]:
    """Return landmarks in the payload's form, clipped to the frame as PySDK does it.

    Args:
        marks: the landmarks as the model gave them.
        space: where their points are.
        third: what the third number of a landmark is, `z` or `visibility`.

    """
    landmarks = [_convert(mark, len(marks), space, third) for mark in marks]
    connections = sum([len(landmark["connect"]) for landmark in landmarks if "connect" in landmark])
    labels = "".join([landmark["label"] for landmark in landmarks])
    space.budget.take(size_bytes=len(labels.encode()) + _INDEX_BYTES * connections)
    return landmarks


def _convert(mark: Mapping[str, Any], count: int, space: Space, third: str) -> dict[str, Any]:
    try:
        x, y = map(float, mark["landmark"][:2])
        if space.to_frame:
            x, y = space.to_frame.point(x, y)
            x, y = min(max(x, 0.0), space.width), min(max(y, 0.0), space.height)
        landmark: dict[str, Any] = {
            "label": read_label(mark, {}) if mark.get("label") or mark.get("category_id") is not None else "",
            "landmark": (floor(100 * x + 0.5) / 100, floor(100 * y + 0.5) / 100),
        }
        score = mark.get("score")
        if score is not None:
            landmark["score"] = score = round(float(score), 4)
            if not isfinite(score):
                raise InvalidResultError("a landmark with a score that is not finite")
        if len(mark["landmark"]) >= _MIN_VALUES and isfinite(value := float(mark["landmark"][2])):
            landmark[third] = round(value, 4)
        connections = mark.get("connect") or ()
        if len(connections) > _MAX_CONNECTIONS:
            raise InvalidResultError(f"a landmark with more than {_MAX_CONNECTIONS} connections")
        if connect := [int(other) for other in connections if 0 <= int(other) < count]:
            landmark["connect"] = connect
    except (AttributeError, KeyError, OverflowError, TypeError, ValueError):
        raise InvalidResultError("a landmark that is not a dictionary with its point") from None
    return {**read_included(mark, space.include, space.budget), **landmark} if space.include else landmark
