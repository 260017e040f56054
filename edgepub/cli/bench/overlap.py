"""Live frames under way at once in a runtime: one, as many as was found out, and as many as PySDK takes.

How old a result is when it is there, from the moment when the camera sent its frame; in this process, without a broker.
"""

import threading
import time
from contextlib import closing
from pathlib import Path

from rich.table import Table

from edgepub.camera.inference.loading import load_model
from edgepub.camera.inference.model import Model
from edgepub.camera.sources.capture import Gate
from edgepub.camera.sources.factory import make_source
from edgepub.cli.bench import echo
from edgepub.cli.bench.ai_server import ai_server
from edgepub.cli.bench.live_camera import LiveCamera
from edgepub.cli.bench.tables import table
from edgepub.cli.demo import assets
from edgepub.config.settings import ModelSettings
from edgepub.telemetry.metrics import CameraMetrics

_SECONDS = 6.0
_FRAMES = 400
_DEEP = 8  # what PySDK takes, if not told otherwise


def overlap(folder: Path) -> Table:
    """Return the table of it."""
    rows = table(
        "Live frames under way at once: results a second, and their age p50 / p99 in milliseconds",
        "runtime, camera",
        "one",
        "found out",
        "which is",
        str(_DEEP),
    )
    video = folder / "overlap.avi"
    echo.make_video(video, ([] for _ in range(_FRAMES)), 25.0)
    things = assets.fetch()
    local = {"zoo_url": str(folder / "overlap-zoo"), "inference_host_address": "@local"}
    with ai_server(things.zoo) as (port, _):
        served = {"model_name": "blazeface", "inference_host_address": f"127.0.0.1:{port}"}
        for name, model, fps in (
            ("one frame at a time, 5 ms", {"model_name": "echo5", **local}, 60),
            ("one frame at a time, 5 ms", {"model_name": "echo5", **local}, 500),
            ("one frame at a time, 100 ms", {"model_name": "echo100", **local}, 60),
            ("AI server, BlazeFace", served, 30),
            ("AI server, BlazeFace", served, 500),
        ):
            if model is not served and not (folder / "overlap-zoo" / model["model_name"]).exists():
                milliseconds = int(model["model_name"].removeprefix("echo"))
                echo.make_model(folder / "overlap-zoo", model["model_name"], SimulateTime_ms=milliseconds)
            cells = []
            with load_model(ModelSettings.model_validate(model)) as found_out:
                for in_flight in (1, None, _DEEP):
                    its = Model(found_out.pysdk, overlaps=True, in_flight=in_flight)
                    cells.append(_measure(its, video, fps))
                    if in_flight is None:
                        cells.append(str(its.in_flight))
            rows.add_row(f"{name}, {fps} fps", *cells)
    return rows


def _measure(model: Model, video: Path, fps: float) -> str:
    counts, stopping, ages_ms = CameraMetrics(), threading.Event(), []
    with LiveCamera(video, fps) as camera:
        gate = Gate(None, counts)
        source = make_source("camera", camera.url, gate, loop=False, realtime=False, stall_timeout_s=10, metrics=counts)
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
