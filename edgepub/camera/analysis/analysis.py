"""Finds the events, visits and counts of one camera's objects: tracks, zones and lines, result by result."""

import itertools
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from math import inf
from typing import Any, NamedTuple

from edgepub.camera.analysis import rules
from edgepub.camera.analysis.clock import Clock
from edgepub.camera.analysis.following import Following
from edgepub.camera.analysis.geometry import Line, Zone
from edgepub.camera.analysis.presence import Moment, Presence, Sighting, Stay
from edgepub.camera.analysis.rules import Key, Occurrence
from edgepub.camera.analysis.saved_visits import SavedVisit, end_visits, restore_visit, save_visit
from edgepub.camera.analysis.standing import Changes
from edgepub.camera.analysis.tally import Tallies, count_objects
from edgepub.camera.analysis.visits import EndedVisit, Visits
from edgepub.camera.analysis.zone_presence import ZonePresence
from edgepub.camera.frames import Frame
from edgepub.config.areas import ZoneSettings
from edgepub.config.camera import CameraSettings
from edgepub.core.uuid7 import uuid7


class Findings(NamedTuple):
    """The outcome of a frame, of a reset, or of new zones and lines."""

    occurrences: Sequence[Occurrence]
    """Events in order; none without tracking."""
    counts: Tallies | None
    """The counts, if they may have changed."""
    present: Mapping[Key, Sighting]
    """The objects that are present and in this frame."""
    gone: Sequence[Key]
    """The objects that are gone, including those that never became present."""
    visits: Sequence[EndedVisit] = ()
    """The visits that are over."""
    are_visits_new: bool = False
    """Whether visits have changed that are to be saved."""


_SAVE_S = 60.0
"""How often visits are saved although nothing happens: for how long an object has been there matters later."""
_STEP_S = 0.2
"""How often places, paths and the best view are compared: objects do not stop 30 times a second."""
_ROUNDING_S = 1e-6  # clocks are sums of periods


