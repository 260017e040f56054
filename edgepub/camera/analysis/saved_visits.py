"""Visits that are not over, in a form that survives a restart. Pure.

Moments are in Unix seconds. Durations end with the last frame that shows the object. The clock of the source is not
used, because it starts again with the next run.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Annotated, Any, Literal, NamedTuple, NotRequired

from pydantic import Field
from typing_extensions import TypedDict

from edgepub.camera.analysis.paths import Path
from edgepub.camera.analysis.presence import Moment, Sighting, Stay
from edgepub.camera.analysis.quality import quality
from edgepub.camera.analysis.rules import Occurrence, find_left, find_zone_occurrences
from edgepub.camera.analysis.spot import Spot
from edgepub.camera.analysis.visits import Crossing, EndedVisit, Visit, Visits

_Finite = Annotated[float, Field(ge=-1e9, le=1e9, allow_inf_nan=False)]
_Unix = Annotated[float, Field(ge=0, le=2.0**33, allow_inf_nan=False)]
_Seconds = Annotated[float, Field(ge=0, le=2.0**33, allow_inf_nan=False)]
_Box = tuple[_Finite, _Finite, _Finite, _Finite]


class SavedSighting(TypedDict):
    """An object in a frame."""

    frame: Annotated[int, Field(ge=1)]
    timestamp: _Unix
    width: Annotated[int, Field(ge=1)]
    height: Annotated[int, Field(ge=1)]
    score: _Finite
    bbox: _Box
    bbox_norm: _Box


class SavedZone(TypedDict):
    """An object's stay in a zone."""

    stay_s: _Seconds
    is_loitering: bool


class SavedVisit(TypedDict):
    """A visit that is not over."""

    visit_id: str
    label: Annotated[str, Field(min_length=1)]
    is_reported: bool
    first: SavedSighting
    last: SavedSighting
    best: SavedSighting
    stay_s: _Seconds
    """From the first to the last frame with it."""
    home: _Box | None
    """Where it is stationary; None: it is not."""
    stood_s: _Seconds
    """How long it has been there."""
    missed_s: _Seconds
    """For how long it has not been found."""
    has_moved: bool
    stationary_s: _Seconds
    """How long it was stationary before."""
    zones: dict[str, SavedZone]
    """The zones in which it is."""
    dwells: dict[str, _Seconds]
    """How long it was in others."""
    entered: NotRequired[list[str]]
    """The zones that its events say it has entered."""
    crossings: list[tuple[str, Literal["left", "right"], _Unix]]
    attributes: dict[str, dict[str, str | float | bool]]
    path: list[tuple[_Seconds, _Finite, _Finite]]
    has_cutout: NotRequired[bool]
    """Whether `best` is where its newest cut-out was made."""
    is_newest: NotRequired[bool]
    """Whether no later visit of its label has a cut-out."""


class RestoredVisit(NamedTuple):
    """A visit of an earlier run."""

    visit: Visit
    stay: Stay
    spot: Spot | None
    """Where it is stationary; None: it is not."""
    zones: Mapping[str, tuple[Stay, bool]]
    """The zones in which it was: its stay there, and whether it loiters."""


def save_visit(visit: Visit, stay: Stay, spot: Spot | None, zones: Mapping[str, tuple[Stay, bool]]) -> SavedVisit:
    """Return a visit in a form that can be written as JSON.

    Args:
        visit: the visit.
        stay: its object's presence in front of the camera.
        spot: where the object is stationary; None: it is not.
        zones: the zones in which it is: its stay there, and whether it loiters.

    """
    return SavedVisit(
        visit_id=visit.visit_id,
        label=visit.key[0],
        is_reported=visit.is_reported,
        first=_save_sighting(stay.first),
        last=_save_sighting(stay.last),
        best=_save_sighting(visit.shown),
        stay_s=stay.seconds,
        home=_box(spot.home) if spot else None,
        stood_s=spot.stood_s if spot else 0.0,
        missed_s=spot.missed_s if spot else 0.0,
        has_moved=spot.has_moved if spot else True,
        stationary_s=visit.stationary_s,
        zones={
            name: SavedZone(stay_s=inside.seconds, is_loitering=loiters) for name, (inside, loiters) in zones.items()
        },
        dwells=dict(visit.zones),
        entered=visit.entered,
        crossings=[(line, direction, timestamp) for line, direction, timestamp in visit.crossings],
        attributes=visit.attributes,
        path=visit.path.kept,
        has_cutout=visit.cutout is not None,
        is_newest=visit.is_newest,
    )


