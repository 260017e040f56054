"""One inference thread of a camera, with a deadline by which it must show progress."""

import asyncio
import contextlib
import threading
import time
from collections.abc import Callable, Sequence
from functools import partial
from math import inf

from edgepub.camera.frames import Frames
from edgepub.camera.server_probe import find_problem
from edgepub.core.threads import NativeThread, call_in_loop, run_in_thread, start_native_thread

WARM_UP_TIMEOUT_S = 300.0
"""Time to load a model, which some runtimes compile first, and to get its first result."""
POLL_S = 0.25
"""How often the deadline is checked, for all cameras at the same time: a wake-up costs more than the checks."""
_SILENT_S = 2.0  # without progress for this long, find out whether the AI server is gone


class InferenceThread:
    """A thread that may hang, and the deadline that it moves while it does not.

    Args:
        name: the thread's name.
        work: runs in the thread; gets this object.

    """

    def __init__(self, name: str, work: Callable[["InferenceThread"], None]) -> None:
        self._name = name
        self._work = work
        self.stopping = threading.Event()
        """Set to request the end of the thread."""
        self.ended = asyncio.Event()
        self.frame_timeout_s = WARM_UP_TIMEOUT_S
        """How long the model may take for one frame."""
        self.servers: Sequence[str] = ()
        """The AI servers that its models use."""
        self._thread: NativeThread | None = None
        self.set_deadline(WARM_UP_TIMEOUT_S)

    def start(self) -> None:
        """Start the thread. Call this in the event loop that waits for its end."""
        loop = asyncio.get_running_loop()

        def run() -> None:
            try:
                self._work(self)
            finally:
                call_in_loop(loop, self.ended.set)

        self._thread = start_native_thread(self._name, run)

    async def wait(self, stop: asyncio.Event) -> str | None:
        """Wait for the thread's end. Return why, if it hangs instead and `stop` is not set.

        It hangs when it misses its deadline, or when it waits for an AI server that is gone.
        """
        loop = asyncio.get_running_loop()
        overdue = asyncio.Event()

        timers: list[asyncio.Handle] = []

        def check() -> None:
            timers[:] = [loop.call_at(POLL_S * (1 + loop.time() // POLL_S), check)]
            if self.overdue_s > 0 and not stop.is_set():
                overdue.set()

        check()
        gone = loop.create_task(self._wait_for_gone_server(stop))
        waits = [gone, *(loop.create_task(event.wait()) for event in (self.ended, overdue))]
        try:
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        finally:
            timers[0].cancel()
            for wait in waits:
                wait.cancel()
        if self.ended.is_set():
            return None
        return gone.result() if gone.done() else f"no answer within {self.frame_timeout_s:.1f} s"

    def abandon(self) -> None:
        """Request the end of a thread that hangs, for which nobody waits any more."""
        self.stopping.set()
        if self._thread:
            self._thread.is_abandoned = True

    @property
    def overdue_s(self) -> float:
        """Seconds since the deadline passed; negative before it."""
        return time.monotonic() - self._deadline_s

    def set_deadline(self, seconds: float) -> None:
        """Count as hung unless this is called again within that many seconds. Infinite: it waits for no model."""
        self._progress_s = time.monotonic()
        self._deadline_s = self._progress_s + seconds

    def watch(self, frames: Frames) -> Frames:
        """Yield the frames, and start the model's time limit with the first frame that is in flight."""
        wait_s = None
        with contextlib.suppress(StopIteration):
            while True:
                # No frame is in flight when the model waits without a limit. A source has a timeout of its own.
                is_idle = wait_s is None
                if is_idle:
                    self.set_deadline(inf)
                try:
                    frame = frames.send(wait_s)
                except BaseException:
                    self.set_deadline(self.frame_timeout_s)  # the model may now wait for its last results
                    raise
                if is_idle:
                    self.set_deadline(self.frame_timeout_s)
                wait_s = yield frame

    async def _wait_for_gone_server(self, stop: asyncio.Event) -> str:
        """Return what is wrong with an AI server that is gone, once a model waits for such a one."""
        pause_s = _SILENT_S
        while True:
            await asyncio.sleep(pause_s)
            pause_s = _SILENT_S
            progress_s = self._progress_s
            silent_s = time.monotonic() - progress_s
            if self._deadline_s == inf or stop.is_set():
                continue
            if silent_s < _SILENT_S:
                pause_s -= silent_s
                continue
            for server in self.servers:
                problem = await run_in_thread("server-probe", partial(find_problem, server))
                if problem and self._progress_s == progress_s and not stop.is_set():
                    return problem
