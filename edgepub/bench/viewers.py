"""What pages that watch a camera cost the daemon, and what it costs that they could."""

import json
import time
import timeit
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

import numpy as np
from rich.table import Table

from edgepub.bench import echo
from edgepub.bench.brokers import free_port
from edgepub.bench.live_camera import LiveCamera
from edgepub.bench.live_pages import live_pages
from edgepub.bench.publishing import a_reporter, a_result
from edgepub.bench.tables import ROUNDS, table
from edgepub.bench.watching import Watched, edgepub_run, watched
from edgepub.frames import Frame, Result
from edgepub.metrics import CameraMetrics
from edgepub.outbox import Outbox
from edgepub.viewfinder import Viewfinder

SIZE = 1280, 720
FPS = 30.0
_FRAMES = 90
_TURNS = 3
_WARM_UP_S = 3.0
_WINDOW_S = 10.0
_RESULTS = 200  # fewer than the outbox holds


class Case(NamedTuple):
    """Who watches."""

    pages: int
    fps: int
    """The pictures a second that each of them wants."""


NOBODY = Case(0, 0)
CASES = (NOBODY, Case(1, 5), Case(8, 5), Case(1, 30))


@dataclass(frozen=True, slots=True)
class Figures:
    """What a daemon did."""

    cpu_percent: float
    """Processor time, of the daemon and what it started; 100: one core."""
    fps: float
    """Frames inferred a second."""
    p50_ms: float
    """From the capture to the publishing, as the payloads say."""
    p95_ms: float
    encoded_fps: float
    """Different pictures a second that the pages got."""
    page_fps: float
    """Pictures a second that each of them got."""
    rss_bytes: int


class _Told:
    """What a daemon's messages say since they were forgotten."""

    def __init__(self) -> None:
        self.ages_ms: list[float] = []
        self.stats: list[tuple[float, int]] = []
        """When, and how many frames were inferred."""

    def take(self, topic: str, payload: bytes) -> None:
        if topic.endswith("/detections"):
            self.ages_ms.append(json.loads(payload)["timing_ms"]["capture_to_publish"])
        elif topic.endswith("/stats"):
            said = json.loads(payload)
            self.stats.append((said["timestamp"], said["cameras"]["camera"]["inferred"]))

    def forget(self) -> None:
        self.ages_ms.clear()
        self.stats.clear()

    @property
    def fps(self) -> float:
        (from_s, before), *_, (to_s, after) = self.stats
        return (after - before) / (to_s - from_s)


def viewers(port: int, folder: Path) -> Table:
    """Return the table of it."""
    unset, *others = _in_turns(port, folder)
    rows = table(
        f"Pages that watch a camera of {SIZE[0]}x{SIZE[1]} at {FPS:g} fps; the median of {_TURNS} turns",
        "pages",
        "CPU %",
        "more",
        "ratio",
        "inferred/s",
        "capture to publish: p50 ms",
        "p95",
        "encoded/s",
        "a page gets/s",
        "memory MB",
    )
    rows.add_row("http.listen unset", *_cells(unset, unset))
    for case, turns in zip(CASES, others, strict=True):
        name = f"{case.pages} at {case.fps} fps" if case.pages else "none"
        rows.add_row(name, *_cells(turns, unset))
    rows.caption = _on_the_way()
    return rows


def make(folder: Path) -> Path:
    """Write the video and the model; return the video."""
    video = folder / "watched.avi"
    box = {"label": "person", "score": 0.9, "category_id": 0}
    echo.make_video(video, ([{**box, "bbox": [n % 40, 20, n % 40 + 16, 50]}] for n in range(_FRAMES)), FPS, SIZE)
    echo.make_model(folder / "watched-zoo")
    return video


def _in_turns(port: int, folder: Path) -> list[list[Figures]]:
    """Return what was measured in each turn, first of all with `http.listen` unset, then of each case."""
    video = make(folder)
    turns = []
    for _ in range(_TURNS):
        with _daemon(video, port, folder) as (process, told):
            turn = [_measure(process, told, NOBODY, "")]
        http_port = free_port()
        with _daemon(video, port, folder, http={"listen": f"127.0.0.1:{http_port}"}) as (process, told):
            url = f"http://127.0.0.1:{http_port}/cameras/camera"
            turn += [_measure(process, told, case, url) for case in CASES]
        turns.append(turn)
    return [list(each) for each in zip(*turns, strict=True)]


