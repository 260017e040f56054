"""How old a result is when a subscriber gets it, from the moment when the camera sent its frame."""

import json
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from rich.table import Table

from edgepub.cli.bench import echo
from edgepub.cli.bench.live_camera import LiveCamera
from edgepub.cli.bench.tables import table
from edgepub.cli.bench.watching import edgepub_run, watched

_FRAMES = 8000  # more than are sent while it lasts, so that each can be told from all others
_WARM_UP_S = 8.0  # until FFmpeg has handed out what it gathered while it watched the stream
_FPS = 60.0


@dataclass(frozen=True, slots=True)
class Case:
    """A camera and a model."""

    fps: float
    """What the camera sends."""
    inference_ms: int
    """What the model takes for a frame."""
    seconds: float
    """How long to watch."""


@dataclass(frozen=True, slots=True)
class Ages:
    """How old the results were, in milliseconds."""

    p50_ms: float
    p99_ms: float
    last_ms: float
    """That of the last one: where it grows, it goes on growing."""
    fps: float
    """Results a second."""


CASES = (Case(2, 5, 30), Case(60, 5, 30), Case(60, 100, 60))


def make(folder: Path) -> Path:
    """Write the video and the models; return the video."""
    video = folder / "named.avi"
    box = {"bbox": [1, 2, 30, 40], "label": "person", "score": 0.9}
    echo.make_video(video, ([{**box, "category_id": n}] for n in range(_FRAMES)), _FPS)
    for inference_ms in {case.inference_ms for case in CASES}:
        echo.make_model(folder / "zoo", f"echo{inference_ms}", SimulateTime_ms=inference_ms)
    return video


def daemon(case: Case, video: Path, port: int, folder: Path) -> Ages:
    """Measure `edgepub run`."""
    with LiveCamera(video, case.fps) as camera:
        model = f"echo{case.inference_ms}"
        command = edgepub_run(folder, port, folder / "zoo", model, {"camera": {"source": camera.url}})
        return _measure(command, camera, port, "edgepub/bench/camera/detections", folder, case.seconds)


def bare_loop(case: Case, video: Path, port: int, folder: Path) -> Ages:
    """Measure DeGirum's streaming loop."""
    with LiveCamera(video, case.fps) as camera:
        arguments = [str(folder / "zoo"), f"echo{case.inference_ms}", camera.url, str(port), "bench/bare"]
        command = ["-m", "edgepub.cli.bench.bare_loop", *arguments]
        return _measure(command, camera, port, "bench/bare", folder, case.seconds)


def _measure(command: list[str], camera: LiveCamera, port: int, topic: str, folder: Path, seconds: float) -> Ages:
    ages_ms: list[float] = []

    def take(_topic: str, payload: bytes) -> None:
        now_s = time.monotonic()
        (named,) = json.loads(payload)["detections"]
        ages_ms.append(1000 * (now_s - camera.sent_s[named["category_id"]]))

    with watched(command, port, topic, folder, take) as process:
        process.wait_for_first()
        time.sleep(_WARM_UP_S)
        ages_ms.clear()
        time.sleep(seconds)
        seen = ages_ms.copy()
    return Ages(_part(seen, 0.5), _part(seen, 0.99), seen[-1], len(seen) / seconds)


def _part(values: Iterable[float], part: float) -> float:
    ordered = sorted(values)
    return ordered[int(part * (len(ordered) - 1) + 0.5)]


def freshness(port: int, folder: Path) -> Table:
    """Return the table of it."""
    rows = table(
        "From the camera's sending of a frame to a subscriber's getting of its result, milliseconds",
        "camera",
        "model",
        "edgepub: p50",
        "p99",
        "results/s",
        "bare loop: p50",
        "p99",
        "at the end",
        "results/s",
    )
    video = make(folder)
    for case in CASES:
        ours, theirs = daemon(case, video, port, folder), bare_loop(case, video, port, folder)
        rows.add_row(
            f"{case.fps:g} fps",
            f"{case.inference_ms} ms",
            f"{ours.p50_ms:.0f}",
            f"{ours.p99_ms:.0f}",
            f"{ours.fps:.1f}",
            f"{theirs.p50_ms:.0f}",
            f"{theirs.p99_ms:.0f}",
            f"{theirs.last_ms:.0f}",
            f"{theirs.fps:.1f}",
        )
    return rows
