"""A thread between a camera's inference and its reporter, so that the model does not wait for what is said of a result.

What a runtime on the CPU loses by a pause between two frames is more than the pause itself: its own threads go to sleep
meanwhile. `edgepub bench everything` shows it.
"""

import asyncio
import logging
import threading
from collections.abc import Callable
from contextlib import suppress
from queue import SimpleQueue
from typing import Protocol

from edgepub.frames import Result
from edgepub.logs import Complaints
from edgepub.messages import CameraStatus

_MOST_WAITING = 2
_log = logging.getLogger(__name__)


class Reporter(Protocol):
    """Who is told (the seam to `edgepub.reporter`)."""

    def report(self, result: Result) -> None:
        """Take a result."""

    def tell(self, status: CameraStatus) -> None:
        """Take the camera's status."""


class ReportThread:
    """Passes results and statuses on, one after another and in their order, in a thread of its own.

    Args:
        camera: the camera's name.
        reporter: takes them.

    """

    def __init__(self, camera: str, reporter: Reporter) -> None:
        self._name = f"report-{camera}"
        self._reporter = reporter
        self._waiting: SimpleQueue[Callable[[], None] | None] = SimpleQueue()
        self._room = threading.Semaphore(_MOST_WAITING)
        self._thread: threading.Thread | None = None
        self._complaints = Complaints(_log)

    def report(self, result: Result) -> None:
        """Pass a result on; waits only while two others do."""
        self._room.acquire()
        self._put(lambda: self._report(result))

    def tell(self, status: CameraStatus) -> None:
        """Pass a status on, at once."""
        self._put(lambda: self._reporter.tell(status))

    async def close(self) -> None:
        """Wait until all of it is passed on, and let the thread end."""
        if self._thread is None:
            return
        loop, done = asyncio.get_running_loop(), asyncio.Event()

        def finish() -> None:
            with suppress(RuntimeError):  # the loop is closed: it has not waited for so long
                loop.call_soon_threadsafe(done.set)

        self._waiting.put(finish)
        self._waiting.put(None)
        await done.wait()

    def _put(self, work: Callable[[], None]) -> None:
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name=self._name, daemon=True)
            self._thread.start()
        self._waiting.put(work)

    def _run(self) -> None:
        while work := self._waiting.get():
            try:
                work()
            except Exception:
                self._complaints.warn("%s: an error of edgepub's own; please report it", self._name, exc_info=True)

    def _report(self, result: Result) -> None:
        try:
            self._reporter.report(result)
        finally:
            self._room.release()
