"""Frames into a model of PySDK, and its results, in the order of the frames."""

import contextlib
import time
from collections import deque
from collections.abc import Iterator
from math import inf
from typing import TYPE_CHECKING, Any, NamedTuple

from edgepub.camera.frames import Frame
from edgepub.camera.inference.error_text import clean_error
from edgepub.camera.inference.result_signal import ResultSignal
from edgepub.core.errors import ModelError

if TYPE_CHECKING:
    from degirum.model import Model as PysdkModel

_END: Any = object()
_TOGETHER_TIMEOUT_S = 0.05
_SMOOTHING = 0.25
_UNKNOWN_AHEAD = 2  # how many frames to give until it is known how long they take


class Answer(NamedTuple):
    """What PySDK gave for a frame."""

    frame: Frame
    began_s: float
    """When PySDK was given the frame, on the monotonic clock."""
    ended_s: float
    """When its result came."""
    pysdk_result: Any
    """PySDK's result."""


class Batch:
    """Gives frames to a model as they come, and takes its results; for one thread at a time.

    Starting PySDK for each frame takes processor time. So here it runs on, as one batch that polls for frames, until
    frames are rare.

    During a batch, PySDK waits without limit when a connection is lost; it looks after the connection only when there
    are no more frames. So when no result comes for a while, this batch ends: PySDK is given no frame until all results
    are there.

    Args:
        pysdk: the model.
        ahead: how many frames PySDK is given before somebody waits for their results.
        quiet_timeout_s: after how long without a result the batch ends.

    """

    def __init__(self, pysdk: "PysdkModel", ahead: int, quiet_timeout_s: float) -> None:
        pysdk.non_blocking_batch_predict = True
        self._pysdk = pysdk
        self._ahead = ahead
        self._quiet_timeout_s = quiet_timeout_s
        self._signal = ResultSignal(pysdk)
        self._results: Iterator[Any] | None = None
        self._waiting: deque[Frame] = deque()
        self._next: Frame | None = None  # the one that PySDK takes now
        self._given: deque[tuple[Frame, float]] = deque()  # what PySDK has, and since when
        self._forgotten = 0  # of those
        self._number = 0  # of the batch
        self._answers: deque[Answer] = deque()
        self._problem: str | None = None
        self._progress_s = 0.0
        self.is_ending = False
        """Whether PySDK is given no frame until all results are there."""
        self.in_flight = 0
        """How many frames were given whose results nobody has taken."""
        self.took_s = 0.0
        """How long PySDK had the last frame."""
        self.until_s = inf
        """How long to wait for results, on the monotonic clock. PySDK is given no frame that it would not finish until
        then, except the first one."""
        self._is_first = True  # since then no result has come
        self._step_s: float | None = None  # how long PySDK works on a frame, the mean of the last ones
        self.came_s = -inf
        """When the last result came, also of a forgotten frame, on the monotonic clock."""
        self.given_cpu_s = 0.0
        """The processor time of this thread when PySDK was given the last frame, in seconds."""

    @property
    def has_answer(self) -> bool:
        """Whether `take` returns, or raises, immediately."""
        return bool(self._answers) or self._problem is not None

    @property
    def oldest_given_s(self) -> float | None:
        """When the oldest frame was given that PySDK still has, on the monotonic clock; None: it has none."""
        return self._given[0][1] if self._given else None

    def give(self, frame: Frame) -> None:
        """Give a frame, without waiting. Only if PySDK fails, it waits for all frames that it has."""
        self.in_flight += 1
        self._waiting.append(frame)
        self._feed(self._ahead)

    def set_timeout(self, seconds: float) -> None:
        """Wait for results up to that long from now."""
        self.until_s = time.monotonic() + seconds
        self._is_first = True

    def take(self, together: int = 1) -> Answer:
        """Wait for the result of the oldest frame, and return it.

        Args:
            together: how many results to wait for, if they come soon: to wake up for each of them takes more time than
                what PySDK does with it.

        Raises:
            ModelError: the model failed, and all frames that have no result are lost.
            TimeoutError: it does not come in time. If PySDK has failed, it is not raised before PySDK has finished.

        """
        self._feed(self._ahead)  # there may be room now
        while not self._answers:
            if self._problem is not None:
                problem, self._problem = self._problem, None
                self.forget()
                raise ModelError(problem)
            if self.is_ending:
                self._step()  # PySDK waits
                continue
            if self._poll():
                continue
            self._feed(max(self._ahead, 1))
            if self.has_answer or self.is_ending:  # it was quick, or has failed
                continue
            now_s = time.monotonic()
            if now_s >= self.until_s or (self._waiting and not self._given):
                raise TimeoutError
            if not self._given:
                raise RuntimeError("no frame was given")
            if self.until_s == inf and self._is_quiet():
                self._end()
                continue
            if self._waiting:
                together = min(together, max(1, len(self._given) // 2))  # so that PySDK always has some
            wait_s = _TOGETHER_TIMEOUT_S if together > 1 else self._quiet_timeout_s
            self._signal.wait(min(together, len(self._given)), min(wait_s, self.until_s - now_s))
            together = 1
        self.in_flight -= 1
        return self._answers.popleft()

    def poll(self) -> None:
        """Find out whether there is a result, without waiting."""
        if not self._poll() and self._given and self._is_quiet():
            self._end()

    def close_if_idle(self) -> None:
        """End the batch if there has been no frame for a while: PySDK keeps the last picture until then."""
        while self._forgotten and self._poll():
            pass
        if self._results is not None and not self._given and self._is_quiet():
            self._end()

    def forget(self) -> None:
        """Forget all frames whose results nobody has taken; PySDK finishes those that it has."""
        self.in_flight = 0
        self._waiting.clear()
        self._answers.clear()
        self._forgotten = len(self._given)

    def cancel(self) -> None:
        """Forget all frames, and end the batch: PySDK waits for those that it has, unless it runs them in a cloud."""
        results, self._results = self._results, None
        if results is not None:
            with contextlib.suppress(Exception):  # of the connection, perhaps; nobody waits for a result
                if self._signal.count >= len(self._given):  # all results are there
                    self.is_ending = True
                    deque(results, maxlen=0)  # `close` would print PySDK's errors
                else:
                    results.close()  # type: ignore[attr-defined]  # it is a generator
        self.forget()
        self._given.clear()
        self._forgotten = 0
        self._problem = self._step_s = None
        self._number += 1
        self.is_ending = False

    def _is_quiet(self) -> bool:
        return time.monotonic() - self._progress_s >= self._quiet_timeout_s

    def _feed(self, most: int) -> None:
        """Give PySDK waiting frames, until it has that many."""
        if self._waiting:
            self.close_if_idle()
        while self._waiting and len(self._given) < most and self._problem is None and not self.is_ending:
            if not self._fits():
                return
            if self._results is None:
                self._number += 1
                self._signal.drop(self._signal.count)
                self._results = iter(self._pysdk.predict_batch(self))
            now_s, self.given_cpu_s = time.monotonic(), time.thread_time()
            if not self._given:
                self._progress_s = now_s
            self._next = self._waiting.popleft()
            self._given.append((self._next, now_s))
            while self._next is not None:
                self._step()

    def _fits(self) -> bool:
        """Return whether PySDK would finish one more frame in time: those that are too late delay the next ones."""
        if self.until_s == inf or (self._is_first and not self._given):
            return True
        if self._step_s is None:
            return len(self._given) < _UNKNOWN_AHEAD
        return time.monotonic() + (len(self._given) + 1) * self._step_s <= self.until_s

    def __iter__(self) -> Iterator[tuple[Any, tuple[Frame, float]] | None]:
        """Yield what PySDK takes: a frame, or None if there is none, so that it looks for results.

        The loop in PySDK must be all that keeps this generator: so it ends as soon as PySDK leaves the loop.
        """
        number = self._number
        try:
            while not self.is_ending:
                frame, self._next = self._next, None
                yield None if frame is None else (frame.image, self._given[-1])
        finally:
            if number == self._number:
                self.is_ending = True  # also if PySDK has failed, which it says only after the last result

    def _poll(self) -> bool:
        """Return whether there was a result, and take it."""
        count = self._signal.count
        if count <= 0 or not self._given:
            return False
        if self._step():
            return True
        self._signal.drop(count)
        return False

    def _step(self) -> bool:
        """Run PySDK until it gives a result, or has nothing to do. Return whether there was a result.

        Only while the batch ends, PySDK waits for a result.
        """
        if self._results is None:
            return False
        try:
            result = next(self._results, _END)
            if result is not _END and result is not None and result.info is not self._given[0]:
                # A frame has failed. PySDK gives all later results, and only then says why.
                self.is_ending = True
                deque(self._results, maxlen=0)
                result = _END
        except Exception as error:  # noqa: BLE001  (PySDK raises Exception itself, and more)
            self._fail(clean_error(error))
            return False
        if result is _END:
            self._results, self.is_ending = None, False
            self._number += 1
            if self._given:
                self._fail("PySDK gave no result")
            return False
        if result is None:
            return False
        before_s, self.came_s = self.came_s, self._signal.take()
        self._progress_s = time.monotonic()
        frame, given_s = self._given.popleft()
        self.took_s = self.came_s - given_s
        step_s = self.came_s - max(given_s, before_s)
        self._step_s = step_s if self._step_s is None else self._step_s + _SMOOTHING * (step_s - self._step_s)
        if self._forgotten:
            self._forgotten -= 1
        else:
            self._is_first = False
            self._answers.append(Answer(frame, given_s, self.came_s, result))
        if self.is_ending and not self._given:
            self._end()
        return True

    def _fail(self, problem: str) -> None:
        self._results, self._next, self.is_ending = None, None, False
        self._number += 1
        if self._forgotten < len(self._given) or self.until_s < inf:
            # PySDK loads the model again with the next frame. Who has a time limit must know it, also if only forgotten
            # frames are lost.
            self._problem = problem
        self._given.clear()
        self._forgotten = 0

    def _end(self) -> None:
        """Give PySDK no more frames; if it has none, end the batch now."""
        self.is_ending = True
        if not self._given:
            self._step()
            self._problem = None  # of a connection that was closed because it was idle: nothing is lost
