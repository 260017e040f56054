"""One camera: its inference thread, made to look like one task, and replaced when it hangs."""

import asyncio
import contextlib
import logging
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from typing import Protocol

from edgepub.camera.frames import Frames, FrameSource, Result
from edgepub.camera.inference_thread import POLL_S, WARM_UP_S, InferenceThread
from edgepub.config.camera import CameraSettings
from edgepub.core.backoff import Backoff
from edgepub.core.errors import ModelError, RetryableError, SourceError
from edgepub.telemetry.logs import camera_logger
from edgepub.telemetry.metrics import CameraMetrics
from edgepub.telemetry.status import STARTS, CameraState, CameraStatus

_FIRST_PAUSE_S = 1.0
_LONGEST_PAUSE_S = 30.0
_MOST_HUNG = 3
_NOTICED_WITHIN_S = 10.0
_log = logging.getLogger(__name__)


class InferenceModel(Protocol):
    """What looks at frames (the seam to `edgepub.camera.inference`)."""

    def infer(self, frames: Frames, *, live: bool) -> Iterator[Result]:
        """Yield the result of each frame, or raise ModelError, or what `frames` raised."""


class ResultSink(Protocol):
    """Who is told of it (the seam to `edgepub.camera.reporter`)."""

    def report(self, result: Result) -> None:
        """Take a result."""

    def set_status(self, status: CameraStatus) -> None:
        """Take the camera's status, when it changes."""

    def set_areas(self, settings: CameraSettings) -> None:
        """Take other zones and lines."""


