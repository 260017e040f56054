"""The visits of one camera's objects: what is known of each from `appeared` to `left`. Pure."""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from edgepub.camera.analysis.geometry import Direction
from edgepub.camera.analysis.paths import Path
from edgepub.camera.analysis.presence import Sighting, Stay
from edgepub.camera.analysis.quality import quality
from edgepub.camera.analysis.rules import Key, Occurrence

MAX_CROSSINGS = 100
"""Crossings of lines in a visit's message: the first ones."""


class Crossing(NamedTuple):
    """An object that crossed a line."""

    line: str
    direction: Direction
    timestamp: float
    """Unix seconds."""


@dataclass(slots=True)
class Visit:
    """An object's stay in front of the camera."""

    visit_id: str
    key: Key
    began: float
    """When the first frame with it was captured, in Unix seconds."""
    began_s: float
    """The same moment on the analysis' clock."""
    best: Sighting
    """Where it was seen best."""
    best_quality: float
    is_reported: bool
    """Whether its events are published."""
    path: Path = field(default_factory=Path)
    zones: dict[str, float] = field(default_factory=dict)
    """For how many seconds it was in each zone that it has left."""
    entered: list[str] = field(default_factory=list)
    """The zones that its events say it has entered."""
    crossings: list[Crossing] = field(default_factory=list)
    attributes: dict[str, Any] = field(default_factory=dict)
    """What was recognized, in the payload's form."""
    stationary_s: float = 0.0
    """For how many seconds it was stationary, up to its last move."""
    cutout: Sighting | None = None
    """Where its newest cut-out was made; None: there is none."""
    is_newest: bool = True
    """Whether no later visit of its label has a cut-out: only then it may get one."""
    is_saved: bool = False
    """Whether nothing has happened since it was saved."""

    @property
    def shown(self) -> Sighting:
        """Where it was seen best: as its picture shows it, if there is one."""
        return self.cutout or self.best


class EndedVisit(NamedTuple):
    """A visit that is over."""

    visit: Visit
    last: Sighting
    duration_s: float


class Visits:
    """The visits of the objects that are present.

    Args:
        zones: only objects that were in one of these have events and visits; None: all objects.
        make_id: returns a new identifier.

    """

    def __init__(self, zones: Collection[str] | None, make_id: Callable[[], str]) -> None:
        self._zones = zones
        self._make_id = make_id
        self._visits: dict[Key, Visit] = {}

    def __len__(self) -> int:
        """Return the number of visits that are not over."""
        return len(self._visits)

    def __iter__(self) -> Iterator[Visit]:
        """Iterate over the visits that are not over, in the order in which they appeared."""
        return iter(self._visits.values())

    def get(self, key: Key) -> Visit | None:
        """Return the visit of an object; None if it is not present."""
        return self._visits.get(key)

    def restore(self, visit: Visit) -> None:
        """Add a visit of an earlier run."""
        self._visits[visit.key] = visit

    def change_all(self) -> None:
        """Have all visits saved again: for how long an object has been there matters later."""
        for visit in self._visits.values():
            visit.is_saved = False

    def start(self, key: Key, stay: Stay) -> None:
        """Start the visit of an object that is present from now on."""
        first, last = stay.first, stay.last
        visit = self._visits[key] = Visit(
            self._make_id(),
            key,
            first.moment.timestamp,
            first.moment.source_s,
            last,
            quality(last.object),
            self._zones is None,
        )
        _add_point(visit, first)

    def see(self, sightings: Mapping[Key, Sighting]) -> None:
        """Take the objects of a frame."""
        visits = self._visits
        for key, sighting in sightings.items():
            visit = visits[key]
            _add_point(visit, sighting)
            if (seen := quality(sighting.object)) > visit.best_quality:
                visit.best, visit.best_quality = sighting, seen

    def add_stationary(self, key: Key, since_s: float, until_s: float) -> None:
        """Add a time for which an object was stationary; it may have begun before its visit."""
        if visit := self._visits.get(key):
            visit.stationary_s += max(0.0, until_s - max(since_s, visit.began_s))

    def add(self, occurrences: Sequence[Occurrence]) -> tuple[list[Occurrence], list[EndedVisit]]:
        """Add what has happened; return the events to publish, with their visits, and the visits that are over."""
        published: list[Occurrence] = []
        ended: list[EndedVisit] = []
        for occurrence in occurrences:
            visit = self._visits[occurrence.key]
            happened = occurrence._replace(visit_id=visit.visit_id)
            visit.is_saved = False
            self._note(visit, occurrence)
            if not visit.is_reported and (self._zones is None or occurrence.zone in self._zones):
                visit.is_reported = True  # it has just entered: it cannot leave before
                self._visits[occurrence.key] = self._visits.pop(occurrence.key)  # now it is the newest
                published += _begin_late(visit, occurrence.sighting)
            if visit.is_reported:
                published.append(_note_entry(visit, happened))
            if occurrence.event_type == "left":
                del self._visits[occurrence.key]
                _add_point(visit, occurrence.sighting)  # `see` does not get every frame
                if visit.is_reported:
                    ended.append(EndedVisit(visit, occurrence.sighting, occurrence.dwell_s or 0.0))
        return published, ended

    def _note(self, visit: Visit, occurrence: Occurrence) -> None:
        match occurrence:
            case Occurrence(event_type="zone_left", zone=str(zone), dwell_s=float(dwell_s)):
                visit.zones[zone] = visit.zones.get(zone, 0.0) + dwell_s
            case Occurrence(event_type="line_crossed", line=str(line), direction=direction) if direction:
                if len(visit.crossings) < MAX_CROSSINGS:
                    visit.crossings.append(Crossing(line, direction, occurrence.sighting.moment.timestamp))
            case Occurrence(event_type="recognized", attribute=str(name)):
                visit.attributes[name] = occurrence.sighting.object["attributes"][name]


def _note_entry(visit: Visit, occurrence: Occurrence) -> Occurrence:
    """Return an event with the zones of those before; remember its own, if it is an entry."""
    if occurrence.event_type != "zone_entered" or occurrence.zone is None:
        return occurrence
    before = tuple(visit.entered)
    if occurrence.zone not in before:
        visit.entered.append(occurrence.zone)
    return occurrence._replace(zones_before=before)


def _begin_late(visit: Visit, sighting: Sighting) -> list[Occurrence]:
    """Return the first events of a visit that is reported from now on: also what has been recognized before."""
    begun = Occurrence("appeared", visit.key, sighting, visit_id=visit.visit_id)
    known = Sighting(sighting.moment, {**sighting.object, "attributes": visit.attributes})
    more = [
        begun._replace(event_type="recognized", sighting=known, attribute=attribute) for attribute in visit.attributes
    ]
    stopped = [begun._replace(event_type="stopped")] if sighting.object.get("stationary") else []
    return [begun, *stopped, *more]


def _add_point(visit: Visit, sighting: Sighting) -> None:
    x1, _, x2, y2 = sighting.object["bbox_norm"]
    visit.path.add(sighting.moment.source_s - visit.began_s, (x1 + x2) / 2, y2)
