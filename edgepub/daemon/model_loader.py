"""Loads the models of a camera by the settings in force."""

import contextlib
import functools
import logging
import threading
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence

from edgepub.camera.analysis.tracker import Tracker
from edgepub.camera.inference.model import Model
from edgepub.camera.pipeline.loading import load_pipeline
from edgepub.camera.pipeline.pipeline import Pipeline
from edgepub.camera.results.objects import Wanted
from edgepub.config.camera import CameraSettings
from edgepub.config.effective import InForce
from edgepub.config.model_labels import LabelsByModel, find_unfindable, find_unknown_of_camera, find_unknown_of_pipeline
from edgepub.config.searching import find_models
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
        state: gets the device and the AI servers in use, and why what must be blurred cannot be found.
        on_new_server: called, from any thread, when those are other AI servers than before.

    """
    all_settings, log = in_force.settings, camera_logger(_log, name)
    settings = all_settings.cameras[name]
    pipeline = all_settings.pipeline_of(settings)

    def find_unknown_labels(known: LabelsByModel) -> Iterator[str]:
        for key, why in find_unknown_of_pipeline(pipeline, known):
            yield f"pipelines.{settings.model}.{key}: {why}"
        current = in_force.settings.cameras.get(name, settings)  # zones that were edited since name others
        yield from find_unknown_of_camera(current.model_labels, pipeline, known)

    def find_unseen(known: LabelsByModel, cutting: Collection[str]) -> Iterator[str]:
        blur = settings.snapshot.blur or []
        yield from find_unfindable([] if settings.text_labels else blur, pipeline, known)
        for model in find_models(pipeline, blur):
            if model in cutting:
                yield (
                    f"the model {model} does not see the borders of a picture; set models.{model}.model_properties."
                    "input_pad_method to letterbox"
                )

    def note_unfindable(known: LabelsByModel, cutting: Collection[str]) -> None:
        state.unfindable = next(find_unseen(known, cutting), "")

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
    return functools.partial(_load, load, find_unknown_labels, note_unfindable, state, on_new_server, log)


def detector_hosts(settings: Settings, camera: CameraSettings) -> list[Sequence[str]]:
    """Return where each detector of a camera may be loaded; stages look after themselves."""
    return [settings.models[detector.model].inference_hosts for detector in settings.pipeline_of(camera).detect]


class _LoadedModels:
    """Notes the AI server and the labels of each model of a camera when it is loaded, and warns of unknown labels.

    The models are loaded in several threads, and those of stages perhaps long after the camera has started.
    """

    def __init__(
        self,
        find_unknown_labels: Callable[[LabelsByModel], Iterable[str]],
        note_unfindable: Callable[[LabelsByModel, Collection[str]], None],
        state: CameraState,
        on_new_server: Callable[[], None],
        log: CameraLogger,
    ) -> None:
        self._find_unknown_labels = find_unknown_labels
        self._note_unfindable = note_unfindable
        self._state = state
        self._on_new_server = on_new_server
        self._log = log
        self._lock = threading.Lock()
        self._labels: dict[str, Sequence[str]] = {}
        self._cutting: set[str] = set()  # models that do not see the borders of pictures
        self._warnings: set[str] = set()
        self._is_started = False

    def add(self, name: str, model: Model) -> None:
        """Note a model, in the thread that has loaded it."""
        if is_abandoned():  # another thread has loaded it since
            return
        with self._lock:
            before = self._state.servers
            others = {other: server for other, server in before.items() if other != name}
            self._state.servers = others | {name: model.server} if model.server else others
            self._labels[name] = model.labels
            if model.cuts_borders:
                self._cutting.add(name)
            if self._is_started:
                self._warn()
        if self._state.servers != before:
            self._on_new_server()

    def start(self) -> None:
        """Warn of labels that no model gives, now and whenever another model is loaded."""
        with self._lock:
            self._is_started = True
            self._warn()

    def _warn(self) -> None:
        self._note_unfindable(self._labels, self._cutting)
        for line in self._find_unknown_labels(self._labels):
            if line not in self._warnings:
                self._warnings.add(line)
                self._log.warning("%s", line)


@contextlib.contextmanager
def _load(
    load: Callable[[Sequence[str], Callable[[str, Model], None]], contextlib.AbstractContextManager[Model | Pipeline]],
    find_unknown_labels: Callable[[LabelsByModel], Iterable[str]],
    note_unfindable: Callable[[LabelsByModel, Collection[str]], None],
    state: CameraState,
    on_new_server: Callable[[], None],
    log: CameraLogger,
    addresses: Sequence[str],
) -> Iterator[Model | Pipeline]:
    """Load the models; see `model_loader`."""
    loaded = _LoadedModels(find_unknown_labels, note_unfindable, state, on_new_server, log)
    with load(addresses, loaded.add) as model:
        if is_abandoned():  # another thread has loaded them since
            raise ModelError("its thread is abandoned")
        state.device, state.is_remote = model.device, model.is_remote
        if model.server != state.server:
            state.server = model.server
            on_new_server()
        loaded.start()
        yield model
