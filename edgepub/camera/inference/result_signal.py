"""How a thread waits for results of PySDK."""

import contextlib
import time
from collections import deque
from collections.abc import Callable
from math import inf
from queue import Empty, SimpleQueue
from typing import Any, Self

from edgepub.core.errors import ModelError
from edgepub.core.threads import is_abandoned

_CHECK_S = 0.25
_POLL_S = 0.001
_NAME = "_result_ready_cv"  # PySDK's own


class ResultSignal:
    """What PySDK notifies of each result, in place of its condition variable: it knows when each one came.

    PySDK itself wakes up every 10 ms to look for a result. A hundred waiting threads then do nothing else, and nobody
    gets a result: they keep all others from Python's interpreter.

    Args:
        pysdk: the model. With a version of PySDK that has no such variable, waiting is polling.

    """

    def __init__(self, pysdk: Any) -> None:  # noqa: ANN401  (PySDK is untyped)
        self._came_s: deque[float] = deque()
        self._early = 0  # results that were taken before PySDK notified of them
        self._awaited = inf
        self._wake: SimpleQueue[None] = SimpleQueue()  # quicker than a condition variable
        self._is_used = hasattr(pysdk, _NAME)
        if self._is_used:
            setattr(pysdk, _NAME, self)

    @property
    def count(self) -> int:
        """How many results there are that nobody has taken; at least one if PySDK does not notify."""
        return len(self._came_s) - self._early if self._is_used else 1

    def wait(self, count: int, timeout_s: float) -> None:
        """Wait until there are that many results, up to that many seconds. It may also return before."""
        if not self._is_used:
            time.sleep(_POLL_S)
            return
        self._awaited = count + self._early
        if len(self._came_s) < self._awaited:
            with contextlib.suppress(Empty):
                self._wake.get(timeout=timeout_s)
        self._awaited = inf

    def take(self) -> float:
        """Take a result, and return when it came, on the monotonic clock."""
        while self._early and self._came_s:
            self._came_s.popleft()
            self._early -= 1
        if self._came_s:
            return self._came_s.popleft()
        self._early += self._is_used
        return time.monotonic()

    def drop(self, count: int) -> None:
        """Drop that many results, which were lost with their frames."""
        for _ in range(min(count, len(self._came_s))):
            self._came_s.popleft()

    def notify_all(self) -> None:
        """Take note of a result, which PySDK has stored before; called in threads of its runtime."""
        self._came_s.append(time.monotonic())
        if len(self._came_s) >= self._awaited:
            self._wake.put(None)

    def wait_for(self, predicate: Callable[[], bool], timeout: float | None = None) -> bool:
        """Wait for a result, as PySDK does once it gets no more frames, until it looks after its connection.

        Raises:
            ModelError: the thread is abandoned. PySDK itself never stops waiting for results that a lost connection
                cannot bring.

        """
        if is_abandoned():
            raise ModelError("its thread is abandoned")
        before = len(self._came_s) - self._early
        if not predicate():
            self.wait(before + 1, _CHECK_S if timeout is None else max(timeout, _CHECK_S))
        return predicate()

    def __enter__(self) -> Self:
        """Do nothing: PySDK locks its variable; a queue needs no lock."""
        return self

    def __exit__(self, *_: object) -> None:
        """Do nothing, as above."""
