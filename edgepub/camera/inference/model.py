"""A loaded model: frames in, results out; one by one, or with several frames in flight."""

import time
from collections import deque
from collections.abc import Generator, Iterator, Mapping, Sequence
from math import inf
from typing import TYPE_CHECKING, Any, cast

from edgepub.camera.frames import Fit, Frame, Frames, PixelMap, Result
from edgepub.camera.inference.error_text import clean_error
from edgepub.camera.inference.fit import find_fit, find_input_size, find_map
from edgepub.camera.inference.pace import Pace, find_pace
from edgepub.core.errors import ModelError

if TYPE_CHECKING:
    from degirum.model import Model as PysdkModel

_END: Any = object()
_WARM_UP_RESULTS = 2
_MEASURED_RESULTS = 20
_MIN_POLL_S, _MAX_POLL_S = 0.001, 0.1  # how often to poll for results while live frames are in flight
_WAIT_FRACTION = 0.8  # of the time that the last result took, before the first poll for the next one
_POLL_FRACTION = 0.05  # of that time, between two polls
_QUIET_TIMEOUT_S = 2.0
_TIMINGS = {
    "CorePreprocessDuration_ms": "preprocess",
    "CoreInferenceDuration_ms": "inference",
    "CorePostprocessDuration_ms": "postprocess",
}


class Model:
    """A loaded model; for one thread at a time.

    Args:
        pysdk: the PySDK model.
        overlaps: whether it can process one frame while it is given another.
        is_remote: whether frames and results go through a network.
        server: the AI server that it runs on; None: on this node, or in a cloud.
        pace: how fast its runtime is, if it overlaps; None: to be measured.
        quiet_timeout_s: without a result for this long, check whether PySDK has lost its connection.

    """

    def __init__(
        self,
        pysdk: "PysdkModel",
        *,
        overlaps: bool,
        is_remote: bool = False,
        server: str | None = None,
        pace: Pace | None = None,
        quiet_timeout_s: float = _QUIET_TIMEOUT_S,
    ) -> None:
        self.pysdk = pysdk
        self.pace = pace
        """How fast its runtime is; None: not measured yet."""
        self.is_remote = is_remote
        """Whether frames and results go through a network."""
        self.server = server
        """The AI server that it runs on; None: on this node, or in a cloud."""
        self.overlaps = overlaps
        """Whether it can process one frame while it is given another: not on this node's own CPU."""
        self.input_size = find_input_size(pysdk)
        """Width and height of its input; None if it is no picture."""
        self._quiet_timeout_s = quiet_timeout_s

    @property
    def device(self) -> str:
        """The device it runs on, like `TFLITE/CPU`."""
        return str(self.pysdk.device_type)

    @property
    def fit(self) -> Fit | None:
        """The size of the pictures that it takes; None: give it pictures at full size."""
        return find_fit(self.pysdk)

    @property
    def labels(self) -> list[str]:
        """The labels of its objects; empty if the model does not list them."""
        return [label for label in self.pysdk.label_dictionary.values() if label]

    def infer(self, frames: Frames, *, live: bool, while_busy: bool = False) -> Iterator[Result]:
        """Yield the result of each frame, in order.

        Args:
            frames: the frames.
            live: give each result immediately, and request no frame before the model can take it.
            while_busy: keep frames in flight also while the caller works on a result for long.

        Raises:
            ModelError: the model failed.
            SourceError: raised by `frames`.

        """
        if not self.overlaps:
            yield from self._one_by_one(frames)
        elif not live:
            yield from self._batched(frames, live=False)
        else:
            if self.pace is None:
                self.pace = yield from self._measure(frames)
            if self.pace is None:
                return  # the frames have ended
            if self.pace.in_flight() == 1 and not while_busy:
                yield from self._one_by_one(frames)
            else:
                yield from self._batched(frames, live=True)

    def predict(self, frame: Frame) -> Result:
        """Return the result of one frame.

        Raises:
            ModelError: the model failed.

        """
        began_s = time.monotonic()
        try:
            pysdk_result = self.pysdk.predict(frame.image)
        except Exception as error:  # noqa: BLE001  (PySDK raises Exception itself, and more)
            raise ModelError(clean_error(error)) from None
        return self._make_result(frame, began_s, pysdk_result)

    def predict_all(self, frames: Sequence[Frame]) -> Iterator[Result]:
        """Yield the result of each of these frames, in order; with all of them in flight if that is faster.

        Raises:
            ModelError: the model failed.

        """
        if self.overlaps and len(frames) > 1:
            yield from self._batched(cast("Frames", iter(frames)), live=False)  # only `next` is called
        else:
            yield from map(self.predict, frames)

    def _one_by_one(self, frames: Frames) -> Iterator[Result]:
        for frame in frames:
            if frame is not None:
                yield self.predict(frame)

    def _measure(self, frames: Frames) -> Generator[Result, None, Pace | None]:
        """Yield some results one by one, and return how fast the runtime is; None: the frames ended before."""
        measured: list[Pace] = []
        results = self._one_by_one(frames)
        cpu_s = time.thread_time()
        for number, result in enumerate(results):
            there_s = sum(result.timing_ms.values()) / 1000
            if self.is_remote:
                # No step tells the time in the network. What this thread does itself does not overlap, however many
                # frames are in flight.
                there_s = result.ended_s - result.began_s - (time.thread_time() - cpu_s)
            step_s = max(result.timing_ms.values(), default=inf) / 1000
            yield result
            cpu_s = time.thread_time()
            if number >= _WARM_UP_RESULTS:
                measured.append(Pace(there_s, step_s))
            if len(measured) == _MEASURED_RESULTS:
                return find_pace(measured)
        return None

    def _batched(self, frames: Frames, *, live: bool) -> Iterator[Result]:
        self.pysdk.non_blocking_batch_predict = live
        feed = _Feed(frames, self.pace if live else None, int(self.pysdk.frame_queue_depth), self._quiet_timeout_s)
        while not feed.ended:
            pysdk_results = self.pysdk.predict_batch(feed)
            while True:
                try:
                    pysdk_result = next(pysdk_results, _END)
                except Exception as error:  # noqa: BLE001  (as above)
                    raise ModelError(clean_error(error)) from None
                if pysdk_result is _END:
                    break
                if pysdk_result is not None:
                    feed.count_result()
                    frame, began_s = pysdk_result.info
                    yield self._make_result(frame, began_s, pysdk_result)
                    feed.end_busy()
        if feed.error is not None:
            raise feed.error

    def _make_result(self, frame: Frame, began_s: float, pysdk_result: Any) -> Result:  # noqa: ANN401  (as above)
        to_frame: PixelMap | None = None
        labels: Mapping[int, str] = {}
        try:
            objects = pysdk_result.results
            timing = getattr(pysdk_result, "timing", None) or {}
            timing_ms = {name: round(float(timing[key]), 3) for key, name in _TIMINGS.items() if key in timing}
            to_frame = find_map(getattr(pysdk_result, "to_image", None), self.input_size, frame)
            labels = getattr(pysdk_result, "labels", {})
        except Exception as error:  # noqa: BLE001  (costs this frame, not the camera)
            objects, timing_ms = error, {}
        ended_s = time.monotonic()
        return Result(frame, objects, timing_ms, began_s, ended_s, to_frame, self.input_size, labels=labels)


