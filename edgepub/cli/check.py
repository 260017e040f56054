"""Whether all that a configuration names can be had: the broker, each camera's source, each model."""

import asyncio
import contextlib
import functools
import queue
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgepub.camera.frames import Frame, Frames
from edgepub.camera.inference.loading import load_model
from edgepub.camera.inference_thread import WARM_UP_S
from edgepub.camera.sources.capture import Gate
from edgepub.camera.sources.factory import make_source
from edgepub.config.camera import CameraSettings
from edgepub.config.secrets import read_broker_password
from edgepub.config.settings import ModelSettings, Settings
from edgepub.core.errors import EdgepubError
from edgepub.core.redaction import redact_line
from edgepub.mqtt import connection
from edgepub.telemetry.metrics import CameraMetrics

_OPENS_WITHIN_S = 45.0
_CONNECTS_WITHIN_S = 45.0
_Outcome = tuple[bool, str]


def inspect(settings: Settings) -> Iterator[_Outcome]:
    """Yield whether each of them can be had, and a line that says so: the broker, the sources, the models.

    The sources are tried at the same time, the models one after the other, with a frame of a camera that has one.
    """
    yield _within(_CONNECTS_WITHIN_S, f"broker {settings.mqtt.url}", lambda: asyncio.run(_connect(settings)))()
    frames: dict[str, Frame] = {}
    sources = [
        _within(_OPENS_WITHIN_S, f"{name}: source", functools.partial(_open, name, of, frames))
        for name, of in settings.cameras.items()
    ]
    for outcome in sources:
        yield outcome()
    for name, of in settings.models.items():
        seen = [frames[camera] for camera, its in settings.cameras.items() if its.model == name and camera in frames]
        strange: list[str] = []
        named = {camera: its.all_labels for camera, its in settings.cameras.items() if its.model == name}
        yield _within(WARM_UP_S, f"model {name}", functools.partial(_try_out, of, seen, named, strange))()
        yield from ((False, line) for line in strange)


def _within(seconds: float, what: str, work: Callable[[], str]) -> Callable[[], _Outcome]:
    """Begin work that may hang, in a thread of its own; return what waits for its end."""
    outcomes: queue.SimpleQueue[_Outcome] = queue.SimpleQueue()

    def run() -> None:
        try:
            outcomes.put((True, f"{what}: good: {work()}"))
        except Exception as error:  # whatever it is, it is the outcome
            outcomes.put((False, f"{what}: FAILED: {redact_line(error)}"))

    threading.Thread(target=run, name=what, daemon=True).start()
    end_s = time.monotonic() + seconds

    def outcome() -> _Outcome:
        try:
            return outcomes.get(timeout=max(0.0, end_s - time.monotonic()))
        except queue.Empty:
            return False, f"{what}: FAILED: no answer within {seconds:.0f} s"

    return outcome


async def _connect(settings: Settings) -> str:
    password = read_broker_password(settings.mqtt)
    async with connection.connect(settings.mqtt, f"{settings.client_id}-check", password) as session:
        return f"MQTT {session.version}"


def _open(name: str, of: CameraSettings, frames: dict[str, Frame]) -> str:
    counts, stopping = CameraMetrics(), threading.Event()
    source = make_source(
        name,
        of.resolved_source,
        Gate(None, counts),
        loop=False,
        realtime=False,
        stall_timeout_s=of.stall_timeout_s,
        metrics=counts,
    )
    with contextlib.closing(source.frames(stopping)) as its:
        frame = next((each for each in its if each is not None), None)
        stopping.set()
    if frame is None:
        raise EdgepubError(f"{source}: no frame in it")
    frames[name] = frame
    height, width = frame.image.shape[:2]
    return f"{source}, {width}x{height}"


def _try_out(of: ModelSettings, seen: list[Frame], named: Mapping[str, list[str]], strange: list[str]) -> str:
    image = seen[0].image if seen else np.zeros((480, 640, 3), np.uint8)
    with load_model(of) as model:
        for _ in model.infer(_one(image), live=False):  # which may load, or compile, only now
            break
        began_s = time.monotonic()
        for _ in model.infer(_one(image), live=False):
            break
        strange += [f"{camera}: FAILED: {line}" for camera, its in named.items() for line in model.unknown_labels(its)]
        took_ms = 1000 * (time.monotonic() - began_s)
        return f"{model.device}, {took_ms:.0f} ms for a frame"


def _one(image: NDArray[Any]) -> Frames:
    yield Frame(image, 1, time.time(), time.monotonic(), 0.0)
