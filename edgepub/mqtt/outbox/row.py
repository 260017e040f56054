"""A row of the events file, and whether edgepub wrote it: SQLite does not notice every damage by a failing disk."""

from math import isfinite
from typing import Any, NamedTuple

import orjson
from pydantic import ValidationError

from edgepub.mqtt.payloads import event, visit
from edgepub.mqtt.topics import UNKNOWN_CAMERA, VISITS_SUFFIX, camera_of_events, is_topic

MAX_ROW = 2**63 - 2**59
"""The highest id that a row may have. Those of 0.1.0 may be the time in nanoseconds, in the year 2232 at the latest."""
MAX_NUMBER = 2**53
"""The highest number that an event may have: every reader of JSON knows it exactly."""
_MAX_SCHEMA_CHARS = 100
_MAX_CREATED_S = 2.0**33
"""Linux lets no clock be set that far: to the year 2242."""


class Row(NamedTuple):
    """A message in the file. Until it is checked, the values may be of any type."""

    id: int
    topic: str
    schema: str
    payload: bytes
    created_s: float
    """On the clock of the file (`spool_clock`) there, on the monotonic clock here."""


class DamagedRow(NamedTuple):
    """A row in the file that is no message."""

    id: int
    topic: str
    """Its topic; empty if that is damaged."""
    why: str


def find_damage(row: Row) -> str | None:
    """Return what is wrong with a row that was read, or None."""
    values: tuple[Any, ...] = row
    row_id, topic, schema, payload, created_s = values
    if not isinstance(row_id, int) or not 0 < row_id <= MAX_ROW:
        return "the id is out of range"
    if not isinstance(topic, str) or not is_topic(topic):
        return "the topic is no MQTT topic"
    if not isinstance(schema, str) or len(schema) > _MAX_SCHEMA_CHARS or not schema.isascii():
        return "the schema is no name"
    if not isinstance(payload, bytes):
        return "the payload is not bytes"
    if not isinstance(created_s, float) or not isfinite(created_s) or not 0 <= created_s < _MAX_CREATED_S:
        return "the time is no time"
    return None


def find_event_damage(row: Row) -> str | None:
    """Return what is wrong with a row that was read and should be an event or a visit, or None."""
    if damage := find_damage(row):
        return damage
    if camera_of_events(row.topic) == UNKNOWN_CAMERA:
        return "the topic is not one of events or visits"
    kind, name = (visit, "visit") if row.topic.endswith(VISITS_SUFFIX) else (event, "event")
    if row.schema != kind.SCHEMA:
        return f"the schema is not that of {name}s"
    try:
        kind.VALIDATOR.validate_json(row.payload)
    except ValidationError:
        return "the payload is not a visit" if kind is visit else "the payload is not an event"
    return None


def topic_of(value: object) -> str:
    """Return the topic of a row that was read, to count by; empty if it is damaged."""
    return value if isinstance(value, str) and is_topic(value) else ""


def read_number(payload: object) -> int:
    """Return the number (`seq`) of an event from its payload; 0 if there is none."""
    try:
        content = orjson.loads(payload) if isinstance(payload, bytes) else None
    except orjson.JSONDecodeError:
        return 0
    number = content.get("seq") if isinstance(content, dict) else None
    return number if isinstance(number, int) and is_number(number) else 0


def is_number(value: object) -> bool:
    """Return whether a value from the file can be the number of an event."""
    return isinstance(value, int) and 0 < value <= MAX_NUMBER
