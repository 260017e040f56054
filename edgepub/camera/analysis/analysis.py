"""Finds the events and counts of one camera's objects: tracks, zones and lines, result by result."""

import itertools
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from edgepub.camera.analysis import rules
from edgepub.camera.analysis.geometry import Line, Zone
from edgepub.camera.analysis.presence import Moment, Presence, Sighting
from edgepub.camera.analysis.recognition import Recognition
from edgepub.camera.analysis.rules import Key, Occurrence
from edgepub.camera.analysis.tracker import Tracker
from edgepub.camera.frames import Frame
from edgepub.config.areas import ZoneSettings
from edgepub.config.camera import CameraSettings

Counts = Mapping[tuple[str | None, str], int]
"""The number of objects by zone (None: in the whole frame) and label; 0 for those that are missing."""


class Findings(NamedTuple):
    """The outcome of a frame, of a reset, or of new zones and lines."""

    occurrences: Sequence[Occurrence]
    """Events in order; none without tracking."""
    counts: Counts | None
    """The counts, if they may have changed."""
    present: Mapping[Key, Sighting]
    """The objects that are present and in this frame."""
    gone: Sequence[Key]
    """The objects that are gone, including those that never became present."""


@dataclass(slots=True)
class _ZonePresence:
    """A zone, and the objects in it."""

    zone: Zone
    presence: Presence[Key]
    tracks: set[int] = field(default_factory=set)
    """Tracks that were in it in the last frame."""


