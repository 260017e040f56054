"""One inference thread of a camera, and the moment by which the next sign of life must come from it."""

import asyncio
import contextlib
import threading
import time
from collections.abc import Callable
from math import inf

from edgepub.camera.frames import Frames

WARM_UP_S = 300.0
"""To load a model, which some runtimes compile first, and to get its first answer."""
POLL_S = 0.25
"""How often it is looked at."""


class InferenceThread:
    """A thread that may hang, and a deadline that it moves as long as it does not."""

    def __init__(self) -> None:
        self.stopping = threading.Event()
        """Set when it is to come to its end."""
        self.ended = asyncio.Event()
        self.patience_s = WARM_UP_S
        """How long the model may take for a frame."""
        self._deadline_s = 0.0
        self.expect_within(WARM_UP_S)

    def begin(self, name: str, work: Callable[["InferenceThread"], None]) -> None:
        """Start the thread; in the event loop that waits for its end."""
        loop = asyncio.get_running_loop()

        def run() -> None:
            try:
                work(self)
            finally:
                with contextlib.suppress(RuntimeError):  # the loop is closed: it has not waited for a thread that hung
                    loop.call_soon_threadsafe(self.ended.set)

        threading.Thread(target=run, name=name, daemon=True).start()

    async def over(self, stop: asyncio.Event) -> bool:
        """Wait for the thread's end; return False when it hangs, unless everything stops."""
        while not self.ended.is_set():
            if time.monotonic() > self._deadline_s and not stop.is_set():
                return False
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self.ended.wait(), POLL_S)
        return True

    @property
    def overdue_s(self) -> float:
        """For how long nothing was heard of it that should have been; negative while there is time."""
        return time.monotonic() - self._deadline_s

    def expect_within(self, seconds: float) -> None:
        """Be taken for hung unless this is called again within so many seconds."""
        self._deadline_s = time.monotonic() + seconds

    def watch(self, frames: Frames) -> Frames:
        """Yield the frames; from the first that is under way, the model's time runs."""
        wait_s = None
        with contextlib.suppress(StopIteration):
            while True:
                # Nothing is under way when one waits without a limit; and a source watches over itself.
                is_alone = wait_s is None
                if is_alone:
                    self.expect_within(inf)
                frame = frames.send(wait_s)
                if is_alone:
                    self.expect_within(self.patience_s)
                wait_s = yield frame