class Analysis:
    """Tracks, visits, zones, lines and counts of one camera.

    Args:
        settings: the camera's settings.
        track_ids: unused track numbers; None: from 1.
        keeps_visits: tells whether visits of stationary objects go on when the source is opened again: it is a camera.

    Attributes:
        visits: the visits that are not over.

    """

    def __init__(
        self,
        settings: CameraSettings,
        track_ids: Iterator[int] | None = None,
        *,
        keeps_visits: Callable[[], bool] = lambda: False,
    ) -> None:
        numbers = self._numbers = track_ids or itertools.count(1)
        self._on_frames, self._off_s = settings.occupancy_on_frames, settings.occupancy_off_s
        self._keeps_visits = keeps_visits
        self._clock = Clock()
        self._following = Following(settings, numbers)
        self._can_stand = self._following.is_on and settings.stationary_s is not None
        self._recognized: set[tuple[int, str]] = set()  # tracks and their settled attributes
        self._min_top_scores = settings.min_top_scores
        self._presence = Presence(self._on_frames, self._off_s, self._has_top_score)
        self._zones = {name: self._new_zone(name, zone) for name, zone in settings.zones.items()}
        self._lines = {name: Line(line) for name, line in settings.lines.items()}
        self._ignored = [Zone(area) for area in settings.ignore.values()]
        self._kept_labels = settings.kept_labels
        self._reports_all = settings.events.zones is None
        self.visits = Visits(settings.events.zones, lambda: str(uuid7()))
        self._compared_s = self._saved_s = -inf
        self._saved: set[str] = set()  # the saved visits

    def update(
        self, objects: Sequence[dict[str, Any]], frame: Frame, *, tracks: Collection[int] | None = None
    ) -> Findings:
        """Process the detections of the next frame, and add to each its `track_id`, `zones`, `stationary`.

        Args:
            objects: the detections, in the payload's form.
            frame: their frame.
            tracks: the tracks that exist, if they have their `track_id` already.

        """
        now_s = self._clock.now_s(frame)
        moment = Moment(frame.number, frame.timestamp, now_s, *frame.size)
        compares = now_s - self._compared_s >= _STEP_S - _ROUNDING_S
        if compares:
            self._compared_s = now_s
        changes = self._following.update(objects, now_s, tracks, compares=compares)
        found = self._index(objects, moment)
        held = self._following.standing.held()
        started, ended = self._presence.update(found, now_s, held)
        occurrences = rules.find_appeared(started, found)
        has_changed = bool(started or ended or changes.are_counts_new)
        for zone in self._zones.values():
            inside = self._index(zone.find_inside(objects), moment)
            in_zone = zone.update(inside, now_s, held)
            has_changed = has_changed or bool(in_zone)
            occurrences += in_zone
        for name, line in self._lines.items():
            for pair in changes.exchanged:
                line.exchange(*pair)
            occurrences += rules.find_crossings(name, line, found, self._presence)
        occurrences += rules.find_recognized(found, self._presence, self._recognized)
        occurrences += self._find_stops(changes, found, started, ended)
        occurrences += rules.find_left(ended)
        present = {key: sighting for key, sighting in found.items() if self._presence.is_present(key)}
        if self._following.is_on:
            for key in started:
                self.visits.start(key, self._presence[key])
            if compares:
                self.visits.see(present)
        findings = self._finish(occurrences, ended, self._counts() if has_changed else None, present)
        if compares and self._following.is_on and now_s - self._saved_s >= _SAVE_S:
            self._saved_s = now_s
            self.visits.change_all()
            return findings._replace(are_visits_new=True)
        return findings

    def set_areas(self, settings: CameraSettings) -> Findings:
        """Use other zones and lines; those that have not changed keep their state.

        Objects in a zone that is removed or changed have left that zone.

        Args:
            settings: the camera's settings, of which only `zones` and `lines` have changed.

        """
        zones, lines = settings.zones, settings.lines
        kept = {name: zone for name, zone in self._zones.items() if zones.get(name) == zone.settings}
        kept_lines = {name: line for name, line in self._lines.items() if lines.get(name) == line.settings}
        left = [occurrence for name, zone in self._zones.items() if name not in kept for occurrence in zone.reset()]
        self._zones = {name: kept.get(name) or self._new_zone(name, zone) for name, zone in zones.items()}
        self._lines = {name: kept_lines.get(name) or Line(line) for name, line in lines.items()}
        self._ignored = [Zone(area) for area in settings.ignore.values()]
        self._release_ignored()
        return self._finish(left, [], self._counts(), {})

    def reset(self) -> Findings:
        """Count all objects as gone: no more frames come, or frames of another opening of the source.

        Of a camera, the visits of stationary objects go on if they are found again.
        """
        self._clock.close()
        held = self._following.standing.stationary if self._keeps_visits() else ()
        occurrences = [occurrence for zone in self._zones.values() for occurrence in zone.reset(held)]
        ended = self._presence.reset(held)
        findings = self._finish([*occurrences, *rules.find_left(ended)], ended, {}, {})
        self._following.reset()
        self._compared_s = -inf
        self.visits.change_all()
        return findings._replace(are_visits_new=self._following.is_on)

    def save(self) -> dict[str, SavedVisit | None]:
        """Return what has changed since the last call, for the next run: visits by `visit_id`; None: it is over."""
        going_on = {visit.visit_id for visit in self.visits}
        changed: dict[str, SavedVisit | None] = dict.fromkeys(self._saved - going_on)
        self._saved = going_on
        for visit in self.visits:
            stay = self._presence.stay(visit.key)
            if stay and not visit.is_saved:
                zones = self._stays_in_zones(visit.key)
                changed[visit.visit_id] = save_visit(visit, stay, self._following.standing.spot(visit.key), zones)
                visit.is_saved = True
        return changed

    def restore(self, saved: Sequence[SavedVisit]) -> Findings:
        """Continue the visits of stationary objects of an earlier run, and end the others.

        Objects whose label is not kept any more will not be found again: their visits end, too.

        Args:
            saved: the visits; see `save`.

        """
        can_go_on, kept = self._can_stand and self._keeps_visits(), self._kept_labels
        stationary = [content for content in saved if can_go_on and content["home"] is not None]
        going_on = [content for content in stationary if kept is None or content["label"] in kept]
        newest = max((content["last"]["timestamp"] for content in going_on), default=0.0)
        occurrences: list[Occurrence] = []
        for content in going_on:
            last_s = content["last"]["timestamp"] - newest
            visit, stay, spot, zones = restore_visit(content, next(self._numbers), last_s)
            assert spot  # noqa: S101
            self._clock.restore(newest)
            self.visits.restore(visit)
            self._presence.restore(visit.key, stay)
            self._following.standing.restore(visit.key, spot)
            self._recognized.update((visit.key[1], name) for name in visit.attributes)
            for name, (inside, is_loitering) in zones.items():
                if name in self._zones:
                    self._zones[name].restore(visit.key, inside, is_loitering=is_loitering)
                else:
                    occurrences += rules.find_zone_occurrences(name, ([], [(visit.key, inside)]), {})
            if not visit.is_reported:  # `events.zones` may be others now
                occurrences += self._find_here(visit.key, stay.last, zones.keys() & self._zones.keys())
        self._release_ignored()
        self._saved = {content["visit_id"] for content in saved}
        left, visits = end_visits([content for content in saved if content not in going_on], self._numbers)
        findings = self._finish(occurrences, [], None, {})
        return findings._replace(occurrences=[*left, *findings.occurrences], visits=visits, are_visits_new=True)

    def _finish(
        self,
        occurrences: Sequence[Occurrence],
        ended: Sequence[tuple[Key, Stay]],
        counts: Tallies | None,
        present: Mapping[Key, Sighting],
    ) -> Findings:
        """Return the findings, and forget the objects that are gone."""
        gone = [key for key, _ in ended]
        if not self._following.is_on:
            return Findings([], counts, present, gone)
        for key, stay in ended:
            if spot := self._following.standing.spot(key):
                self.visits.add_stationary(key, spot.since_s, stay.last.moment.source_s)
        self._following.standing.forget(gone)
        published, visits = self.visits.add(occurrences)
        if gone:
            tracks = {track for _, track in gone}
            self._recognized = {known for known in self._recognized if known[0] not in tracks}
            for line in self._lines.values():
                for track in tracks:
                    line.forget(track)
        return Findings(published, counts, present, gone, visits, are_visits_new=bool(occurrences))

    def _find_stops(
        self,
        changes: Changes,
        found: Mapping[Key, Sighting],
        started: Collection[Key],
        ended: Iterable[tuple[Key, Stay]],
    ) -> Iterator[Occurrence]:
        """Yield the present objects that have stopped, and those that have moved."""
        for key in dict.fromkeys((*changes.stopped, *started)):
            if self._presence.is_present(key) and (spot := self._following.standing.spot(key)):
                yield Occurrence("stopped", key, found[key])
        for key, since_s, until_s in changes.moved:
            if key not in started and (stay := self._presence.stay(key)):
                self.visits.add_stationary(key, since_s, until_s)
                yield Occurrence("moved", key, stay.last)
        for key, stay in ended:
            if stay.present and (spot := self._following.standing.spot(key)) and spot.is_leaving:
                yield Occurrence("moved", key, stay.last)

    def _find_here(self, key: Key, last: Sighting, zones: Iterable[str]) -> Iterator[Occurrence]:
        """Yield what would be said of a restored object if it were new: that it is there, and in which zones."""
        if self._reports_all:
            yield Occurrence("stopped", key, last)
        here = Sighting(last.moment, {**last.object, "stationary": True})
        for zone in zones:
            yield Occurrence("zone_entered", key, here, zone=zone)

    def _release_ignored(self) -> None:
        """Do not wait for stationary objects in ignore areas: they will not be found again."""
        for key in self._following.standing.stationary if self._ignored else ():
            stay = self._presence.stay(key)
            if stay and any(area.contains(stay.last.object, was_in=False) for area in self._ignored):
                self._following.standing.release(key)

    def _has_top_score(self, key: Key, stay: Stay) -> bool:
        return stay.top_score >= self._min_top_scores.get(key[0], -inf)

    def _new_zone(self, name: str, settings: ZoneSettings) -> ZonePresence:
        return ZonePresence(name, settings, self._on_frames, self._off_s, self._presence.is_present)

    def _stays_in_zones(self, key: Key) -> dict[str, tuple[Stay, bool]]:
        return {name: (stay, zone.is_loitering(key)) for name, zone in self._zones.items() if (stay := zone.stay(key))}

    def _index(self, objects: Iterable[Mapping[str, Any]], moment: Moment) -> dict[Key, Sighting]:
        if self._following.is_on:
            return {(o["label"], o["track_id"]): Sighting(moment, o) for o in objects if "track_id" in o}
        number: Counter[str] = Counter()
        found = {}
        for detection in objects:
            label = detection["label"]
            found[label, number[label]] = Sighting(moment, detection)
            number[label] += 1
        return found

    def _counts(self) -> Tallies:
        standing = self._following.standing
        present = set(self._presence.present()).difference(standing.uncounted())
        return count_objects(present, self._zones.items(), standing.stationary)
