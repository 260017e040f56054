"""Several cameras in one daemon: what each of them costs, and what they get done."""

import json
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.table import Table

from edgepub.cli.bench.tables import table
from edgepub.cli.bench.watching import edgepub_run, watched
from edgepub.cli.demo import assets

NUMBERS = (1, 2, 4, 8)
_WARM_UP_S = 4.0
_WINDOW_S = 12.0


@dataclass(frozen=True, slots=True)
class Figures:
    """What a number of cameras did."""

    cameras: int
    fps: float
    """Frames inferred a second, all cameras together."""
    least_fps: float
    """Of the camera that got the least."""
    cpu_percent: float
    """Processor time, of the daemon and what it started; 100: one core."""
    rss_bytes: int


def scaling(port: int, folder: Path) -> Table:
    """Return the table of it."""
    rows = table(
        "Several cameras in one daemon, with the demo's video; memory and processor time with PySDK's worker",
        "cameras",
        "frames/s of all",
        "of the slowest",
        "CPU % a camera",
        "CPU ms a frame",
        "memory MB",
        "a camera more",
    )
    things = assets.fetch()
    camera = {"source": str(things.video), "loop": True}
    for name, kind in (
        ("BlazeFace at 5 fps", {**camera, "realtime": True, "max_fps": 5}),
        ("BlazeFace, as fast as it can", camera),
    ):
        figures = [measure(number, things.zoo, "blazeface", kind, port, folder) for number in NUMBERS]
        for its in figures:
            more = (its.rss_bytes - figures[0].rss_bytes) / 1e6 / (its.cameras - 1) if its.cameras > 1 else 0
            rows.add_row(
                f"{name}: {its.cameras}",
                f"{its.fps:.0f}",
                f"{its.least_fps:.1f}",
                f"{its.cpu_percent / its.cameras:.1f}",
                f"{10 * its.cpu_percent / its.fps:.1f}",
                f"{its.rss_bytes / 1e6:.0f}",
                f"{more:.0f}" if more else "",
            )
    return rows


def measure(number: int, zoo: Path, model: str, camera: dict[str, Any], port: int, folder: Path) -> Figures:
    """Run the daemon with so many cameras of one kind."""
    inferred: dict[str, int] = {}

    def take(_topic: str, payload: bytes) -> None:
        inferred.update({name: its["inferred"] for name, its in json.loads(payload)["cameras"].items()})

    cameras = {f"camera{n}": camera for n in range(number)}
    command = edgepub_run(folder, port, zoo, model, cameras, stats={"interval_s": 1})
    with watched(command, port, "edgepub/bench/stats", folder, take) as process:
        process.wait_for_first()
        while not all(inferred.values()):
            time.sleep(0.1)
        time.sleep(_WARM_UP_S)
        before, from_s, from_cpu_s = inferred.copy(), time.perf_counter(), process.cpu_s()
        time.sleep(_WINDOW_S)
        seconds = time.perf_counter() - from_s
        cpu_percent = 100 * (process.cpu_s() - from_cpu_s) / seconds
        each_fps = [(inferred[name] - before[name]) / seconds for name in cameras]
        return Figures(number, sum(each_fps), min(each_fps), cpu_percent, process.rss_bytes())
