"""The detections payload, schema ``edgepub.detections/1``.

The payload is a validated dictionary, not a model instance. Pydantic checks it against the types that the JSON Schema
is generated from, and orjson encodes it without another copy (``edgepub bench`` measures the cost).
"""

from typing import Annotated, Any, Literal, NotRequired

import orjson
from pydantic import ConfigDict, Field, TypeAdapter, with_config
from typing_extensions import TypedDict

from edgepub.mqtt.payloads.iso_time import IsoTime

SCHEMA = "edgepub.detections/1"

Number = Annotated[float, Field(allow_inf_nan=False)]
Count = Annotated[int, Field(ge=0)]
Corners = tuple[Number, Number, Number, Number]
Fraction = Annotated[float, Field(ge=0, le=1)]
NormCorners = tuple[Fraction, Fraction, Fraction, Fraction]


Position = tuple[Number, Number]


@with_config(ConfigDict(extra="allow"))
class Landmark(TypedDict):
    """A keypoint of an object, such as an eye or a joint."""

    label: Annotated[str, Field(description="name of the point")]
    landmark: Annotated[Position, Field(description="[x, y] in pixels of the frame")]
    score: NotRequired[Number]
    visibility: NotRequired[Annotated[Number, Field(description="how visible the point is, as the model gives it")]]
    z: NotRequired[Annotated[Number, Field(description="depth of a hand's point, as the model gives it")]]
    connect: NotRequired[
        Annotated[list[Count], Field(description="the landmarks that it is connected with: indexes in the list")]
    ]


_Settled = Annotated[
    bool, Field(description="whether the model was asked often enough for this track, so that it stays as it is")
]


class Attribute(TypedDict):
    """What a model says of an object beyond its label, in words."""

    label: Annotated[str, Field(description="the answer, for example a text or a name")]
    score: Annotated[Number, Field(description="confidence of the model in it, usually 0 to 1")]
    settled: NotRequired[_Settled]


class NumericAttribute(TypedDict):
    """What a model says of an object beyond its label, as a number."""

    value: Annotated[Number, Field(description="the value, for example an age; of a track, the median of the answers")]
    settled: NotRequired[_Settled]


def _require_lean_keys(schema: dict[str, Any]) -> None:
    """Say in the JSON Schema which keys an object always has."""
    schema["required"] = ["label", "score", "bbox"]


def _require_all_keys_with_schema(schema: dict[str, Any]) -> None:
    """Say in the JSON Schema that a payload with `schema` has all keys; others have what `publish.fields` names."""
    schema["if"] = {"required": ["schema"]}
    schema["then"] = {
        "required": schema["required"],
        "properties": {"detections": {"items": {"required": ["bbox_norm"]}}},
    }
    schema["required"] = ["timestamp", "detections"]


