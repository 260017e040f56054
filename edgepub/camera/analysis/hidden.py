"""The stationary objects that are not found: for how long they count, and for how long they are remembered. Pure."""

from collections.abc import Collection, Iterator, Mapping

from edgepub.camera.analysis.rules import Key
from edgepub.camera.analysis.spot import Spot

_MAX_COUNTED_S = 600.0
"""The longest time for which an object counts that cannot be seen."""
_MAX_REMEMBERED_S = 86_400.0
"""The longest time for which it is remembered."""
_MAX_HIDDEN = 200
_ROUNDING_S = 1e-6  # clocks are sums of periods


class Hidden:
    """The stationary objects that were not in the last frame.

    Args:
        off_s: for how long any object counts that is not found.

    """

    def __init__(self, off_s: float) -> None:
        self._off_s = off_s
        self._spots: dict[int, Spot] = {}  # by track

    def __bool__(self) -> bool:
        return bool(self._spots)

    def __iter__(self) -> Iterator[tuple[int, Spot]]:
        """Iterate over the tracks and spots, the one that was hidden last at the end."""
        return iter(self._spots.items())

    def held(self) -> Collection[Key]:
        """Return those that are not gone.

        They are gone when they have been missing for as long as they had been there. One that was not quite at its
        place in the last two frames with it is on its way, and is not waited for.
        """
        if not self._spots:
            return ()
        held = [
            (spot.label, track) for track, spot in self._spots.items() if not self._is_over(spot, _MAX_REMEMBERED_S)
        ]
        return set(held[-_MAX_HIDDEN:])

    def uncounted(self) -> set[Key]:
        """Return those that do not count, because they have been hidden for too long."""
        return {(spot.label, track) for track, spot in self._spots.items() if not self._is_counted(spot)}

    def update(self, stationary: Mapping[int, Spot], found: Collection[int], passed_s: float) -> bool:
        """Update which objects are hidden, and for how long; return whether others count than before.

        Args:
            stationary: the spots of all stationary objects, by track.
            found: the tracks in the frame.
            passed_s: the time since the frame before.

        """
        has_new = False
        for track, spot in stationary.items():
            if track in found:
                if track in self._spots:
                    has_new |= not self._is_counted(spot)
                    del self._spots[track]
                    spot.is_suspended, spot.missed_s = False, 0.0
            else:
                if track not in self._spots:
                    spot.start_hold()
                counted = self._is_counted(spot)
                spot.missed_s += passed_s
                self._spots[track] = spot
                has_new |= counted and not self._is_counted(spot)
        return has_new

    def suspend(self, stationary: Mapping[int, Spot]) -> None:
        """Hide all stationary objects; they do not count until they are found again."""
        for track, spot in stationary.items():
            spot.is_suspended = True
            if track not in self._spots:
                spot.start_hold()
        self._spots = dict(stationary)

    def restore(self, track: int, spot: Spot) -> None:
        """Add an object of an earlier run; it does not count until it is found again."""
        missed_s = spot.missed_s
        spot.start_hold()
        spot.is_suspended, spot.missed_s = True, missed_s
        self._spots[track] = spot

    def discard(self, track: int) -> None:
        """Remove an object, if it is among them."""
        self._spots.pop(track, None)

    def _is_counted(self, spot: Spot) -> bool:
        return not (spot.is_suspended or self._is_over(spot, _MAX_COUNTED_S))

    def _is_over(self, spot: Spot, max_s: float) -> bool:
        return spot.missed_s >= min(max(spot.hold_s, self._off_s), max_s) - _ROUNDING_S
