"""One camera: runs its inference thread as a task, and replaces the thread when it hangs."""

import asyncio
import contextlib
import functools
import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from math import inf
from typing import Protocol

from edgepub.camera.current_status import CurrentStatus
from edgepub.camera.failover import Failover
from edgepub.camera.frames import Fit, Frames, FrameSource, Result
from edgepub.camera.inference_thread import POLL_S, WARM_UP_TIMEOUT_S, InferenceThread
from edgepub.config.camera import CameraSettings
from edgepub.core.errors import ModelError, RetryableError, SourceError
from edgepub.core.fair_lock import FairLock
from edgepub.core.serial_calls import SerialCalls
from edgepub.telemetry.logs import camera_logger
from edgepub.telemetry.metrics import CameraMetrics
from edgepub.telemetry.status import STARTING, CameraState, CameraStatus

_MAX_HUNG = 3
_STUCK_AFTER_S = 10.0
_log = logging.getLogger(__name__)


class InferenceModel(Protocol):
    """A loaded model (implemented by `edgepub.camera.inference.model`)."""

    @property
    def fit(self) -> Fit | None:
        """The size of the pictures that it takes; None: give it pictures at full size."""

    def infer(self, frames: Frames, *, live: bool) -> Iterator[Result | None]:
        """Yield the result of each frame, and None when a part of one is done.

        Raises:
            ModelError: the model failed.
            SourceError: raised by `frames`.

        """


class ResultSink(Protocol):
    """Takes the results of a camera (implemented by `edgepub.camera.reporter`)."""

    def report(self, result: Result) -> str | None:
        """Take a result; return the camera's problem if its results are of no use."""

    def set_status(self, status: CameraStatus) -> None:
        """Take the camera's new status."""

    def set_areas(self, settings: CameraSettings) -> None:
        """Use other zones and lines."""


