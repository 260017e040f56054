"""The visit payload, schema ``edgepub.visit/1``: an object's stay in front of a camera, when it is over."""

from typing import Annotated, Literal, NotRequired

import orjson
from pydantic import ConfigDict, Field, TypeAdapter, with_config
from typing_extensions import TypedDict

from edgepub.mqtt.payloads.detections import Attribute, Corners, NormCorners, NumericAttribute
from edgepub.mqtt.payloads.event import UUID7_PATTERN

SCHEMA = "edgepub.visit/1"
_Seconds = Annotated[float, Field(ge=0, allow_inf_nan=False)]
_Unix = Annotated[float, Field(allow_inf_nan=False)]
_Fraction = Annotated[float, Field(ge=0, le=1)]


class Best(TypedDict):
    """Where the object was seen best: its score times its size was the highest."""

    frame: Annotated[int, Field(ge=1, description="number of the frame")]
    timestamp: Annotated[_Unix, Field(description="when the frame was captured, Unix seconds")]
    score: Annotated[float, Field(allow_inf_nan=False, description="confidence of the model")]
    bbox: Annotated[Corners, Field(description="bounding box [x1, y1, x2, y2] in pixels of the frame")]
    bbox_norm: Annotated[NormCorners, Field(description="the same as fractions of the frame, 0 to 1")]
    width: Annotated[int, Field(ge=1, description="size of the frame, in pixels")]
    height: Annotated[int, Field(ge=1, description="size of the frame, in pixels")]


class Crossing(TypedDict):
    """A line that the object crossed."""

    line: str
    direction: Annotated[
        Literal["left", "right"],
        Field(description="the side to which it crossed, looking from the line's `from` to its `to`"),
    ]
    timestamp: Annotated[_Unix, Field(description="when, Unix seconds")]


@with_config(ConfigDict(title=SCHEMA))
class Visit(TypedDict):
    """An object's stay in front of a camera, from `appeared` to `left`."""

    visit_id: Annotated[
        str,
        Field(pattern=UUID7_PATTERN, description="a version 7 UUID (RFC 9562): the same in all events of the visit"),
    ]
    seq: Annotated[
        int,
        Field(
            ge=1,
            description="number of this camera's visit message, from 1, continued after a restart; a gap is a lost one",
        ),
    ]
    timestamp: Annotated[_Unix, Field(description="when the visit ended, Unix seconds: the same as `ended`")]
    time: Annotated[str, Field(description="the same as text (ISO 8601, UTC)")]
    label: Annotated[str, Field(min_length=1, description="class of the object, as text")]
    track_id: Annotated[int, Field(ge=1, description="as in the visit's events")]
    began: Annotated[_Unix, Field(description="when the first frame with the object was captured, Unix seconds")]
    ended: Annotated[_Unix, Field(description="when the last frame with it was captured, Unix seconds")]
    duration_s: Annotated[_Seconds, Field(description="from the first to the last frame with it")]
    stationary_s: Annotated[_Seconds, Field(description="for how long of that it did not move")]
    best: Annotated[Best, Field(description="where it was seen best")]
    zones: Annotated[dict[str, _Seconds], Field(description="how long it was in each zone, in seconds")]
    lines: Annotated[list[Crossing], Field(description="the lines that it crossed, in order; the first 100")]
    path: Annotated[
        list[tuple[_Seconds, _Fraction, _Fraction]],
        Field(
            max_length=50,
            description="where it was: seconds after `began`, and the middle of the lower edge of its box as fractions "
            "of the frame; the points at which it turned, the first and the last",
        ),
    ]
    attributes: NotRequired[
        Annotated[
            dict[str, Attribute | NumericAttribute],
            Field(description="what was settled of the object beyond its label, by name"),
        ]
    ]
    schema: Annotated[Literal["edgepub.visit/1"], Field(description="name and version of this schema")]
    node: str
    camera: str
    boot_id: Annotated[str, Field(description="changes at every start of the daemon; that of the visit's end")]


VALIDATOR = TypeAdapter(Visit)


def encode(visit: Visit, seq: int) -> bytes:
    """Return the payload with its number, as JSON."""
    visit["seq"] = seq
    return orjson.dumps(visit)
