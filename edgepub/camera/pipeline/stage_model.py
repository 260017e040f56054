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


class StageModel:
    """Applies a model to pictures, as far as it is loaded and works.

    Args:
        name: the model's name.
        load: loads it, at the address whose turn it is.
        failover: where and when to load it; after each failure at the next address, if there are several.
        answer_timeout_s: how long it may take for the pictures of one frame.
        log: the camera's log.
        clock: the monotonic clock.

    """

    def __init__(
        self,
        name: str,
        load: Callable[[int], AbstractContextManager[Model]],
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
        self._has_failed = False
        self._thread: ModelThread | None = None
        self._hung: list[ModelThread] = []

    @property
    def labels(self) -> list[str]:
        """The labels of its objects; empty if it is not loaded, or does not list them."""
        loaded = self._thread.loaded if self._thread else None
        return loaded.result().labels if loaded and loaded.done() and not loaded.exception() else []

    def start(self) -> None:
        """Load it, in a thread of its own."""
        turn = self._failover.turn
        self._load_until_s = self._clock() + _LOAD_TIMEOUT_S
        self._thread = ModelThread(self.name, lambda: self._load(turn))

    def wait_until_loaded(self, timeout_s: float) -> None:
        """Wait until it is loaded or has failed, up to that many seconds."""
        if self._thread:
            with contextlib.suppress(ModelError, TimeoutError):
                self._thread.loaded.result(timeout_s)

    def close(self, timeout_s: float) -> None:
        """Release it, and wait for that up to that many seconds."""
        if self._thread:
            self._thread.close(timeout_s)
            self._thread = None

    def apply(self, frames: Sequence[Frame]) -> Pending | None:
        """Return the results of pictures, which come later; None while it is not loaded, or pauses after a failure."""
        return self._thread.apply(frames) if self._is_ready() and self._thread else None

    def wait(self, pending: Pending) -> list[Result]:
        """Wait for the results of `apply`, and return them; none if it fails, or takes too long."""
        try:
            results = pending.get(self._answer_timeout_s)
        except (ModelError, TimeoutError) as error:
            pending.is_cancelled = True
            late = f"no answer within {self._answer_timeout_s:.1f} s"
            self._fail(error if isinstance(error, ModelError) else ModelError(late))
            return []
        self._succeed()
        return results

    def _is_ready(self) -> bool:
        thread = self._thread
        if thread is None:
            self._hung = [thread for thread in self._hung if thread.is_running]
            if self._clock() >= self._retry_s and len(self._hung) < _MAX_HUNG:
                self.start()
            return False
        if not thread.loaded.done():
            if self._clock() >= self._load_until_s:
                self._fail(ModelError(f"not loaded within {_LOAD_TIMEOUT_S:.0f} s"))
            return False
        error = thread.loaded.exception()
        if isinstance(error, ModelError):
            self._fail(error)
        return error is None

    def _succeed(self) -> None:
        if self._has_failed:
            self._has_failed = False
            self._log.info("stage %s: works again", self.name)
        self._failover.on_success()

    def _fail(self, error: ModelError) -> None:
        """Close it, and load it again after a pause; at its next address without one."""
        if self._thread:
            self._thread.close()
            self._hung.append(self._thread)
            self._thread = None
        self._has_failed = True
        pause_s = self._failover.on_failure(is_of_model=True)
        self._retry_s = self._clock() + pause_s
        retry = f"trying again in {pause_s:.1f} s" if pause_s else "trying the next AI server"
        self._log.warning("stage %s: %s; %s", self.name, error, retry)
