"""One camera's results, one after another: who is there, where, and what happened."""

import itertools
import logging
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from edgepub.analysis import rules
from edgepub.analysis.geometry import Line, Zone
from edgepub.analysis.presence import Moment, Presence, Sighting
from edgepub.analysis.rules import Key, Occurrence
from edgepub.analysis.tracker import Tracker
from edgepub.camera_settings import CameraSettings
from edgepub.frames import Frame
from edgepub.logs import of_camera

_MOST_LABELS = 1000
_log = logging.getLogger(__name__)

Numbers = Mapping[tuple[str | None, str], int]
"""How many there are, by zone (None: in the whole frame) and label; what is not named is 0."""


class Findings(NamedTuple):
    """What a frame brought."""

    occurrences: Sequence[Occurrence]
    """In their order; without tracking there are none."""
    numbers: Numbers | None
    """How many there are, if that has changed."""
    here: Mapping[Key, Sighting]
    """Who is there and in this frame."""
    gone: Sequence[Key]
    """Who is there no more, and who was not believed in the end."""


class Analysis:
    """Tracks, zones, lines and counts of one camera.

    Args:
        camera: the camera's name.
        settings: what the camera's configuration says of them.
        track_ids: numbers that no track has had yet; None: from 1.

    """

    def __init__(self, camera: str, settings: CameraSettings, track_ids: Iterator[int] | None = None) -> None:
        on_frames, off_s = settings.occupancy_on_frames, settings.occupancy_off_s
        self._log = of_camera(_log, camera)
        lost_s = max(settings.track_lost_s, off_s)
        self._tracker = Tracker(lost_s, track_ids or itertools.count(1)) if settings.tracking else None
        self._presence: Presence[Key] = Presence(on_frames, off_s)
        self._zones = {name: Zone(its) for name, its in settings.zones.items()}
        self._in_zones: dict[str, Presence[Key]] = {name: Presence(on_frames, off_s) for name in settings.zones}
        self._were_in: dict[str, set[int]] = {name: set() for name in settings.zones}
        self._lines = {name: Line(its) for name, its in settings.lines.items()}
        self._labels: set[str] = set()

    def look(self, objects: Sequence[dict[str, Any]], frame: Frame) -> Findings:
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
        appeared, left = rules.of_camera(changes, found)
        happened, moved = appeared, bool(appeared or left)
        for name, presence in self._in_zones.items():
            inside = self._found(self._inside(name, objects), moment)
            of_zone = rules.of_zone(name, presence.update(inside, frame.source_s), inside)
            moved = moved or bool(of_zone)
            happened += of_zone
        for name, line in self._lines.items():
            happened += rules.of_line(name, line, found, self._presence)
        happened += left
        gone = self._forget(changes)
        here = {key: sighting for key, sighting in found.items() if self._presence.is_present(key)}
        return Findings(happened if self._tracker else [], self._numbers() if moved else None, here, gone)

    def end(self) -> Findings:
        """Let everything that is there be gone: no more frames come, or others."""
        happened = []
        for name, presence in self._in_zones.items():
            happened += rules.of_zone(name, ([], presence.end()), {})
        changes: rules.Changes = ([], self._presence.end())
        happened += rules.of_camera(changes, {})[1]
        gone = self._forget(changes)
        if self._tracker:
            self._tracker.end()
        return Findings(happened if self._tracker else [], {}, {}, gone)

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

    def _inside(self, name: str, objects: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
        inside = []
        for each in objects:
            zones = each.setdefault("zones", [])
            if self._zones[name].holds(each, was_in=each.get("track_id") in self._were_in[name]):
                zones.append(name)
                inside.append(each)
        self._were_in[name] = {each["track_id"] for each in inside if "track_id" in each}
        return inside

    def _numbers(self) -> Numbers:
        numbers: Counter[tuple[str | None, str]] = Counter()
        numbers.update((None, label) for label, _ in self._presence.present())
        for name, presence in self._in_zones.items():
            numbers.update((name, label) for label, _ in presence.present())
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
