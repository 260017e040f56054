"""The one crossing from threads into the event loop."""

import asyncio
import threading
import time
from collections.abc import Callable
from math import inf

_LINGER_S = 0.005
"""While messages come at a high rate, a put wakes the event loop only this long after the outbox was emptied. A wake-up
by another thread costs more than to publish, and so several messages share one."""
_MIN_SLEEP_S = 2 * _LINGER_S
"""The rate is high if the event loop slept for less than this before it was woken."""


class Wakeup:
    """Lets the event loop sleep until a thread has something for it.

    At most one callback is scheduled: a thread wakes the loop only when the loop sleeps. So callbacks cannot pile up
    while the loop is stalled.

    Args:
        lock: guards what the threads and the loop share.
        has_work: whether the loop must not sleep; called with the lock.
        poll_s: after how many seconds to call `has_work` again, because something waits that becomes ready without a
            `notify`; infinite: nothing does. Called with the lock.

    """

    def __init__(self, lock: threading.Lock, has_work: Callable[[], bool], poll_s: Callable[[], float]) -> None:
        self._lock = lock
        self._has_work = has_work
        self._poll_s = poll_s
        self._awake = asyncio.Event()
        self._sleeper: asyncio.AbstractEventLoop | None = None  # the next `notify` wakes it
        self._is_lingering = False
        self._slept_from_s = -inf
        self._poll: asyncio.TimerHandle | None = None

    async def wait(self) -> None:
        """Wait until there may be work, when there was none; in the event loop."""
        with self._lock:
            self._awake.clear()
            is_rate_low = time.monotonic() - self._slept_from_s > _MIN_SLEEP_S
            if is_rate_low and not self._is_lingering and not self._has_work():
                self._fall_asleep()
            elif not self._is_lingering:
                self._is_lingering = True
                asyncio.get_running_loop().call_later(_LINGER_S, self._end_linger)
        await self._awake.wait()

    def wake(self) -> None:
        """End the wait; in the event loop."""
        self._awake.set()

    def notify(self) -> None:
        """End the wait if the loop sleeps; from any thread, with the lock."""
        if self._sleeper is not None:
            self._sleeper.call_soon_threadsafe(self._awake.set)
            self._sleeper = None

    def _end_linger(self) -> None:
        """End the wait if work has come meanwhile, else leave that to the next `notify`."""
        with self._lock:
            self._is_lingering = False
            if self._has_work():
                self._awake.set()
            else:
                self._fall_asleep()

    def _fall_asleep(self) -> None:
        self._slept_from_s = time.monotonic()
        self._sleeper = loop = asyncio.get_running_loop()
        if self._poll is not None:
            self._poll.cancel()
            self._poll = None
        if (poll_s := self._poll_s()) < inf:
            self._poll = loop.call_later(poll_s, self._end_linger)
