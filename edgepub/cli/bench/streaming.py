"""Whole processes, measured from outside: the daemon and the bare loop with the same video and model."""

import functools
import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any, cast

import cv2
from rich.table import Table

from edgepub.cli.bench import echo
from edgepub.cli.bench.tables import measure_pairs, table
from edgepub.cli.bench.watching import edgepub_run, run_watched
from edgepub.cli.demo import assets

_WARM_UP_S = 0.5
_WINDOW_S = 2.5
_ECHO_FRAMES = 20_000
_REPEATS = 20


@dataclass(frozen=True, slots=True)
class Case:
    """The model and video that both programs use."""

    name: str
    zoo: Path
    model: str
    video: Path


@dataclass(frozen=True, slots=True)
class Figures:
    """The figures of one process in one measurement."""

    fps: float
    """Frames inferred per second."""
    cpu_us: float
    """CPU time per frame, including child processes, in microseconds."""
    published: float
    """The share of the frames that was published."""


def streaming(port: int, directory: Path) -> Table:
    """Measure both programs alternately, and return the table."""
    rows = table(
        "Whole processes: edgepub run and DeGirum's streaming loop (predict_stream, json.dumps, paho)",
        "model",
        "frames/s: edgepub",
        "bare loop",
        "ratio",
        "CPU us per frame: edgepub",
        "bare loop",
        "ratio",
        "published",
    )
    for case in _make_cases(directory):
        pairs = measure_pairs(
            functools.partial(measure_daemon, case, port, directory),
            functools.partial(measure_bare_loop, case, port, directory),
        )
        edgepub, bare = zip(*pairs, strict=True)
        rows.add_row(
            case.name,
            f"{median(f.fps for f in edgepub):.0f}",
            f"{median(f.fps for f in bare):.0f}",
            f"{median(a.fps / b.fps for a, b in pairs):.2f}",
            f"{median(f.cpu_us for f in edgepub):.0f}",
            f"{median(f.cpu_us for f in bare):.0f}",
            f"{median(a.cpu_us / b.cpu_us for a, b in pairs):.2f}",
            f"{median(f.published for f in edgepub):.0%}",
        )
    return rows


def _make_cases(directory: Path) -> list[Case]:
    detections = directory / "detections.avi"
    boxes = (
        [{"bbox": [1, 2, 30 + n % 10, 40], "label": "person", "score": 0.9, "category_id": 0}]
        for n in range(_ECHO_FRAMES)
    )
    echo.make_video(detections, boxes)
    echo.make_model(directory / "zoo")
    return [
        *make_real_cases(directory),
        Case("echo (no model: PySDK and edgepub alone)", directory / "zoo", "echo", detections),
    ]


def make_real_cases(directory: Path) -> list[Case]:
    """Return the cases with a real model and a real video."""
    files = assets.fetch()
    faces = directory / "faces.avi"
    _repeat(files.video, faces)
    return [
        Case("BlazeFace 128x128 (TFLITE/CPU)", files.zoo, "blazeface", faces),
        Case("BlazeFace full range 192x192 (TFLITE/CPU)", files.zoo, "blazeface_full_range", faces),
    ]


def _repeat(video: Path, longer: Path) -> None:
    """Write a video that repeats another one, so that the time to open it does not matter."""
    frames = []
    with video.open("rb") as file:  # FFmpeg may not open files by their paths after a source was opened
        capture = cv2.VideoCapture(cast("cv2.IStreamReader", file), cv2.CAP_FFMPEG, [])
        while (read := capture.read())[0]:
            frames.append(read[1])
        capture.release()
    height, width = frames[0].shape[:2]
    writer = cv2.VideoWriter(str(longer), cv2.CAP_FFMPEG, cv2.VideoWriter.fourcc(*"MJPG"), 30.0, (width, height))
    for frame in frames * _REPEATS:
        writer.write(frame)
    writer.release()


def measure_bare_loop(case: Case, port: int, directory: Path) -> Figures:
    """Measure DeGirum's streaming loop."""
    topic = "bench/bare"
    command = ["-m", "edgepub.cli.bench.bare_loop", str(case.zoo), case.model, str(case.video), str(port), topic]
    return _measure(command, port, topic, directory, None)


def measure_daemon(case: Case, port: int, directory: Path, **camera: Any) -> Figures:  # noqa: ANN401  (YAML)
    """Measure `edgepub run` with these camera settings."""
    cameras = {"camera": {"source": str(case.video), "loop": True, **camera}}
    command = edgepub_run(directory, port, case.zoo, case.model, cameras)
    return _measure(command, port, "edgepub/bench/camera/detections", directory, lambda payload: int(payload["frame"]))


def _measure(
    command: list[str], port: int, topic: str, directory: Path, frame_of: Callable[[Any], int] | None
) -> Figures:
    """Run a command and measure it for a while after its first message.

    `frame_of` returns the number of frames inferred up to a payload; None: one frame per message.
    """
    last = b""
    number = 0

    def take(_topic: str, payload: bytes) -> None:
        nonlocal last, number
        number += 1
        last = payload

    with run_watched(command, port, topic, directory, take) as process:

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
