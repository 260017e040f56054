"""The one thread that encodes the snapshots and cut-outs of all cameras."""

import asyncio
import logging
import threading
from collections.abc import Callable, Hashable
from contextlib import suppress
from functools import partial

from edgepub.core.threads import call_in_loop, start_native_thread

_POLL_S = 0.02
_log = logging.getLogger(__name__)


class SnapshotThread:
    """A thread that does one piece of work after another. It starts with the first.

    Of each owner, one piece waits at most: so another camera's pictures do not cost this one's, and the frames that are
    kept have a bound.
    """

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._waiting: dict[Hashable, Callable[[], None]] = {}  # by owner, the longest waiting first
        self._is_busy = False
        self._thread: threading.Thread | None = None
        self._on_end: Callable[[], None] | None = None

    def submit(self, owner: Hashable, work: Callable[[], None]) -> bool:
        """Do this work after what waits, unless work of this owner waits already; return whether it is accepted."""
        with self._changed:
            if owner in self._waiting:
                return False
            self._waiting[owner] = work
            if self._thread is None:
                self._thread = start_native_thread("snapshots", self._run)
            self._changed.notify()
        return True

    async def wait_idle(self, timeout_s: float) -> None:
        """Wait until all work is done, up to `timeout_s` seconds."""
        with suppress(TimeoutError):
            async with asyncio.timeout(timeout_s):
                while self._has_work:  # noqa: ASYNC110  (a thread ends it)
                    await asyncio.sleep(_POLL_S)

    async def stop(self, timeout_s: float) -> None:
        """End the thread after its current work; wait for that up to `timeout_s` seconds. What waits is not done."""
        loop, ended = asyncio.get_running_loop(), asyncio.Event()
        with self._changed:
            if self._thread is None:
                return
            self._waiting.clear()
            self._on_end = partial(call_in_loop, loop, ended.set)
            self._changed.notify()
        with suppress(TimeoutError):
            async with asyncio.timeout(timeout_s):
                await ended.wait()

    @property
    def _has_work(self) -> bool:
        with self._changed:
            return self._is_busy or bool(self._waiting)

    def _run(self) -> None:
        while work := self._take():
            try:
                work()
            except Exception:  # noqa: BLE001  (the next picture, of any camera, needs this thread)
                _log.exception("internal error, please report it")
            del work  # which also frees the frame
            self._is_busy = False
        if self._on_end:
            self._on_end()

    def _take(self) -> Callable[[], None] | None:
        """Wait for work and take it; None: the thread is to end."""
        with self._changed:
            self._changed.wait_for(lambda: self._waiting or self._on_end)
            if self._on_end:
                return None
            self._is_busy = True
            return self._waiting.pop(next(iter(self._waiting)))
