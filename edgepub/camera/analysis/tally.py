"""Counts objects by zone and label. Pure."""

from collections.abc import Callable, Collection, Iterable, Mapping
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
    present: Collection[Key], zones: Iterable[tuple[str, ZonePresence]], is_active: Callable[[Key], bool]
) -> Tallies:
    """Count objects.

    Args:
        present: the objects that count.
        zones: the zones, each with its name.
        is_active: tells whether an object is not stationary.

    """
    tallies: dict[tuple[str | None, str], Tally] = {}

    def add(zone: str | None, key: Key, *, is_loitering: bool) -> None:
        place = zone, key[0]
        now = Tally(1, int(is_active(key)), int(is_loitering))
        tallies[place] = add_tallies(tallies.get(place, _NONE), now)

    for key in present:
        add(None, key, is_loitering=False)
    for name, zone in zones:
        for key in zone.present():
            if key in present:
                add(name, key, is_loitering=zone.is_loitering(key))
    return tallies
