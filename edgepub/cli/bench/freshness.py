"""The age of a result when a subscriber receives it, measured from when the camera sent its frame."""

import json
import time
from dataclasses import dataclass
from pathlib import Path

from rich.console import Group

from edgepub.cli.bench import echo
from edgepub.cli.bench.live_camera import LiveCamera
from edgepub.cli.bench.starved import starved
from edgepub.cli.bench.tables import quantile, table
from edgepub.cli.bench.watching import edgepub_run, run_watched

_FRAMES = 8000  # more than one measurement sends, so that each frame is identifiable
_WARM_UP_S = 8.0  # until FFmpeg has delivered what it buffered while probing the stream
_FPS = 60.0


@dataclass(frozen=True, slots=True)
class Case:
    """A camera and a model."""

    fps: float
    """The camera's frame rate."""
    inference_ms: int
    """The time that the model takes per frame."""
    seconds: float
    """The duration of the measurement."""


@dataclass(frozen=True, slots=True)
class Ages:
    """The ages of the results."""

    p50_ms: float
    p99_ms: float
    last_ms: float
    """The age of the last result. If it is growing, it does not stop growing."""
    fps: float
    """Results per second."""


CASES = (Case(2, 5, 30), Case(60, 5, 30), Case(60, 100, 60))


def make_inputs(directory: Path) -> Path:
    """Write the video and the models. Return the path of the video."""
    video = directory / "named.avi"
    box = {"bbox": [1, 2, 30, 40], "label": "person", "score": 0.9}
    echo.make_video(video, ([{**box, "category_id": n}] for n in range(_FRAMES)), _FPS)
    for inference_ms in {case.inference_ms for case in CASES}:
        echo.make_model(directory / "zoo", f"echo{inference_ms}", SimulateTime_ms=inference_ms)
    return video


def measure_daemon(case: Case, video: Path, port: int, directory: Path) -> Ages:
    """Measure `edgepub run`."""
    with LiveCamera(video, case.fps) as camera:
        model = f"echo{case.inference_ms}"
        command = edgepub_run(directory, port, directory / "zoo", model, {"camera": {"source": camera.url}})
        return _measure(command, camera, port, "edgepub/bench/camera/detections", directory, case.seconds)


def measure_bare_loop(case: Case, video: Path, port: int, directory: Path) -> Ages:
    """Measure DeGirum's streaming loop."""
    with LiveCamera(video, case.fps) as camera:
        arguments = [str(directory / "zoo"), f"echo{case.inference_ms}", camera.url, str(port), "bench/bare"]
        command = ["-m", "edgepub.cli.bench.bare_loop", *arguments]
        return _measure(command, camera, port, "bench/bare", directory, case.seconds)


def _measure(command: list[str], camera: LiveCamera, port: int, topic: str, directory: Path, seconds: float) -> Ages:
    ages_ms: list[float] = []

    def take(_topic: str, payload: bytes) -> None:
        now_s = time.monotonic()
        (detection,) = json.loads(payload)["detections"]
        ages_ms.append(1000 * (now_s - camera.sent_s[detection["category_id"]]))

    with run_watched(command, port, topic, directory, take) as process:
        process.wait_for_first()
        time.sleep(_WARM_UP_S)
        ages_ms.clear()
        time.sleep(seconds)
        measured_ms = ages_ms.copy()
    return Ages(quantile(measured_ms, 0.5), quantile(measured_ms, 0.99), measured_ms[-1], len(measured_ms) / seconds)


def freshness(port: int, directory: Path) -> Group:
    """Measure the ages of results, and of frames of a starved decoder; return the tables."""
    rows = table(
        "Milliseconds from when a camera sends a frame until a subscriber has its result",
        "camera",
        "the model takes",
        "edgepub: p50",
        "p99",
        "results/s",
        "bare loop: p50",
        "p99",
        "at the end",
        "results/s",
    )
    video = make_inputs(directory)
    for case in CASES:
        edgepub, bare = measure_daemon(case, video, port, directory), measure_bare_loop(case, video, port, directory)
        rows.add_row(
            f"{case.fps:g} fps",
            f"{case.inference_ms} ms",
            f"{edgepub.p50_ms:.0f}",
            f"{edgepub.p99_ms:.0f}",
            f"{edgepub.fps:.1f}",
            f"{bare.p50_ms:.0f}",
            f"{bare.p99_ms:.0f}",
            f"{bare.last_ms:.0f}",
            f"{bare.fps:.1f}",
        )
    return Group(rows, starved())
