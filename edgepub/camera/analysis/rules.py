"""Finds the events in the changes of a frame, each once. Pure."""

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from edgepub.camera.analysis.geometry import Direction, Line
from edgepub.camera.analysis.presence import Presence, Sighting, Stay
from edgepub.mqtt.payloads.event import EventType

Key = tuple[str, int]
"""An object: its label and its track; without tracking, its index among those of its label in the frame, from 0."""
Changes = tuple[list[Key], list[tuple[Key, Stay]]]
"""The objects that are present from now on, and those that are forgotten."""


class Occurrence(NamedTuple):
    """An event of a tracked object."""

    event_type: EventType
    key: Key
    sighting: Sighting
    """Where it happened: for an end, the last frame with the object; for a start, the frame that confirms it."""
    zone: str | None = None
    line: str | None = None
    direction: Direction | None = None
    dwell_s: float | None = None
    """How long the object was present, from the first frame with it to the last; of `loitering`, up to now."""
    attribute: str | None = None
    """What was recognized; its value is in the sighting's object."""
    visit_id: str | None = None
    """The object's visit, once it is known."""
    zones_before: Sequence[str] = ()
    """Of `zone_entered`: the zones of those before it in the visit."""


def find_appeared(started: Iterable[Key], found: Mapping[Key, Sighting]) -> list[Occurrence]:
    """Return the objects that appeared."""
    return [Occurrence("appeared", key, found[key]) for key in started]


def find_left(ended: Iterable[tuple[Key, Stay]]) -> list[Occurrence]:
    """Return the objects that left."""
    return [Occurrence("left", key, stay.last, dwell_s=stay.seconds) for key, stay in ended if stay.present]


def find_zone_occurrences(name: str, changes: Changes, found: Mapping[Key, Sighting]) -> list[Occurrence]:
    """Return the objects that entered a zone and those that left it."""
    started, ended = changes
    return [
        *(Occurrence("zone_entered", key, found[key], zone=name) for key in started),
        *(
            Occurrence("zone_left", key, stay.last, zone=name, dwell_s=stay.seconds)
            for key, stay in ended
            if stay.present
        ),
    ]


def find_crossings(
    name: str, line: Line, found: Mapping[Key, Sighting], presence: Presence[Key]
) -> Iterable[Occurrence]:
    """Yield the objects that crossed a line."""
    for key, sighting in found.items():
        if direction := line.check_crossing(sighting.object, is_present=presence.is_present(key)):
            yield Occurrence("line_crossed", key, sighting, line=name, direction=direction)


def find_recognized(
    found: Mapping[Key, Sighting], presence: Presence[Key], known: set[tuple[int, str]]
) -> Iterable[Occurrence]:
    """Yield the attributes of present objects that are settled now, and add them to those that are known."""
    for key, sighting in found.items():
        for name, attribute in sighting.object.get("attributes", {}).items():
            if attribute.get("settled") and presence.is_present(key) and (key[1], name) not in known:
                known.add((key[1], name))
                yield Occurrence("recognized", key, sighting, attribute=name)
