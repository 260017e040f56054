"""`edgepub check --connect`: connect to the broker, open each source, and run each model on one frame."""

import asyncio
import contextlib
import functools
import queue
import threading
import time
from collections.abc import Callable, Iterator

from edgepub.camera.environment import prepare_environment
from edgepub.camera.frames import Frame, Frames
from edgepub.camera.inference_thread import WARM_UP_TIMEOUT_S
from edgepub.camera.sources.cost import describe_cost
from edgepub.camera.sources.factory import make_source
from edgepub.camera.sources.gate import Gate
from edgepub.cli.model_check import check_model, find_use
from edgepub.config.camera import CameraSettings
from edgepub.config.model_labels import LabelsByModel, find_unknown_of_camera, find_unknown_of_pipeline
from edgepub.config.secrets import read_broker_password
from edgepub.config.settings import Settings
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
    on a frame of one of their cameras if there is one. Then come the configured labels that no model has.
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
    labels: dict[str, list[str]] = {}
    for name, model in settings.models.items():
        use = find_use(name, settings)
        frame = next((frames[camera] for camera in use.cameras if camera in frames), None)
        for address in model.inference_hosts:
            subject = f"model {name}" + (f" at {address}" if len(model.inference_hosts) > 1 else "")
            run = functools.partial(check_model, name, model, address, use, frame, labels)
            yield _start_check(WARM_UP_TIMEOUT_S, subject, run)()
    yield from ((False, f"{key}: FAILED: {why}") for key, why in _find_unknown_labels(settings, labels))


def _find_unknown_labels(settings: Settings, known: LabelsByModel) -> Iterator[tuple[str, str]]:
    """Yield the place and an error text for each configured label that the models lack."""
    for name, pipeline in settings.pipelines.items():
        for key, why in find_unknown_of_pipeline(pipeline, known):
            yield f"pipelines.{name}.{key}", why
    for name, camera in settings.cameras.items():
        for why in find_unknown_of_camera(camera.model_labels, settings.pipeline_of(camera), known):
            yield name, why


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
