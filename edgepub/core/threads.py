"""Threads for what may take its time, like a disk."""

import asyncio
import contextlib
import logging
import threading
from collections.abc import Callable
from functools import partial
from typing import TypeVar

_SOON_S = 0.01
_AFTER_A_BUG_S = 10.0
_log = logging.getLogger(__name__)
Answer = TypeVar("Answer")


class Worker:
    """Does one kind of work whenever it is woken, in a thread of its own.

    Args:
        name: of the thread.
        work: does all that there is to do, and returns after how many seconds at the latest it is to be called again;
            None: when it is woken.

    """

    def __init__(self, name: str, work: Callable[[], float | None]) -> None:
        self._work = work
        self._woken = threading.Event()
        self._at_once = threading.Event()
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def start(self) -> None:
        """Begin, with doing what there is to do."""
        self.wake()
        self._thread.start()

    def wake(self) -> None:
        """Let the work be done now; from any thread, at once."""
        self._at_once.set()
        self._woken.set()

    def wake_soon(self) -> None:
        """Let the work be done soon, so that it is done once for several calls; from any thread, at once."""
        if not self._woken.is_set():  # which costs less than to set it again
            self._woken.set()

    def close(self, grace_s: float) -> None:
        """Let the work be done once more and end the thread, and wait so long for that at most."""
        self._closing.set()
        self.wake()
        self._thread.join(grace_s)

    def _run(self) -> None:
        pause_s = None
        closing = False
        while not closing:
            if self._woken.wait(pause_s):
                self._at_once.wait(_SOON_S)
            self._at_once.clear()
            self._woken.clear()
            closing = self._closing.is_set()
            try:
                pause_s = self._work()
            except Exception:  # nobody else would do the work
                _log.exception("internal error, please report it")
                self._closing.wait(_AFTER_A_BUG_S)
                pause_s = 0.0


async def run_in_thread(name: str, work: Callable[[], Answer]) -> Answer:
    """Return what a piece of work gives, done once in a thread of its own; cancelled, it is left behind.

    The event loop's own threads would hold up the end of the process if one of them hangs.
    """
    loop = asyncio.get_running_loop()
    done: asyncio.Future[Answer] = loop.create_future()

    def tell(finish: Callable[[], None]) -> None:
        if not done.done():
            finish()

    def run() -> None:
        finish: Callable[[], None]
        try:
            finish = partial(done.set_result, work())
        except Exception as error:  # whoever waits for it gets it
            finish = partial(done.set_exception, error)
        with contextlib.suppress(RuntimeError):  # the loop is closed: it has not waited
            loop.call_soon_threadsafe(tell, finish)

    threading.Thread(target=run, name=name, daemon=True).start()
    return await done
