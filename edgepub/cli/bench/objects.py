"""The cost of objects: tracking, zones, lines and counts per frame; a snapshot; and all features on against off."""

import functools
import itertools
import time
import timeit
from collections.abc import Callable, Iterator
from pathlib import Path
from statistics import fmean, median
from typing import Any

import numpy as np
from rich.table import Table

from edgepub.camera.analysis.analysis import Analysis
from edgepub.camera.counts import ObjectCounts
from edgepub.camera.frames import Frame
from edgepub.camera.jpeg import encode_jpeg
from edgepub.cli.bench import echo, moving_objects
from edgepub.cli.bench.streaming import Case, make_real_cases, measure_daemon
from edgepub.cli.bench.tables import ROUNDS, measure_pairs, table
from edgepub.config.camera import CameraSettings
from edgepub.mqtt.outbox.outbox import Outbox
from edgepub.mqtt.topics import Topics

_FRAMES = 300
_WARM_UP = 10
_FPS = 25.0
_NUMBERS = (1, 5, 20)
_MOST = 500
"""Objects in a result, of a model that finds too many."""
_STEP = 0.28 / _FPS
"""A walking person moves 2.8 of its own widths a second."""
_COLD_FRAMES = 75
_CACHE_BYTES = 32_000_000
"""What the rest of the program touches between two results: pictures, the model, other cameras."""
_ZONES = {
    f"zone{n}": {"polygon": [[0.2 * n, 0.3], [0.2 * n + 0.3, 0.3], [0.2 * n + 0.2, 1], [0.2 * n, 1]]} for n in range(3)
}
_LINES = {"line": {"from": [0.5, 0], "to": [0.5, 1]}}
_ON = {"tracking": True, "zones": _ZONES, "lines": _LINES, "snapshot": {"enabled": True}}
_MODEL_MS = 20
_ECHO_FRAMES = 2000


def objects() -> Table:
    """Measure the cost of each feature, and return the table."""
    numbers = (*_NUMBERS, _MOST)
    columns = (f"{number} object{'s' if number > 1 else ''}" for number in numbers)
    rows = table("Objects: milliseconds of processor time per frame (mean)", "", *columns)
    kinds: dict[str, dict[str, Any]] = {
        "tracking": {},
        "tracking, 3 zones, a line, counts": {"zones": _ZONES, "lines": _LINES},
        "3 zones and counts without tracking": {"zones": _ZONES, "tracking": False},
    }
    for name, settings in kinds.items():
        for where, measure in (("", _hot_ms), (f"; {_FPS:.0f} frames a second, caches cold", _cold_ms)):
            rows.add_row(name + where, *(f"{measure(number, settings):.3f}" for number in numbers))
    for width, height in ((640, 480), (1920, 1080)):
        image = _make_image(width, height)
        cells = [
            f"{_call_ms(functools.partial(_encode_snapshot, image, next(moving_objects.frames(number)))):.1f}"
            for number in numbers
        ]
        rows.add_row(f"a snapshot of {width}x{height}, at most 1280 wide, in a separate thread", *cells)
    return rows


def everything(port: int, directory: Path) -> Table:
    """Compare all features on with all of them off, and return the table."""
    rows = table(
        "Frames/s of edgepub run with tracking, 3 zones, a line, counts, events and snapshots, and without all of them",
        "model, objects",
        "on",
        "off",
        "ratio",
    )
    for case in [*make_real_cases(directory), *_echo_cases(directory)]:
        measure = functools.partial(measure_daemon, case, port, directory)
        pairs = measure_pairs(functools.partial(measure, **_ON), measure)
        ratio = median(on.fps / off.fps for on, off in pairs)
        cells = (f"{median(figures.fps for figures in side):.0f}" for side in zip(*pairs, strict=True))
        rows.add_row(case.name, *cells, f"{ratio:.2f}")
    return rows


def _echo_cases(directory: Path) -> Iterator[Case]:
    zoo = directory / "zoo"
    echo.make_model(zoo, "slow", SimulateTime_ms=_MODEL_MS)
    for number in _NUMBERS:
        video = directory / f"objects-{number}.avi"
        frames = itertools.islice(moving_objects.frames(number), _ECHO_FRAMES)
        echo.make_video(video, map(moving_objects.to_model_results, frames))
        yield Case(f"a model that takes {_MODEL_MS} ms, {number} object{'s' if number > 1 else ''}", zoo, "slow", video)


def _hot_ms(number: int, settings: dict[str, Any]) -> float:
    """Return the cost of a frame, one after the other."""
    return fmean(itertools.islice(_frame_ms(number, settings), _WARM_UP, _FRAMES))


def _cold_ms(number: int, settings: dict[str, Any]) -> float:
    """Return the cost of a frame at a camera's rate, when other work has used the processor's caches since the last."""
    others = np.zeros(_CACHE_BYTES, np.uint8)
    times = []
    for frame_ms in itertools.islice(_frame_ms(number, settings), _COLD_FRAMES):
        times.append(frame_ms)
        time.sleep(1 / _FPS)
        others += 1
    return fmean(times[_WARM_UP:])


def _frame_ms(number: int, settings: dict[str, Any]) -> Iterator[float]:
    """Yield the processor time of each frame, endlessly."""
    camera = CameraSettings(source="camera.mp4", model="any", **settings)
    analysis = Analysis(camera)
    object_counts = ObjectCounts("camera", camera, Topics("edgepub", "bench"), Outbox(256))
    image = _make_image(640, 480)
    for frame, things in enumerate(moving_objects.frames(number, _STEP)):
        began_s = time.thread_time()
        findings = analysis.update(things, Frame(image, frame + 1, 0.0, 0.0, frame / _FPS))
        if findings.counts is not None:
            object_counts.update(findings.counts)
        yield 1000 * (time.thread_time() - began_s)


def _encode_snapshot(image: Any, objects_: list[dict[str, Any]]) -> bytes:  # noqa: ANN401  (an array)
    return encode_jpeg(image, objects_, 1280, 80, {"frame": 1})


def _make_image(width: int, height: int) -> Any:  # noqa: ANN401  (an array)
    """Return a picture with as much detail as a camera's: coarse noise."""
    coarse = np.random.default_rng(1).integers(0, 255, (height // 40, width // 40, 3), np.uint8)
    return np.ascontiguousarray(coarse.repeat(40, 0).repeat(40, 1))


def _call_ms(call: Callable[[], object]) -> float:
    return 1000 * min(timeit.repeat(call, number=5, repeat=ROUNDS)) / 5
