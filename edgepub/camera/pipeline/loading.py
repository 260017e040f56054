"""Loads the models of a camera."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager

from edgepub.camera.analysis.tracker import Tracker
from edgepub.camera.frames import Box
from edgepub.camera.inference.loading import load_model
from edgepub.camera.inference.model import Model
from edgepub.camera.pipeline.pipeline import Detector, Pipeline
from edgepub.camera.pipeline.stages import Stage
from edgepub.camera.results.objects import Wanted
from edgepub.config.pipelines import PipelineSettings
from edgepub.config.settings import ModelSettings
from edgepub.telemetry.logs import CameraLogger


@contextmanager
def load_pipeline(
    settings: PipelineSettings,
    models: Mapping[str, ModelSettings],
    region: Box | None,
    wanted: Callable[[], Wanted],
    make_tracker: Callable[[], Tracker | None],
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
        log: the camera's log.
        turn: which of its AI servers each model is loaded at, from 0.
        with_embeddings: whether embeddings are published.

    Raises:
        ModelError: one of them cannot be loaded.

    """
    with ExitStack() as stack:

        def load(name: str) -> Model:
            # Each use has a model of its own: while one has frames in flight, it can take no others.
            hosts = models[name].inference_hosts
            return stack.enter_context(load_model(models[name], hosts[turn % len(hosts)]))

        detectors = [
            Detector(one.model, load(one.model), None if one.labels is None else frozenset(one.labels))
            for one in settings.detect
        ]
        if len(detectors) == 1 and not (detectors[0].labels or settings.then or settings.tiles or region):
            yield detectors[0].model
            return
        used = [stage for stage in settings.then if with_embeddings or not stage.embed]
        stages = [Stage(stage, load(stage.model), log) for stage in used]
        for stage in stages:
            stage.warm_up()
        yield Pipeline(detectors, settings.tiles, region, stages, wanted, make_tracker)
