"""The cost of web pages that watch a camera, and the cost of serving them while no page is open.

A second daemon with `http.listen` unset runs on the same camera at the same time: other load affects both equally.
"""

import json
import time
import timeit
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

import numpy as np
from rich.table import Table

from edgepub.camera.frames import Frame, Result
from edgepub.camera.viewfinder import Seen, Viewfinder
from edgepub.cli.bench import echo
from edgepub.cli.bench.brokers import free_port
from edgepub.cli.bench.live_camera import LiveCamera
from edgepub.cli.bench.live_pages import live_pages
from edgepub.cli.bench.publishing import make_reporter, make_result
from edgepub.cli.bench.tables import ROUNDS, table
from edgepub.cli.bench.watching import Watched, edgepub_run, run_watched
from edgepub.mqtt.outbox.outbox import Outbox
from edgepub.telemetry.metrics import CameraMetrics

SIZE = 1280, 720
FPS = 30.0
_FRAMES = 90
_ROUNDS = 4
_WARM_UP_S = 2.0
_WINDOW_S = 8.0
_RESULTS = 200  # less than the size of the outbox


class Case(NamedTuple):
    """The number of open pages and their rate."""

    pages: int
    fps: int
    """The pictures per second that each page requests."""

    def __str__(self) -> str:
        return f"{self.pages} at {self.fps} fps" if self.pages else "none"


CASES = (Case(0, 0), Case(1, 5), Case(8, 5), Case(1, 30))


@dataclass(frozen=True, slots=True)
class Figures:
    """The figures of one daemon."""

    cpu_percent: float
    """CPU time of the daemon and its child processes; 100: one core."""
    fps: float
    """Frames inferred per second."""
    p50_ms: float
    """Median from capture to publish, from the payloads."""
    p95_ms: float
    rss_bytes: int


@dataclass(frozen=True, slots=True)
class Round:
    """The figures of both daemons in one measurement."""

    unset: Figures
    """The daemon with `http.listen` unset."""
    on: Figures
    encoded_fps: float
    """Different pictures per second, over all pages."""
    page_fps: float
    """Pictures per second that each page received."""


def viewers(port: int, directory: Path) -> Table:
    """Measure all cases, and return the table."""
    by_case = measure(port, directory)
    rows = table(
        f"Pages that watch a camera of {SIZE[0]}x{SIZE[1]} at {FPS:g} fps; medians of {_ROUNDS} rounds",
        "pages",
        "CPU %",
        "difference",
        "ratio",
        "inferred/s",
        "p50 / p95 ms",
        "unset: p50 / p95",
        "encoded/s",
        "per page/s",
        "memory MB",
    )
    no_pages = by_case[CASES[0]]
    unset = [measured.unset for measured in no_pages]
    rows.add_row("http.listen unset", *_cells(unset, "", "", "", _ages(unset), "", ""))
    for case, rounds in by_case.items():
        rows.add_row(
            str(case),
            *_cells(
                [measured.on for measured in rounds],
                f"{median(map(_difference, rounds)):.1f}",
                f"{median(measured.on.cpu_percent / measured.unset.cpu_percent for measured in rounds):.2f}",
                _ages([measured.on for measured in rounds]),
                _ages([measured.unset for measured in rounds]),
                f"{median(measured.encoded_fps for measured in rounds):.1f}" if case.pages else "",
                f"{median(measured.page_fps for measured in rounds):.1f}" if case.pages else "",
            ),
        )
    smallest, largest = min(map(_difference, no_pages)), max(map(_difference, no_pages))
    rows.caption = (
        f"'difference', 'ratio' and 'unset' refer to a second daemon at the same time, with http.listen unset. Without "
        f"a page, the difference was {smallest:+.1f} to {largest:+.1f} in the rounds. Milliseconds are from capture to "
        f"publishing. {_describe_frame_cost()}"
    )
    return rows


def measure(port: int, directory: Path) -> dict[Case, list[Round]]:
    """Measure each case in each round."""
    video = directory / "watched.avi"
    box = {"label": "person", "score": 0.9, "category_id": 0}
    echo.make_video(video, ([{**box, "bbox": [n % 40, 20, n % 40 + 16, 50]}] for n in range(_FRAMES)), FPS, SIZE)
    echo.make_model(directory / "watched-zoo")
    by_case: dict[Case, list[Round]] = {case: [] for case in CASES}
    for number in range(_ROUNDS):
        address = f"127.0.0.1:{free_port()}"
        with (
            LiveCamera(video, FPS) as camera,
            _daemon(f"unset-{number}", camera.url, port, directory) as unset,
            _daemon(f"on-{number}", camera.url, port, directory, http={"listen": address}) as on,
        ):
            for case, rounds in by_case.items():
                rounds.append(_measure_round(unset, on, case, f"http://{address}/cameras/camera"))
    return by_case


