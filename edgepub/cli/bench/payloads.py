"""From a result to JSON: edgepub's validated payload, the streaming example's ``json.dumps``, and fewer keys."""

import functools
import json
import timeit
from collections.abc import Callable
from typing import Any

import numpy as np
from rich.console import Group
from rich.table import Table

from edgepub.camera.frames import Frame, Result
from edgepub.camera.payloads import DetectionsBuilder
from edgepub.camera.results.objects import Wanted
from edgepub.cli.bench.publishing import make_result
from edgepub.cli.bench.tables import ROUNDS, table
from edgepub.config.detection_fields import Fields
from edgepub.mqtt.messages import STREAM_EXPIRY_S, PayloadFormat
from edgepub.mqtt.payloads.detections import encode
from edgepub.mqtt.protocol import publish_properties
from edgepub.mqtt.topics import Topics

_CAMERAS, _FPS = 4, 5
_CHOICES: tuple[Fields, ...] = (
    "all",
    ["time", "camera", "seq", "detections.track_id", "detections.zones"],
    ["seq", "detections.track_id"],
    "lean",
)
_IDENTITY = {"node": "garage", "camera": "porch", "boot_id": "4a304c38450c4f06a9dfb6fab7cc6145"}
_TIMING_MS = {"preprocess": 0.065, "inference": 10.932, "postprocess": 1.189}
_FRAME = Frame(np.zeros((480, 640, 3), np.uint8), 23_456, 1795365957.113997, 0.0, 0.0)


def payloads() -> Group:
    """Measure the time and the bytes per result, and return the tables."""
    return Group(_times(), _fields())


def _times() -> Table:
    rows = table(
        "From a result to JSON, microseconds",
        "objects",
        "edgepub: build and validate",
        "edgepub: orjson",
        "example: json.dumps",
        "ratio",
    )
    builder = DetectionsBuilder(_IDENTITY, Wanted(min_score=0.5))
    for objects in (0, 1, 20):
        result = _make_result(objects)
        payload = _build(builder, result)
        build_us = _call_us(functools.partial(_build, builder, result))
        encode_us = _call_us(functools.partial(encode, payload, 1.0, 0))
        dumps_us = _call_us(
            functools.partial(json.dumps, {"timestamp": 1795296561.6093009, "detections": result.objects})
        )
        ratio = (build_us + encode_us) / dumps_us
        rows.add_row(str(objects), f"{build_us:.1f}", f"{encode_us:.1f}", f"{dumps_us:.1f}", f"{ratio:.2f}")
    return rows


def _fields() -> Table:
    """Compare what is published with each choice of keys, of objects that are tracked and in a zone."""
    numbers = (1, 5)
    columns = (
        f"{objects} object{'s' if objects > 1 else ''}: {unit}"
        for objects in numbers
        for unit in ("bytes", "MB/h", "us")
    )
    title = (
        f"publish.fields: bytes of a payload; MB per hour of {_CAMERAS} cameras at {_FPS} fps, as MQTT 5 packets; "
        "microseconds to build, validate and encode"
    )
    rows = table(title, "fields", *columns)
    for fields in _CHOICES:
        builder = DetectionsBuilder(_IDENTITY, Wanted(min_score=0.5), fields)
        cells = []
        for number in numbers:
            result = _make_result(number)
            seen = {"track_id": 7, "zones": ["driveway"]}
            objects = [detection | seen for detection in builder.read(result).objects]
            publish = functools.partial(_publish, builder, result, objects)
            payload = publish()
            mb_per_hour = 3600 * _CAMERAS * _FPS * _packet_bytes(payload, builder.payload_format) / 1e6
            cells += [str(len(payload)), f"{mb_per_hour:.1f}", f"{_call_us(publish):.1f}"]
        rows.add_row(fields if isinstance(fields, str) else ", ".join(fields), *cells)
    return rows


def _make_result(objects: int) -> Result:
    return Result(_FRAME, make_result(objects), _TIMING_MS, 0.0, 0.0)


def _build(builder: DetectionsBuilder, result: Result) -> dict[str, Any]:
    return builder.build(result, builder.read(result).objects, 1)


def _publish(builder: DetectionsBuilder, result: Result, objects: list[dict[str, Any]]) -> bytes:
    return encode(builder.build(result, objects, 12_345), 13.893, 0)


def _packet_bytes(payload: bytes, payload_format: PayloadFormat) -> int:
    """Return the size of the PUBLISH packet, with its topic and properties (MQTT 5.0, 3.3)."""
    topic = Topics("edgepub", _IDENTITY["node"]).detections(_IDENTITY["camera"])
    properties = publish_properties(payload_format, STREAM_EXPIRY_S).pack()  # type: ignore[no-untyped-call]
    remaining = 2 + len(topic) + len(properties) + len(payload)
    return 1 + (remaining.bit_length() + 6) // 7 + remaining


def _call_us(call: Callable[[], object]) -> float:
    return 1e6 * min(timeit.repeat(call, number=1000, repeat=ROUNDS)) / 1000
