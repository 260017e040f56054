"""Reads the single values of an object of a model's result. Each function raises InvalidResultError.

The texts of the errors quote nothing of the object: it may be long, and equal mistakes are logged once.
"""

from collections.abc import Collection, Iterator, Mapping
from math import isfinite
from numbers import Number
from operator import index
from typing import Any

import numpy as np
import orjson

from edgepub.camera.label_length import shorten_label
from edgepub.camera.results.budget import Budget
from edgepub.core.errors import InvalidResultError

MAX_EMBEDDING = 4096
"""The longest tensor that is published: embeddings have 128 to 2048 numbers."""
_DIGITS = 6  # significant ones, of 32-bit numbers
_NUMBER_BYTES = 10  # of such a number in JSON, like -0.123456 and a comma
_MIN_INT32, _MAX_INT32 = -(2**31), 2**31 - 1
_MAX_INCLUDED_BYTES = 16_384
_JSON = orjson.OPT_SERIALIZE_NUMPY | orjson.OPT_NON_STR_KEYS
_SCORELESS = frozenset({"landmarks", "mask"})
"""Keys of objects for which PySDK allows neither score nor label, unless there is a box."""


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
    """Return an object's score. Without one, landmarks alone have their mean score, and masks alone have 1."""
    try:
        score = float(raw["score"])
    except KeyError:
        if "bbox" in raw or not raw.keys() & _SCORELESS:
            raise InvalidResultError("a detection without a score") from None
        score = _mean_landmark_score(raw)
    except (OverflowError, TypeError, ValueError):
        raise InvalidResultError("a detection with a score that is no number") from None
    if not isfinite(score):
        raise InvalidResultError("a detection with a score that is not finite")
    return score


def read_label(raw: Mapping[str, Any], names: Mapping[int, str]) -> str:
    """Return an object's label, shortened if need be; without one, the name of its category or of its kind.

    Args:
        raw: the object.
        names: the model's categories.

    """
    label = raw.get("label")
    if label is None or label == "":
        category = raw.get("category_id")
        label = _kind(raw) if category is None else names.get(category, category)
    if isinstance(label, str):
        return read_text(label, "label")
    if label is None:
        raise InvalidResultError("a detection with neither label nor category_id")
    if isinstance(label, Number):
        return shorten_label(str(label))
    raise InvalidResultError(f"a detection with a label that is no text, but of type {type(label).__name__}")


def read_text(text: object, key: str) -> str:
    """Return a text, shortened if need be; `key` is for the error."""
    if not isinstance(text, str):
        raise InvalidResultError(f"a detection with a {key} that is no text, but of type {type(text).__name__}")
    text = shorten_label(text)
    if text.isascii() or text.encode(errors="ignore").decode() == text:
        return str(text)
    raise InvalidResultError(f"a detection with a {key} that is no valid text")


def read_category(category: Any) -> int:  # noqa: ANN401  (from a model)
    """Return the number of an object's category."""
    try:
        is_whole = isinstance(category, str) or (isinstance(category, float) and category.is_integer())
        number = int(category) if is_whole else index(category)
    except (TypeError, ValueError):
        number = _MAX_INT32 + 1
    if not _MIN_INT32 <= number <= _MAX_INT32:
        raise InvalidResultError("a detection with a category_id that is no integer of 32 bits")
    return number


def read_number(raw: Mapping[str, Any], key: str) -> float:
    """Return a number of an object, rounded to 4 digits."""
    try:
        number = float(raw[key])
    except (OverflowError, TypeError, ValueError):
        raise InvalidResultError(f"a detection with a {key} that is no number") from None
    if not isfinite(number):
        raise InvalidResultError(f"a detection with a {key} that is not finite")
    return round(number, 4)


def read_embedding(raw: Any, budget: Budget) -> list[float]:  # noqa: ANN401  (from a model)
    """Return the numbers of a tensor, in one row."""
    try:
        values = np.asarray(raw, np.float64).ravel()
    except (TypeError, ValueError):
        raise InvalidResultError("a tensor whose data are no numbers") from None
    if not 0 < values.size <= MAX_EMBEDDING:
        raise InvalidResultError(
            f"a tensor that has not 1 to {MAX_EMBEDDING} numbers; give the model a postprocessor that finds objects"
        )
    if not np.isfinite(values).all():
        raise InvalidResultError("a tensor with a number that is not finite")
    budget.take(size_bytes=_NUMBER_BYTES * values.size)
    return [float(f"{value:.{_DIGITS}g}") for value in values.tolist()]


def read_included(raw: Mapping[str, Any], keys: Collection[str], budget: Budget) -> dict[str, Any]:
    """Return the values of those of the keys that the object has, as plain JSON; numbers that are not finite are null.

    Args:
        raw: an object, or one of its landmarks.
        keys: the camera's `include`.
        budget: what is left for the result's objects.

    """
    included = {}
    for key in keys:
        if key in raw:
            budget.take(size_bytes=_MAX_INCLUDED_BYTES)  # its length is known only when it has been encoded
            try:
                text = orjson.dumps(raw[key], option=_JSON)
            except TypeError:
                budget.give_back(size_bytes=_MAX_INCLUDED_BYTES)
                raise InvalidResultError(f"{key} (see include) is no JSON") from None
            if len(text) > _MAX_INCLUDED_BYTES:
                raise InvalidResultError(f"{key} (see include) is longer than {_MAX_INCLUDED_BYTES} bytes")
            budget.give_back(size_bytes=_MAX_INCLUDED_BYTES - len(text))
            included[key] = orjson.loads(text)
    return included


def _kind(raw: Mapping[str, Any]) -> str | None:
    if "landmarks" in raw:
        return "hand" if "handedness" in raw else "pose"
    return "mask" if "mask" in raw else None


def _mean_landmark_score(raw: Mapping[str, Any]) -> float:
    """Return the mean score of an object's landmarks, as COCO's keypoint evaluation ranks poses; 1 without scores."""
    scores = list(_landmark_scores(raw.get("landmarks")))
    return sum(scores) / len(scores) if scores else 1.0


def _landmark_scores(landmarks: Any) -> Iterator[float]:  # noqa: ANN401  (from a model)
    for mark in landmarks if isinstance(landmarks, list | tuple) else ():
        score = mark.get("score") if isinstance(mark, dict) else None
        if score is not None:
            try:
                yield float(score)
            except (OverflowError, TypeError, ValueError):
                raise InvalidResultError("a landmark with a score that is no number") from None