def restore_visit(saved: SavedVisit, track: int, last_s: float) -> RestoredVisit:
    """Return a saved visit with a new track.

    Args:
        saved: the visit.
        track: its object's track in this run.
        last_s: when its object was found last, on the clock of this run.

    """
    label = saved["label"]
    last = _restore_sighting(saved["last"], label, track, last_s)
    first = _restore_sighting(saved["first"], label, track, last_s - saved["stay_s"])
    best = _restore_sighting(saved["best"], label, track, last_s)
    path = Path()
    for point in saved["path"]:
        path.add(*point)
    visit = Visit(
        saved["visit_id"],
        (label, track),
        first.moment.timestamp,
        first.moment.source_s,
        best,
        quality(best.object),
        saved["is_reported"],
        path,
        dict(saved["dwells"]),
        list(saved.get("entered", {**saved["dwells"], **saved["zones"]})),
        [Crossing(*crossing) for crossing in saved["crossings"]],
        dict(saved["attributes"]),
        saved["stationary_s"],
        best if saved.get("has_cutout") else None,
        saved.get("is_newest", True),
    )
    spot = None
    if saved["home"] is not None:
        since_s = last_s - saved["stood_s"]
        spot = Spot.at(label, saved["home"], last_s)
        spot.since_s, spot.is_stationary = since_s, True
        spot.missed_s, spot.has_moved = saved["missed_s"], saved["has_moved"]
    zones = {name: (_restore_stay(last, zone["stay_s"]), zone["is_loitering"]) for name, zone in saved["zones"].items()}
    return RestoredVisit(visit, Stay(first, last, present=True), spot, zones)


def end_visits(saved: Iterable[SavedVisit], numbers: Iterator[int]) -> tuple[list[Occurrence], list[EndedVisit]]:
    """Return the last events of visits that do not go on, and the visits.

    Args:
        saved: the visits.
        numbers: gives unused tracks.

    """
    visits = Visits(None, lambda: "")
    occurrences: list[Occurrence] = []
    for content in saved:
        visit, stay, spot, zones = restore_visit(content, next(numbers), 0.0)
        visits.restore(visit)
        if spot:
            visits.add_stationary(visit.key, spot.since_s, spot.seen_s)
        for name, (inside, _) in zones.items():
            occurrences += find_zone_occurrences(name, ([], [(visit.key, inside)]), {})
        occurrences += find_left([(visit.key, stay)])
    return visits.add(occurrences)


def _save_sighting(sighting: Sighting) -> SavedSighting:
    moment, detection = sighting
    return SavedSighting(
        frame=moment.frame,
        timestamp=moment.timestamp,
        width=moment.width,
        height=moment.height,
        score=detection["score"],
        bbox=_box(detection["bbox"]),
        bbox_norm=_box(detection["bbox_norm"]),
    )


def _restore_sighting(saved: SavedSighting, label: str, track: int, at_s: float) -> Sighting:
    moment = Moment(saved["frame"], saved["timestamp"], at_s, saved["width"], saved["height"])
    detection: dict[str, Any] = {key: saved[key] for key in ("score", "bbox", "bbox_norm")}
    return Sighting(moment, {"label": label, "track_id": track, **detection})


def _restore_stay(last: Sighting, seconds: float) -> Stay:
    first = Sighting(last.moment._replace(source_s=last.moment.source_s - seconds), last.object)
    return Stay(first, last, present=True)


def _box(box: Any) -> _Box:  # noqa: ANN401  (a sequence of four numbers)
    x1, y1, x2, y2 = box
    return x1, y1, x2, y2
