"""A thread that loads a model, and applies it if it is remote."""

import contextlib
import logging
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from contextlib import AbstractContextManager
from queue import Empty, SimpleQueue
from typing import NamedTuple, Protocol

import numpy as np

from edgepub.camera.frames import Frame, Result
from edgepub.camera.inference.model import Model
from edgepub.core.errors import ModelError
from edgepub.core.threads import is_abandoned, start_native_thread

_WARM_UP_SIDE = 64  # pixels
_IDLE_S = 3.0  # longer than a model takes to be idle
_log = logging.getLogger(__name__)


class Pending(Protocol):
    """The results of some pictures, once a model gives them."""

    def get(self, timeout_s: float) -> list[Result]:
        """Wait for the results, up to that many seconds, and return them; fewer if only some have come.

        Raises:
            ModelError: the model failed.
            TimeoutError: none has come.

        """


class _InThisThread:
    """The results of a model that is applied in the thread that waits for them."""

    def __init__(self, model: Model, count: int) -> None:
        self._model = model
        self._count = count

    def get(self, timeout_s: float) -> list[Result]:
        """See `Pending`."""
        began_s = time.monotonic()
        self._model.set_timeout(timeout_s)  # again: another stage may have been waited for first
        results: list[Result] = []
        try:
            while len(results) < self._count:
                results.append(self._model.take(self._count - len(results)))
        except TimeoutError:
            self._model.forget()
            if not results and self._model.came_s < began_s:
                raise  # else it was still busy with pictures of an earlier frame
        return results


class _InModelThread:
    """The results of a model that is applied in its own thread."""

    def __init__(self) -> None:
        self.is_cancelled = False
        """Whether nobody waits for them."""
        self._results: SimpleQueue[list[Result] | ModelError] = SimpleQueue()  # quicker than a future

    def put(self, results: list[Result] | ModelError) -> None:
        """Set the results, or why there are none."""
        self._results.put(results)

    def get(self, timeout_s: float) -> list[Result]:
        """See `Pending`."""
        try:
            results = self._results.get(timeout=timeout_s)
        except Empty:
            self.is_cancelled = True
            raise TimeoutError from None
        if isinstance(results, ModelError):
            raise results
        return results


class _Order(NamedTuple):
    frames: Sequence[Frame]
    pending: _InModelThread


class ModelThread:
    """Loads a model in a thread of its own, applies it to what `apply` is given, in order, and releases it at the end.

    A model on this node is applied in the thread that waits for its results, which takes less processor time. With one
    on an AI server or in a cloud, a call may last as long as the network is down.

    Args:
        name: the model's name.
        load: loads the model for the lifetime of the context.

    """

    def __init__(self, name: str, load: Callable[[], AbstractContextManager[Model]]) -> None:
        self.loaded: Future[Model] = Future()
        """The loaded model, or ModelError."""
        self._load = load
        self._orders: SimpleQueue[_Order | None] = SimpleQueue()
        self._ended = threading.Event()
        self._thread = start_native_thread(f"model-{name}", self._run)

    @property
    def is_running(self) -> bool:
        """Whether the thread has not ended."""
        return not self._ended.is_set()

    def apply(self, frames: Sequence[Frame], timeout_s: float) -> Pending:
        """Return the results of pictures, which come later. Call this once the model is loaded.

        Args:
            frames: the pictures.
            timeout_s: how long somebody will wait for the results.

        """
        model = self.loaded.result()
        if not model.is_remote:
            model.forget()
            model.set_timeout(timeout_s)
            for frame in frames:
                model.give(frame)
            return _InThisThread(model, len(frames))
        sent = _InModelThread()
        self._orders.put(_Order(frames, sent))
        return sent

    def close_if_idle(self) -> None:
        """Drop results that nobody has taken, and leave the runtime if the model was not used for a while.

        Call this once the model is loaded. A remote model does so in its own thread.
        """
        model = self.loaded.result()
        if not model.is_remote:
            model.forget()
            model.close_if_idle()

    def end(self) -> None:
        """Request the end of the thread, after what it was given."""
        self._orders.put(None)

    def join(self, timeout_s: float) -> None:
        """Wait for its end, up to that many seconds; then abandon it.

        In a thread that is itself abandoned wait without a limit: so who counts those threads counts this one, too.
        """
        if not self._ended.wait(timeout_s):
            self._thread.is_abandoned = True
            if is_abandoned():
                self._ended.wait()

    def _serve(self, model: Model) -> None:
        order = self._orders.get()
        while order:
            _answer(model, order)
            order = None  # it keeps pictures
            try:
                order = self._orders.get(timeout=_IDLE_S)
            except Empty:
                model.close_if_idle()
                order = self._orders.get()

    def _run(self) -> None:
        try:
            with self._load() as model:
                _warm_up(model)
                self.loaded.set_result(model)
                self._serve(model)
        except BaseException as error:
            problem = _explain(error)
            if not self.loaded.done():
                self.loaded.set_exception(problem)
        finally:
            self._ended.set()


def _answer(model: Model, order: _Order) -> None:
    if order.pending.is_cancelled:
        return
    try:
        order.pending.put(model.predict_all(order.frames))
    except BaseException as error:
        order.pending.put(_explain(error))


def _explain(error: BaseException) -> ModelError:
    if isinstance(error, ModelError):
        return error
    _log.error("internal error, please report it", exc_info=error)
    return ModelError("internal error, see the log")


def _warm_up(model: Model) -> None:
    """Run the model once: some runtimes compile it only then, which takes longer than a frame may take."""
    picture = Frame(np.zeros((_WARM_UP_SIDE, _WARM_UP_SIDE, 3), np.uint8), 1, 0.0, 0.0, 0.0)
    with contextlib.suppress(ModelError):  # it is said when there is a picture to apply it to
        model.predict(picture)
    model.cancel()  # from now on another thread may use it
