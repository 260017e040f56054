"""Counts objects by zone and label. Pure."""

from collections.abc import Collection, Iterable, Mapping
from typing import NamedTuple

from edgepub.camera.analysis.rules import Key
from edgepub.camera.analysis.zone_presence import ZonePresence


class Tally(NamedTuple):
    """How many objects there are."""

    total: int = 0
    active: int = 0
    """How many of them are not stationary."""
    loitering: int = 0
    """How many of them loiter."""


_NONE = Tally()
Tallies = Mapping[tuple[str | None, str], Tally]
"""The objects by zone (None: in the whole frame) and label; none for those that are missing."""


def add_tallies(one: Tally, other: Tally) -> Tally:
    """Return the sum."""
    return Tally(one.total + other.total, one.active + other.active, one.loitering + other.loitering)


def count_objects(
    present: Collection[Key], zones: Iterable[tuple[str, ZonePresence]], stationary: Collection[Key]
) -> Tallies:
    """Count objects.

    Args:
        present: the objects that count.
        zones: the zones, each with its name.
        stationary: those that are stationary.

    """
    tallies: dict[tuple[str | None, str], list[int]] = {}
    for key in present:
        tally = tallies.setdefault((None, key[0]), [0, 0, 0])
        tally[0] += 1
        tally[1] += key not in stationary
    for name, zone in zones:
        for key in zone.present():
            if key in present:
                tally = tallies.setdefault((name, key[0]), [0, 0, 0])
                tally[0] += 1
                tally[1] += key not in stationary
                tally[2] += zone.is_loitering(key)
    return {place: Tally(*tally) for place, tally in tallies.items()}
