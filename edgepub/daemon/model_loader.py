"""Loads the models of a camera by the settings in force."""

import contextlib
import functools
import logging
from collections.abc import Callable, Iterable, Iterator, Sequence

from edgepub.camera.analysis.tracker import Tracker
from edgepub.camera.inference.model import Model
from edgepub.camera.pipeline.labels import LabelsByModel, find_unknown_of_camera, find_unknown_of_pipeline
from edgepub.camera.pipeline.loading import load_pipeline
from edgepub.camera.pipeline.pipeline import Pipeline
from edgepub.camera.results.objects import Wanted
from edgepub.config.camera import CameraSettings
from edgepub.config.effective import InForce
from edgepub.config.settings import Settings
from edgepub.core.errors import ModelError
from edgepub.core.fair_lock import FairLock
from edgepub.core.threads import is_abandoned
from edgepub.telemetry.logs import CameraLogger, camera_logger
from edgepub.telemetry.status import CameraState

_log = logging.getLogger(__name__)


def model_loader(
    name: str,
    in_force: InForce,
    wanted: Callable[[], Wanted],
    make_tracker: Callable[[], Tracker | None],
    turns: FairLock,
    state: CameraState,
    on_new_server: Callable[[], None],
) -> Callable[[Sequence[str]], contextlib.AbstractContextManager[Model | Pipeline]]:
    """Return a function that loads the models of a camera, its detectors at given addresses.

    It warns of labels that the models do not know.

    Args:
        name: the camera's name.
        in_force: the settings in force.
        wanted: returns which objects are wanted now.
        make_tracker: makes a tracker; it returns None if objects are not tracked.
        turns: held while results are read.
        state: gets the device and the AI server in use.
        on_new_server: called when that is another AI server than before.

    """
    all_settings, log = in_force.settings, camera_logger(_log, name)
    settings = all_settings.cameras[name]
    pipeline = all_settings.pipeline_of(settings)

    def find_unknown_labels(known: LabelsByModel) -> Iterator[str]:
        for key, why in find_unknown_of_pipeline(pipeline, known):
            yield f"pipelines.{settings.model}.{key}: {why}"
        current = in_force.settings.cameras.get(name, settings)  # zones that were edited since name others
        yield from find_unknown_of_camera(current.model_labels, pipeline, known)

    load = functools.partial(
        load_pipeline,
        pipeline,
        all_settings.models_of(settings),
        settings.region,
        wanted,
        make_tracker,
        turns,
        settings.stall_timeout_s,
        log,
        with_embeddings="embedding" in settings.include,
    )
    return functools.partial(_load, load, pipeline.detect[0].model, find_unknown_labels, state, on_new_server, log)


def detector_hosts(settings: Settings, camera: CameraSettings) -> list[Sequence[str]]:
    """Return where each detector of a camera may be loaded; stages look after themselves."""
    return [settings.models[detector.model].inference_hosts for detector in settings.pipeline_of(camera).detect]


@contextlib.contextmanager
def _load(
    load: Callable[[Sequence[str]], contextlib.AbstractContextManager[Model | Pipeline]],
    name: str,
    find_unknown_labels: Callable[[LabelsByModel], Iterable[str]],
    state: CameraState,
    on_new_server: Callable[[], None],
    log: CameraLogger,
    addresses: Sequence[str],
) -> Iterator[Model | Pipeline]:
    """Load the models; see `model_loader`. `name` is that of the only model, if it is alone."""
    with load(addresses) as model:
        if is_abandoned():  # another thread has loaded them since
            raise ModelError("its thread is abandoned")
        state.device, state.is_remote = model.device, model.is_remote
        if model.server != state.server:
            state.server = model.server
            on_new_server()
        known = model.labels_by_model if isinstance(model, Pipeline) else {name: model.labels}
        for line in find_unknown_labels(known):
            log.warning("%s", line)
        yield model
