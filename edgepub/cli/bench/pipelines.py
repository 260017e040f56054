"""Several models on one camera: edgepub's pipelines, beside the first model alone and the same in degirum_tools.

``python -m edgepub.cli.bench.pipelines ARRANGEMENT ZOO FRAMES COUNT`` prints what each frame takes. Each program runs
in a separate process, with frames from memory.
"""

import itertools
import logging
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from rich.table import Table

from edgepub.camera.analysis.tracker import Tracker
from edgepub.camera.frames import Frame, Frames
from edgepub.camera.pipeline.loading import load_pipeline
from edgepub.camera.results.objects import Objects, Wanted, read_objects
from edgepub.cli.bench.arrangements import Arrangement
from edgepub.cli.bench.frame_cost import FrameCost, measure, read_frames
from edgepub.cli.bench.pipeline_models import SIDE, Case, make_echo, make_faces
from edgepub.cli.bench.tables import table
from edgepub.config.settings import ModelSettings
from edgepub.core.fair_lock import FairLock
from edgepub.telemetry.logs import camera_logger

_ROUNDS = 3
_FPS = 25
_LOST_S = 2.0
_STALL_TIMEOUT_S = 60.0
_METHODS = ("predict", "predict_batch")


def pipelines(directory: Path) -> Table:
    """Measure all arrangements, and return the table."""
    rows = table(
        f"Several models on frames of {SIDE}x{SIDE}: ms of processor time per frame, frames/s (best of {_ROUNDS})",
        "models, arrangement",
        "edgepub",
        "ratio to the first model",
        "degirum_tools: predict",
        "edgepub's ratio to it",
        "predict_batch",
        "edgepub's ratio to it",
    )
    for case in (make_faces(directory), make_echo(directory)):
        alone: list[FrameCost] = []
        for arrangement in Arrangement:
            rounds = [_measure_round(arrangement, case) for _ in range(_ROUNDS)]
            edgepub, *others = ([FrameCost(*cost) for cost in costs] for costs in zip(*rounds, strict=True))
            alone = alone or edgepub
            cells = [_cell(edgepub), _ratio(edgepub, alone)]
            for other in others:
                cells += [_cell(other), _ratio(edgepub, other)]
            rows.add_row(f"{case.name}: {arrangement}", *cells)
    rows.caption = (
        "Ratios are of processor time. degirum_tools has one result for each frame with predict, and several frames in "
        "flight with predict_batch. It asks its classifier in each frame; edgepub a few times per track, or in each "
        "frame without tracking."
    )
    return rows


def measure_edgepub(arrangement: Arrangement, case: Case) -> FrameCost:
    """Measure edgepub."""
    return _run("pipelines", arrangement, case.zoo, case.frames_for(arrangement), case.frame_count)


def measure_degirum_tools(method: str, arrangement: Arrangement, case: Case) -> FrameCost:
    """Measure the same in degirum_tools, with its `predict` or its `predict_batch`."""
    return _run("compound_models", method, arrangement, case.zoo, case.frames_for(arrangement), case.frame_count)


def find_objects(arrangement: Arrangement, zoo: str, frames: Frames) -> Iterator[Objects]:
    """Yield the objects of each frame, as edgepub finds them."""
    names = arrangement.pipeline.models
    models = {name: ModelSettings(model_name=name, zoo_url=zoo, inference_host_address="@local") for name in names}
    with load_pipeline(
        arrangement.pipeline,
        models,
        None,
        Wanted,
        lambda: Tracker(_LOST_S, itertools.count(1)) if arrangement.is_tracked else None,
        FairLock(),
        _STALL_TIMEOUT_S,
        camera_logger(logging.getLogger(__name__), "bench"),
        ["@local"] * len(arrangement.pipeline.detect),
        lambda _name, _model: None,
        with_embeddings=False,
    ) as model:
        for result in filter(None, model.infer(frames, live=False)):
            # A model alone leaves it to the camera to read its result.
            yield result.objects if isinstance(result.objects, Objects) else read_objects(result, Wanted())


def make_frames(path: Path, count: int) -> Frames:
    """Yield the pictures of a file as frames; see `read_frames`."""
    for number, picture in enumerate(read_frames(path, count), 1):
        yield Frame(picture, number, 0.0, 0.0, number / _FPS)


def _measure_round(arrangement: Arrangement, case: Case) -> list[FrameCost]:
    return [
        measure_edgepub(arrangement, case),
        *(measure_degirum_tools(method, arrangement, case) for method in _METHODS),
    ]


def _run(module: str, *arguments: object) -> FrameCost:
    command = [sys.executable, "-m", f"edgepub.cli.bench.{module}", *map(str, arguments)]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    return FrameCost(*map(float, done.stdout.split()))


def _cell(costs: list[FrameCost]) -> str:
    return f"{_least_ms(costs):.2f}, {max(cost.fps for cost in costs):.0f}/s"


def _ratio(costs: list[FrameCost], others: list[FrameCost]) -> str:
    return f"{_least_ms(costs) / _least_ms(others):.2f}"


def _least_ms(costs: list[FrameCost]) -> float:
    """Return the least of all rounds: what else runs on the machine only adds, and much with TFLite's busy threads."""
    return min(cost.cpu_ms for cost in costs)


def _main(arrangement: str, zoo: str, frames: str, count: str) -> None:
    results = find_objects(Arrangement(arrangement), zoo, make_frames(Path(frames), int(count)))
    print(*measure((len(result.objects) for result in results), int(count)))


if __name__ == "__main__":
    _main(*sys.argv[1:])
