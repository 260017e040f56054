"""Text from other people's messages, made safe and short for a terminal."""

from collections.abc import Mapping
from typing import Any

_MAX_LENGTH = 60
_EVENT_TEXTS = {
    "appeared": "appeared",
    "left": "left after {dwell_s:.1f} s",
    "zone_entered": "entered the zone {zone}",
    "zone_left": "left the zone {zone} after {dwell_s:.1f} s",
    "line_crossed": "crossed the line {line} to the {direction}",
    "recognized": "has {attribute} {value}",
    "loitering": "loiters in the zone {zone} for {dwell_s:.0f} s",
    "stopped": "stopped",
    "moved": "moved",
}


def clean(text: object, max_length: int = _MAX_LENGTH) -> str:
    """Return a text without control characters, shortened to a number of characters."""
    start = str(text)[: max_length + 1]
    printable = "".join(c if c.isprintable() else "?" for c in start)
    return printable if len(printable) <= max_length else printable[: max_length - 3] + "..."


def describe_event(event: Mapping[str, Any]) -> str:
    """Return an event as text, for example `person 7 appeared`; raise Python's own errors if it is malformed."""
    text = _EVENT_TEXTS[event["event_type"]].format_map(event)
    return clean(f"{clean(event['label'])} {event['track_id']:d} {text}", 3 * _MAX_LENGTH)


def format_duration(seconds: float) -> str:
    """Return a duration in its largest unit."""
    for unit, length_s in (("d", 86_400), ("h", 3600), ("min", 60)):
        if seconds >= length_s:
            return f"{seconds / length_s:.0f} {unit}"
    return f"{seconds:.0f} s"
