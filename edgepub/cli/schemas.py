"""The schemas that `edgepub schema` prints."""

from typing import Any

from pydantic import TypeAdapter

from edgepub.config.settings import Settings
from edgepub.mqtt.payloads import detections, event, info, schema, stats, visit

_VALIDATORS: dict[str, TypeAdapter[Any]] = {
    "config": TypeAdapter(Settings),
    "detections": detections.VALIDATOR,
    "event": event.VALIDATOR,
    "info": info.VALIDATOR,
    "stats": stats.VALIDATOR,
    "visit": visit.VALIDATOR,
}


def json_schema(name: str) -> dict[str, Any]:
    """Return the JSON Schema (draft 2020-12) of the configuration or of a payload."""
    return schema.json_schema(_VALIDATORS[name])
