"""Converts one object of a model's result into the payload's form. Each function raises InvalidResultError.

The texts of the errors quote nothing of the object: it may be long, and equal mistakes are logged once.
"""

from collections.abc import Mapping
from math import floor, isfinite
from numbers import Number
from operator import index
from typing import Any

from edgepub.camera.frames import ToFrame
from edgepub.camera.label_length import shorten_label
from edgepub.core.errors import InvalidResultError

_MIN_INT32, _MAX_INT32 = -(2**31), 2**31 - 1


def check_dictionary(raw: object) -> None:
    """Raise an error unless this is a dictionary."""
    if not isinstance(raw, dict):
        raise InvalidResultError(f"a detection is a dictionary, this one is of type {type(raw).__name__}")


def check_list(objects: object) -> None:
    """Raise an error unless this is a list of objects."""
    if isinstance(objects, Exception):
        raise InvalidResultError(f"the result cannot be read: {type(objects).__name__}")
    if not isinstance(objects, list | tuple):
        raise InvalidResultError(f"a result of detections is a list, this one is of type {type(objects).__name__}")


def read_score(raw: Mapping[str, Any]) -> float:
    """Return an object's score."""
    try:
        score = float(raw["score"])
    except KeyError:
        raise InvalidResultError("a detection without a score") from None
    except (OverflowError, TypeError, ValueError):
        raise InvalidResultError("a detection with a score that is no number") from None
    if not isfinite(score):
        raise InvalidResultError("a detection with a score that is not finite")
    return score


def read_label(raw: Mapping[str, Any]) -> str:
    """Return an object's label, shortened if need be; without one, its category takes its place."""
    label = raw.get("label")
    if label is None or label == "":
        label = raw.get("category_id")
    if isinstance(label, str):
        label = shorten_label(label)
        if label.isascii() or label.encode(errors="ignore").decode() == label:
            return str(label)
        raise InvalidResultError("a detection with a label that is no valid text")
    if label is None:
        raise InvalidResultError("a detection with neither label nor category_id")
    if isinstance(label, Number):
        return shorten_label(str(label))
    raise InvalidResultError(f"a detection with a label that is no text, but of type {type(label).__name__}")


def find_landmarks(raw: Mapping[str, Any]) -> list[Any] | tuple[Any, ...]:
    """Return an object's landmarks, not converted; none if it has no such key."""
    landmarks = raw.get("landmarks")
    if landmarks is None:
        return ()
    if not isinstance(landmarks, list | tuple):
        raise InvalidResultError(f"landmarks are a list, these are of type {type(landmarks).__name__}")
    return landmarks


def convert(
    raw: Mapping[str, Any],
    score: float,
    landmarks: list[Any] | tuple[Any, ...],
    width: int,
    height: int,
    to_frame: ToFrame | None,
) -> dict[str, Any]:
    """Return one object in the payload's form, its box clipped to the frame."""
    x1, y1, x2, y2 = _read_box(raw, to_frame) if "bbox" in raw else (0.0, 0.0, width, height)
    # Some models give the corners in another order, or outside the frame.
    if x1 > x2:
        x1, x2 = x2, x1
    if y1 > y2:
        y1, y2 = y2, y1
    x1, x2 = min(max(x1, 0.0), width), min(max(x2, 0.0), width)
    y1, y2 = min(max(y1, 0.0), height), min(max(y2, 0.0), height)
    # Rounded to 1/100 of a pixel and 1/100,000 of the frame. `round` with digits costs three times as much.
    detection = {
        "label": read_label(raw),
        "score": round(score, 4),
        "bbox": (
            int(100 * x1 + 0.5) / 100,
            int(100 * y1 + 0.5) / 100,
            int(100 * x2 + 0.5) / 100,
            int(100 * y2 + 0.5) / 100,
        ),
        "bbox_norm": (
            int(1e5 * x1 / width + 0.5) / 1e5,
            int(1e5 * y1 / height + 0.5) / 1e5,
            int(1e5 * x2 / width + 0.5) / 1e5,
            int(1e5 * y2 / height + 0.5) / 1e5,
        ),
    }
    category = raw.get("category_id")
    if category is not None:
        detection["category_id"] = _read_category(category)
    if landmarks or raw.get("landmarks") is not None:
        detection["landmarks"] = [_convert_landmark(mark, to_frame) for mark in landmarks]
    return detection


def _read_box(raw: Mapping[str, Any], to_frame: ToFrame | None) -> tuple[float, float, float, float]:
    try:
        x1, y1, x2, y2 = map(float, raw["bbox"])
        if to_frame:
            (x1, y1), (x2, y2) = to_frame(x1, y1), to_frame(x2, y2)
    except (OverflowError, TypeError, ValueError):
        raise InvalidResultError("a detection with a bbox that is no four numbers") from None
    if not isfinite(x1 + y1 + x2 + y2):
        raise InvalidResultError("a detection with a bbox that is not finite")
    return x1, y1, x2, y2


def _read_category(category: Any) -> int:  # noqa: ANN401  (from a model)
    try:
        is_whole = isinstance(category, str) or (isinstance(category, float) and category.is_integer())
        number = int(category) if is_whole else index(category)
    except (TypeError, ValueError):
        number = _MAX_INT32 + 1
    if not _MIN_INT32 <= number <= _MAX_INT32:
        raise InvalidResultError("a detection with a category_id that is no integer of 32 bits")
    return number


def _convert_landmark(mark: Mapping[str, Any], to_frame: ToFrame | None) -> dict[str, Any]:
    try:
        x, y = map(float, mark["landmark"][:2])
        if to_frame:
            x, y = to_frame(x, y)
        landmark: dict[str, Any] = {
            "label": _read_landmark_label(mark),
            "landmark": (floor(100 * x + 0.5) / 100, floor(100 * y + 0.5) / 100),
        }
        score = mark.get("score")
        if score is not None:
            landmark["score"] = score = round(float(score), 4)
            if not isfinite(score):
                raise InvalidResultError("a landmark with a score that is not finite")
    except (AttributeError, KeyError, OverflowError, TypeError, ValueError):
        raise InvalidResultError("a landmark that is not a dictionary with its point") from None
    return landmark


def _read_landmark_label(mark: Mapping[str, Any]) -> str:
    return read_label(mark) if mark.get("label") or mark.get("category_id") is not None else ""
