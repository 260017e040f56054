"""The model of a stage. If it fails, it is loaded again later, and nobody waits for that."""

import contextlib
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from math import inf

from edgepub.camera.failover import Failover
from edgepub.camera.frames import Frame, Result
from edgepub.camera.inference.model import Model
from edgepub.camera.pipeline.model_thread import ModelThread, Pending
from edgepub.core.errors import ModelError
from edgepub.telemetry.logs import CameraLogger

_LOAD_TIMEOUT_S = 300.0  # some runtimes compile a model first
_MAX_HUNG = 3
_LONG_S = 10.0  # a model that has worked for so long starts again with short pauses


class StageModel:
    """Applies a model to pictures, as far as it is loaded and works.

    Args:
        name: the model's name.
        load: loads it, at an address.
        failover: where and when to load it; after each failure at the next address, if there are several.
        answer_timeout_s: how long it may take for the pictures of one frame.
        log: the camera's log.
        clock: the monotonic clock.

    """

    def __init__(
        self,
        name: str,
        load: Callable[[str], AbstractContextManager[Model]],
        failover: Failover,
        answer_timeout_s: float,
        log: CameraLogger,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.name = name
        self._load = load
        self._failover = failover
        self._answer_timeout_s = answer_timeout_s
        self._log = log
        self._clock = clock
        self._retry_s = -inf
        self._load_until_s = inf
        self._works_since_s = inf
        self._has_failed = False
        self._thread: ModelThread | None = None
        self._hung: list[ModelThread] = []

    def start(self) -> None:
        """Load it, in a thread of its own."""
        (address,) = self._failover.addresses
        self._load_until_s, self._works_since_s = self._clock() + _LOAD_TIMEOUT_S, inf
        self._thread = ModelThread(self.name, lambda: self._load(address))

    def wait_until_loaded(self, timeout_s: float) -> None:
        """Wait until it is loaded or has failed, up to that many seconds."""
        if self._thread:
            with contextlib.suppress(ModelError, TimeoutError):
                self._thread.loaded.result(timeout_s)

    def end(self) -> None:
        """Request its end."""
        if self._thread:
            self._thread.end()

    def join(self, timeout_s: float) -> None:
        """Wait for its end, up to that many seconds."""
        if self._thread:
            self._thread.join(timeout_s)

    def poll(self) -> None:
        """Load it again if that is due. Call this for each frame, also if it has nothing to do there."""
        thread = self._thread
        if thread is None:
            self._hung = [hung for hung in self._hung if hung.is_running]
            if self._clock() >= self._retry_s and len(self._hung) < _MAX_HUNG:
                self.start()
        elif not thread.loaded.done():
            if self._clock() >= self._load_until_s:
                self._fail(f"not loaded within {_LOAD_TIMEOUT_S:.0f} s")
        elif error := thread.loaded.exception():
            self._fail(str(error))
        else:
            thread.close_if_idle()

    def apply(self, frames: Sequence[Frame]) -> Pending | None:
        """Return the results of pictures, which come later; None while it is not loaded, or pauses after a failure."""
        if not self._thread or not _is_loaded(self._thread):
            return None
        return self._thread.apply(frames, self._answer_timeout_s)

    def wait(self, pending: Pending) -> list[Result]:
        """Wait for the results of `apply`, and return them; fewer if it fails, or takes too long."""
        try:
            results = pending.get(self._answer_timeout_s)
        except ModelError as error:
            self._fail(str(error))
            return []
        except TimeoutError:
            self._fail(f"no answer within {self._answer_timeout_s:.1f} s")
            return []
        if not results:
            return []
        self._works_since_s = min(self._works_since_s, self._clock())
        if self._has_failed:
            self._has_failed = False
            self._log.info("stage %s: works again", self.name)
        return results

    def _fail(self, problem: str) -> None:
        """Abandon it, and load it again after a pause; at its next address without one."""
        if self._clock() - self._works_since_s > _LONG_S:
            self._failover.on_success()
        if self._thread:
            self._thread.end()
            self._thread.join(0.0)
            self._hung = [thread for thread in (*self._hung, self._thread) if thread.is_running]
            self._thread = None
        self._has_failed = True
        pause_s = self._failover.on_failure(is_of_model=True)
        self._retry_s = self._clock() + pause_s
        retry = f"trying again in {pause_s:.1f} s" if pause_s else "trying the next AI server"
        if len(self._hung) >= _MAX_HUNG:
            retry = "waiting until one of its hanging calls returns"
        self._log.warning("stage %s: %s; %s", self.name, problem, retry)


def _is_loaded(thread: ModelThread) -> bool:
    return thread.loaded.done() and not thread.loaded.exception()
