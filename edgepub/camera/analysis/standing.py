"""Which objects have not moved for a while, and which of those that cannot be seen are still in their place. Pure.

Places are in parts of the frame, so that they stay the same when the camera changes its resolution.
"""

from collections.abc import Collection, Iterable, Iterator, Sequence
from typing import Any, NamedTuple

from edgepub.camera.analysis.hidden import Hidden
from edgepub.camera.analysis.places import FOUND_IOU, PlaceMemory, is_at
from edgepub.camera.analysis.renaming import Renaming
from edgepub.camera.analysis.rules import Key
from edgepub.camera.analysis.spot import Spot

_MIN_STOOD_S = 0.3
"""An object that was not found for longer has no place."""
_BACK_S = 1.0
"""An object that is found again so long before another one leaves its place, or later, may be that one."""
_MIXED_UP_S = 3.0
"""An object that passes does not stay so long just where it hides another one."""
_ROUNDING_S = 1e-6  # clocks are sums of periods


class Move(NamedTuple):
    """An object that was stationary, and has moved."""

    key: Key
    since_s: float
    """Since when it had been at its place."""
    until_s: float
    """Until when it was there."""


class Changes(NamedTuple):
    """What a frame has changed."""

    stopped: Sequence[Key]
    """The objects that are stationary from now on."""
    moved: Sequence[Move]
    """Those that are not any more."""
    are_counts_new: bool
    """Whether other objects count, or count as active."""
    exchanged: Sequence[tuple[int, int]] = ()
    """Pairs of tracks that are exchanged from now on, because the tracker had mixed them up."""


NO_CHANGES = Changes((), (), are_counts_new=False)


