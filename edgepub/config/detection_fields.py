"""The keys of the detections that a camera can be told to publish: `publish.fields`."""

from collections.abc import Collection
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field

from edgepub.config.suggestions import closest, did_you_mean

PREFIX = "detections."
"""Before the keys of each object."""
LEAN_FIELDS = ("timestamp", "detections", "detections.label", "detections.score", "detections.bbox")
"""The keys that are always there: the payload of DeGirum's streaming example."""
MESSAGE_KEYS = (
    "timestamp", "detections", "time", "node", "camera", "boot_id", "seq", "frame", "width", "height", "clock",
    "timing_ms", "dropped",
)  # fmt: skip
"""The keys of the payload but `schema`, which says that all of them are there."""
OBJECT_KEYS = (
    "label", "score", "bbox", "bbox_norm", "category_id", "track_id", "zones", "stationary", "landmarks", "angle",
    "corners", "mask", "share", "parent", "attributes", "text", "classifier", "handedness", "embedding",
)  # fmt: skip
"""The keys of each object; `include` adds others."""


def check_fields(fields: Literal["all", "lean"] | list[str], include: Collection[str]) -> None:
    """Check that each field is a key of the payload, or one that the camera's `include` names.

    Raises:
        ValueError: it is not; one line.

    """
    if isinstance(fields, str):
        return
    of_objects = [*OBJECT_KEYS, *include]
    for field in fields:
        key = field.removeprefix(PREFIX)
        if field == "schema":
            raise ValueError("schema says that all keys are there: remove it, or set fields to all")
        if key not in (MESSAGE_KEYS if key == field else of_objects):
            raise ValueError(f"unknown key {field!r}{_way_out(field, key, of_objects)}")


def _way_out(field: str, key: str, of_objects: Collection[str]) -> str:
    meant = closest(key, of_objects)
    if meant and (key != field or key == meant):
        return f"; did you mean {PREFIX + meant!r}?"
    if key != field:
        return "; add a key that only the model gives to include, too"
    return did_you_mean(field, MESSAGE_KEYS) or "; name keys of the payload, like seq or detections.track_id"


def _check_form(value: object) -> object:
    is_list = isinstance(value, list) and value and all(isinstance(field, str) for field in value)
    if value not in ("all", "lean") and not is_list:
        raise ValueError("must be all, lean, or a list of keys, like [seq, detections.track_id]")
    return value


Fields = Annotated[
    Literal["all", "lean"] | Annotated[list[str], Field(min_length=1)],
    BeforeValidator(_check_form),
]
