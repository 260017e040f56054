"""Turns pydantic's errors into lines for a person: which key, why, and how to fix it."""

import os
from collections.abc import Iterable
from pathlib import Path
from types import NoneType, UnionType
from typing import Annotated, Any, Union, get_args, get_origin

from pydantic import BaseModel
from pydantic_core import ErrorDetails

from edgepub.config.settings import Settings
from edgepub.config.suggestions import did_you_mean

ENV_PREFIX = "EDGEPUB_"
"""The prefix of the environment variables."""
_SYNONYMS = {
    **dict.fromkeys(("url", "rtsp", "path", "stream", "file", "device"), "source"),
    **dict.fromkeys(("model", "name"), "model_name"),
    **dict.fromkeys(("host", "broker", "server", "address"), "url"),
    "user": "username",
}
_PYDANTIC_WORDS = {
    "Input should be": "must be",
    "greater than or equal to": "at least",
    "less than or equal to": "at most",
    "greater than": "more than",
}
_PHRASES = {
    "bool_parsing": "must be true or false",
    "bool_type": "must be true or false",
    "float_parsing": "must be a number, without a unit",
    "int_parsing": "must be a whole number, without a unit",
    "list_type": "must be a list, like [person, car]",
    "missing": "is missing",
    "string_unicode": "has a surrogate, which is no character; remove it",
    "too_short": "must not be empty",
    "string_too_short": "must not be empty",
    "model_type": "must be a mapping (keys and values below it), not a single value",
    "dict_type": "must be a mapping (keys and values below it), not a single value",
}


def explain(detail: ErrorDetails, root: type[BaseModel] = Settings) -> tuple[tuple[str | int, ...], str]:
    """Return the path of the wrong key, and what is wrong with it.

    Args:
        detail: the error of pydantic.
        root: the model that was validated.

    """
    key_path = tuple(part for part in detail["loc"] if part != "[key]")
    kind, context = detail["type"], detail.get("ctx", {})
    if kind == "extra_forbidden":
        return _explain_unknown(key_path, root)
    if kind == "value_error":
        why = str(context["error"])
    elif kind == "too_short" and context.get("field_type") in {"List", "Dictionary"}:
        min_length = context.get("min_length", 1)
        why = f"needs at least {'one' if min_length == 1 else min_length}"
    elif kind == "too_long":
        length, most = context["actual_length"] or len(detail["input"]), context["max_length"]  # of a mapping: None
        why = f"has too many entries: {length}, at most {most} are allowed"
    elif kind in {"model_type", "dict_type"} and isinstance(detail["input"], list | None):
        why = "is empty" if detail["input"] is None else "must be a mapping (keys and values below it), not a list"
    else:
        why = _PHRASES.get(kind) or _rephrase(detail["msg"])
    return key_path, why


def mistake_line(path: Path, key_path: tuple[str | int, ...], why: str) -> str:
    """Return the whole line for a mistake. It names the environment variable if one has set the key."""
    key = ".".join(map(str, key_path))
    variable = ENV_PREFIX + "__".join(map(str, key_path)).upper()
    origin = f" (set by {variable})" if variable in os.environ else ""
    return f"{path}: {key}: {why}{origin}" if key else f"{path}: {why}{origin}"


def _rephrase(text: str) -> str:
    """Return pydantic's own text in shorter words."""
    for old, new in _PYDANTIC_WORDS.items():
        text = text.replace(old, new)
    return text


def _explain_unknown(key_path: tuple[str | int, ...], root: type[BaseModel]) -> tuple[tuple[str | int, ...], str]:
    *above, key = key_path
    word, colon, _ = str(key).partition(":")
    if colon:  # `password:secret`
        return (*above, word), "a space is missing after the colon"
    known = list(_keys_at(tuple(above), root))
    meant = _SYNONYMS.get(word.lower())
    return key_path, f"unknown key{f'; did you mean {meant!r}?' if meant in known else did_you_mean(word, known)}"


def _keys_at(key_path: tuple[str | int, ...], root: type[BaseModel]) -> Iterable[str]:
    """Return the valid keys of the section at a path."""
    section = root
    parts = iter(key_path)
    for part in parts:
        annotation = _without_null(section.model_fields[str(part)].annotation)
        if get_origin(annotation) in {dict, list}:  # sections by name, or in a row
            next(parts, None)
            annotation = get_args(annotation)[-1]
        if not (isinstance(annotation, type) and issubclass(annotation, BaseModel)):
            return ()
        section = annotation
    return [field.alias or name for name, field in section.model_fields.items()]


def _without_null(annotation: Any) -> Any:  # noqa: ANN401  (a type)
    """Return the type of a key that may be null instead, and without what is noted of it."""
    if isinstance(annotation, UnionType) or get_origin(annotation) is Union:
        kinds = [kind for kind in get_args(annotation) if kind is not NoneType]
        annotation = kinds[0] if len(kinds) == 1 else annotation
    return get_args(annotation)[0] if get_origin(annotation) is Annotated else annotation