class CameraSupervisor:
    """Loads the model, opens the source and passes on every result; retries after a pause when one of them fails.

    If a call of the model hangs, its thread is abandoned, and a new thread starts again with loading the model.

    Args:
        name: the camera's name.
        source: gives the frames.
        load: loads the models, each at its address, for the lifetime of the context.
        failover: where to load it, and when again after a failure.
        sink: takes the results and the status; called by one thread at a time.
        turns: held while the sink takes a result, so that few threads work at the same time.
        metrics: the camera's metrics.
        state: the camera's state, kept up to date here.
        stall_timeout_s: how long a model that has answered may take for the next answer.
        enabled: whether the camera is enabled at the start.

    """

    def __init__(
        self,
        name: str,
        source: FrameSource,
        load: Callable[[Sequence[str]], AbstractContextManager[InferenceModel]],
        failover: Failover,
        sink: ResultSink,
        turns: FairLock,
        metrics: CameraMetrics,
        state: CameraState,
        stall_timeout_s: float,
        *,
        enabled: bool = True,
    ) -> None:
        self.name = name
        self._log = camera_logger(_log, name)
        self._source = source
        self._load = load
        self._failover = failover
        self._sink = sink
        self._turns = turns
        self._status = CurrentStatus(state, sink.set_status, metrics, self._log, enabled=enabled)
        self._stall_timeout_s = stall_timeout_s
        # The rest of the promised time is for noticing the hang and for publishing it.
        self._frame_timeout_s = stall_timeout_s - max(0.1 * stall_timeout_s, 2 * POLL_S)
        self._enabled = enabled
        self._stop = asyncio.Event()
        self._switched = asyncio.Event()
        # What the sink and the state get: from the current thread, or from the event loop, which waits for no thread.
        self._reports = SerialCalls()
        self._thread: InferenceThread | None = None
        self._waits_for_hung = False
        self._has_ended = False

    @property
    def may_work(self) -> bool:
        """Whether the camera may still give results: an enabled one, or a live one that can be enabled."""
        return self._enabled or self._source.live

    @property
    def is_stuck(self) -> bool:
        """Whether the camera cannot continue: too many model calls hang, or one hangs and was not abandoned."""
        thread = self._thread
        return self._waits_for_hung or (thread is not None and thread.overdue_s > _STUCK_AFTER_S)

    async def run(self) -> None:
        """Run the inference thread while enabled, until the source has ended or until `stop`."""
        hung: list[InferenceThread] = []
        try:
            while not self._stop.is_set():
                if not self._enabled:
                    self._switched.clear()
                    await self._switched.wait()
                    continue
                thread = self._thread = InferenceThread(f"camera-{self.name}", self._work)
                thread.start()
                problem = await thread.wait(self._stop)
                if problem is None:
                    if thread is self._thread:
                        return
                    continue  # it was disabled
                hung = [*_running(hung), thread]
                pause_s = self._abandon(thread, problem)
                await self._pause(pause_s)
                if len(hung) >= _MAX_HUNG:
                    self._log.error("hanging calls of the model: %d; waiting until one returns", len(hung))
                    self._waits_for_hung = True
                while len(hung) >= _MAX_HUNG and not self._stop.is_set():
                    await self._pause(POLL_S)
                    hung = _running(hung)
                self._waits_for_hung = False
        finally:
            self._has_ended = True
            if self._thread:
                self._thread.abandon()
            self._detach_thread(None)  # also sets the status for a thread that hangs and cannot do it

    def stop(self) -> None:
        """End `run` after the current frame."""
        self._stop.set()
        self._switched.set()
        if self._thread:
            self._thread.stopping.set()

    def set_enabled(self, enabled: bool) -> None:
        """Enable the camera, or disable it: close the source and unload the model."""
        if enabled != self._enabled:
            self._enabled = enabled
            self._detach_thread(STARTING if enabled and not self._has_ended else None)
            self._switched.set()

    def set_areas(self, settings: CameraSettings, on_done: Callable[[], None]) -> None:
        """Use other zones and lines from the next result on, whether the camera works now or not.

        Args:
            settings: the camera's settings, of which only its areas have changed.
            on_done: called, from any thread, when nothing more is published for the old ones.

        """

        def apply() -> None:
            self._sink.set_areas(settings)
            on_done()

        self._reports.submit(apply)

    def _detach_thread(self, problem: str | None) -> None:
        """Ignore the current thread from now on and request its end; set the status with this problem, if any."""
        if self._thread:
            self._thread.stopping.set()
        self._thread = None
        status = self._status
        self._reports.submit(functools.partial(status.set_offline, problem) if self._enabled else status.set_disabled)

    def _abandon(self, thread: InferenceThread, problem: str) -> float:
        """Ignore a thread that hangs from now on; return the pause before the next thread, in seconds."""
        thread.abandon()
        if thread is not self._thread:  # it was disabled meanwhile
            return 0.0
        self._thread = None
        pause_s = self._next_pause_s(is_of_model=True)
        problem = f"model: {problem}"
        self._reports.submit(functools.partial(self._status.set_offline, problem))
        self._log.warning("%s; its thread is abandoned; %s", problem, _describe_retry(pause_s))
        return pause_s

    async def _pause(self, seconds: float) -> None:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._stop.wait(), seconds)

    def _work(self, thread: InferenceThread) -> None:
        while not thread.stopping.is_set():
            try:
                servers = self._failover.servers
                thread.servers = ()  # loading looks for them itself, and may take long on this node
                thread.frame_timeout_s = WARM_UP_TIMEOUT_S
                thread.set_deadline(WARM_UP_TIMEOUT_S)
                with self._load(self._failover.addresses) as model:
                    thread.servers = servers
                    self._run_source(thread, model)
                break
            except ModelError as error:
                self._fail(thread, "model: %s", error)
            except BaseException:  # whatever it is, the camera continues
                self._log.exception("internal error, please report it")
                self._fail(thread, "%s", RetryableError("internal error, see the log"))

    def _run_source(self, thread: InferenceThread, model: InferenceModel) -> None:
        while not thread.stopping.is_set():
            try:
                with contextlib.closing(self._source.frames(thread.stopping, model.fit)) as frames:
                    self._infer(thread, model, frames)
            except SourceError as error:
                self._fail(thread, "source: %s", error)
            else:
                return

    def _infer(self, thread: InferenceThread, model: InferenceModel, frames: Frames) -> None:
        number = 0
        for result in model.infer(thread.watch(frames), live=self._source.live):
            if result is None:
                thread.set_deadline(thread.frame_timeout_s)
                continue
            thread.frame_timeout_s = self._frame_timeout_s
            thread.set_deadline(thread.frame_timeout_s)
            number = result.frame.number
            if not self._report(thread, result):
                return
        if not thread.stopping.is_set():
            thread.set_deadline(WARM_UP_TIMEOUT_S)  # to unload the model, as to load it
            self._log.info("the source has ended; frames: %d", number)

    def _report(self, thread: InferenceThread, result: Result) -> bool:
        """Pass on a result; return False if another thread has replaced this one."""
        with self._turns.hold(), self._reports.alone():
            if thread is not self._thread:
                return False
            self._status.set_result(result.ended_s, self._sink.report(result))
            return True

    def _fail(self, thread: InferenceThread, text: str, error: RetryableError) -> None:
        with self._reports.alone():
            if thread is not self._thread:
                return
            pause_s = self._next_pause_s(is_of_model=isinstance(error, ModelError))
            self._status.set_offline(text % error)
        self._log.warning(text + "; %s", error, _describe_retry(pause_s))
        thread.set_deadline(inf)
        thread.stopping.wait(pause_s)

    def _next_pause_s(self, *, is_of_model: bool) -> float:
        """Return the pause before the next try; short again if the camera was online for longer than a stall takes."""
        if self._status.online_s > self._stall_timeout_s:
            self._failover.on_success()
        return self._failover.on_failure(is_of_model=is_of_model)


def _describe_retry(pause_s: float) -> str:
    return f"trying again in {pause_s:.1f} s" if pause_s else "trying the next AI server"


def _running(threads: list[InferenceThread]) -> list[InferenceThread]:
    return [thread for thread in threads if not thread.ended.is_set()]
