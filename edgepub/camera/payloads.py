"""A model's results and what happened to its objects, as payloads."""

import sys
from collections.abc import Iterable, Mapping
from math import isfinite
from typing import Any

from edgepub.camera.analysis.rules import Occurrence
from edgepub.camera.frames import Result
from edgepub.core.errors import InvalidResultError
from edgepub.mqtt.payloads import detections, event

if sys.version_info >= (3, 14):
    from uuid import uuid7
else:
    from uuid_utils.compat import uuid7


class DetectionsBuilder:
    """Makes the payloads of one camera from its model's results.

    Args:
        whose: the `node`, the `camera` and the `boot_id`.
        labels: the labels to keep, or None for all.
        min_score: the least score to keep.

    """

    def __init__(self, whose: Mapping[str, str], labels: Iterable[str] | None, min_score: float) -> None:
        self._whose = {"schema": detections.SCHEMA, **whose}
        self._labels = None if labels is None else frozenset(labels)
        self._min_score = min_score

    def set_min_score(self, min_score: float) -> None:
        """Keep what has this score at least, from now on; from any thread."""
        self._min_score = min_score

    def objects(self, result: Result) -> list[dict[str, Any]]:
        """Return the detections of a result in the payload's form, those of other labels and lower scores left out.

        Raises:
            InvalidResultError: the result is not one of detections.

        """
        height, width = result.frame.image.shape[:2]
        labels, min_score = self._labels, self._min_score
        kept = [_detection(each, width, height) for each in _flat(result.objects)]
        return [d for d in kept if d["score"] >= min_score and (labels is None or d["label"] in labels)]

    def build(self, result: Result, objects: list[dict[str, Any]], seq: int) -> detections.Detections:
        """Return the validated payload of a result and its `objects`.

        `capture_to_publish` and `dropped` are 0 until the payload is encoded.

        Raises:
            InvalidResultError: something is in it that JSON or the schema cannot hold.

        """
        height, width = result.frame.image.shape[:2]
        return detections.validate(
            {
                "timestamp": result.frame.timestamp,
                "detections": objects,
                **self._whose,
                "seq": seq,
                "frame": result.frame.number,
                "width": width,
                "height": height,
                "timing_ms": {**result.timing_ms, "capture_to_publish": 0.0},
                "dropped": 0,
            }
        )


def build_event(occurrence: Occurrence, snapshot: int | None, whose: Mapping[str, str]) -> event.Event:
    """Return the validated payload of a new event; its `seq` is 1 until it is encoded.

    Args:
        occurrence: what happened.
        snapshot: the number of the frame in the newest snapshot of the object, if there is one.
        whose: the `node`, the `camera` and the `boot_id`.

    Raises:
        InvalidResultError: something is in it that JSON or the schema cannot hold.

    """
    moment, its = occurrence.sighting
    happened = {
        "zone": occurrence.zone,
        "line": occurrence.line,
        "direction": occurrence.direction,
        "dwell_s": None if occurrence.dwell_s is None else round(occurrence.dwell_s, 3),
        "snapshot": snapshot,
    }
    return event.validate(
        {
            "event_type": occurrence.event_type,
            "event_id": str(uuid7()),
            "seq": 1,
            "timestamp": moment.timestamp,
            "label": its["label"],
            "track_id": its["track_id"],
            **{key: value for key, value in happened.items() if value is not None},
            "score": its["score"],
            "bbox": its["bbox"],
            "bbox_norm": its["bbox_norm"],
            "frame": moment.frame,
            "width": moment.width,
            "height": moment.height,
            "schema": event.SCHEMA,
            **whose,
        }
    )


def _flat(objects: object) -> list[dict[str, Any]]:
    """Return the objects of a result; those of a multi-label classification stand one level down."""
    if not isinstance(objects, list | tuple):
        raise InvalidResultError(f"a result of detections is a list, this one is of type {type(objects).__name__}")
    flat = []
    for each in objects:
        if not isinstance(each, dict):
            raise InvalidResultError(f"a detection is a dictionary, this one is of type {type(each).__name__}")
        if "results" in each and "label" not in each:
            flat += _flat(each["results"])
        else:
            flat.append(each)
    return flat


def _detection(each: dict[str, Any], width: int, height: int) -> dict[str, Any]:
    """Return one object in the payload's form, its box in the frame."""
    try:
        score = float(each["score"])
        x1, y1, x2, y2 = map(float, each["bbox"]) if "bbox" in each else (0.0, 0.0, width, height)
    except KeyError:
        raise InvalidResultError("a detection without a score") from None
    except (OverflowError, TypeError, ValueError) as error:
        raise InvalidResultError(f"a detection with a score or bbox that is no number: {error}") from None
    if not isfinite(score + x1 + y1 + x2 + y2):
        raise InvalidResultError("a detection with a score or bbox that is not finite")
    label, category = _named(each)
    # Some models give corners in another order, or beyond the frame.
    if x1 > x2:
        x1, x2 = x2, x1
    if y1 > y2:
        y1, y2 = y2, y1
    x1, x2 = min(max(x1, 0.0), width), min(max(x2, 0.0), width)
    y1, y2 = min(max(y1, 0.0), height), min(max(y2, 0.0), height)
    # Rounded to 1/100 of a pixel and 1/100,000 of the frame; `round` to so many digits costs three times as much.
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
    landmarks = each.get("landmarks")
    if landmarks is not None:
        if not isinstance(landmarks, list | tuple):
            raise InvalidResultError(f"landmarks are a list, these are of type {type(landmarks).__name__}")
        detection["landmarks"] = [_landmark(mark) for mark in landmarks]
    return detection


def _named(each: Mapping[str, Any]) -> tuple[object, object]:
    """Return an object's label, and its category if it has one, which also fills a gap in the list of labels."""
    category = each.get("category_id")
    label = each.get("label")
    if label is None or label == "":
        label = category
    if label is None:
        raise InvalidResultError("a detection with neither label nor category_id")
    return label, category


def _landmark(mark: Mapping[str, Any]) -> dict[str, Any]:
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
