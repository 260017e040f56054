"""Builds payloads from a model's results and from the events of its objects."""

from collections.abc import Iterable, Mapping
from math import isfinite
from typing import Any

from edgepub.camera.analysis.rules import Occurrence
from edgepub.camera.frames import Result
from edgepub.core.errors import InvalidResultError
from edgepub.core.uuid7 import uuid7
from edgepub.mqtt.payloads import detections, event
from edgepub.mqtt.payloads.schema import validate


class DetectionsBuilder:
    """Makes the payloads of one camera from its model's results.

    Args:
        identity: the `node`, the `camera` and the `boot_id`.
        labels: the labels to keep; None: all.
        min_score: the lowest score to keep.

    """

    def __init__(self, identity: Mapping[str, str], labels: Iterable[str] | None, min_score: float) -> None:
        self._identity = {"schema": detections.SCHEMA, **identity}
        self._labels = None if labels is None else frozenset(labels)
        self._min_score = min_score

    def set_min_score(self, min_score: float) -> None:
        """Keep detections with at least this score from now on. Callable from any thread."""
        self._min_score = min_score

    def objects(self, result: Result) -> list[dict[str, Any]]:
        """Return the detections of a result in the payload's form, without other labels and lower scores.

        Raises:
            InvalidResultError: it is not a result of detections.

        """
        height, width = result.frame.image.shape[:2]
        labels, min_score = self._labels, self._min_score
        kept = [_convert_detection(raw, width, height) for raw in _flatten(result.objects)]
        return [d for d in kept if d["score"] >= min_score and (labels is None or d["label"] in labels)]

    def build(self, result: Result, objects: list[dict[str, Any]], seq: int) -> detections.Detections:
        """Build the validated payload of a result and its `objects`.

        `capture_to_publish` and `dropped` are 0 until the payload is encoded.

        Raises:
            InvalidResultError: a value does not fit into JSON or the schema.

        """
        height, width = result.frame.image.shape[:2]
        return validate(
            detections.VALIDATOR,
            {
                "timestamp": result.frame.timestamp,
                "detections": objects,
                **self._identity,
                "seq": seq,
                "frame": result.frame.number,
                "width": width,
                "height": height,
                "timing_ms": {**result.timing_ms, "capture_to_publish": 0.0},
                "dropped": 0,
            },
        )


def build_event(occurrence: Occurrence, snapshot: int | None, identity: Mapping[str, str]) -> event.Event:
    """Build the validated payload of a new event; its `seq` is 1 until it is encoded.

    Args:
        occurrence: what happened.
        snapshot: the frame number of the newest snapshot of the object, if there is one.
        identity: the `node`, the `camera` and the `boot_id`.

    Raises:
        InvalidResultError: a value does not fit into JSON or the schema.

    """
    moment, detection = occurrence.sighting
    optional = {
        "zone": occurrence.zone,
        "line": occurrence.line,
        "direction": occurrence.direction,
        "dwell_s": None if occurrence.dwell_s is None else round(occurrence.dwell_s, 3),
        "snapshot": snapshot,
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
            **{key: value for key, value in optional.items() if value is not None},
            "score": detection["score"],
            "bbox": detection["bbox"],
            "bbox_norm": detection["bbox_norm"],
            "frame": moment.frame,
            "width": moment.width,
            "height": moment.height,
            "schema": event.SCHEMA,
            **identity,
        },
    )


def _flatten(objects: object) -> list[dict[str, Any]]:
    """Return the objects of a result; in a multi-label classification they are one level down."""
    if not isinstance(objects, list | tuple):
        raise InvalidResultError(f"a result of detections is a list, this one is of type {type(objects).__name__}")
    flat = []
    for raw in objects:
        if not isinstance(raw, dict):
            raise InvalidResultError(f"a detection is a dictionary, this one is of type {type(raw).__name__}")
        if "results" in raw and "label" not in raw:
            flat += _flatten(raw["results"])
        else:
            flat.append(raw)
    return flat


def _convert_detection(raw: dict[str, Any], width: int, height: int) -> dict[str, Any]:
    """Return one object in the payload's form, its box clipped to the frame."""
    try:
        score = float(raw["score"])
        x1, y1, x2, y2 = map(float, raw["bbox"]) if "bbox" in raw else (0.0, 0.0, width, height)
    except KeyError:
        raise InvalidResultError("a detection without a score") from None
    except (OverflowError, TypeError, ValueError) as error:
        raise InvalidResultError(f"a detection with a score or bbox that is no number: {error}") from None
    if not isfinite(score + x1 + y1 + x2 + y2):
        raise InvalidResultError("a detection with a score or bbox that is not finite")
    label, category = _find_label(raw)
    # Some models give the corners in another order, or outside the frame.
    if x1 > x2:
        x1, x2 = x2, x1
    if y1 > y2:
        y1, y2 = y2, y1
    x1, x2 = min(max(x1, 0.0), width), min(max(x2, 0.0), width)
    y1, y2 = min(max(y1, 0.0), height), min(max(y2, 0.0), height)
    # Rounded to 1/100 of a pixel and 1/100,000 of the frame. `round` with digits costs three times as much.
    detection = {
        "label": str(label),
        "score": round(score, 4),
        "bbox": (
            int(100 * x1 + 0.5) / 100,
            int(100 * y1 + 0.5) / 100,
            int(100 * x2 + 0.5) / 100,
            int(100 * y2 + 0.5) / 100,
        ),
        "bbox_norm": (
            int(1e5 * x1 / width + 0.5) / 1e5,
            int(1e5 * y1 / height + 0.5) / 1e5,
            int(1e5 * x2 / width + 0.5) / 1e5,
            int(1e5 * y2 / height + 0.5) / 1e5,
        ),
    }
    if category is not None:
        detection["category_id"] = category
    landmarks = raw.get("landmarks")
    if landmarks is not None:
        if not isinstance(landmarks, list | tuple):
            raise InvalidResultError(f"landmarks are a list, these are of type {type(landmarks).__name__}")
        detection["landmarks"] = [_convert_landmark(mark) for mark in landmarks]
    return detection


def _find_label(raw: Mapping[str, Any]) -> tuple[object, object]:
    """Return an object's label and its category, if any; without a label the category takes its place."""
    category = raw.get("category_id")
    label = raw.get("label")
    if label is None or label == "":
        label = category
    if label is None:
        raise InvalidResultError("a detection with neither label nor category_id")
    return label, category


def _convert_landmark(mark: Mapping[str, Any]) -> dict[str, Any]:
    try:
        x, y = map(float, mark["landmark"][:2])
        landmark: dict[str, Any] = {
            "label": str(mark.get("label", mark.get("category_id", ""))),
            "landmark": (round(x, 2), round(y, 2)),
        }
        if mark.get("score") is not None:
            landmark["score"] = round(float(mark["score"]), 4)
    except (AttributeError, KeyError, OverflowError, TypeError, ValueError):
        raise InvalidResultError("a landmark that is not a dictionary with its point") from None
    return landmark