class Standing:
    """Tells stationary objects from others, and gives one that was hidden its old track when it is found again.

    Args:
        stationary_s: how long an object must not move.
        off_s: for how long any object counts that is not found.
        numbers: gives unused tracks.

    """

    def __init__(self, stationary_s: float, off_s: float, numbers: Iterator[int]) -> None:
        self._stationary_s = stationary_s
        self._numbers = numbers
        self._spots: dict[int, Spot] = {}  # by track
        self._stationary: dict[int, Spot] = {}  # the same, of stationary objects only
        self._hidden = Hidden(off_s)
        self._memory = PlaceMemory()
        self._renaming = Renaming()
        self._mixed_up: set[int] = set()  # tracks that were exchanged
        self._exchanged: list[tuple[int, int]] = []  # in the newest frame
        self._candidates: dict[int, int] = {}  # tracks of hidden objects by those of new ones at their places
        self._last_candidates: dict[int, int] = {}  # those of the frame before
        self._found: set[int] = set()  # in the newest frame
        self._last_s: float | None = None

    @property
    def tracks(self) -> Collection[int]:
        """The tracks of all objects that it knows."""
        return self._spots.keys()

    @property
    def stationary(self) -> Collection[Key]:
        """The stationary objects."""
        return {_key(track, spot) for track, spot in self._stationary.items()}

    def held(self) -> Collection[Key]:
        """Return the stationary objects that are not found, but are not gone; see `Hidden.held`."""
        return self._hidden.held()

    def spot(self, key: Key) -> Spot | None:
        """Return where an object is stationary; None if it is not."""
        return self._stationary.get(key[1])

    def uncounted(self) -> Collection[Key]:
        """Return the objects that do not count, because they have been hidden for too long."""
        return self._hidden.uncounted()

    def update(self, objects: Sequence[dict[str, Any]], now_s: float, *, compares: bool) -> Changes:
        """Add `stationary` to the detections that have not moved, and correct the `track_id` of those that were hidden.

        Args:
            objects: the tracked detections of the next frame, in the payload's form.
            now_s: the frame's time.
            compares: whether to find out who has moved; not in every frame, as objects do not stop 30 times a second.

        """
        last_s = now_s if self._last_s is None else self._last_s
        passed_s, self._last_s = now_s - last_s, now_s
        stopped: list[Key] = []
        leavers: list[dict[str, Any]] = []
        found = self._found = set()
        self._last_candidates, self._candidates = self._candidates, {}
        spots, stationary = self._spots, self._stationary
        for detection in objects:
            track = detection.get("track_id")
            if track is None:
                continue
            spot = spots.get(track)
            if spot is None or self._renaming or self._hidden:
                track, spot = self._find(track, detection, now_s)
                if spot is None:
                    continue
            if spot.seen_s < last_s:
                spot.back_s, spot.was_lost = now_s, True
            spot.seen_s = now_s
            if compares:
                track = self._compare(track, spot, detection, now_s, stopped, leavers)
            if stationary:
                found.add(track)
                if track in stationary:
                    detection["stationary"] = True
            if track in self._mixed_up:
                detection.pop("attributes", None)  # a pipeline knows only the tracks of the tracker
        moved = [move for leaver in leavers if (move := self._leave(leaver, objects, now_s))]
        has_new = self._hidden.update(stationary, found, passed_s) if stationary else False
        exchanged, self._exchanged = self._exchanged, []
        return Changes(stopped, moved, has_new or bool(stopped or moved), exchanged)

    def forget(self, gone: Iterable[Key]) -> None:
        """Forget objects that are gone. The place of one that was never elsewhere is remembered: it may be back."""
        for _, track in gone:
            spot = self._spots.pop(track, None)
            if spot and not spot.has_moved and spot.away_s is None and spot.stood_s >= _MIN_STOOD_S:
                self._memory.add(spot.label, spot.home, spot.since_s, spot.seen_s)
            self._stationary.pop(track, None)
            self._hidden.discard(track)
            self._renaming.free(track)
            self._mixed_up.discard(track)

    def suspend(self) -> None:
        """Prepare for another opening of the source: stationary objects are remembered, but do not count until then.

        The tracker has forgotten all objects, so the others must be forgotten too.
        """
        self._hidden.suspend(self._stationary)
        self._renaming.clear()
        self._candidates = {}
        self._found = set()
        self._last_s = None

    def restore(self, key: Key, spot: Spot) -> None:
        """Add a stationary object of an earlier run; it does not count until it is found again."""
        self._spots[key[1]] = self._stationary[key[1]] = spot
        self._hidden.restore(key[1], spot)

    def release(self, key: Key) -> None:
        """Do not wait for a stationary object any longer than for others, when it is not found."""
        spot = self._spots[key[1]]
        spot.is_released, spot.hold_s = True, 0.0

    def _compare(
        self,
        track: int,
        spot: Spot,
        detection: dict[str, Any],
        now_s: float,
        stopped: list[Key],
        leavers: list[dict[str, Any]],
    ) -> int:
        """Find out whether an object has stopped, or is stationary and elsewhere now; return its track.

        Args:
            track: its track, which may turn out to be wrong.
            spot: where it was.
            detection: where it is.
            now_s: the frame's time.
            stopped: gets it if it has stopped.
            leavers: gets the detection if it is stationary and elsewhere now.

        """
        if self._hidden and (old := self._find_mixed_up(track, spot, detection, now_s)):
            track, spot = old, self._spots[old]
            spot.seen_s = now_s
        if not spot.compare(detection["bbox_norm"], now_s):
            if spot.is_stationary:
                leavers.append(detection)
            else:
                spot.move(now_s)
        elif not spot.is_stationary and now_s - spot.since_s >= self._stationary_s - _ROUNDING_S:
            spot.home = spot.smooth_box  # it may have come nearly to rest before
            self._start_standing(track, spot)
            stopped.append(_key(track, spot))
        return track

    def _leave(self, leaver: dict[str, Any], objects: Iterable[dict[str, Any]], now_s: float) -> Move | None:
        """Return the move of a stationary object that is elsewhere now; None if it may be another object that is there.

        If one that passes hides it, the tracker may follow that one in its stead, and then take it for the other.
        """
        track = leaver["track_id"]
        spot = self._spots[track]
        left_s = now_s if spot.away_s is None else spot.away_s
        for other in objects:
            if other is leaver or other["label"] != spot.label or not is_at(other["bbox_norm"], spot.home, FOUND_IOU):
                continue
            if "track_id" not in other:
                return None  # the next frame tells whether it stays there
            passer = self._spots[other["track_id"]]
            if passer.was_lost and passer.back_s >= left_s - _BACK_S and not passer.is_stationary:
                passer.box = leaver["bbox_norm"]
                passer.move(now_s)
                spot.stay(other["bbox_norm"])
                self._exchange(track, other["track_id"])
                for detection in (leaver, other):
                    detection.pop("attributes", None)
                leaver["track_id"], other["track_id"] = other["track_id"], track
                del leaver["stationary"]
                other["stationary"] = True
                return None
        move = Move(_key(track, spot), spot.since_s, left_s)
        spot.move(now_s)
        spot.is_stationary = False
        del leaver["stationary"], self._stationary[track]
        self._hidden.discard(track)
        return move

    def _find_mixed_up(self, track: int, spot: Spot, detection: dict[str, Any], now_s: float) -> int | None:
        """Return the track of a hidden object that the tracker has taken for one that passed, if it has; correct it."""
        stays_s = now_s - spot.since_s
        if spot.is_stationary or spot.away_s is not None or stays_s < min(_MIXED_UP_S, self._stationary_s):
            return None
        old = self._match(detection)
        if old is None or self._spots[old].missed_s < stays_s:
            return None
        self._exchange(track, old)
        detection["track_id"] = old
        return old

    def _find_neighbour(self, spot: Spot, detection: dict[str, Any]) -> int | None:
        """Return the track of a hidden object that is found again while one beside it is missed.

        The tracker has taken it for that one, which was at its own place a frame before: it cannot have moved so far.
        """
        if not spot.is_stationary or is_at(detection["bbox_norm"], spot.home, FOUND_IOU):
            return None
        return self._match(detection) if is_at(spot.box, spot.home, FOUND_IOU) else None

    def _exchange(self, one: int, other: int) -> None:
        self._renaming.exchange(one, other)
        self._exchanged.append((one, other))
        self._mixed_up.update((one, other))

    def _start_standing(self, track: int, spot: Spot) -> None:
        spot.is_stationary = True
        self._stationary[track] = spot

    def _find(self, given: int, detection: dict[str, Any], now_s: float) -> tuple[int, Spot | None]:
        """Return the track and the spot of a detection; no spot if it is not known yet whether it was hidden.

        Args:
            given: its track from the tracker.
            detection: the detection; its `track_id` is corrected.
            now_s: the frame's time.

        """
        track = self._renaming.track(given)
        spot = self._spots.get(track)
        if spot is None:
            old = self._match(detection)
            if old is not None and self._last_candidates.get(given) != old:
                self._candidates[given] = old  # the next frame tells whether it only passes
                del detection["track_id"]
                return track, None
            if old is not None:
                track, spot = old, self._spots[old]
                self._renaming.set(given, old)
            else:
                if not track:  # the tracker has found what it had lost, beside its successor
                    track = next(self._numbers)
                    self._renaming.set(given, track)
                spot = self._spots[track] = Spot.at(detection["label"], detection["bbox_norm"], now_s)
                if remembered := self._memory.find(spot.label, spot.home, now_s):
                    spot.home, spot.since_s = remembered
                    if now_s - spot.since_s >= self._stationary_s - _ROUNDING_S:  # it did not stop just now
                        self._start_standing(track, spot)
        elif neighbour := self._find_neighbour(spot, detection):
            self._exchange(track, neighbour)
            track, spot = neighbour, self._spots[neighbour]
        detection["track_id"] = track
        return track, spot

    def _match(self, detection: dict[str, Any]) -> int | None:
        """Return the track of the hidden object that is at the place of a new one, if there is one."""
        label, box = detection["label"], detection["bbox_norm"]
        for old, spot in self._hidden:
            is_free = spot.label == label and old not in self._found and old not in self._candidates.values()
            if is_free and is_at(box, spot.home, FOUND_IOU):
                return old
        return None


def _key(track: int, spot: Spot) -> Key:
    return spot.label, track
