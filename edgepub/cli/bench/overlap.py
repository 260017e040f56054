"""Several live frames in progress in a runtime: one, the number that edgepub chooses, and PySDK's default.

Measures the age of each result, from when the camera sent its frame. Runs in this process, without a broker.
"""

import threading
import time
from contextlib import closing
from pathlib import Path

from rich.table import Table

from edgepub.camera.inference.loading import load_model
from edgepub.camera.inference.model import Model
from edgepub.camera.inference.pace import Pace
from edgepub.camera.sources.factory import make_source
from edgepub.camera.sources.gate import Gate
from edgepub.cli.bench import echo
from edgepub.cli.bench.ai_server import ai_server
from edgepub.cli.bench.live_camera import LiveCamera
from edgepub.cli.bench.tables import table
from edgepub.cli.demo import assets
from edgepub.config.settings import ModelSettings
from edgepub.telemetry.metrics import CameraMetrics

_SECONDS = 6.0
_FRAMES = 400
_PYSDK_DEFAULT = 8


def overlap(directory: Path) -> Table:
    """Measure the ages of results, and return the table."""
    rows = table(
        "Several live frames in progress: results per second, and their age p50 / p99 in milliseconds",
        "runtime, camera",
        "one at a time",
        "chosen by edgepub",
        "number",
        f"{_PYSDK_DEFAULT}, PySDK's default",
    )
    video = directory / "overlap.avi"
    echo.make_video(video, ([] for _ in range(_FRAMES)), 25.0)
    files = assets.fetch()
    local = {"zoo_url": str(directory / "overlap-zoo"), "inference_host_address": "@local"}
    with ai_server(files.zoo) as (port, _):
        served = {"model_name": "blazeface", "inference_host_address": f"127.0.0.1:{port}"}
        for name, model, fps in (
            ("one frame at a time, 5 ms", {"model_name": "echo5", **local}, 60),
            ("one frame at a time, 5 ms", {"model_name": "echo5", **local}, 500),
            ("one frame at a time, 100 ms", {"model_name": "echo100", **local}, 60),
            ("AI server, BlazeFace", served, 30),
            ("AI server, BlazeFace", served, 500),
        ):
            if model is not served and not (directory / "overlap-zoo" / model["model_name"]).exists():
                milliseconds = int(model["model_name"].removeprefix("echo"))
                echo.make_model(directory / "overlap-zoo", model["model_name"], SimulateTime_ms=milliseconds)
            cells = []
            with load_model(ModelSettings.model_validate(model)) as loaded:
                for pace in (Pace(1.0, 1.0), None, Pace(_PYSDK_DEFAULT, 1.0)):
                    tuned = Model(loaded.pysdk, overlaps=True, is_remote=model is served, pace=pace)
                    cells.append(_measure(tuned, video, fps))
                    if pace is None and tuned.pace:
                        cells.append(str(tuned.pace.in_flight()))
            rows.add_row(f"{name}, {fps} fps", *cells)
    return rows


def _measure(model: Model, video: Path, fps: float) -> str:
    metrics, stopping, ages_ms = CameraMetrics(), threading.Event(), []
    with LiveCamera(video, fps) as camera:
        gate = Gate(None, metrics)
        source = make_source(
            "camera", camera.url, gate, loop=False, realtime=False, stall_timeout_s=10, metrics=metrics
        )
        with closing(source.frames(stopping)) as frames:
            began_s = time.monotonic()
            for result in model.infer(frames, live=True):
                now_s = time.monotonic()
                ages_ms.append(1000 * (now_s - camera.sent_s[(result.frame.number - 1) % _FRAMES]))
                if now_s - began_s > _SECONDS:
                    stopping.set()
    ages_ms.sort()
    p50, p99 = ages_ms[len(ages_ms) // 2], ages_ms[int(0.99 * (len(ages_ms) - 1))]
    return f"{len(ages_ms) / _SECONDS:.0f}/s, {p50:.0f} / {p99:.0f}"
