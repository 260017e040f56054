"""The detections payload with fewer keys: those that a camera's `publish.fields` names.

Pydantic leaves the others out while it validates. So a message with fewer keys takes less time, not more.
"""

from collections.abc import Set
from types import GenericAlias
from typing import Any, NotRequired, get_type_hints

from pydantic import TypeAdapter
from typing_extensions import TypedDict

from edgepub.config.detection_fields import LEAN_FIELDS, PREFIX, Fields
from edgepub.mqtt.messages import PayloadFormat, json_format
from edgepub.mqtt.payloads.detections import SCHEMA, VALIDATOR, Detection, Detections


def make_validator(fields: Fields) -> TypeAdapter[Any]:
    """Return what checks a payload and leaves out the keys that are not published."""
    if fields == "all":
        return VALIDATOR
    named = {*LEAN_FIELDS, *(() if fields == "lean" else fields)}
    of_objects = {field for field in named if field.startswith(PREFIX)}
    detection = _select(Detection, {field.removeprefix(PREFIX) for field in of_objects})
    objects = GenericAlias(list, (detection,))
    return TypeAdapter(_select(Detections, named - of_objects, detections=objects))


def make_format(fields: Fields) -> PayloadFormat:
    """Return what the payload is, for subscribers that speak MQTT 5."""
    if fields == "all":
        return json_format(SCHEMA)
    return json_format(SCHEMA)._replace(fields="lean" if fields == "lean" else "list")


def _select(payload: type, keys: Set[str], **replaced: Any) -> Any:  # noqa: ANN401  (types)
    """Return the type with only these keys, in its own order. Keys that it does not have may be anything."""
    types = get_type_hints(payload, include_extras=True) | replaced
    types |= dict.fromkeys(sorted(keys - types.keys()), NotRequired[Any])
    make_type: Any = TypedDict  # for mypy, it makes types only of what is written out
    return make_type(f"Selected{payload.__name__}", {key: types[key] for key in types if key in keys})
