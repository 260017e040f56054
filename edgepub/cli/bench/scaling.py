"""Several cameras in one daemon: frames per second, CPU time and memory per camera."""

import json
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Group
from rich.table import Table

from edgepub.cli.bench.many_cameras import many_cameras
from edgepub.cli.bench.tables import table
from edgepub.cli.bench.watching import edgepub_run, run_watched
from edgepub.cli.demo import assets

NUMBERS = (1, 2, 4, 8)
_WARM_UP_S = 4.0
_WINDOW_S = 12.0


@dataclass(frozen=True, slots=True)
class Figures:
    """The figures for a number of cameras."""

    cameras: int
    fps: float
    """Frames inferred per second, total of all cameras."""
    min_fps: float
    """Frames inferred per second of the slowest camera."""
    cpu_percent: float
    """CPU time of the daemon and its child processes; 100: one core."""
    rss_bytes: int


def scaling(port: int, directory: Path) -> Group:
    """Measure up to 8 cameras with a real model, and up to 256 without one; return the tables."""
    return Group(real_model(port, directory), many_cameras(port, directory))


def real_model(port: int, directory: Path) -> Table:
    """Measure 1, 2, 4 and 8 cameras, and return the table."""
    rows = table(
        "Several cameras in one daemon, with the demo's video; CPU and memory include PySDK's worker process",
        "cameras",
        "frames/s: total",
        "slowest camera",
        "CPU % per camera",
        "CPU ms per frame",
        "memory MB: total",
        "per additional camera",
    )
    files = assets.fetch()
    camera = {"source": str(files.video), "loop": True}
    for name, kind in (
        ("BlazeFace at 5 fps", {**camera, "realtime": True, "max_fps": 5}),
        ("BlazeFace, as fast as it can", camera),
    ):
        figures = [measure(number, files.zoo, "blazeface", kind, port, directory) for number in NUMBERS]
        for row in figures:
            additional_mb = (row.rss_bytes - figures[0].rss_bytes) / 1e6 / (row.cameras - 1) if row.cameras > 1 else 0
            rows.add_row(
                f"{name}: {row.cameras}",
                f"{row.fps:.0f}",
                f"{row.min_fps:.1f}",
                f"{row.cpu_percent / row.cameras:.1f}",
                f"{10 * row.cpu_percent / row.fps:.1f}",
                f"{row.rss_bytes / 1e6:.0f}",
                f"{additional_mb:.0f}" if additional_mb else "",
            )
    return rows


def measure(number: int, zoo: Path, model: str, camera: dict[str, Any], port: int, directory: Path) -> Figures:
    """Run the daemon with a number of equal cameras."""
    inferred: dict[str, int] = {}

    def take(_topic: str, payload: bytes) -> None:
        inferred.update({name: camera["inferred"] for name, camera in json.loads(payload)["cameras"].items()})

    cameras = {f"camera{n}": camera for n in range(number)}
    command = edgepub_run(directory, port, zoo, model, cameras, stats={"interval_s": 1})
    with run_watched(command, port, "edgepub/bench/stats", directory, take) as process:
        process.wait_for_first()
        while not all(inferred.values()):
            time.sleep(0.1)
        time.sleep(_WARM_UP_S)
        before, from_s, from_cpu_s = inferred.copy(), time.perf_counter(), process.cpu_s()
        time.sleep(_WINDOW_S)
        seconds = time.perf_counter() - from_s
        cpu_percent = 100 * (process.cpu_s() - from_cpu_s) / seconds
        rates = [(inferred[name] - before[name]) / seconds for name in cameras]
        return Figures(number, sum(rates), min(rates), cpu_percent, process.rss_bytes())