class Analysis:
    """Tracks, zones, lines and counts of one camera.

    Args:
        settings: the camera's settings.
        track_ids: unused track numbers; None: from 1.

    """

    def __init__(self, settings: CameraSettings, track_ids: Iterator[int] | None = None) -> None:
        self._on_frames, self._off_s = settings.occupancy_on_frames, settings.occupancy_off_s
        self._tracker = make_tracker(settings, track_ids or itertools.count(1))
        self._votes = settings.text_labels is not None  # a pipeline has its own
        self._recognition = Recognition()
        self._recognized: set[tuple[int, str]] = set()  # tracks and their settled attributes
        self._presence = self._new_presence()
        self._zones = {name: self._new_zone(zone) for name, zone in settings.zones.items()}
        self._lines = {name: Line(line) for name, line in settings.lines.items()}

    def update(
        self, objects: Sequence[dict[str, Any]], frame: Frame, *, tracks: Collection[int] | None = None
    ) -> Findings:
        """Process the detections of the next frame, and add its `track_id` and its `zones` to each.

        Args:
            objects: the detections, in the payload's form.
            frame: their frame.
            tracks: the tracks that exist, if they have their `track_id` already.

        """
        width, height = frame.size
        moment = Moment(frame.number, frame.timestamp, frame.source_s, width, height)
        if self._tracker and tracks is None:
            self._tracker.track(objects, frame.source_s)
        if self._tracker and self._votes and objects:
            self._recognition.vote(objects, frame.source_s)
            self._recognition.keep(self._tracker.numbers if tracks is None else tracks)
        found = self._index(objects, moment)
        changes = self._presence.update(found, frame.source_s)
        appeared, left = rules.find_camera_occurrences(changes, found)
        occurrences, has_changed = appeared, bool(appeared or left)
        for name, zone in self._zones.items():
            inside = self._index(self._objects_inside(name, zone, objects), moment)
            in_zone = rules.find_zone_occurrences(name, zone.presence.update(inside, frame.source_s), inside)
            has_changed = has_changed or bool(in_zone)
            occurrences += in_zone
        for name, line in self._lines.items():
            occurrences += rules.find_crossings(name, line, found, self._presence)
        occurrences += rules.find_recognized(found, self._presence, self._recognized)
        occurrences += left
        gone = self._forget(changes)
        present = {key: sighting for key, sighting in found.items() if self._presence.is_present(key)}
        return Findings(occurrences if self._tracker else [], self._counts() if has_changed else None, present, gone)

    def set_areas(self, settings: CameraSettings) -> Findings:
        """Use other zones and lines; those that have not changed keep their state.

        Objects in a zone that is removed or changed have left that zone.

        Args:
            settings: the camera's settings, of which only `zones` and `lines` have changed.

        """
        zones, lines = settings.zones, settings.lines
        kept = {name: zone for name, zone in self._zones.items() if zones.get(name) == zone.zone.settings}
        kept_lines = {name: line for name, line in self._lines.items() if lines.get(name) == line.settings}
        left = self._empty_zones({name: zone for name, zone in self._zones.items() if name not in kept})
        self._zones = {name: kept.get(name) or self._new_zone(zone) for name, zone in zones.items()}
        self._lines = {name: kept_lines.get(name) or Line(line) for name, line in lines.items()}
        return Findings(left if self._tracker else [], self._counts(), {}, [])

    def reset(self) -> Findings:
        """Count all objects as gone: no more frames come, or frames of another scene."""
        occurrences = self._empty_zones(self._zones)
        changes: rules.Changes = ([], self._presence.reset())
        occurrences += rules.find_camera_occurrences(changes, {})[1]
        gone = self._forget(changes)
        if self._tracker:
            self._tracker.reset()
        self._recognition = Recognition()
        return Findings(occurrences if self._tracker else [], {}, {}, gone)

    def _new_zone(self, settings: ZoneSettings) -> _ZonePresence:
        return _ZonePresence(Zone(settings), self._new_presence())

    def _new_presence(self) -> Presence[Key]:
        return Presence(self._on_frames, self._off_s)

    def _empty_zones(self, zones: Mapping[str, _ZonePresence]) -> list[Occurrence]:
        """Count the objects in these zones as gone from there; return the events of it."""
        return [
            occurrence
            for name, zone in zones.items()
            for occurrence in rules.find_zone_occurrences(name, ([], zone.presence.reset()), {})
        ]

    def _index(self, objects: Iterable[Mapping[str, Any]], moment: Moment) -> dict[Key, Sighting]:
        if self._tracker:
            return {(o["label"], o["track_id"]): Sighting(moment, o) for o in objects if "track_id" in o}
        number: Counter[str] = Counter()
        found = {}
        for detection in objects:
            label = detection["label"]
            found[label, number[label]] = Sighting(moment, detection)
            number[label] += 1
        return found

    def _objects_inside(
        self, name: str, zone: _ZonePresence, objects: Sequence[dict[str, Any]]
    ) -> list[dict[str, Any]]:
        """Return the objects in a zone, and add its name to their `zones`."""
        inside = []
        for detection in objects:
            zones = detection.setdefault("zones", [])
            if zone.zone.contains(detection, was_in=detection.get("track_id") in zone.tracks):
                zones.append(name)
                inside.append(detection)
        zone.tracks = {detection["track_id"] for detection in inside if "track_id" in detection}
        return inside

    def _counts(self) -> Counts:
        counts: Counter[tuple[str | None, str]] = Counter()
        counts.update((None, label) for label, _ in self._presence.present())
        for name, zone in self._zones.items():
            counts.update((name, label) for label, _ in zone.presence.present())
        return counts

    def _forget(self, changes: rules.Changes) -> list[Key]:
        gone = [key for key, _ in changes[1]]
        if gone and self._recognized:
            tracks = {track for _, track in gone}
            self._recognized = {known for known in self._recognized if known[0] not in tracks}
        for line in self._lines.values():
            for _, track_id in gone:
                line.forget(track_id)
        return gone


def make_tracker(settings: CameraSettings, track_ids: Iterator[int]) -> Tracker | None:
    """Return a camera's tracker; None without tracking.

    Args:
        settings: the camera's settings.
        track_ids: unused track numbers.

    """
    lost_s = max(settings.track_lost_s, settings.occupancy_off_s)
    return Tracker(lost_s, track_ids) if settings.tracking else None
