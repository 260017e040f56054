"""One inference thread of a camera, with a deadline by which it must show progress."""

import asyncio
import contextlib
import threading
import time
from collections.abc import Callable
from math import inf

from edgepub.camera.frames import Frames
from edgepub.core.threads import call_in_loop, start_native_thread

WARM_UP_TIMEOUT_S = 300.0
"""Time to load a model, which some runtimes compile first, and to get its first result."""
POLL_S = 0.25
"""How often the deadline is checked, for all cameras at the same time: a wake-up costs more than the checks."""


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
        self._deadline_s = time.monotonic() + WARM_UP_TIMEOUT_S

    def start(self) -> None:
        """Start the thread. Call this in the event loop that waits for its end."""
        loop = asyncio.get_running_loop()

        def run() -> None:
            try:
                self._work(self)
            finally:
                call_in_loop(loop, self.ended.set)

        start_native_thread(self._name, run)

    async def wait(self, stop: asyncio.Event) -> bool:
        """Wait for the thread's end; return False when it misses its deadline and `stop` is not set."""
        loop = asyncio.get_running_loop()
        overdue = asyncio.Event()

        timers: list[asyncio.Handle] = []

        def check() -> None:
            timers[:] = [loop.call_at(POLL_S * (1 + loop.time() // POLL_S), check)]
            if self.overdue_s > 0 and not stop.is_set():
                overdue.set()

        check()
        waits = [loop.create_task(event.wait()) for event in (self.ended, overdue)]
        try:
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        finally:
            timers[0].cancel()
            for wait in waits:
                wait.cancel()
        return self.ended.is_set()

    @property
    def overdue_s(self) -> float:
        """Seconds since the deadline passed; negative before it."""
        return time.monotonic() - self._deadline_s

    def set_deadline(self, seconds: float) -> None:
        """Count as hung unless this is called again within that many seconds."""
        self._deadline_s = time.monotonic() + seconds

    def watch(self, frames: Frames) -> Frames:
        """Yield the frames, and start the model's time limit with the first frame that is in flight."""
        wait_s = None
        with contextlib.suppress(StopIteration):
            while True:
                # No frame is in flight when the model waits without a limit. A source has a timeout of its own.
                is_idle = wait_s is None
                if is_idle:
                    self.set_deadline(inf)
                frame = frames.send(wait_s)
                if is_idle:
                    self.set_deadline(self.frame_timeout_s)
                wait_s = yield frame
