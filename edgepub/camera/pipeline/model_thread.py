"""A thread with a model: it loads the model and applies it to pictures, while the others continue."""

import contextlib
import logging
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from contextlib import AbstractContextManager
from queue import SimpleQueue

import numpy as np

from edgepub.camera.frames import Frame, Result
from edgepub.camera.inference.model import Model
from edgepub.core.errors import ModelError
from edgepub.core.threads import NativeThread, start_native_thread

_WARM_UP_SIDE = 64  # pixels
_CHECK_S = 0.25
_log = logging.getLogger(__name__)

Answers = Sequence[Future[Result]]
"""The result of each picture, or ModelError, as they come."""


class ModelThread:
    """Loads a model in a thread of its own, applies it to what `apply` is given, in order, and releases it at the end.

    Args:
        name: the model's name.
        load: loads the model for the lifetime of the context.

    """

    def __init__(self, name: str, load: Callable[[], AbstractContextManager[Model]]) -> None:
        self.loaded: Future[Model] = Future()
        """The loaded model, or ModelError."""
        self._load = load
        self._orders: SimpleQueue[tuple[Sequence[Frame], Answers] | None] = SimpleQueue()
        self._ended = threading.Event()
        self._thread = start_native_thread(f"model-{name}", self._run)

    @property
    def is_running(self) -> bool:
        """Whether the thread has not ended."""
        return not self._ended.is_set()

    def apply(self, frames: Sequence[Frame]) -> Answers:
        """Return the results of pictures. If one fails, so do those after it. Cancel what you do not wait for."""
        answers: list[Future[Result]] = [Future() for _ in frames]
        self._orders.put((frames, answers))
        return answers

    def close(self, timeout_s: float = 0.0) -> None:
        """End the thread after what it was given, and wait for that up to `timeout_s` seconds; then abandon it."""
        self._orders.put(None)
        if not self._ended.wait(timeout_s):
            self._thread.is_abandoned = True

    def _run(self) -> None:
        try:
            with self._load() as model:
                _warm_up(model)
                self.loaded.set_result(model)
                while order := self._orders.get():
                    _answer(model, *order)
        except BaseException as error:
            problem = _explain(error)
            if not self.loaded.done():
                self.loaded.set_exception(problem)
        finally:
            self._ended.set()


def wait_for(answer: Future[Result]) -> Result:
    """Wait for an answer, without a limit, in a thread that may be abandoned.

    Raises:
        ModelError: the model failed, or the thread is abandoned.

    """
    while True:
        try:
            return answer.result(_CHECK_S)
        except TimeoutError:
            thread = threading.current_thread()
            if isinstance(thread, NativeThread) and thread.is_abandoned:
                raise ModelError("its thread is abandoned") from None


def _answer(model: Model, frames: Sequence[Frame], answers: Answers) -> None:
    wanted = [number for number, answer in enumerate(answers) if answer.set_running_or_notify_cancel()]
    try:
        results = model.predict_all([frames[number] for number in wanted])
        for number, result in zip(wanted, results, strict=True):
            answers[number].set_result(result)
    except BaseException as error:
        problem = _explain(error)
        for answer in answers:
            if not answer.done():
                answer.set_exception(problem)


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
