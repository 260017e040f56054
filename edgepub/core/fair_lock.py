"""A lock that threads get in the order in which they ask for it."""

import threading
import time
from collections import deque
from contextlib import AbstractContextManager

_MAX_HELD_S = 0.25


class FairLock:
    """Lets one thread at a time do short work, first come, first served.

    Python's interpreter gives its own lock to the thread that wakes up first. With many busy threads, some of them wait
    for very long, and those that need it often and shortly, like an event loop, get the least. Threads that wait here
    leave the interpreter to the others.

    A thread that keeps the lock for longer than `max_held_s` loses it to the next one, and both continue.

    Args:
        max_held_s: how long a thread may keep it while another waits.

    """

    def __init__(self, max_held_s: float = _MAX_HELD_S) -> None:
        self._max_held_s = max_held_s
        self._guard = threading.Lock()
        self._holder: threading.Lock | None = None  # a lock that the holder waited for
        self._waiting: deque[threading.Lock] = deque()
        self._since_s = 0.0
        self._held_s = 0.0

    def hold(self) -> AbstractContextManager[None]:
        """Hold the lock for the lifetime of the context, after waiting for it."""
        return _Turn(self)

    def acquire(self, turn: threading.Lock) -> None:
        """Wait until the lock is held with this turn, which is locked."""
        with self._guard:
            self._waiting.append(turn)
            if self._holder is None:
                self._pass_on()
        while not turn.acquire(timeout=self._max_held_s):
            with self._guard:
                if time.monotonic() - self._since_s >= self._max_held_s:
                    self._pass_on()

    def release(self, turn: threading.Lock) -> None:
        """Give the lock to the next thread. Do nothing if this turn has lost it already."""
        with self._guard:
            if self._holder is turn:
                self._pass_on()

    @property
    def waiting(self) -> int:
        """How many threads wait for it."""
        return len(self._waiting)

    @property
    def held_s(self) -> float:
        """For how many seconds threads have held it so far."""
        with self._guard:
            return self._held_s + (time.monotonic() - self._since_s if self._holder else 0.0)

    def _pass_on(self) -> None:
        now_s = time.monotonic()
        if self._holder is not None:
            self._held_s += now_s - self._since_s
        self._since_s = now_s
        self._holder = self._waiting.popleft() if self._waiting else None
        if self._holder is not None:
            self._holder.release()


class _Turn:
    """One thread's turn with the lock. A class is quicker than a generator with `contextmanager`."""

    def __init__(self, lock: FairLock) -> None:
        self._lock = lock
        self._turn = threading.Lock()
        self._turn.acquire()

    def __enter__(self) -> None:
        self._lock.acquire(self._turn)

    def __exit__(self, *_: object) -> None:
        self._lock.release(self._turn)
