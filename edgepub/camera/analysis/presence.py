"""What is there, and since when: hold times against what flickers. Pure: the clock is that of the frames."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Generic, NamedTuple, TypeVar

Key = TypeVar("Key")
_ROUNDING_S = 1e-6  # clocks are sums of periods


class Moment(NamedTuple):
    """A frame without its pixels."""

    frame: int
    """Its number."""
    timestamp: float
    """When it was captured, Unix seconds."""
    source_s: float
    """The same moment on the source's clock."""
    width: int
    height: int


class Sighting(NamedTuple):
    """An object in a frame."""

    moment: Moment
    object: Mapping[str, Any]
    """The detection, in the payload's form."""


@dataclass(slots=True)
class Stay:
    """How long something has been there."""

    first: Sighting
    last: Sighting
    found: int = 0
    """In how many frames."""
    missed: int = 0
    """Frames since the last one."""
    present: bool = False
    """It was found often enough to be believed."""

    @property
    def seconds(self) -> float:
        """From the first frame with it to the last, in seconds of the source."""
        return self.last.moment.source_s - self.first.moment.source_s


class Presence(Generic[Key]):
    """Believes that something is there when it was found in so many frames, and that it is gone after a while without.

    What is not believed yet is forgotten after as many frames without it; what is, is held for `off_s` too. So neither
    a wrong detection nor a missing one is a change.

    Args:
        on_frames: frames in which a thing must be found.
        off_s: for how long it must not be found, in seconds of the source.

    """

    def __init__(self, on_frames: int, off_s: float) -> None:
        self._on_frames = on_frames
        self._off_s = off_s
        self._stays: dict[Key, Stay] = {}

    def update(self, found: Mapping[Key, Sighting], now_s: float) -> tuple[list[Key], list[tuple[Key, Stay]]]:
        """Take what was found in a frame; return what is there from now on, and what is forgotten, believed or not."""
        begun = []
        for key, sighting in found.items():
            stay = self._stays.get(key)
            if stay is None:
                stay = self._stays[key] = Stay(sighting, sighting)
            stay.last = sighting
            stay.found += 1
            stay.missed = 0
            if not stay.present and stay.found >= self._on_frames:
                stay.present = True
                begun.append(key)
        if len(self._stays) == len(found):
            return begun, []
        return begun, list(self._miss(found, now_s))

    def reset(self) -> list[tuple[Key, Stay]]:
        """Forget everything, and return it."""
        stays, self._stays = self._stays, {}
        return list(stays.items())

    def is_present(self, key: Key) -> bool:
        """Return whether it is there."""
        stay = self._stays.get(key)
        return stay is not None and stay.present

    def present(self) -> Iterator[Key]:
        """Yield all that is there."""
        return (key for key, stay in self._stays.items() if stay.present)

    def _miss(self, found: Mapping[Key, Sighting], now_s: float) -> Iterator[tuple[Key, Stay]]:
        for key in [key for key in self._stays if key not in found]:
            stay = self._stays[key]
            stay.missed += 1
            is_held = stay.present and now_s - stay.last.moment.source_s < self._off_s - _ROUNDING_S
            if stay.missed >= self._on_frames and not is_held:
                del self._stays[key]
                yield key, stay
