"""One camera: its inference thread, made to look like one task."""

import asyncio
import contextlib
import logging
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager
from typing import Protocol

from edgepub.backoff import Backoff
from edgepub.errors import ModelError, RetryableError, SourceError
from edgepub.frames import Frame, Result
from edgepub.messages import CameraStatus
from edgepub.metrics import CameraMetrics

_FIRST_PAUSE_S = 1.0
_LONGEST_PAUSE_S = 60.0
_STABLE_S = 10.0  # what fails sooner than this after its first frame is tried with ever longer pauses
_log = logging.getLogger(__name__)


class Source(Protocol):
    """Where frames come from (the seam to `edgepub.sources`)."""

    live: bool

    def frames(self, stopping: threading.Event) -> Iterator[Frame]:
        """Yield frames until the end, or raise SourceError."""


class Model(Protocol):
    """What looks at frames (the seam to `edgepub.inference`)."""

    def infer(self, frames: Iterable[Frame], *, live: bool) -> Iterator[Result]:
        """Yield the result of each frame, or raise ModelError, or what `frames` raised."""


class Camera:
    """Loads the model, opens the source, and gives every result away; and again after a pause when one of them fails.

    Args:
        name: the camera's name.
        source: gives the frames.
        load: loads the model, for as long as the context lasts.
        report: takes the results; called in the inference thread.
        tell: takes the camera's status when it changes; called in the inference thread.
        counts: the camera's counts.

    """

    def __init__(
        self,
        name: str,
        source: Source,
        load: Callable[[], AbstractContextManager[Model]],
        report: Callable[[Result], None],
        tell: Callable[[CameraStatus], None],
        counts: CameraMetrics,
    ) -> None:
        self.name = name
        self._source = source
        self._load = load
        self._report = report
        self._tell = tell
        self._counts = counts
        self._stopping = threading.Event()
        self._backoff = Backoff(_FIRST_PAUSE_S, _LONGEST_PAUSE_S)
        self._online = False
        self._since_s = 0.0

    async def run(self) -> None:
        """Work until the source has ended, or until `stop`; in a thread of its own, because all of it blocks."""
        loop = asyncio.get_running_loop()
        ended = asyncio.Event()

        def work() -> None:
            try:
                self._work()
            finally:
                with contextlib.suppress(RuntimeError):  # the loop has not waited for a thread that hung
                    loop.call_soon_threadsafe(ended.set)

        threading.Thread(target=work, name=f"camera-{self.name}", daemon=True).start()
        try:
            await ended.wait()
        except asyncio.CancelledError:
            self._set_online(online=False)  # of a thread that hangs, and cannot say so itself
            raise

    def stop(self) -> None:
        """Let `run` come to its end after the frame in hand."""
        self._stopping.set()

    def _work(self) -> None:
        while not self._stopping.is_set():
            try:
                with self._load() as model:
                    self._watch(model)
                break
            except ModelError as error:
                self._fail("model: %s", error)
            except Exception:
                _log.exception("%s: an error of edgepub's own; please report it", self.name)
                self._fail("%s", RetryableError("failed as above"))
        self._set_online(online=False)

    def _watch(self, model: Model) -> None:
        while not self._stopping.is_set():
            try:
                last = 0
                for result in model.infer(self._source.frames(self._stopping), live=self._source.live):
                    self._counts.count_sampled("busy", result.frame.number - last - 1)
                    last = result.frame.number
                    self._report(result)
                    self._set_online(online=not self._stopping.is_set())
            except SourceError as error:
                self._fail("source: %s", error)
            else:
                if not self._stopping.is_set():
                    _log.info("%s: the source has ended after %d frames", self.name, last)
                return

    def _set_online(self, *, online: bool) -> None:
        if online != self._online:
            self._online = online
            self._tell("online" if online else "offline")
            _log.info("%s: %s", self.name, "online" if online else "offline")
            self._since_s = time.monotonic()

    def _fail(self, text: str, error: RetryableError) -> None:
        if self._online and time.monotonic() - self._since_s > _STABLE_S:
            self._backoff.reset()
        self._set_online(online=False)
        pause_s = self._backoff.next_s()
        _log.warning("%s: " + text + "; trying again in %.1f s", self.name, error, pause_s)
        self._stopping.wait(pause_s)
