"""The event payload, schema ``edgepub.event/1``: something that happened once."""

from typing import Annotated, Literal, NotRequired

import orjson
from pydantic import ConfigDict, Field, TypeAdapter, with_config
from typing_extensions import TypedDict

from edgepub.mqtt.payloads.detections import Corners, NormCorners, Number

SCHEMA = "edgepub.event/1"
UUID7_PATTERN = "^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$"
EventType = Literal[
    "appeared",
    "left",
    "zone_entered",
    "zone_left",
    "line_crossed",
    "recognized",
    "loitering",
    "stopped",
    "moved",
]


@with_config(ConfigDict(title=SCHEMA))
class Event(TypedDict):
    """Something that happened once to one object."""

    event_type: Annotated[EventType, Field(description="what happened")]
    event_id: Annotated[
        str,
        Field(
            pattern=UUID7_PATTERN,
            description="a version 7 UUID (RFC 9562), the key for removing duplicates",
        ),
    ]
    seq: Annotated[
        int,
        Field(
            ge=1,
            description="number of this camera's event, from 1, continued after a restart; a gap is a lost event",
        ),
    ]
    timestamp: Annotated[
        float,
        Field(
            allow_inf_nan=False,
            description="when the frame was captured, Unix seconds; for `left` and `zone_left`, and for `moved` if "
            "it was lost on its way, the last frame with the "
            "object there, else the frame that decided the event",
        ),
    ]
    time: NotRequired[Annotated[str, Field(description="the same as text (ISO 8601, UTC)")]]
    label: Annotated[str, Field(min_length=1, description="class of the object, as text")]
    track_id: Annotated[int, Field(ge=1, description="the object: the same in all its events and detections")]
    visit_id: NotRequired[
        Annotated[
            str, Field(pattern=UUID7_PATTERN, description="the object's visit: the same in all events of the visit")
        ]
    ]
    zone: NotRequired[Annotated[str, Field(description="the zone, for `zone_entered`, `zone_left`, `loitering`")]]
    zones_before: NotRequired[
        Annotated[
            list[str],
            Field(min_length=1, description="for `zone_entered`: the zones of those before it in its visit"),
        ]
    ]
    line: NotRequired[Annotated[str, Field(description="the line, for `line_crossed`")]]
    direction: NotRequired[
        Annotated[
            Literal["left", "right"],
            Field(description="the side to which it crossed, looking from the line's `from` to its `to`"),
        ]
    ]
    dwell_s: NotRequired[
        Annotated[
            float,
            Field(
                ge=0,
                allow_inf_nan=False,
                description="for `left`, `zone_left` and `loitering`: how long the object was there, from its first to "
                "its last frame, in seconds of the source's time",
            ),
        ]
    ]
    attribute: NotRequired[Annotated[str, Field(description="what was recognized, for `recognized`: like `text`")]]
    value: NotRequired[
        Annotated[str | Number, Field(description="what it is, for `recognized`: what a plate reads, or an age")]
    ]
    score: Annotated[
        float,
        Field(
            allow_inf_nan=False,
            description="confidence of the model in the object, or, for a text that is `recognized`, in that; "
            "usually 0 to 1",
        ),
    ]
    stationary: NotRequired[
        Annotated[bool, Field(description="true: the object has not moved for `stationary_s`; else absent")]
    ]
    bbox: Annotated[
        Corners, Field(description="bounding box [x1, y1, x2, y2] in pixels of the frame, clamped to the frame")
    ]
    bbox_norm: Annotated[NormCorners, Field(description="the same as fractions of the frame, 0 to 1")]
    frame: Annotated[int, Field(ge=1, description="number of the frame from its source, from 1")]
    width: Annotated[int, Field(ge=1, description="size of the frame, in pixels")]
    height: Annotated[int, Field(ge=1, description="size of the frame, in pixels")]
    snapshot: NotRequired[
        Annotated[int, Field(ge=1, description="frame number of the newest snapshot that shows the object")]
    ]
    picture: NotRequired[Annotated[str, Field(description="topic whose picture is the object's best cut-out so far")]]
    schema: Annotated[Literal["edgepub.event/1"], Field(description="name and version of this schema")]
    node: str
    camera: str
    boot_id: Annotated[str, Field(description="changes at every start of the daemon")]


VALIDATOR = TypeAdapter(Event)


def encode(event: Event, seq: int) -> bytes:
    """Return the payload with its number, as JSON."""
    event["seq"] = seq
    return orjson.dumps(event)