class _Feed:
    """The iterable from which PySDK takes its frames, in a loop that polls for results whenever it gets None.

    In that loop PySDK waits without limit when a connection is lost; it checks the connection only when there are no
    more frames. So when no result comes for a while the frames end here, and start again once all have their results.

    Args:
        frames: the frames.
        pace: how fast the runtime is; None: keep as many frames in flight as it takes.
        max_in_flight: how many frames the runtime takes.
        quiet_timeout_s: after how long without a result the frames end.

    """

    def __init__(self, frames: Frames, pace: Pace | None, max_in_flight: int, quiet_timeout_s: float) -> None:
        self._frames = frames
        self._pace = pace
        self._max_in_flight = max_in_flight
        self._quiet_timeout_s = quiet_timeout_s
        self._given_s: deque[float] = deque()  # when each of the frames in flight was given
        self._last_took_s = 0.0
        self._last_result_s = 0.0
        self._busy_s = 0.0
        self.ended = False
        """Whether the source gives no more frames."""
        self.error: Exception | None = None
        """The error of the source. PySDK would replace it by its own, and lose the frames in flight."""

    def count_result(self) -> None:
        """Count a frame as no longer in flight: its result has come."""
        self._last_result_s = time.monotonic()
        self._last_took_s = self._last_result_s - self._given_s.popleft()

    def end_busy(self) -> None:
        """Take note that the caller has worked on the result that was counted, and takes the next one."""
        self._busy_s = time.monotonic() - self._last_result_s

    def __iter__(self) -> Iterator[tuple[Any, tuple[Frame, float]] | None]:
        self._given_s.clear()
        try:
            while not self._given_s or time.monotonic() - self._last_result_s < self._quiet_timeout_s:
                frame = self._next()
                if frame is None:
                    yield None
                    continue
                now_s = time.monotonic()
                if not self._given_s:
                    self._last_result_s = now_s
                self._given_s.append(now_s)
                yield frame.image, (frame, now_s)
        except StopIteration:
            self.ended = True
        except Exception as error:  # noqa: BLE001  (raised again outside of PySDK)
            self.ended, self.error = True, error

    def _next(self) -> Frame | None:
        if self._pace is None or not self._given_s:
            return next(self._frames)
        if len(self._given_s) < min(self._pace.in_flight(self._busy_s), self._max_in_flight):
            return self._frames.send(self._poll_s())
        time.sleep(self._poll_s())
        return None

    def _poll_s(self) -> float:
        """Return how long to wait before the next poll, which costs CPU time: most results take as long as the last."""
        due_s = self._given_s[0] + _WAIT_FRACTION * self._last_took_s
        poll_s = max(due_s - time.monotonic(), _POLL_FRACTION * self._last_took_s)
        return min(max(poll_s, _MIN_POLL_S), _MAX_POLL_S)
