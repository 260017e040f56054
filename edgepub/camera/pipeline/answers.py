"""Reads what a model says of one object that was cut out. Each function raises InvalidResultError."""

import re

from edgepub.camera.analysis.recognition import Answer, Value
from edgepub.camera.frames import Result
from edgepub.camera.results.objects import Wanted, read_labels, read_objects
from edgepub.core.errors import InvalidResultError

_MAX_NAME_CHARS = 64
_MAX_VALUES = 16
"""Of one model: each becomes a topic."""
_MIN_SCORE = float("-inf")


def read_answers(result: Result, name: str) -> dict[str, Answer]:
    """Return the best answer of each classifier, by the name of its attribute; none if the model says nothing.

    Args:
        result: the result of a classifier, or of a model that reads texts.
        name: the name of the attribute. Of a model with several classifiers, each has its own: `<name>_<classifier>`.

    """
    best: dict[str, Answer] = {}
    for label, score, classifier, text in read_labels(result):
        key = f"{name}_{_to_name(classifier)}"[:_MAX_NAME_CHARS] if classifier is not None else name
        answer = Answer(text or label, score)
        if key not in best or answer.score > best[key].score:
            best[key] = answer
    return best


def read_values(result: Result, name: str) -> dict[str, Value]:
    """Return the values of a model of regression, by the names of their attributes; none if it gives nothing.

    Args:
        result: the result. PySDK gives each value as `score`, and what it is as `label`.
        name: the name of the attribute. Of several values, each has its own: `<name>_<label>`.

    """
    found = read_objects(result, Wanted(min_score=_MIN_SCORE)).objects
    if any("classifier" in one or "embedding" in one for one in found):
        raise InvalidResultError("a value is missing: use a model of regression, or another key than regress")
    values = {one["label"]: Value(one["score"]) for one in found}
    if len(values) > _MAX_VALUES:
        raise InvalidResultError(f"more than {_MAX_VALUES} values: use a model of regression")
    if len(values) == 1:
        return {name: next(iter(values.values()))}
    return {f"{name}_{_to_name(label)}"[:_MAX_NAME_CHARS]: value for label, value in values.items()}


def read_embedding_of(result: Result) -> list[float]:
    """Return the embedding in a result."""
    for one in read_objects(result, Wanted(min_score=_MIN_SCORE)).objects:
        if "embedding" in one:
            embedding: list[float] = one["embedding"]
            return embedding
    raise InvalidResultError("an embedding is missing: use a model that gives a raw tensor")


def _to_name(text: str) -> str:
    """Return a text in the characters of names."""
    return re.sub("[^a-z0-9_-]+", "_", text.lower()).strip("_") or "other"