@with_config(ConfigDict(extra="allow", json_schema_extra=_require_lean_keys))
class Detection(TypedDict):
    """One object in one result. Keys that the camera's `include` names are added as the model gives them."""

    label: Annotated[str, Field(min_length=1, description="class of the object, as text")]
    score: Annotated[float, Field(allow_inf_nan=False, description="confidence of the model, usually 0 to 1")]
    bbox: Annotated[
        Corners, Field(description="bounding box [x1, y1, x2, y2] in pixels of the frame, clamped to the frame")
    ]
    bbox_norm: Annotated[NormCorners, Field(description="the same as fractions of the frame, 0 to 1")]
    category_id: NotRequired[
        Annotated[
            int, Field(ge=-(2**31), lt=2**31, description="class of the object, as a number, if the model has one")
        ]
    ]
    track_id: NotRequired[
        Annotated[int, Field(ge=1, description="identifies one object from frame to frame, from its second frame on")]
    ]
    zones: NotRequired[
        Annotated[list[str], Field(description="names of the zones that contain the object, if the camera has zones")]
    ]
    stationary: NotRequired[
        Annotated[bool, Field(description="true: the object has not moved for `stationary_s`; else absent")]
    ]
    landmarks: NotRequired[
        Annotated[list[Landmark], Field(description="keypoints of the object, if the model finds them")]
    ]
    angle: NotRequired[
        Annotated[Number, Field(description="of a rotated object: how far it is turned clockwise, in radians")]
    ]
    corners: NotRequired[
        Annotated[
            tuple[Position, Position, Position, Position],
            Field(
                description="of a rotated object: its corners in pixels of the frame, clockwise, some perhaps outside; "
                "`bbox` is their extent"
            ),
        ]
    ]
    mask: NotRequired[
        Annotated[
            list[Position],
            Field(max_length=200, description="outline of the object's largest part, a polygon in pixels of the frame"),
        ]
    ]
    share: NotRequired[
        Annotated[Fraction, Field(description="of a semantic segmentation: the part of the frame with this label")]
    ]
    parent: NotRequired[
        Annotated[Count, Field(description="the object in which it was found: its index in `detections`")]
    ]
    attributes: NotRequired[
        Annotated[
            dict[str, Attribute | NumericAttribute],
            Field(description="what is known of the object beyond its label, by name"),
        ]
    ]
    text: NotRequired[Annotated[str, Field(description="what the object reads, if the model reads texts")]]
    classifier: NotRequired[Annotated[str, Field(description="which of a model's classifiers the label is from")]]
    handedness: NotRequired[
        Annotated[Number, Field(description="of a hand: probability that it is a right one, 0 to 1")]
    ]
    embedding: NotRequired[Annotated[list[Number], Field(description="numbers of a raw tensor, such as an embedding")]]


class Timing(TypedDict):
    """Duration of each step, in milliseconds. The first three are present if the runtime reports them."""

    preprocess: NotRequired[Number]
    inference: NotRequired[Number]
    postprocess: NotRequired[Number]
    stages: NotRequired[Annotated[dict[str, Number], Field(description="of a pipeline: what each model took")]]
    capture_to_publish: Annotated[
        float, Field(allow_inf_nan=False, description="from capture to sending, including queues")
    ]


@with_config(ConfigDict(title=SCHEMA, json_schema_extra=_require_all_keys_with_schema))
class Detections(TypedDict):
    """The objects that were detected in one frame."""

    timestamp: Annotated[float, Field(allow_inf_nan=False, description="when the frame was captured, Unix seconds")]
    detections: list[Detection]
    time: NotRequired[Annotated[IsoTime, Field(description="`timestamp` as text: ISO 8601, UTC, with milliseconds")]]
    schema: Annotated[Literal["edgepub.detections/1"], Field(description="name and version of this schema")]
    node: str
    camera: str
    boot_id: Annotated[str, Field(description="changes at every start of the daemon")]
    seq: Annotated[
        int,
        Field(
            ge=1,
            description="number of this camera's detections message, from 1 at each start; a gap is a dropped message",
        ),
    ]
    frame: Annotated[int, Field(ge=1, description="number of the frame from its source, from 1")]
    width: Annotated[int, Field(ge=1, description="size of the frame, in pixels")]
    height: Annotated[int, Field(ge=1, description="size of the frame, in pixels")]
    clock: NotRequired[
        Annotated[
            Literal["rtcp", "arrival", "file"],
            Field(
                description="how `timestamp` is known: `rtcp`: the camera says so; `arrival`: its packet came then; "
                "`file`: it was read from a file then"
            ),
        ]
    ]
    timing_ms: Timing
    dropped: Annotated[int, Field(ge=0, description="dropped messages of this camera since the start")]


VALIDATOR = TypeAdapter(Detections)


def encode(payload: dict[str, Any], age_ms: float, dropped: int) -> bytes:
    """Return the payload as JSON, with the values that are known only at the time of sending.

    Args:
        payload: a validated payload, with all keys or some; it is changed.
        age_ms: time since the frame was captured, in milliseconds.
        dropped: dropped messages of this camera since the start.

    """
    if "timing_ms" in payload:
        payload["timing_ms"]["capture_to_publish"] = round(age_ms, 3)
    if "dropped" in payload:
        payload["dropped"] = dropped
    return orjson.dumps(payload)
