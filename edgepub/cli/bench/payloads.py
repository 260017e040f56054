"""From a result to JSON: edgepub's validated payload, and the streaming example's ``json.dumps``."""

import functools
import json
import timeit
from collections.abc import Callable
from typing import Any

import numpy as np
from rich.table import Table

from edgepub.camera.frames import Frame, Result
from edgepub.camera.payloads import DetectionsBuilder
from edgepub.camera.results.objects import Wanted
from edgepub.cli.bench.publishing import make_result
from edgepub.cli.bench.tables import ROUNDS, table
from edgepub.mqtt.payloads.detections import encode


def payloads() -> Table:
    """Measure the time per result, and return the table."""
    rows = table(
        "From a result to JSON, microseconds",
        "objects",
        "edgepub: build and validate",
        "edgepub: orjson",
        "example: json.dumps",
        "ratio",
    )
    builder = DetectionsBuilder({"node": "bench", "camera": "camera", "boot_id": "boot"}, Wanted(min_score=0.5))
    frame = Frame(np.zeros((480, 640, 3), np.uint8), 1, 0.0, 0.0, 0.0)
    for objects in (0, 1, 20):
        results = make_result(objects)
        result = Result(frame, results, {"inference": 1.234}, 0.0, 0.0)
        payload = _build(builder, result)
        build_us = _call_us(functools.partial(_build, builder, result))
        encode_us = _call_us(functools.partial(encode, payload, 1.0, 0))
        dumps_us = _call_us(functools.partial(json.dumps, {"timestamp": 1795296561.6093009, "detections": results}))
        ratio = (build_us + encode_us) / dumps_us
        rows.add_row(str(objects), f"{build_us:.1f}", f"{encode_us:.1f}", f"{dumps_us:.1f}", f"{ratio:.2f}")
    return rows


def _build(builder: DetectionsBuilder, result: Result) -> dict[str, Any]:
    return builder.build(result, builder.read(result).objects, 1)


def _call_us(call: Callable[[], object]) -> float:
    return 1e6 * min(timeit.repeat(call, number=1000, repeat=ROUNDS)) / 1000
