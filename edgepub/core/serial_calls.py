"""Calls that run one at a time, some of them from a thread that must not wait."""

import logging
import threading
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager

_log = logging.getLogger(__name__)


class SerialCalls:
    """Runs calls one at a time, in the order in which they come.

    A thread that must not wait, like the event loop, submits its call: the thread that is running one runs it next.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._submitted: deque[Callable[[], None]] = deque()

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Run no other call for the lifetime of the context, after waiting for the one that runs."""
        with self._lock:
            self._run_submitted()
            try:
                yield
            finally:
                self._run_submitted()
        self._run_if_free()  # what came after the last look

    def submit(self, call: Callable[[], None]) -> None:
        """Run a call now, or leave it to the thread that runs one now. Never waits for another thread."""
        self._submitted.append(call)
        self._run_if_free()

    def _run_if_free(self) -> None:
        while self._submitted and self._lock.acquire(blocking=False):
            try:
                self._run_submitted()
            finally:
                self._lock.release()

    def _run_submitted(self) -> None:
        while self._submitted:
            try:
                self._submitted.popleft()()
            except Exception:  # the thread that submitted it does not wait
                _log.exception("internal error, please report it")
