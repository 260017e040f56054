"""Whole processes side by side: the daemon, and the bare loop, on the same video and model, watched from outside."""

import functools
import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

import cv2
from rich.table import Table

from edgepub.cli.bench import echo
from edgepub.cli.bench.tables import in_turn, table
from edgepub.cli.bench.watching import edgepub_run, watched
from edgepub.cli.demo import assets

_WARM_UP_S = 0.5
_WINDOW_S = 2.5
_ECHO_FRAMES = 20_000
_REPEATS = 20


@dataclass(frozen=True, slots=True)
class Case:
    """What both sides work on."""

    name: str
    zoo: Path
    model: str
    video: Path


@dataclass(frozen=True, slots=True)
class Figures:
    """What was seen of one process in one window."""

    fps: float
    """Frames inferred a second."""
    cpu_us: float
    """Processor time for each of them, of the process and of those that it started, in microseconds."""
    published: float
    """The part of them that was published."""


def streaming(port: int, folder: Path) -> Table:
    """Return the table of it."""
    rows = table(
        "Whole processes: edgepub run beside DeGirum's streaming loop (predict_stream, json.dumps, paho)",
        "model",
        "frames/s: edgepub",
        "bare loop",
        "ratio",
        "CPU us/frame: edgepub",
        "bare loop",
        "ratio",
        "published",
    )
    for case in _cases(folder):
        pairs = in_turn(functools.partial(daemon, case, port, folder), functools.partial(bare_loop, case, port, folder))
        ours, theirs = zip(*pairs, strict=True)
        rows.add_row(
            case.name,
            f"{median(f.fps for f in ours):.0f}",
            f"{median(f.fps for f in theirs):.0f}",
            f"{median(a.fps / b.fps for a, b in pairs):.2f}",
            f"{median(f.cpu_us for f in ours):.0f}",
            f"{median(f.cpu_us for f in theirs):.0f}",
            f"{median(a.cpu_us / b.cpu_us for a, b in pairs):.2f}",
            f"{median(f.published for f in ours):.0%}",
        )
    return rows


def _cases(folder: Path) -> list[Case]:
    detections = folder / "detections.avi"
    boxes = (
        [{"bbox": [1, 2, 30 + n % 10, 40], "label": "person", "score": 0.9, "category_id": 0}]
        for n in range(_ECHO_FRAMES)
    )
    echo.make_video(detections, boxes)
    echo.make_model(folder / "zoo")
    return [*real_cases(folder), Case("echo (no model: PySDK and ours alone)", folder / "zoo", "echo", detections)]


def real_cases(folder: Path) -> list[Case]:
    """Return those with a real model and a real video."""
    things = assets.fetch()
    faces = folder / "faces.avi"
    _repeat(things.video, faces)
    return [
        Case("BlazeFace 128x128 (TFLITE/CPU)", things.zoo, "blazeface", faces),
        Case("BlazeFace full range 192x192 (TFLITE/CPU)", things.zoo, "blazeface_full_range", faces),
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


def bare_loop(case: Case, port: int, folder: Path) -> Figures:
    """Measure DeGirum's streaming loop."""
    topic = "bench/bare"
    command = ["-m", "edgepub.cli.bench.bare_loop", str(case.zoo), case.model, str(case.video), str(port), topic]
    return _measure(command, port, topic, folder, None)


def daemon(case: Case, port: int, folder: Path, **camera: Any) -> Figures:  # noqa: ANN401  (YAML)
    """Measure `edgepub run`, with these settings of its camera."""
    cameras = {"camera": {"source": str(case.video), "loop": True, **camera}}
    command = edgepub_run(folder, port, case.zoo, case.model, cameras)
    return _measure(command, port, "edgepub/bench/camera/detections", folder, lambda payload: int(payload["frame"]))


def _measure(command: list[str], port: int, topic: str, folder: Path, frame_of: Callable[[Any], int] | None) -> Figures:
    """Run a command, and watch it for a while from its first message on.

    `frame_of` tells the number of frames inferred up to a payload; None: one a message.
    """
    last = b""
    number = 0

    def take(_topic: str, payload: bytes) -> None:
        nonlocal last, number
        number += 1
        last = payload

    with watched(command, port, topic, folder, take) as process:

        def sample() -> tuple[float, float, int, int]:
            frames = number if frame_of is None else frame_of(json.loads(last))
            return time.perf_counter(), process.cpu_s(), frames, number

        process.wait_for_first()
        time.sleep(_WARM_UP_S)
        from_s, from_cpu_s, from_frame, from_number = sample()
        time.sleep(_WINDOW_S)
        to_s, to_cpu_s, to_frame, to_number = sample()
    frames = max(1, to_frame - from_frame)
    return Figures(frames / (to_s - from_s), 1e6 * (to_cpu_s - from_cpu_s) / frames, (to_number - from_number) / frames)
