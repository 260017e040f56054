"""What pages that watch a camera cost the daemon, and what it costs that they could.

A daemon that serves nothing runs beside the one that does, on the same camera: what else the machine does meets both.
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
from edgepub.camera.viewfinder import Viewfinder
from edgepub.cli.bench import echo
from edgepub.cli.bench.brokers import free_port
from edgepub.cli.bench.live_camera import LiveCamera
from edgepub.cli.bench.live_pages import live_pages
from edgepub.cli.bench.publishing import a_reporter, a_result
from edgepub.cli.bench.tables import ROUNDS, table
from edgepub.cli.bench.watching import Watched, edgepub_run, watched
from edgepub.mqtt.outbox.outbox import Outbox
from edgepub.telemetry.metrics import CameraMetrics

SIZE = 1280, 720
FPS = 30.0
_FRAMES = 90
_TURNS = 4
_WARM_UP_S = 2.0
_WINDOW_S = 8.0
_RESULTS = 200  # fewer than the outbox holds


class Case(NamedTuple):
    """Who watches."""

    pages: int
    fps: int
    """The pictures a second that each of them wants."""

    def __str__(self) -> str:
        return f"{self.pages} at {self.fps} fps" if self.pages else "none"


CASES = (Case(0, 0), Case(1, 5), Case(8, 5), Case(1, 30))


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
    rss_bytes: int


@dataclass(frozen=True, slots=True)
class Turn:
    """What was measured at one time."""

    unset: Figures
    """With `http.listen` unset."""
    on: Figures
    encoded_fps: float
    """Different pictures a second that the pages got."""
    page_fps: float
    """Pictures a second that each of them got."""


def viewers(port: int, folder: Path) -> Table:
    """Return the table of it."""
    by_case = measure(port, folder)
    rows = table(
        f"Pages that watch a camera of {SIZE[0]}x{SIZE[1]} at {FPS:g} fps; the median of {_TURNS} turns",
        "pages",
        "CPU %",
        "more",
        "ratio",
        "inferred/s",
        "p50 / p95 ms",
        "unset: p50 / p95",
        "encoded/s",
        "a page gets/s",
        "memory MB",
    )
    nobody = by_case[CASES[0]]
    rows.add_row(
        "http.listen unset",
        *_cells([its.unset for its in nobody], "", "", "", _ages([its.unset for its in nobody]), "", ""),
    )
    for case, turns in by_case.items():
        rows.add_row(
            str(case),
            *_cells(
                [its.on for its in turns],
                f"{median(map(_more, turns)):.1f}",
                f"{median(its.on.cpu_percent / its.unset.cpu_percent for its in turns):.2f}",
                _ages([its.on for its in turns]),
                _ages([its.unset for its in turns]),
                f"{median(its.encoded_fps for its in turns):.1f}" if case.pages else "",
                f"{median(its.page_fps for its in turns):.1f}" if case.pages else "",
            ),
        )
    least, most = min(map(_more, nobody)), max(map(_more, nobody))
    rows.caption = (
        f"'more', 'ratio' and 'unset' are of a daemon beside it at the same time, with http.listen unset; without a "
        f"page it was {least:+.1f} to {most:+.1f} more in the turns. Milliseconds are from capture to publishing. "
        f"{_on_the_way()}"
    )
    return rows


def measure(port: int, folder: Path) -> dict[Case, list[Turn]]:
    """Measure each case in each turn."""
    video = folder / "watched.avi"
    box = {"label": "person", "score": 0.9, "category_id": 0}
    echo.make_video(video, ([{**box, "bbox": [n % 40, 20, n % 40 + 16, 50]}] for n in range(_FRAMES)), FPS, SIZE)
    echo.make_model(folder / "watched-zoo")
    by_case: dict[Case, list[Turn]] = {case: [] for case in CASES}
    for number in range(_TURNS):
        address = f"127.0.0.1:{free_port()}"
        with (
            LiveCamera(video, FPS) as camera,
            _daemon(f"unset-{number}", camera.url, port, folder) as unset,
            _daemon(f"on-{number}", camera.url, port, folder, http={"listen": address}) as on,
        ):
            for case, turns in by_case.items():
                turns.append(_a_turn(unset, on, case, f"http://{address}/cameras/camera"))
    return by_case


class _Daemon:
    """A daemon, and what its messages say."""

    def __init__(self) -> None:
        self.process: Watched
        self._ages_ms: list[float] = []
        self._inferred: list[tuple[float, int]] = []  # when, and how many frames
        self._from_s = self._from_cpu_s = 0.0

    def take(self, topic: str, payload: bytes) -> None:
        if topic.endswith("/detections"):
            self._ages_ms.append(json.loads(payload)["timing_ms"]["capture_to_publish"])
        elif topic.endswith("/stats"):
            said = json.loads(payload)
            self._inferred.append((said["timestamp"], said["cameras"]["camera"]["inferred"]))

    @property
    def is_seeing(self) -> bool:
        return bool(self._ages_ms)

    def begin(self) -> None:
        """Let the figures be of what follows."""
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
def _daemon(node: str, camera: str, port: int, folder: Path, **more: Any) -> Iterator[_Daemon]:  # noqa: ANN401  (YAML)
    its, own = _Daemon(), folder / node
    own.mkdir()
    more = {"node": node, "stats": {"interval_s": 1}, **more}
    command = edgepub_run(own, port, folder / "watched-zoo", "echo", {"camera": {"source": camera}}, **more)
    with watched(command, port, f"edgepub/{node}/#", own, its.take) as its.process:
        its.process.wait_for_first()
        while not its.is_seeing:
            time.sleep(0.1)
        yield its


def _a_turn(unset: _Daemon, on: _Daemon, case: Case, url: str) -> Turn:
    with live_pages(url, case.pages, case.fps) if case.pages else nullcontext() as pages:
        while pages and len({page for page, _ in pages.pictures}) < case.pages:
            time.sleep(0.1)
        time.sleep(_WARM_UP_S)
        if pages:
            pages.pictures.clear()
        unset.begin()
        on.begin()
        time.sleep(_WINDOW_S)
        pictures = [frame for _, frame in pages.pictures] if pages else []
        page_fps = len(pictures) / _WINDOW_S / max(1, case.pages)
        return Turn(unset.figures(), on.figures(), len(set(pictures)) / _WINDOW_S, page_fps)


def _more(turn: Turn) -> float:
    return turn.on.cpu_percent - turn.unset.cpu_percent


def _ages(turns: Sequence[Figures]) -> str:
    return f"{median(its.p50_ms for its in turns):.1f} / {median(its.p95_ms for its in turns):.1f}"


def _cells(turns: Sequence[Figures], more: str, ratio: str, *others: str) -> list[str]:
    return [
        f"{median(its.cpu_percent for its in turns):.1f}",
        more,
        ratio,
        f"{median(its.fps for its in turns):.1f}",
        *others,
        f"{median(its.rss_bytes for its in turns) / 1e6:.0f}",
    ]


def _on_the_way() -> str:
    """Say what a frame pays for it on its way from the result to the outbox."""
    image = np.zeros((SIZE[1], SIZE[0], 3), np.uint8)
    result = Result(Frame(image, 1, 0.0, 0.0, 0.0), a_result(1), {"inference": 1.234}, 0.0, 0.0)
    viewfinder = Viewfinder()
    report_us = 1e6 * min(_report_s(result) for _ in range(ROUNDS))
    nobody_ns = 1e9 * _show_s(viewfinder, result)
    with viewfinder.watch():
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