class CameraSupervisor:
    """Loads the model, opens the source, and gives every result away; and again after a pause when one of them fails.

    A call of the model that hangs is abandoned with its thread, and a new thread begins again from loading.

    Args:
        name: the camera's name.
        source: gives the frames.
        load: loads the model, for as long as the context lasts.
        reporter: takes the results and the status; called by one thread at a time.
        counts: the camera's counts.
        state: how the camera is; set here.
        stall_timeout_s: how long a model that has answered may take for the next answer.
        enabled: whether it works to begin with.

    """

    def __init__(
        self,
        name: str,
        source: FrameSource,
        load: Callable[[], AbstractContextManager[InferenceModel]],
        reporter: ResultSink,
        counts: CameraMetrics,
        state: CameraState,
        stall_timeout_s: float,
        *,
        enabled: bool = True,
    ) -> None:
        self.name = name
        self._log = camera_logger(_log, name)
        self._source = source
        self._load = load
        self._reporter = reporter
        self._counts = counts
        self._state = state
        self._stall_timeout_s = stall_timeout_s
        # What is left of the promise is for noticing it, and for saying so.
        self._patience_s = stall_timeout_s - max(0.1 * stall_timeout_s, 2 * POLL_S)
        self._backoff = Backoff(_FIRST_PAUSE_S, _LONGEST_PAUSE_S)
        self._stop = asyncio.Event()
        self._switched = asyncio.Event()
        self._enabled = enabled
        self._lock = threading.Lock()  # of what follows, between a thread that hung and the one that replaces it
        self._life: InferenceThread | None = None
        self._waits_for_hung = False
        self._has_ended = False
        self._status = state.status = self._down
        state.problem = STARTS if enabled else None
        self._was_online = False
        self._since_s = 0.0
        self._last_s = 0.0

    @property
    def may_work(self) -> bool:
        """Whether there is something to wait for: a file that is disabled is nothing, but a live source is."""
        return self._enabled or self._source.live

    @property
    def is_stuck(self) -> bool:
        """Whether nothing can go on: too many calls of the model hang, or one does and was not abandoned."""
        life = self._life
        return self._waits_for_hung or (life is not None and life.overdue_s > _NOTICED_WITHIN_S)

    async def run(self) -> None:
        """Work while enabled, until the source has ended or until `stop`; in a thread, because all of it blocks."""
        hung: list[InferenceThread] = []
        try:
            while not self._stop.is_set():
                if not self._enabled:
                    self._switched.clear()
                    await self._switched.wait()
                    continue
                life = self._life = InferenceThread()
                life.begin(f"camera-{self.name}", self._work)
                if await life.over(self._stop):
                    if life is self._life:
                        return
                    continue  # it was disabled
                hung = [*(each for each in hung if not each.ended.is_set()), life]
                pause_s = self._abandon(life)
                await self._pause(pause_s)
                if len(hung) >= _MOST_HUNG:
                    self._log.error("%d calls of the model hang; waiting for one to come back", len(hung))
                    self._waits_for_hung = True
                while len(hung) >= _MOST_HUNG and not self._stop.is_set():
                    await self._pause(POLL_S)
                    hung = [each for each in hung if not each.ended.is_set()]
                self._waits_for_hung = False
        finally:
            self._has_ended = True
            self._leave_life(None)  # also for a thread that hangs, and cannot say so itself

    def stop(self) -> None:
        """Let `run` come to its end after the frame in hand."""
        self._stop.set()
        self._switched.set()
        if self._life:
            self._life.stopping.set()

    def set_enabled(self, enabled: bool) -> None:
        """Let it work, or close the source and unload the model."""
        if enabled != self._enabled:
            self._enabled = enabled
            self._leave_life(STARTS if enabled and not self._has_ended else None)
            self._was_online = False  # that it comes back is then no reconnect
            self._switched.set()

    def set_areas(self, settings: CameraSettings) -> None:
        """Let other zones and lines be in force from the next result on, whether it works now or not."""
        with self._lock:
            self._reporter.set_areas(settings)

    def _leave_life(self, fault: str | None) -> None:
        """Hear no more of the thread there is, and let it come to its end; what is wrong then, if anything is."""
        with self._lock:
            if self._life:
                self._life.stopping.set()
            self._life = None
            self._set_status(self._down, fault)

    @property
    def _down(self) -> CameraStatus:
        return "offline" if self._enabled else "disabled"

    def _abandon(self, life: InferenceThread) -> float:
        """Take the place away from a thread that hangs; return how long to wait with a new one, in seconds."""
        life.stopping.set()
        with self._lock:
            if life is not self._life:  # it was disabled meanwhile
                return 0.0
            self._life = None
            pause_s = self._next_pause_s()
            fault = f"model: no answer within {life.patience_s:.1f} s"
            self._set_status(self._down, fault)
        self._log.warning("%s; its thread is abandoned; trying again in %.1f s", fault, pause_s)
        return pause_s

    async def _pause(self, seconds: float) -> None:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._stop.wait(), seconds)

    def _work(self, life: InferenceThread) -> None:
        while not life.stopping.is_set():
            try:
                life.patience_s = WARM_UP_S
                life.expect_within(WARM_UP_S)
                with self._load() as model:
                    self._watch(life, model)
                break
            except ModelError as error:
                self._fail(life, "model: %s", error)
            except BaseException:  # whatever it is, the camera goes on
                self._log.exception("internal error, please report it")
                self._fail(life, "%s", RetryableError("failed as above"))

    def _watch(self, life: InferenceThread, model: InferenceModel) -> None:
        while not life.stopping.is_set():
            try:
                with contextlib.closing(self._source.frames(life.stopping)) as frames:
                    self._look_at(life, model, frames)
            except SourceError as error:
                self._fail(life, "source: %s", error)
            else:
                return

    def _look_at(self, life: InferenceThread, model: InferenceModel, frames: Frames) -> None:
        number = 0
        for result in model.infer(life.watch(frames), live=self._source.live):
            life.patience_s = self._patience_s
            life.expect_within(life.patience_s)
            number = result.frame.number
            if not self._take(life, result):
                return
        if not life.stopping.is_set():
            self._log.info("the source has ended after %d frames", number)

    def _take(self, life: InferenceThread, result: Result) -> bool:
        """Give a result away; return False if another thread has taken this one's place."""
        with self._lock:
            if life is not self._life:
                return False
            self._reporter.report(result)
            self._last_s = result.ended_s
            self._set_status("online", None)
            return True

    def _fail(self, life: InferenceThread, text: str, error: RetryableError) -> None:
        with self._lock:
            if life is not self._life:
                return
            pause_s = self._next_pause_s()
            self._set_status(self._down, text % error)
        self._log.warning(text + "; trying again in %.1f s", error, pause_s)
        life.expect_within(pause_s + WARM_UP_S)
        life.stopping.wait(pause_s)

    def _next_pause_s(self) -> float:
        """Return the pause before the next try: a short one after it went well for longer than a stall takes to see."""
        if self._status == "online" and self._last_s - self._since_s > self._stall_timeout_s:
            self._backoff.reset()
        return self._backoff.next_s()

    def _set_status(self, status: CameraStatus, fault: str | None) -> None:
        self._state.problem = fault
        if status == self._status:
            return
        self._status = self._state.status = status
        self._since_s = time.monotonic()
        if status == "online":
            if self._was_online:
                self._counts.count_reconnect()
            self._was_online = True
        self._reporter.set_status(status)
        self._log.info("%s", status)
