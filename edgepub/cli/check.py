"""`edgepub check --connect`: connect to the broker, open each source, and run each model on one frame."""

import asyncio
import contextlib
import functools
import queue
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgepub.camera.environment import prepare_environment
from edgepub.camera.frames import Frame, Frames, Result
from edgepub.camera.inference.loading import load_model
from edgepub.camera.inference.model import find_unknown_labels
from edgepub.camera.inference_thread import WARM_UP_TIMEOUT_S
from edgepub.camera.results.budget import MAX_OBJECTS
from edgepub.camera.results.objects import Wanted, read_objects
from edgepub.camera.sources.cost import describe_cost
from edgepub.camera.sources.factory import make_source
from edgepub.camera.sources.gate import Gate
from edgepub.config.camera import CameraSettings
from edgepub.config.secrets import read_broker_password
from edgepub.config.settings import ModelSettings, Settings
from edgepub.core.errors import EdgepubError, SourceError
from edgepub.core.redaction import redact_line
from edgepub.mqtt import connection
from edgepub.telemetry.metrics import CameraMetrics

_OPEN_TIMEOUT_S = 45.0
_CONNECT_TIMEOUT_S = 45.0
_COST_TIMEOUT_S = 4.0
_POLL_S = 0.2
_Outcome = tuple[bool, str]


def inspect(settings: Settings) -> Iterator[_Outcome]:
    """Yield for the broker, each source and each model whether it works, with a line of text.

    All sources are opened at the same time. Models are loaded one after the other, at each of their AI servers, and run
    on a frame of one of their cameras if there is one.
    """
    prepare_environment()
    yield _start_check(
        _CONNECT_TIMEOUT_S, f"broker {settings.mqtt.display_url}", lambda: asyncio.run(_connect(settings))
    )()
    frames: dict[str, Frame] = {}
    sources = [
        _start_check(_OPEN_TIMEOUT_S, f"{name}: source", functools.partial(_read_frame, name, camera, frames))
        for name, camera in settings.cameras.items()
    ]
    for wait_for_outcome in sources:
        yield wait_for_outcome()
    for name, model in settings.models.items():
        labels = {key: camera.model_labels for key, camera in settings.cameras.items() if camera.model == name}
        frame = next((frames[camera] for camera in labels if camera in frames), None)
        label_errors: list[str] = []
        for address in model.inference_hosts:
            subject = f"model {name}" + (f" at {address}" if len(model.inference_hosts) > 1 else "")
            run = functools.partial(_run_model, model, address, frame, labels, label_errors)
            yield _start_check(WARM_UP_TIMEOUT_S, subject, run)()
        yield from ((False, line) for line in dict.fromkeys(label_errors))


def _start_check(timeout_s: float, subject: str, work: Callable[[], str]) -> Callable[[], _Outcome]:
    """Start work that may hang in a separate thread. Return a function that waits for its outcome."""
    outcomes: queue.SimpleQueue[_Outcome] = queue.SimpleQueue()

    def run() -> None:
        try:
            outcomes.put((True, f"{subject}: good: {work()}"))
        except Exception as error:  # any error is the outcome
            outcomes.put((False, f"{subject}: FAILED: {redact_line(error)}"))

    threading.Thread(target=run, name=subject, daemon=True).start()
    end_s = time.monotonic() + timeout_s

    def wait_for_outcome() -> _Outcome:
        try:
            return outcomes.get(timeout=max(0.0, end_s - time.monotonic()))
        except queue.Empty:
            return False, f"{subject}: FAILED: no answer within {timeout_s:.0f} s"

    return wait_for_outcome


async def _connect(settings: Settings) -> str:
    password = read_broker_password(settings.mqtt)
    async with connection.connect(settings.mqtt, f"{settings.client_id}-check", password) as session:
        return "; ".join([f"MQTT {session.version}", *filter(None, session.limits.describe().values())])


def _read_frame(name: str, camera: CameraSettings, frames: dict[str, Frame]) -> str:
    """Open a camera's source, store its first frame in `frames`, and describe the source."""
    metrics, stopping = CameraMetrics(), threading.Event()
    source = make_source(
        name,
        camera.resolved_source,
        Gate(None, metrics),
        loop=False,
        realtime=False,
        stall_timeout_s=camera.stall_timeout_s,
        capture=camera.capture.model_copy(update={"decode": "all"}),  # so that the cost is known
        metrics=metrics,
    )
    with contextlib.closing(source.frames(stopping)) as received:
        frame = next((frame for frame in received if frame is not None), None)
        if frame is not None and source.live:
            _wait_for_cost(received, metrics)
        stopping.set()
    if frame is None:
        raise EdgepubError(f"{source}: contains no frame")
    frames[name] = frame
    width, height = frame.size
    cost, could_be_less = metrics.decoding_cost, camera.capture.decode == "all"
    return f"{source}, {width}x{height}" + (f"; {describe_cost(cost, could_be_less=could_be_less)}" if cost else "")


def _wait_for_cost(frames: Frames, metrics: CameraMetrics) -> None:
    """Read more frames until it is known what decoding costs."""
    end_s = time.monotonic() + _COST_TIMEOUT_S
    with contextlib.suppress(SourceError, StopIteration):
        while metrics.decoding_cost is None and time.monotonic() < end_s:
            frames.send(_POLL_S)


def _run_model(
    settings: ModelSettings, address: str, frame: Frame | None, labels: dict[str, list[str]], label_errors: list[str]
) -> str:
    """Load a model at an address, run it on a frame, and describe it.

    Append to `label_errors` the configured labels that it lacks.
    """
    image = np.zeros((480, 640, 3), np.uint8) if frame is None else frame.image
    with load_model(settings, address) as model:
        for _ in model.infer(_one_frame(image), live=False):  # some runtimes load or compile only now
            break
        began_s = time.monotonic()
        result = next(model.infer(_one_frame(image), live=False), None)
        took_ms = 1000 * (time.monotonic() - began_s)
        for camera, configured in labels.items():
            label_errors += [f"{camera}: FAILED: {line}" for line in find_unknown_labels(configured, model.labels)]
        return "; ".join([f"{model.device}, {took_ms:.0f} ms per frame", *_describe_objects(result)])


def _describe_objects(result: Result | None) -> Iterator[str]:
    """Yield what edgepub would drop of a result.

    Raises:
        InvalidResultError: all of it.

    """
    if result is None:
        raise EdgepubError("gives no result")
    objects = read_objects(result, Wanted())
    for what, number in objects.invalid.items():
        yield f"invalid objects: {number}: {what}"
    if objects.too_many:
        yield f"more than {MAX_OBJECTS} objects: the best are kept"


def _one_frame(image: NDArray[Any]) -> Frames:
    yield Frame(image, 1, time.time(), time.monotonic(), 0.0)
