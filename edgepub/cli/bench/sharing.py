"""Several cameras with one model: a loaded copy for each camera, or one copy that all cameras use in turn.

``python -m edgepub.cli.bench.sharing {own,shared} CAMERAS MODEL VIDEO`` (the model as JSON) prints frames per second in
total and of the slowest camera, and the memory in bytes. Each runs in a separate process, so that memory is its own.
"""

import json
import subprocess
import sys
import threading
import time
from contextlib import ExitStack, nullcontext
from pathlib import Path
from statistics import median

import psutil
from rich.table import Table

from edgepub.camera.frames import Frame, Frames
from edgepub.camera.inference.loading import load_model
from edgepub.camera.sources.factory import make_source
from edgepub.camera.sources.gate import Gate
from edgepub.cli.bench.ai_server import ai_server
from edgepub.cli.bench.tables import table
from edgepub.cli.demo import assets
from edgepub.config.settings import ModelSettings
from edgepub.telemetry.metrics import CameraMetrics

_WARM_UP_S = 1.5
_WINDOW_S = 4.0


def sharing() -> Table:
    """Measure both ways, and return the table."""
    rows = table(
        "Several cameras with one model: a copy for each camera, or one copy shared by all (median of three)",
        "runtime, model, cameras",
        "frames/s: own",
        "shared",
        "ratio",
        "slowest camera: own",
        "shared",
        "memory MB: own",
        "shared",
    )
    files = assets.fetch()
    with ai_server(files.zoo) as (port, _):
        local = {"zoo_url": str(files.zoo), "inference_host_address": "@local"}
        served = {"inference_host_address": f"127.0.0.1:{port}"}
        for name, model, cameras in (
            ("CPU, BlazeFace", {"model_name": "blazeface", **local}, 2),
            ("CPU, BlazeFace", {"model_name": "blazeface", **local}, 8),
            ("CPU, full range", {"model_name": "blazeface_full_range", **local}, 2),
            ("CPU, full range", {"model_name": "blazeface_full_range", **local}, 8),
            ("AI server, BlazeFace", {"model_name": "blazeface", **served}, 2),
            ("AI server, BlazeFace", {"model_name": "blazeface", **served}, 8),
        ):
            pairs = [[measure(way, cameras, model, files.video) for way in ("own", "shared")] for _ in range(3)]
            own, shared = ([median(values) for values in zip(*side, strict=True)] for side in zip(*pairs, strict=True))
            rows.add_row(
                f"{name}, {cameras}",
                f"{own[0]:.0f}",
                f"{shared[0]:.0f}",
                f"{median(a[0] / b[0] for a, b in pairs):.2f}",
                f"{own[1]:.1f}",
                f"{shared[1]:.1f}",
                f"{own[2] / 1e6:.0f}",
                f"{shared[2] / 1e6:.0f}",
            )
    return rows


def measure(way: str, cameras: int, model: dict[str, str], video: Path) -> tuple[float, float, int]:
    """Return frames per second in total and of the slowest camera, and the memory in bytes."""
    command = [sys.executable, "-m", "edgepub.cli.bench.sharing", way, str(cameras), json.dumps(model), str(video)]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    total, slowest, memory = done.stdout.split()
    return float(total), float(slowest), int(memory)


def _main(way: str, cameras: int, model_json: str, video: str) -> None:
    settings = ModelSettings.model_validate_json(model_json)
    stopping = threading.Event()
    numbers = [0] * cameras
    turn = threading.Lock() if way == "shared" else nullcontext()
    with ExitStack() as stack:
        models = [stack.enter_context(load_model(settings)) for _ in range(cameras if way == "own" else 1)]

        def work(number: int) -> None:
            frames = _frames(Path(video), stopping)
            model = models[number % len(models)]
            for frame in frames:
                with turn:
                    numbers[number] += len(list(model.infer(_one_frame(frame), live=True)))

        threads = [threading.Thread(target=work, args=(n,)) for n in range(cameras)]
        for thread in threads:
            thread.start()
        while not all(numbers):
            time.sleep(0.05)
        time.sleep(_WARM_UP_S)
        before, from_s = numbers.copy(), time.perf_counter()
        time.sleep(_WINDOW_S)
        seconds = time.perf_counter() - from_s
        rates = [(now - then) / seconds for now, then in zip(numbers, before, strict=True)]
        memory = psutil.Process().memory_info().rss
        stopping.set()
        for thread in threads:
            thread.join()
    print(sum(rates), min(rates), memory)


def _one_frame(frame: Frame | None) -> Frames:
    yield frame


def _frames(video: Path, stopping: threading.Event) -> Frames:
    metrics = CameraMetrics()
    gate = Gate(None, metrics)
    source = make_source("camera", video, gate, loop=True, realtime=False, stall_timeout_s=10.0, metrics=metrics)
    return source.frames(stopping)


if __name__ == "__main__":
    _main(sys.argv[1], int(sys.argv[2]), *sys.argv[3:])
