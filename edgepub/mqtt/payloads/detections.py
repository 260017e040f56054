"""The detections payload, schema ``edgepub.detections/1``.

The payload is a validated dictionary, not a model instance: pydantic checks it against the same types that the JSON
Schema is printed from, and orjson writes it without another copy (``edgepub bench`` shows the cost).
"""

from collections.abc import Mapping
from typing import Annotated, Any, Literal, NotRequired

import orjson
from pydantic import ConfigDict, Field, TypeAdapter, ValidationError, with_config
from typing_extensions import TypedDict

from edgepub.core.errors import InvalidResultError

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


def validate(payload: Mapping[str, Any]) -> Detections:
    """Return the payload, validated.

    Raises:
        InvalidResultError: it holds something that JSON or the schema cannot hold.

    """
    try:
        return _VALIDATOR.validate_python(payload)
    except ValidationError as error:
        raise InvalidResultError(first_error(error)) from None


def encode(payload: Detections, age_ms: float, dropped: int) -> bytes:
    """Return the payload as JSON, stamped with what is only known at the moment of sending.

    Args:
        payload: from `validate`.
        age_ms: how long ago the frame was captured, in milliseconds.
        dropped: messages of this camera dropped since boot.

    """
    payload["timing_ms"]["capture_to_publish"] = round(age_ms, 3)
    payload["dropped"] = dropped
    return orjson.dumps(payload)


def first_error(error: ValidationError) -> str:
    """Return where the first mistake in a payload is, and what it is."""
    first = error.errors(include_url=False, include_input=False)[0]
    return f"{'.'.join(map(str, first['loc']))}: {first['msg']}"
