"""The detections payload, schema ``edgepub.detections/1``, and how a result becomes one.

The payload is a validated dictionary, not a model instance: pydantic checks it against the same types that the JSON
Schema is printed from, and orjson writes it without another copy (``edgepub bench`` shows the cost).
"""

from collections.abc import Iterable, Mapping
from math import isfinite
from typing import Annotated, Any, Literal, NotRequired

import orjson
from pydantic import ConfigDict, Field, TypeAdapter, ValidationError, with_config
from typing_extensions import TypedDict

from edgepub.errors import InvalidResultError
from edgepub.frames import Result

SCHEMA = "edgepub.detections/1"

Number = Annotated[float, Field(allow_inf_nan=False)]
Count = Annotated[int, Field(ge=0)]
Corners = tuple[Number, Number, Number, Number]
Fraction = Annotated[float, Field(ge=0, le=1)]
NormCorners = tuple[Fraction, Fraction, Fraction, Fraction]


class Landmark(TypedDict):
    """A point of an object, like an eye or a joint."""

    label: Annotated[str, Field(description="which point it is")]
    landmark: Annotated[tuple[Number, Number], Field(description="[x, y] in pixels of the frame")]
    score: NotRequired[Number]


class Detection(TypedDict):
    """One object in one result."""

    label: Annotated[str, Field(min_length=1, description="the object's class, in words")]
    score: Annotated[float, Field(allow_inf_nan=False, description="how sure the model is, usually 0 to 1")]
    bbox: Annotated[Corners, Field(description="[x1, y1, x2, y2] in pixels of the frame, clamped to it")]
    bbox_norm: Annotated[NormCorners, Field(description="the same as fractions of the frame, 0 to 1")]
    category_id: NotRequired[
        Annotated[
            int, Field(ge=-(2**31), lt=2**31, description="the object's class, as a number, if the model has one")
        ]
    ]
    track_id: NotRequired[
        Annotated[int, Field(ge=1, description="the same for one object from frame to frame; from its second frame on")]
    ]
    zones: NotRequired[
        Annotated[list[str], Field(description="the names of the zones that the object is in, where there are any")]
    ]
    landmarks: NotRequired[
        Annotated[list[Landmark], Field(description="points of the object, where the model finds them")]
    ]


class Timing(TypedDict):
    """How long the steps took, in milliseconds; the first three where the runtime reports them."""

    preprocess: NotRequired[Number]
    inference: NotRequired[Number]
    postprocess: NotRequired[Number]
    capture_to_publish: Annotated[
        float, Field(allow_inf_nan=False, description="from the capture to the sending, queues included")
    ]


@with_config(ConfigDict(title=SCHEMA))
class Detections(TypedDict):
    """What was seen in one frame."""

    timestamp: Annotated[float, Field(allow_inf_nan=False, description="when the frame was captured, Unix seconds")]
    detections: list[Detection]
    schema: Annotated[Literal["edgepub.detections/1"], Field(description="the name and version of this form")]
    node: str
    camera: str
    boot_id: Annotated[str, Field(description="changes at every start of the daemon")]
    seq: Annotated[
        int, Field(ge=1, description="counts this camera's detections messages since boot, from 1: a hole is a drop")
    ]
    frame: Annotated[int, Field(ge=1, description="the frame's number from its source, from 1")]
    width: Annotated[int, Field(ge=1, description="of the frame, in pixels")]
    height: Annotated[int, Field(ge=1, description="of the frame, in pixels")]
    timing_ms: Timing
    dropped: Annotated[int, Field(ge=0, description="messages of this camera dropped since boot")]


_VALIDATOR = TypeAdapter(Detections)


def json_schema() -> dict[str, Any]:
    """Return the payload's JSON Schema (draft 2020-12)."""
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **_VALIDATOR.json_schema()}


class DetectionsBuilder:
    """Makes the payloads of one camera from its model's results.

    Args:
        whose: the `node`, the `camera` and the `boot_id`.
        labels: the labels to keep, or None for all.
        min_score: the least score to keep.

    """

    def __init__(self, whose: Mapping[str, str], labels: Iterable[str] | None, min_score: float) -> None:
        self._whose = {"schema": SCHEMA, **whose}
        self._labels = None if labels is None else frozenset(labels)
        self._min_score = min_score

    def keep_from(self, min_score: float) -> None:
        """Keep what has this score at least, from now on; from any thread."""
        self._min_score = min_score

    def objects(self, result: Result) -> list[dict[str, Any]]:
        """Return the detections of a result in the payload's form, those of other labels and lower scores left out.

        Raises:
            InvalidResultError: the result is not one of detections.

        """
        height, width = result.frame.image.shape[:2]
        labels, min_score = self._labels, self._min_score
        detections = [_detection(each, width, height) for each in _flat(result.objects)]
        return [d for d in detections if d["score"] >= min_score and (labels is None or d["label"] in labels)]

    def build(self, result: Result, objects: list[dict[str, Any]], seq: int) -> Detections:
        """Return the validated payload of a result and its `objects`.

        `capture_to_publish` and `dropped` are 0 until the payload is encoded.

        Raises:
            InvalidResultError: something is in it that JSON or the schema cannot hold.

        """
        height, width = result.frame.image.shape[:2]
        try:
            return _VALIDATOR.validate_python(
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
        except ValidationError as error:
            raise InvalidResultError(first_mistake(error)) from None


def encode(payload: Detections, age_ms: float, dropped: int) -> bytes:
    """Return the payload as JSON, stamped with what is only known at the moment of sending.

    Args:
        payload: from `DetectionsBuilder.build`.
        age_ms: how long ago the frame was captured, in milliseconds.
        dropped: messages of this camera dropped since boot.

    """
    payload["timing_ms"]["capture_to_publish"] = round(age_ms, 3)
    payload["dropped"] = dropped
    return orjson.dumps(payload)


def first_mistake(error: ValidationError) -> str:
    """Return where the first mistake in a payload is, and what it is."""
    first = error.errors(include_url=False, include_input=False)[0]
    return f"{'.'.join(map(str, first['loc']))}: {first['msg']}"


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
