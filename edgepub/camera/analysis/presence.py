"""Which objects are present, and since when, with hold times against flicker. Pure: on the frames' clock."""

from collections.abc import Callable, Container, Iterator, Mapping
from dataclasses import dataclass
from math import inf
from typing import Any, Generic, NamedTuple, TypeVar

Key = TypeVar("Key")
_ROUNDING_S = 1e-6  # clocks are sums of periods


class Moment(NamedTuple):
    """A frame without its pixels."""

    frame: int
    """The frame's number."""
    timestamp: float
    """When it was captured, in Unix seconds."""
    source_s: float
    """The same moment on the clock of the analysis: that of the source, continued when it is opened again."""
    width: int
    height: int


class Sighting(NamedTuple):
    """An object in a frame."""

    moment: Moment
    object: Mapping[str, Any]
    """The detection, in the payload's form."""


@dataclass(slots=True)
class Stay:
    """The time for which an object has been found."""

    first: Sighting
    last: Sighting
    found: int = 0
    """The number of frames with it."""
    missed: int = 0
    """The number of frames since the last one with it."""
    present: bool = False
    """Whether it was found often enough."""
    top_score: float = -inf
    """Its highest score before it was present."""

    @property
    def seconds(self) -> float:
        """Seconds from the first frame with it to the last, on the source's clock."""
        return self.last.moment.source_s - self.first.moment.source_s


class Presence(Generic[Key]):
    """Counts an object as present once it was found in enough frames, and as gone after a time without it.

    An object that is not present yet is forgotten after `on_frames` frames without it. One that is present is also held
    for `off_s` seconds. So neither a false detection nor a missing one is a change.

    Args:
        on_frames: the number of frames in which an object must be found.
        off_s: how long it must be missing, in seconds on the source's clock.
        may_start: tells whether an object that was found often enough counts as present.

    """

    def __init__(
        self, on_frames: int, off_s: float, may_start: Callable[[Key, Stay], bool] = lambda _key, _stay: True
    ) -> None:
        self._on_frames = on_frames
        self._off_s = off_s
        self._may_start = may_start
        self._stays: dict[Key, Stay] = {}

    def update(
        self, found: Mapping[Key, Sighting], now_s: float, held: Container[Key] = ()
    ) -> tuple[list[Key], list[tuple[Key, Stay]]]:
        """Process the objects of a frame; return those present from now on, and those forgotten, present or not.

        Args:
            found: the objects in the frame.
            now_s: its time.
            held: objects that are not forgotten, however long they are missing.

        """
        started = []
        for key, sighting in found.items():
            stay = self._stays.get(key)
            if stay is None:
                stay = self._stays[key] = Stay(sighting, sighting)
            stay.last = sighting
            stay.found += 1
            stay.missed = 0
            if not stay.present:
                stay.top_score = max(stay.top_score, sighting.object["score"])
                if stay.found >= self._on_frames and self._may_start(key, stay):
                    stay.present = True
                    started.append(key)
        if len(self._stays) == len(found):
            return started, []
        return started, list(self._forget_missing(found, now_s, held))

    def reset(self, held: Container[Key] = ()) -> list[tuple[Key, Stay]]:
        """Forget all objects but those that are held, and return them."""
        stays, self._stays = self._stays, {key: stay for key, stay in self._stays.items() if key in held}
        return [(key, stay) for key, stay in stays.items() if key not in held]

    def restore(self, key: Key, stay: Stay) -> None:
        """Add an object of an earlier run."""
        self._stays[key] = stay

    def __getitem__(self, key: Key) -> Stay:
        """Return the stay of an object."""
        return self._stays[key]

    def stay(self, key: Key) -> Stay | None:
        """Return the stay of an object that is present; None if it is not."""
        stay = self._stays.get(key)
        return stay if stay is not None and stay.present else None

    def is_present(self, key: Key) -> bool:
        """Return whether an object is present."""
        stay = self._stays.get(key)
        return stay is not None and stay.present

    def present(self) -> Iterator[Key]:
        """Yield the objects that are present."""
        return (key for key, stay in self._stays.items() if stay.present)

    def _forget_missing(
        self, found: Mapping[Key, Sighting], now_s: float, held: Container[Key]
    ) -> Iterator[tuple[Key, Stay]]:
        for key in [key for key in self._stays if key not in found and key not in held]:
            stay = self._stays[key]
            stay.missed += 1
            is_held = stay.present and now_s - stay.last.moment.source_s < self._off_s - _ROUNDING_S
            if stay.missed >= self._on_frames and not is_held:
                del self._stays[key]
                yield key, stay
