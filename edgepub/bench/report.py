"""The tables of ``edgepub bench``."""

import functools
import json
import platform
import tempfile
import timeit
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import TypeVar

import cv2
import numpy as np
from rich.console import Console
from rich.table import Table

from edgepub.bench import echo, publishing, streaming
from edgepub.bench.brokers import broker
from edgepub.demo import assets
from edgepub.detections import Detections, DetectionsBuilder, encode
from edgepub.frames import Frame, Result
from edgepub.versions import versions

Figure = TypeVar("Figure")

_ROUNDS = 9
_ECHO_FRAMES = 20_000
_REPEATS = 20


def report() -> int:
    """Measure, and print the tables; return the exit code."""
    console = Console(width=None if Console().is_terminal else 120)
    console.print(f"edgepub {versions()['edgepub']}, PySDK {versions()['pysdk']}, Python {platform.python_version()}")
    with tempfile.TemporaryDirectory() as folder, broker() as (name, port):
        console.print(f"Broker: {name}. Each figure is the median of {_ROUNDS} rounds in which the two take turns.\n")
        console.print(_payloads())
        console.print(_publishing(port))
        console.print(_streaming(port, Path(folder)))
    return 0


def _payloads() -> Table:
    table = _table("From a result to JSON, microseconds")
    for column in ("objects", "edgepub: build and validate", "edgepub: orjson", "example: json.dumps", "ratio"):
        table.add_column(column, justify="right")
    builder = DetectionsBuilder("bench", "camera", "boot", None, 0.5)
    frame = Frame(np.zeros((480, 640, 3), np.uint8), 1, 0.0, 0.0)
    for objects in (0, 1, 20):
        results = publishing.a_result(objects)
        result = Result(frame, results, {"inference": 1.234}, 0.0, 0.0)
        payload = builder.build(result, builder.objects(result), 1)
        build_us = _us(functools.partial(_build, builder, result))
        encode_us = _us(functools.partial(encode, payload, 1.0, 0))
        dumps_us = _us(functools.partial(json.dumps, {"timestamp": 1795296561.6093009, "detections": results}))
        ratio = (build_us + encode_us) / dumps_us
        table.add_row(str(objects), f"{build_us:.1f}", f"{encode_us:.1f}", f"{dumps_us:.1f}", f"{ratio:.2f}")
    return table


def _build(builder: DetectionsBuilder, result: Result) -> Detections:
    return builder.build(result, builder.objects(result), 1)


def _in_turn(ours: Callable[[], Figure], theirs: Callable[[], Figure]) -> list[tuple[Figure, Figure]]:
    """Measure two things in turn, each of them first every other time; return the pairs."""
    pairs = []
    for number in range(_ROUNDS):
        if number % 2:
            their_figure = theirs()
            pairs.append((ours(), their_figure))
        else:
            pairs.append((ours(), theirs()))
    return pairs


def _table(title: str) -> Table:
    return Table(title=title, title_justify="left", min_width=len(title))


def _us(call: Callable[[], object]) -> float:
    return 1e6 * min(timeit.repeat(call, number=1000, repeat=_ROUNDS)) / 1000


def _publishing(port: int) -> Table:
    table = _table("From a result to the socket: processor time for each published message, microseconds")
    for column in ("objects", "edgepub", "bare loop", "ratio"):
        table.add_column(column, justify="right")
    for objects in (1, 20):
        pairs = _in_turn(
            functools.partial(publishing.cpu_us, "edgepub", port, objects),
            functools.partial(publishing.cpu_us, "bare", port, objects),
        )
        ours_us, theirs_us = (median(side) for side in zip(*pairs, strict=True))
        ratio = median(ours / theirs for ours, theirs in pairs)
        table.add_row(str(objects), f"{ours_us:.0f}", f"{theirs_us:.0f}", f"{ratio:.2f}")
    return table


def _streaming(port: int, folder: Path) -> Table:
    table = _table("Whole processes: edgepub run beside DeGirum's streaming loop (predict_stream, json.dumps, paho)")
    for column in (
        "model",
        "frames/s: edgepub",
        "bare loop",
        "ratio",
        "CPU us/frame: edgepub",
        "bare loop",
        "ratio",
        "published",
    ):
        table.add_column(column, justify="left" if column == "model" else "right")
    for case in _cases(folder):
        pairs = _in_turn(
            functools.partial(streaming.daemon, case, port, folder),
            functools.partial(streaming.bare_loop, case, port, folder),
        )
        ours, theirs = zip(*pairs, strict=True)
        table.add_row(
            case.name,
            f"{median(f.fps for f in ours):.0f}",
            f"{median(f.fps for f in theirs):.0f}",
            f"{median(a.fps / b.fps for a, b in pairs):.2f}",
            f"{median(f.cpu_us for f in ours):.0f}",
            f"{median(f.cpu_us for f in theirs):.0f}",
            f"{median(a.cpu_us / b.cpu_us for a, b in pairs):.2f}",
            f"{median(f.published for f in ours):.0%}",
        )
    return table


def _cases(folder: Path) -> list[streaming.Case]:
    things = assets.fetch()
    faces = folder / "faces.avi"
    _repeat(things.video, faces)
    detections = folder / "detections.avi"
    boxes = (
        [{"bbox": [1, 2, 30 + n % 10, 40], "label": "person", "score": 0.9, "category_id": 0}]
        for n in range(_ECHO_FRAMES)
    )
    echo.make_video(detections, boxes)
    echo.make_model(folder / "zoo")
    return [
        streaming.Case("BlazeFace 128x128 (TFLITE/CPU)", things.zoo, "blazeface", faces),
        streaming.Case("BlazeFace full range 192x192 (TFLITE/CPU)", things.zoo, "blazeface_full_range", faces),
        streaming.Case("echo (no model: PySDK and ours alone)", folder / "zoo", "echo", detections),
    ]


def _repeat(video: Path, longer: Path) -> None:
    """Write a video many times over into one, so that opening it does not count."""
    capture = cv2.VideoCapture(str(video))
    frames = []
    while (read := capture.read())[0]:
        frames.append(read[1])
    height, width = frames[0].shape[:2]
    writer = cv2.VideoWriter(str(longer), cv2.CAP_FFMPEG, cv2.VideoWriter.fourcc(*"MJPG"), 30.0, (width, height))
    for frame in frames * _REPEATS:
        writer.write(frame)
    writer.release()
