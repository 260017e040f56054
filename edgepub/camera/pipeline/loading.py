"""Loads the models of a camera."""

import functools
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager

from edgepub.camera.analysis.tracker import Tracker
from edgepub.camera.failover import Failover
from edgepub.camera.frames import Box
from edgepub.camera.inference.loading import load_model
from edgepub.camera.inference.model import Model
from edgepub.camera.pipeline.model_thread import ModelThread
from edgepub.camera.pipeline.pipeline import Detector, Pipeline
from edgepub.camera.pipeline.stage_model import StageModel
from edgepub.camera.pipeline.stages import Stage
from edgepub.camera.results.objects import Wanted
from edgepub.config.pipelines import PipelineSettings
from edgepub.config.searching import find_searching
from edgepub.config.settings import ModelSettings
from edgepub.core.fair_lock import FairLock
from edgepub.telemetry.logs import CameraLogger

_STAGES_WAIT_S = 10.0  # for the first frame to have all attributes; without them it is better than no frame
_CLOSE_TIMEOUT_S = 2.0
_ANSWER_FRACTION = 0.4  # of the time that a frame may take: a stage that hangs must not look like a camera that does


@contextmanager
def load_pipeline(
    settings: PipelineSettings,
    models: Mapping[str, ModelSettings],
    region: Box | None,
    wanted: Callable[[], Wanted],
    make_tracker: Callable[[], Tracker | None],
    turns: FairLock,
    stall_timeout_s: float,
    log: CameraLogger,
    addresses: Sequence[str],
    on_loaded: Callable[[str, Model], None],
    *,
    with_embeddings: bool,
) -> Iterator[Model | Pipeline]:
    """Load the models of a camera, and release their devices at the end. A model alone needs no pipeline.

    Args:
        settings: the pipeline.
        models: the settings of its models.
        region: the part of the frame that they see, in fractions of the frame; None: all of it.
        wanted: returns which objects are wanted now.
        make_tracker: makes a tracker; it returns None if objects are not tracked.
        turns: held while results are read.
        stall_timeout_s: how long a frame may take; a stage may take less than half of it.
        log: the camera's log.
        addresses: where to load each detector.
        on_loaded: called with the name and the model whenever one is loaded, in the thread that loads it; a stage's may
            be loaded again later, at another address.
        with_embeddings: whether embeddings are published.

    Raises:
        ModelError: a detector cannot be loaded.

    """
    first, *others = settings.detect
    used = [stage for stage in settings.then if with_embeddings or not stage.embed]

    # Each use has a model of its own: its results are told apart only by their order.
    @contextmanager
    def load_at(name: str, address: str) -> Iterator[Model]:
        with load_model(models[name], address) as model:
            on_loaded(name, model)
            yield model

    with ExitStack() as stack:
        model = stack.enter_context(load_at(first.model, addresses[0]))
        if not (others or used or first.labels or settings.tiles or region):
            yield model
            return
        running: list[ModelThread | StageModel] = []
        stack.callback(_end, running)
        threads = [
            ModelThread(other.model, functools.partial(load_at, other.model, address))
            for other, address in zip(others, addresses[1:], strict=True)
        ]
        running += threads
        detectors = [Detector(first.model, model, _as_set(first.labels))]
        for other, thread in zip(others, threads, strict=True):
            detectors.append(Detector(other.model, thread.loaded.result(), _as_set(other.labels)))
        stages = []
        for stage, must_search in zip(used, find_searching(used, wanted().blur), strict=True):
            failover = Failover([models[stage.model].inference_hosts])
            load = functools.partial(load_at, stage.model)
            stage_model = StageModel(stage.model, load, failover, _ANSWER_FRACTION * stall_timeout_s, log)
            stage_model.start()
            running.append(stage_model)
            stages.append(Stage(stage, stage_model, must_search=must_search))
        until_s = time.monotonic() + _STAGES_WAIT_S
        for started in stages:
            started.model.wait_until_loaded(until_s - time.monotonic())
        yield Pipeline(detectors, settings.tiles, region, stages, wanted, make_tracker, turns)


def _as_set(labels: list[str] | None) -> frozenset[str] | None:
    return None if labels is None else frozenset(labels)


def _end(running: Sequence[ModelThread | StageModel]) -> None:
    """End all, and wait for that."""
    for thread in running:
        thread.end()
    until_s = time.monotonic() + _CLOSE_TIMEOUT_S
    for thread in running:
        thread.join(max(0.0, until_s - time.monotonic()))
