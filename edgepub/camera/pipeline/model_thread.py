"""A thread with a model: it loads the model and applies it to pictures, while the others continue."""

import contextlib
import logging
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import AbstractContextManager
from queue import Empty, SimpleQueue
from typing import NamedTuple

import numpy as np

from edgepub.camera.frames import Frame, Result
from edgepub.camera.inference.model import Model
from edgepub.core.errors import ModelError
from edgepub.core.threads import is_abandoned, start_native_thread

_WARM_UP_SIDE = 64  # pixels
_CHECK_S = 0.25
_log = logging.getLogger(__name__)


class Pending:
    """The results of some pictures, once a model gives them.

    Args:
        work: yields them, in the thread that waits for them; None: another thread puts them here.

    """

    def __init__(self, work: Callable[[], Iterator[Result]] | None = None) -> None:
        self._work = work
        self.is_cancelled = False
        """Set it if nobody waits for them."""
        self._results: SimpleQueue[list[Result] | ModelError] = SimpleQueue()  # quicker than a future

    def put(self, results: list[Result] | ModelError) -> None:
        """Set the results, or why there are none."""
        self._results.put(results)

    def get(self, timeout_s: float) -> list[Result]:
        """Wait for the results, up to that many seconds; in the thread that works, return those that there are then.

        Raises:
            ModelError: the model failed.
            TimeoutError: they have not come.

        """
        if self._work:
            return self._take(self._work(), time.monotonic() + timeout_s)
        try:
            results = self._results.get(timeout=timeout_s)
        except Empty:
            raise TimeoutError from None
        if isinstance(results, ModelError):
            raise results
        return results

    @staticmethod
    def _take(results: Iterator[Result], until_s: float) -> list[Result]:
        taken = []
        for result in results:
            taken.append(result)
            if time.monotonic() > until_s:
                break
        return taken

    def wait(self) -> list[Result]:
        """Wait for the results, without a limit, in a thread that may be abandoned.

        Raises:
            ModelError: the model failed, or the thread is abandoned.

        """
        while True:
            try:
                return self.get(_CHECK_S)
            except TimeoutError:
                if is_abandoned():
                    raise ModelError("its thread is abandoned") from None


class _Order(NamedTuple):
    frames: Sequence[Frame]
    pending: Pending


class ModelThread:
    """Loads a model in a thread of its own, applies it to what `apply` is given, in order, and releases it at the end.

    A model on this node's own CPU is applied in the thread that waits for its results.

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

    def apply(self, frames: Sequence[Frame]) -> Pending:
        """Return the results of pictures, which come later. Call this once the model is loaded."""
        model = self.loaded.result()
        if not model.overlaps:
            # Each model has threads for all cores: two at once take much longer than one after the other.
            return Pending(lambda: model.predict_all(frames))
        pending = Pending()
        self._orders.put(_Order(frames, pending))
        return pending

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

    def _take_orders(self) -> list[_Order]:
        """Wait for an order, and return all that are there: together they take less time. Empty: it is the end."""
        orders = []
        while order := self._orders.get():
            orders.append(order)
            if self._orders.empty():
                return orders
        if orders:
            self._orders.put(None)  # for the next call
        return orders

    def _run(self) -> None:
        try:
            with self._load() as model:
                _warm_up(model)
                self.loaded.set_result(model)
                while orders := self._take_orders():
                    _answer(model, orders)
        except BaseException as error:
            problem = _explain(error)
            if not self.loaded.done():
                self.loaded.set_exception(problem)
        finally:
            self._ended.set()


def _answer(model: Model, orders: Sequence[_Order]) -> None:
    orders = [order for order in orders if not order.pending.is_cancelled]
    try:
        results = model.predict_all([frame for order in orders for frame in order.frames])
        for order in orders:
            order.pending.put([next(results) for _ in order.frames])
    except BaseException as error:
        problem = _explain(error)
        for order in orders:
            order.pending.put(problem)


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
