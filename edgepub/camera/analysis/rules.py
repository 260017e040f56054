"""What becomes an event: each thing that happens, once. Pure."""

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from edgepub.camera.analysis.geometry import Direction, Line
from edgepub.camera.analysis.presence import Presence, Sighting, Stay
from edgepub.mqtt.payloads.event import EventType

Key = tuple[str, int]
"""An object: its label, and its track; or without tracking, which one of its label it is in the frame, from 0."""
Changes = tuple[list[Key], list[tuple[Key, Stay]]]
"""What is there from now on, and what is forgotten."""


class Occurrence(NamedTuple):
    """Something that happened once to a tracked object."""

    event_type: EventType
    key: Key
    sighting: Sighting
    """Where it happened: what is over, in the last frame with the object; what begins, in the frame that settles it."""
    zone: str | None = None
    line: str | None = None
    direction: Direction | None = None
    dwell_s: float | None = None
    """For how long the object was there, from the first frame with it to the last."""


def camera_occurrences(changes: Changes, found: Mapping[Key, Sighting]) -> tuple[list[Occurrence], list[Occurrence]]:
    """Return who appeared, and who left."""
    begun, ended = changes
    return (
        [Occurrence("appeared", key, found[key]) for key in begun],
        [Occurrence("left", key, stay.last, dwell_s=stay.seconds) for key, stay in ended if stay.present],
    )


def zone_occurrences(name: str, changes: Changes, found: Mapping[Key, Sighting]) -> list[Occurrence]:
    """Return who entered a zone, and who left it."""
    begun, ended = changes
    return [
        *(Occurrence("zone_entered", key, found[key], zone=name) for key in begun),
        *(
            Occurrence("zone_left", key, stay.last, zone=name, dwell_s=stay.seconds)
            for key, stay in ended
            if stay.present
        ),
    ]


def line_occurrences(
    name: str, line: Line, found: Mapping[Key, Sighting], presence: Presence[Key]
) -> Iterable[Occurrence]:
    """Yield who crossed a line."""
    for key, sighting in found.items():
        if direction := line.crossed(sighting.object, believed=presence.is_present(key)):
            yield Occurrence("line_crossed", key, sighting, line=name, direction=direction)
