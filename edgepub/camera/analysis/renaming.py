"""The tracks of objects whose tracks from the tracker are not the right ones. Pure."""

from edgepub.camera.analysis.tracker import MAX_LOST


class Renaming:
    """The right tracks by those that the tracker gives. It is false if nothing is renamed."""

    def __init__(self) -> None:
        self._tracks: dict[int, int] = {}  # 0: none yet

    def __bool__(self) -> bool:
        return bool(self._tracks)

    def track(self, given: int) -> int:
        """Return the right track of an object to which the tracker gives this one; 0 if it needs a new one."""
        return self._tracks.get(given, given)

    def set(self, given: int, track: int) -> None:
        """Use this track for an object whenever the tracker gives it the other one, and for no other object."""
        self.free(track)
        if given == track:
            self._tracks.pop(track, None)
        else:
            self._tracks.setdefault(track, 0)  # the tracker may give it to another object by now
            self._tracks[given] = track

    def free(self, track: int) -> None:
        """Use this track no more for what the tracker gives another one."""
        if not self._tracks:
            return
        for given in [given for given, former in self._tracks.items() if former == track]:
            del self._tracks[given]
            self._tracks[given] = 0  # as the newest of these
        unused = [given for given, former in self._tracks.items() if not former]
        for given in unused[:-MAX_LOST]:  # the tracker has forgotten them
            del self._tracks[given]

    def exchange(self, one: int, other: int) -> None:
        """Exchange the right tracks of two objects."""
        given_one, given_other = self._given(one), self._given(other)
        self.set(given_one, other)
        self.set(given_other, one)

    def clear(self) -> None:
        """Forget all tracks, because the tracker has forgotten them."""
        self._tracks.clear()

    def _given(self, track: int) -> int:
        """Return the track from the tracker of an object with this right one."""
        return next((given for given, right in self._tracks.items() if right == track), track)
