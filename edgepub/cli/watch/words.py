"""What other people's messages say, as a terminal may show it."""

from collections.abc import Mapping
from typing import Any

_LONGEST = 60
_HAPPENED = {
    "appeared": "appeared",
    "left": "left after {dwell_s:.1f} s",
    "zone_entered": "entered the zone {zone}",
    "zone_left": "left the zone {zone} after {dwell_s:.1f} s",
    "line_crossed": "crossed the line {line} to the {direction}",
}


def clean(text: object, longest: int = _LONGEST) -> str:
    """Return a text without what would steer a terminal, and not longer than so many characters."""
    start = str(text)[: longest + 1]
    shown = "".join(c if c.isprintable() else "?" for c in start)
    return shown if len(shown) <= longest else shown[: longest - 3] + "..."


def happened(event: Mapping[str, Any]) -> str:
    """Return what an event is about; if it is none, raise what Python raises then."""
    what = _HAPPENED[event["event_type"]].format_map(event)
    return clean(f"{clean(event['label'])} {event['track_id']:d} {what}", 3 * _LONGEST)


def duration(seconds: float) -> str:
    """Return a time in its largest unit."""
    for unit, length_s in (("d", 86_400), ("h", 3600), ("min", 60)):
        if seconds >= length_s:
            return f"{seconds / length_s:.0f} {unit}"
    return f"{seconds:.0f} s"
