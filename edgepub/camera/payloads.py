"""Builds payloads from a model's results, and from the events and visits of its objects."""

from collections.abc import Mapping
from typing import Any

from edgepub.camera.analysis.rules import Occurrence
from edgepub.camera.analysis.visits import EndedVisit
from edgepub.camera.frames import Result
from edgepub.camera.results.filters import Filters
from edgepub.camera.results.objects import Objects, Wanted, read_objects
from edgepub.config.detection_fields import Fields
from edgepub.core.errors import InvalidResultError
from edgepub.core.uuid7 import uuid7
from edgepub.mqtt.payloads import detections, event, visit
from edgepub.mqtt.payloads.iso_time import iso_time
from edgepub.mqtt.payloads.schema import validate
from edgepub.mqtt.payloads.selection import make_format, make_validator


class DetectionsBuilder:
    """Makes the payloads of one camera from its model's results. One thread sets what is kept; others read results.

    Args:
        identity: the `node`, the `camera` and the `boot_id`.
        wanted: the objects to keep.
        fields: which keys the payloads have.

    """

    def __init__(self, identity: Mapping[str, str], wanted: Wanted, fields: Fields = "all") -> None:
        self._identity = {"schema": detections.SCHEMA, **identity}
        self._wanted = wanted
        self._validator = make_validator(fields)
        self.payload_format = make_format(fields)
        """What the payloads are, for subscribers that speak MQTT 5."""

    @property
    def wanted(self) -> Wanted:
        """The objects to keep. For any thread."""
        return self._wanted

    def set_min_score(self, min_score: float) -> None:
        """Keep detections with at least this score from now on."""
        self._wanted = self._wanted._replace(min_score=min_score)

    def set_filters(self, filters: Filters | None) -> None:
        """Keep detections by these filters from now on; None: all."""
        self._wanted = self._wanted._replace(filters=filters)

    def read(self, result: Result) -> Objects:
        """Return the best of the wanted objects of a result, in the payload's form; a pipeline has read them already.

        Raises:
            InvalidResultError: it is not a result of detections.

        """
        if isinstance(result.objects, InvalidResultError):
            raise result.objects
        return result.objects if isinstance(result.objects, Objects) else read_objects(result, self._wanted)

    def build(self, result: Result, objects: list[dict[str, Any]], seq: int) -> dict[str, Any]:
        """Build the validated payload of a result and its `objects`, with the keys that are published.

        `capture_to_publish` and `dropped` are 0 until the payload is encoded.

        Raises:
            InvalidResultError: a value does not fit into JSON or the schema.

        """
        width, height = result.frame.size
        stages = {"stages": result.stages_ms} if result.stages_ms else {}
        return validate(
            self._validator,
            {
                "timestamp": result.frame.timestamp,
                "detections": objects,
                "time": iso_time(result.frame.timestamp),
                **self._identity,
                "seq": seq,
                "frame": result.frame.number,
                "width": width,
                "height": height,
                "clock": result.frame.clock,
                "timing_ms": {**result.timing_ms, **stages, "capture_to_publish": 0.0},
                "dropped": 0,
            },
        )


def build_event(
    occurrence: Occurrence, snapshot: int | None, identity: Mapping[str, str], picture: str | None = None
) -> event.Event:
    """Build the validated payload of a new event; its `seq` is 1 until it is encoded.

    Args:
        occurrence: what happened.
        snapshot: the frame number of the newest snapshot of the object, if there is one.
        identity: the `node`, the `camera` and the `boot_id`.
        picture: the topic whose picture shows the object, if there is one.

    Raises:
        InvalidResultError: a value does not fit into JSON or the schema.

    """
    moment, detection = occurrence.sighting
    known = detection["attributes"][occurrence.attribute] if occurrence.attribute else {}
    optional = {
        "zone": occurrence.zone,
        "zones_before": list(occurrence.zones_before) or None,
        "line": occurrence.line,
        "direction": occurrence.direction,
        "attribute": occurrence.attribute,
        "value": known.get("label", known.get("value")),
        "dwell_s": None if occurrence.dwell_s is None else round(occurrence.dwell_s, 3),
        "snapshot": snapshot,
        "picture": picture,
        "visit_id": occurrence.visit_id,
        "stationary": detection.get("stationary"),
    }
    return validate(
        event.VALIDATOR,
        {
            "event_type": occurrence.event_type,
            "event_id": str(uuid7()),
            "seq": 1,
            "timestamp": moment.timestamp,
            "label": detection["label"],
            "track_id": detection["track_id"],
            "time": iso_time(moment.timestamp),
            **{key: value for key, value in optional.items() if value is not None},
            "score": known.get("score", detection["score"]),
            "bbox": detection["bbox"],
            "bbox_norm": detection["bbox_norm"],
            "frame": moment.frame,
            "width": moment.width,
            "height": moment.height,
            "schema": event.SCHEMA,
            **identity,
        },
    )


def build_visit(ended: EndedVisit, identity: Mapping[str, str]) -> visit.Visit:
    """Build the validated payload of a visit that is over; its `seq` is 1 until it is encoded.

    Args:
        ended: the visit.
        identity: the `node`, the `camera` and the `boot_id`.

    Raises:
        InvalidResultError: a value does not fit into JSON or the schema.

    """
    stay, last = ended.visit, ended.last.moment
    moment, best = stay.shown
    attributes = {"attributes": stay.attributes} if stay.attributes else {}
    return validate(
        visit.VALIDATOR,
        {
            "visit_id": stay.visit_id,
            "seq": 1,
            "timestamp": last.timestamp,
            "time": iso_time(last.timestamp),
            "label": stay.key[0],
            "track_id": stay.key[1],
            "began": stay.began,
            "ended": last.timestamp,
            "duration_s": round(ended.duration_s, 3),
            "stationary_s": round(stay.stationary_s, 3),
            "best": {
                "frame": moment.frame,
                "timestamp": moment.timestamp,
                "score": best["score"],
                "bbox": best["bbox"],
                "bbox_norm": best["bbox_norm"],
                "width": moment.width,
                "height": moment.height,
            },
            "zones": {name: round(seconds, 3) for name, seconds in stay.zones.items()},
            "lines": [crossing._asdict() for crossing in stay.crossings],
            "path": [(round(at_s, 2), round(x, 4), round(y, 4)) for at_s, x, y in stay.path.points()],
            **attributes,
            "schema": visit.SCHEMA,
            **identity,
        },
    )
