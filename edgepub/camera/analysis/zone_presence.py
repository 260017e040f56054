"""One zone of a camera: which objects are in it, and which loiter there. Pure."""

from collections.abc import Callable, Container, Iterator, Mapping, Sequence
from typing import Any

from edgepub.camera.analysis.geometry import Zone
from edgepub.camera.analysis.presence import Presence, Sighting, Stay
from edgepub.camera.analysis.rules import Key, Occurrence, find_zone_occurrences
from edgepub.config.areas import ZoneSettings

_ROUNDING_S = 1e-6  # clocks are sums of periods


class ZonePresence:
    """The objects in a zone.

    Args:
        name: the zone's name.
        settings: its settings.
        on_frames: the number of frames in which an object must be found in it.
        off_s: how long it must be missing there, in seconds.
        is_present: tells whether an object is present in front of the camera.

    """

    def __init__(
        self, name: str, settings: ZoneSettings, on_frames: int, off_s: float, is_present: Callable[[Key], bool]
    ) -> None:
        self.settings = settings
        self._name = name
        self._zone = Zone(settings)
        self._presence: Presence[Key] = Presence(on_frames, off_s, lambda key, _stay: is_present(key))
        self._tracks: set[int] = set()  # tracks that were in it in the last frame
        self._loitering: set[Key] = set()

    def find_inside(self, objects: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
        """Return the objects in the zone, and add its name to their `zones`."""
        inside = []
        for detection in objects:
            zones = detection.setdefault("zones", [])
            if self._zone.contains(detection, was_in=detection.get("track_id") in self._tracks):
                zones.append(self._name)
                inside.append(detection)
        self._tracks = {detection["track_id"] for detection in inside if "track_id" in detection}
        return inside

    def update(self, inside: Mapping[Key, Sighting], now_s: float, held: Container[Key]) -> list[Occurrence]:
        """Process the objects that are in the zone in a frame; return the events.

        Args:
            inside: the objects.
            now_s: the frame's time.
            held: objects that stay in the zone, however long they are missing.

        """
        changes = self._presence.update(inside, now_s, held)
        if changes[1]:
            self._loitering.difference_update(key for key, _ in changes[1])
        occurrences = find_zone_occurrences(self._name, changes, inside)
        if self.settings.loitering_s is not None:
            occurrences += self._find_loitering(inside, self.settings.loitering_s)
        return occurrences

    def reset(self, held: Container[Key] = ()) -> list[Occurrence]:
        """Count the objects in the zone as gone from there, but not those that are held; return the events."""
        gone = self._presence.reset(held)
        self._loitering.difference_update(key for key, _ in gone)
        self._tracks = set()
        return find_zone_occurrences(self._name, ([], gone), {})

    def restore(self, key: Key, stay: Stay, *, is_loitering: bool) -> None:
        """Add an object of an earlier run."""
        self._presence.restore(key, stay)
        if is_loitering:
            self._loitering.add(key)

    def present(self) -> Iterator[Key]:
        """Yield the objects that are in it."""
        return self._presence.present()

    def stay(self, key: Key) -> Stay | None:
        """Return the stay of an object in it; None if it is not there."""
        return self._presence.stay(key)

    def is_loitering(self, key: Key) -> bool:
        """Return whether an object has been there for longer than `loitering_s`."""
        return key in self._loitering

    def _find_loitering(self, inside: Mapping[Key, Sighting], loitering_s: float) -> Iterator[Occurrence]:
        for key, sighting in inside.items():
            if key in self._loitering or (stay := self._presence.stay(key)) is None:
                continue
            if stay.seconds >= loitering_s - _ROUNDING_S:
                self._loitering.add(key)
                yield Occurrence("loitering", key, sighting, zone=self._name, dwell_s=stay.seconds)