class _Daemon:
    """A running daemon, and the figures from its messages."""

    def __init__(self) -> None:
        self.process: Watched
        self._ages_ms: list[float] = []
        self._inferred: list[tuple[float, int]] = []  # time, frames so far
        self._from_s = self._from_cpu_s = 0.0

    def take(self, topic: str, payload: bytes) -> None:
        if topic.endswith("/detections"):
            self._ages_ms.append(json.loads(payload)["timing_ms"]["capture_to_publish"])
        elif topic.endswith("/stats"):
            stats = json.loads(payload)
            self._inferred.append((stats["timestamp"], stats["cameras"]["camera"]["inferred"]))

    @property
    def has_detections(self) -> bool:
        return bool(self._ages_ms)

    def reset(self) -> None:
        """Start a new measurement."""
        self._ages_ms.clear()
        self._inferred.clear()
        self._from_s, self._from_cpu_s = time.perf_counter(), self.process.cpu_s()

    def figures(self) -> Figures:
        cpu_s, seconds = self.process.cpu_s() - self._from_cpu_s, time.perf_counter() - self._from_s
        (from_s, before), *_, (to_s, after) = self._inferred
        p50_ms, p95_ms = np.percentile(self._ages_ms, (50, 95)).tolist()
        return Figures(
            100 * cpu_s / seconds, (after - before) / (to_s - from_s), p50_ms, p95_ms, self.process.rss_bytes()
        )


@contextmanager
def _daemon(node: str, camera: str, port: int, directory: Path, **more: Any) -> Iterator[_Daemon]:  # noqa: ANN401  (YAML)
    daemon, node_dir = _Daemon(), directory / node
    node_dir.mkdir()
    more = {"node": node, "stats": {"interval_s": 1}, **more}
    command = edgepub_run(node_dir, port, directory / "watched-zoo", "echo", {"camera": {"source": camera}}, **more)
    with run_watched(command, port, f"edgepub/{node}/#", node_dir, daemon.take) as daemon.process:
        daemon.process.wait_for_first()
        while not daemon.has_detections:
            time.sleep(0.1)
        yield daemon


def _measure_round(unset: _Daemon, on: _Daemon, case: Case, url: str) -> Round:
    with live_pages(url, case.pages, case.fps) if case.pages else nullcontext() as pages:
        while pages and len({page for page, _ in pages.pictures}) < case.pages:
            time.sleep(0.1)
        time.sleep(_WARM_UP_S)
        if pages:
            pages.pictures.clear()
        unset.reset()
        on.reset()
        time.sleep(_WINDOW_S)
        pictures = [frame for _, frame in pages.pictures] if pages else []
        page_fps = len(pictures) / _WINDOW_S / max(1, case.pages)
        return Round(unset.figures(), on.figures(), len(set(pictures)) / _WINDOW_S, page_fps)


def _difference(measured: Round) -> float:
    return measured.on.cpu_percent - measured.unset.cpu_percent


def _ages(daemon_figures: Sequence[Figures]) -> str:
    return f"{median(one.p50_ms for one in daemon_figures):.1f} / {median(one.p95_ms for one in daemon_figures):.1f}"


def _cells(daemon_figures: Sequence[Figures], more: str, ratio: str, *others: str) -> list[str]:
    return [
        f"{median(one.cpu_percent for one in daemon_figures):.1f}",
        more,
        ratio,
        f"{median(one.fps for one in daemon_figures):.1f}",
        *others,
        f"{median(one.rss_bytes for one in daemon_figures) / 1e6:.0f}",
    ]


def _describe_frame_cost() -> str:
    """Describe the cost per frame between the result and the outbox."""
    image = np.zeros((SIZE[1], SIZE[0], 3), np.uint8)
    result = Result(Frame(image, 1, 0.0, 0.0, 0.0), make_result(1), {"inference": 1.234}, 0.0, 0.0)
    viewfinder = Viewfinder()
    report_us = 1e6 * min(_report_s(result) for _ in range(ROUNDS))
    unwatched_ns = 1e9 * _show_s(viewfinder, result)
    with viewfinder.watch():
        watched_ns = 1e9 * _show_s(viewfinder, result)
    return (
        f"Cost per frame: {unwatched_ns:.0f} ns without a page, {watched_ns:.0f} ns with a page, out of "
        f"{report_us:.0f} µs from a result with one object to the outbox."
    )


def _report_s(result: Result) -> float:
    reporter = make_reporter(Outbox(256), CameraMetrics())
    return timeit.timeit(lambda: reporter.report(result), number=_RESULTS) / _RESULTS


def _show_s(viewfinder: Viewfinder, result: Result) -> float:
    calls = 100_000
    names = {"viewfinder": viewfinder, "Seen": Seen, "frame": result.frame, "objects": result.objects}
    return (
        min(timeit.repeat("viewfinder.show(Seen(frame, objects))", globals=names, number=calls, repeat=ROUNDS)) / calls
    )