@contextmanager
def _daemon(video: Path, port: int, folder: Path, **more: Any) -> Iterator[tuple[Watched, _Told]]:  # noqa: ANN401  (YAML)
    told = _Told()
    with LiveCamera(video, FPS) as camera:
        cameras = {"camera": {"source": camera.url}}
        command = edgepub_run(folder, port, folder / "watched-zoo", "echo", cameras, stats={"interval_s": 1}, **more)
        with watched(command, port, "edgepub/bench/#", folder, told.take) as process:
            process.wait_for_first()
            while not told.ages_ms:
                time.sleep(0.1)
            yield process, told


def _measure(process: Watched, told: _Told, case: Case, url: str) -> Figures:
    with live_pages(url, case.pages, case.fps) if case.pages else nullcontext() as pages:
        while pages and len({page for page, _ in pages.pictures}) < case.pages:
            time.sleep(0.1)
        time.sleep(_WARM_UP_S)
        told.forget()
        if pages:
            pages.pictures.clear()
        from_s, from_cpu_s = time.perf_counter(), process.cpu_s()
        time.sleep(_WINDOW_S)
        seconds, cpu_s = time.perf_counter() - from_s, process.cpu_s() - from_cpu_s
        pictures = [frame for _, frame in pages.pictures] if pages else []
        ages_ms = np.array(told.ages_ms)
        return Figures(
            100 * cpu_s / seconds,
            told.fps,
            float(np.percentile(ages_ms, 50)),
            float(np.percentile(ages_ms, 95)),
            len(set(pictures)) / seconds,
            len(pictures) / seconds / (case.pages or 1),
            process.rss_bytes(),
        )


def _cells(turns: list[Figures], unset: list[Figures]) -> list[str]:
    def of(what: Callable[[Figures], float]) -> float:
        return median(what(each) for each in turns)

    pairs = list(zip(turns, unset, strict=True))
    more = median(its.cpu_percent - other.cpu_percent for its, other in pairs)
    ratio = median(its.cpu_percent / other.cpu_percent for its, other in pairs)
    return [
        f"{of(lambda its: its.cpu_percent):.1f}",
        f"{more:.1f}" if turns is not unset else "",
        f"{ratio:.2f}" if turns is not unset else "",
        f"{of(lambda its: its.fps):.1f}",
        f"{of(lambda its: its.p50_ms):.1f}",
        f"{of(lambda its: its.p95_ms):.1f}",
        f"{of(lambda its: its.encoded_fps):.1f}",
        f"{of(lambda its: its.page_fps):.1f}",
        f"{of(lambda its: its.rss_bytes) / 1e6:.0f}",
    ]


def _on_the_way() -> str:
    """Say what a frame pays for it on its way from the result to the outbox."""
    image = np.zeros((SIZE[1], SIZE[0], 3), np.uint8)
    result = Result(Frame(image, 1, 0.0, 0.0, 0.0), a_result(1), {"inference": 1.234}, 0.0, 0.0)
    viewfinder = Viewfinder()
    report_us = 1e6 * min(_report_s(result) for _ in range(ROUNDS))
    nobody_ns = 1e9 * _show_s(viewfinder, result)
    with viewfinder.watched():
        watched_ns = 1e9 * _show_s(viewfinder, result)
    return (
        f"What a frame pays: {nobody_ns:.0f} ns while nobody watches, {watched_ns:.0f} ns while somebody does; "
        f"from a result with one object to the outbox it is {report_us:.0f} µs in all."
    )


def _report_s(result: Result) -> float:
    reporter = a_reporter(Outbox(256), CameraMetrics())
    return timeit.timeit(lambda: reporter.report(result), number=_RESULTS) / _RESULTS


def _show_s(viewfinder: Viewfinder, result: Result) -> float:
    calls = 100_000
    its = {"viewfinder": viewfinder, "frame": result.frame, "objects": result.objects}
    return min(timeit.repeat("viewfinder.show(frame, objects)", globals=its, number=calls, repeat=ROUNDS)) / calls
