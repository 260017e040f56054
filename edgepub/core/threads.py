"""Threads for work that may block: on a disk, or inside PySDK and OpenCV."""

import asyncio
import contextlib
import logging
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from typing import Any, TypeVar

import uvloop

_BATCH_S = 0.01
_BUG_PAUSE_S = 10.0
_log = logging.getLogger(__name__)
Value = TypeVar("Value")


class Worker:
    """A thread that does one kind of work each time it is woken.

    Args:
        name: the thread's name.
        work: does all the work that is due. Returns after how many seconds at the latest to call it again;
            None: only when woken.

    """

    def __init__(self, name: str, work: Callable[[], float | None]) -> None:
        self._work = work
        self._woken = threading.Event()
        self._urgent = threading.Event()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def start(self) -> None:
        """Start the thread; it does the work that is due first."""
        self.wake()
        self._thread.start()

    def wake(self) -> None:
        """Do the work now. Callable from any thread; does not block."""
        self._urgent.set()
        self._woken.set()

    def wake_soon(self) -> None:
        """Do the work soon, once for several calls. Callable from any thread; does not block."""
        if not self._woken.is_set():  # cheaper than to set it again
            self._woken.set()

    def stop(self, timeout_s: float) -> None:
        """Do the work a last time and end the thread; wait for that up to `timeout_s` seconds."""
        self._stopping.set()
        self.wake()
        self._thread.join(timeout_s)

    def _run(self) -> None:
        pause_s = None
        stopping = False
        while not stopping:
            if self._woken.wait(pause_s):
                self._urgent.wait(_BATCH_S)
            self._urgent.clear()
            self._woken.clear()
            stopping = self._stopping.is_set()
            try:
                pause_s = self._work()
            except Exception:  # no other thread does this work
                _log.exception("internal error, please report it")
                self._stopping.wait(_BUG_PAUSE_S)
                pause_s = 0.0


class NativeThread(threading.Thread):
    """A thread that may be inside PySDK or OpenCV."""

    is_abandoned = False
    """Whether nobody waits for it any more: a wait inside of it ends with an error."""


def start_native_thread(name: str, target: Callable[[], None]) -> NativeThread:
    """Start a daemon thread that calls PySDK or OpenCV, and return it; `native_threads` lists it."""
    thread = NativeThread(target=target, name=name, daemon=True)
    thread.start()
    return thread


def is_abandoned() -> bool:
    """Return whether nobody waits for the current thread any more."""
    thread = threading.current_thread()
    return isinstance(thread, NativeThread) and thread.is_abandoned


def native_threads() -> list[threading.Thread]:
    """Return the running threads that may be inside PySDK or OpenCV.

    Both abort the process when the interpreter ends during such a call.
    """
    return [thread for thread in threading.enumerate() if isinstance(thread, NativeThread)]


class _DaemonThreads(ThreadPoolExecutor):
    """Runs each call in a thread of its own, which does not delay the end of the process."""

    def submit(self, function: Callable[..., Value], /, *args: Any, **kwargs: Any) -> Future[Value]:  # noqa: ANN401
        """Run the function in a new thread."""
        future: Future[Value] = Future()

        def run() -> None:
            if not future.set_running_or_notify_cancel():
                return
            try:
                result = function(*args, **kwargs)
            except BaseException as error:
                future.set_exception(error)
            else:
                future.set_result(result)

        threading.Thread(target=run, name="executor", daemon=True).start()
        return future


def new_event_loop() -> asyncio.AbstractEventLoop:
    """Return a new event loop, whose own threads do not delay its end.

    aiomqtt connects in such a thread, which waits there for the DNS and for the broker.
    """
    loop = uvloop.new_event_loop()
    loop.set_default_executor(_DaemonThreads())
    return loop


def call_in_loop(loop: asyncio.AbstractEventLoop, function: Callable[..., object], *arguments: object) -> None:
    """Call a function in an event loop soon, from any thread; do nothing if the loop is closed."""
    with contextlib.suppress(RuntimeError):
        loop.call_soon_threadsafe(function, *arguments)


async def run_in_thread(name: str, work: Callable[[], Value], *, native: bool = False) -> Value:
    """Run `work` once in a thread of its own, and return its result or raise its error.

    If this is cancelled, the thread continues and its result is dropped.

    Args:
        name: the thread's name.
        work: what to run.
        native: it calls PySDK or OpenCV; see `native_threads`.

    """
    loop = asyncio.get_running_loop()
    done: asyncio.Future[Value] = loop.create_future()

    def finish(set_outcome: Callable[[], None]) -> None:
        if not done.done():
            set_outcome()

    def run() -> None:
        set_outcome: Callable[[], None]
        try:
            set_outcome = partial(done.set_result, work())
        except Exception as error:  # raised again where it is awaited
            set_outcome = partial(done.set_exception, error)
        call_in_loop(loop, finish, set_outcome)

    if native:
        start_native_thread(name, run)
    else:
        threading.Thread(target=run, name=name, daemon=True).start()
    return await done
