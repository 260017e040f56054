"""One camera's results, one after another: who is there, where, and what happened."""

import itertools
import logging
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from edgepub.camera.analysis import rules
from edgepub.camera.analysis.geometry import Line, Zone
from edgepub.camera.analysis.presence import Moment, Presence, Sighting
from edgepub.camera.analysis.rules import Key, Occurrence
from edgepub.camera.analysis.tracker import Tracker
from edgepub.camera.frames import Frame
from edgepub.config.areas import ZoneSettings
from edgepub.config.camera import CameraSettings
from edgepub.telemetry.logs import camera_logger

_MOST_LABELS = 1000
_log = logging.getLogger(__name__)

Counts = Mapping[tuple[str | None, str], int]
"""How many there are, by zone (None: in the whole frame) and label; what is not named is 0."""


class Findings(NamedTuple):
    """What a frame brought, or the end, or other zones and lines."""

    occurrences: Sequence[Occurrence]
    """In their order; without tracking there are none."""
    counts: Counts | None
    """How many there are, if that may have changed."""
    here: Mapping[Key, Sighting]
    """Who is there and in this frame."""
    gone: Sequence[Key]
    """Who is there no more, and who was not believed in the end."""


@dataclass(slots=True)
class _Place:
    """A zone, and who is in it."""

    zone: Zone
    presence: Presence[Key]
    tracks: set[int] = field(default_factory=set)
    """Those that were in it in the last frame."""


class Analysis:
    """Tracks, zones, lines and counts of one camera.

    Args:
        camera: the camera's name.
        settings: what the camera's configuration says of them.
        track_ids: numbers that no track has had yet; None: from 1.

    """

    def __init__(self, camera: str, settings: CameraSettings, track_ids: Iterator[int] | None = None) -> None:
        self._on_frames, self._off_s = settings.occupancy_on_frames, settings.occupancy_off_s
        self._log = camera_logger(_log, camera)
        lost_s = max(settings.track_lost_s, self._off_s)
        self._tracker = Tracker(lost_s, track_ids or itertools.count(1)) if settings.tracking else None
        self._presence = self._new_presence()
        self._places = {name: self._place(its) for name, its in settings.zones.items()}
        self._lines = {name: Line(its) for name, its in settings.lines.items()}
        self._labels: set[str] = set()

    def update(self, objects: Sequence[dict[str, Any]], frame: Frame) -> Findings:
        """Take the detections of the next frame, and add to each its `track_id` and its `zones`.

        Args:
            objects: the detections, in the payload's form.
            frame: the frame that they are of.

        """
        height, width = frame.image.shape[:2]
        moment = Moment(frame.number, frame.timestamp, frame.source_s, width, height)
        objects = [each for each in objects if each["label"] in self._labels or self._learn(each["label"])]
        if self._tracker:
            self._tracker.follow(objects, width, frame.source_s)
        found = self._found(objects, moment)
        changes = self._presence.update(found, frame.source_s)
        appeared, left = rules.camera_occurrences(changes, found)
        happened, moved = appeared, bool(appeared or left)
        for name, place in self._places.items():
            inside = self._found(self._inside(name, place, objects), moment)
            of_zone = rules.zone_occurrences(name, place.presence.update(inside, frame.source_s), inside)
            moved = moved or bool(of_zone)
            happened += of_zone
        for name, line in self._lines.items():
            happened += rules.line_occurrences(name, line, found, self._presence)
        happened += left
        gone = self._forget(changes)
        here = {key: sighting for key, sighting in found.items() if self._presence.is_present(key)}
        return Findings(happened if self._tracker else [], self._numbers() if moved else None, here, gone)

    def set_areas(self, settings: CameraSettings) -> Findings:
        """Let other zones and lines take the place of those there are; what is as before goes on.

        Whoever is in a zone that is no more, or is another one now, has left it.

        Args:
            settings: the camera's, in which only `zones` and `lines` are others.

        """
        zones, lines = settings.zones, settings.lines
        places = {name: place for name, place in self._places.items() if zones.get(name) == place.zone.settings}
        same = {name: line for name, line in self._lines.items() if lines.get(name) == line.settings}
        happened = self._left({name: place for name, place in self._places.items() if name not in places})
        self._places = {name: places.get(name) or self._place(its) for name, its in zones.items()}
        self._lines = {name: same.get(name) or Line(its) for name, its in lines.items()}
        return Findings(happened if self._tracker else [], self._numbers(), {}, [])

    def reset(self) -> Findings:
        """Let everything that is there be gone: no more frames come, or others."""
        happened = self._left(self._places)
        changes: rules.Changes = ([], self._presence.reset())
        happened += rules.camera_occurrences(changes, {})[1]
        gone = self._forget(changes)
        if self._tracker:
            self._tracker.reset()
        return Findings(happened if self._tracker else [], {}, {}, gone)

    def _place(self, settings: ZoneSettings) -> _Place:
        return _Place(Zone(settings), self._new_presence())

    def _new_presence(self) -> Presence[Key]:
        return Presence(self._on_frames, self._off_s)

    def _left(self, places: Mapping[str, _Place]) -> list[Occurrence]:
        """Let whoever is in these zones be gone from there."""
        return [
            each
            for name, place in places.items()
            for each in rules.zone_occurrences(name, ([], place.presence.reset()), {})
        ]

    def _found(self, objects: Iterable[Mapping[str, Any]], moment: Moment) -> dict[Key, Sighting]:
        if self._tracker:
            return {(o["label"], o["track_id"]): Sighting(moment, o) for o in objects if "track_id" in o}
        number: Counter[str] = Counter()
        found = {}
        for each in objects:
            label = each["label"]
            found[label, number[label]] = Sighting(moment, each)
            number[label] += 1
        return found

    def _inside(self, name: str, place: _Place, objects: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
        inside = []
        for each in objects:
            zones = each.setdefault("zones", [])
            if place.zone.holds(each, was_in=each.get("track_id") in place.tracks):
                zones.append(name)
                inside.append(each)
        place.tracks = {each["track_id"] for each in inside if "track_id" in each}
        return inside

    def _numbers(self) -> Counts:
        numbers: Counter[tuple[str | None, str]] = Counter()
        numbers.update((None, label) for label, _ in self._presence.present())
        for name, place in self._places.items():
            numbers.update((name, label) for label, _ in place.presence.present())
        return numbers

    def _forget(self, changes: rules.Changes) -> list[Key]:
        gone = [key for key, _ in changes[1]]
        for line in self._lines.values():
            for _, track_id in gone:
                line.forget(track_id)
        return gone

    def _learn(self, label: str) -> bool:
        """Return whether to look at objects of a new label: one that reads texts would give a new one each time."""
        if len(self._labels) == _MOST_LABELS:
            return False
        self._labels.add(label)
        if len(self._labels) == _MOST_LABELS:
            self._log.warning("%d labels; objects of others are not counted; see `labels`", _MOST_LABELS)
        return True
