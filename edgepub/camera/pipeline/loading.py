"""Loads the models of a camera."""

import functools
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager
from threading import Lock

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
from edgepub.config.pipelines import PipelineSettings, StageSettings
from edgepub.config.settings import ModelSettings
from edgepub.core.fair_lock import FairLock
from edgepub.telemetry.logs import CameraLogger

_STAGES_WAIT_S = 10.0  # for the first frame to have all attributes; without them it is better than no frame
_CLOSE_TIMEOUT_S = 2.0
_ANSWER_PART = 0.5  # of the time that a frame may take: a stage that hangs must not look like a camera that does


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
    turn: int,
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
        stall_timeout_s: how long a frame may take; a stage may take half of it.
        log: the camera's log.
        turn: which of its AI servers each detector is loaded at, from 0.
        with_embeddings: whether embeddings are published.

    Raises:
        ModelError: a detector cannot be loaded.

    """
    first, *others = settings.detect
    used = [stage for stage in settings.then if with_embeddings or not stage.embed]
    # Each use has a model of its own: while one has frames in flight, it can take no others.
    processor = Lock()
    with ExitStack() as stack:
        model = stack.enter_context(_load_at(models[first.model], processor, turn))
        if not (others or used or first.labels or settings.tiles or region):
            yield model
            return
        threads = [
            stack.enter_context(_start_thread(other.model, models[other.model], processor, turn)) for other in others
        ]
        detectors = [Detector(first.model, model, _as_set(first.labels))]
        for other, thread in zip(others, threads, strict=True):
            detectors.append(Detector(other.model, thread.loaded.result(), _as_set(other.labels), thread))
        answer_timeout_s = _ANSWER_PART * stall_timeout_s
        stages = [
            stack.enter_context(_start_stage(stage, models[stage.model], processor, answer_timeout_s, log))
            for stage in used
        ]
        for stage in stages:
            stage.model.wait_until_loaded(_STAGES_WAIT_S)
        yield Pipeline(detectors, settings.tiles, region, stages, wanted, make_tracker, turns)


def _as_set(labels: list[str] | None) -> frozenset[str] | None:
    return None if labels is None else frozenset(labels)


def _load_at(settings: ModelSettings, processor: Lock, turn: int) -> AbstractContextManager[Model]:
    """Load a model at one of its addresses.

    Those on this node's CPU work one after another: each has threads for all cores, and would wait for those of others.
    """
    hosts = settings.inference_hosts
    return load_model(settings, hosts[turn % len(hosts)], processor)


@contextmanager
def _start_thread(name: str, settings: ModelSettings, processor: Lock, turn: int) -> Iterator[ModelThread]:
    thread = ModelThread(name, lambda: _load_at(settings, processor, turn))
    try:
        yield thread
    finally:
        thread.close(_CLOSE_TIMEOUT_S)


@contextmanager
def _start_stage(
    settings: StageSettings, of_model: ModelSettings, processor: Lock, answer_timeout_s: float, log: CameraLogger
) -> Iterator[Stage]:
    load = functools.partial(_load_at, of_model, processor)
    model = StageModel(settings.model, load, Failover([of_model.inference_hosts]), answer_timeout_s, log)
    model.start()
    try:
        yield Stage(settings, model)
    finally:
        model.close(_CLOSE_TIMEOUT_S)
