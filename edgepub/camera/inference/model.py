"""A loaded model: frames in, results out; one by one, or with several frames in flight."""

import time
from collections.abc import Generator, Iterator, Mapping, Sequence
from math import inf
from typing import TYPE_CHECKING

from edgepub.camera.frames import Fit, Frame, Frames, PixelMap, Result
from edgepub.camera.inference.batch import Answer, Batch
from edgepub.camera.inference.fit import cuts_borders, find_fit, find_input_size, find_map
from edgepub.camera.inference.pace import Pace, find_pace

if TYPE_CHECKING:
    from degirum.model import Model as PysdkModel

_WARM_UP_RESULTS = 2
_MEASURED_RESULTS = 20
_MIN_POLL_S, _MAX_POLL_S = 0.001, 0.1  # how often to poll for results while live frames are in flight
_WAIT_FRACTION = 0.8  # of the time that the last result took, before the first poll for the next one
_POLL_FRACTION = 0.05  # of that time, between two polls
_QUIET_TIMEOUT_S = 2.0
_ONE_BY_ONE = Pace(0.0, 1.0)
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
        self._queue_depth = int(pysdk.frame_queue_depth)
        self._batch = Batch(pysdk, self._queue_depth if overlaps else 0, quiet_timeout_s)

    @property
    def device(self) -> str:
        """The device it runs on, like `TFLITE/CPU`."""
        return str(self.pysdk.device_type)

    @property
    def fit(self) -> Fit | None:
        """The size of the pictures that it takes; None: give it pictures at full size."""
        return find_fit(self.pysdk)

    @property
    def cuts_borders(self) -> bool:
        """Whether it does not see the borders of some pictures."""
        return cuts_borders(self.pysdk)

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
        try:
            if live and self.overlaps and self.pace is None:
                self.pace = yield from self._measure(frames)
                if self.pace is None:
                    return  # the frames have ended
            yield from self._run(frames, self.pace if live else None, live=live, while_busy=while_busy)
        finally:
            self._batch.cancel()

    def predict(self, frame: Frame) -> Result:
        """Return the result of one frame.

        Raises:
            ModelError: the model failed.

        """
        self.give(frame)
        return self.take()

    def predict_all(self, frames: Sequence[Frame]) -> list[Result]:
        """Return the results of some frames, with several of them in flight if that is faster.

        Raises:
            ModelError: the model failed.

        """
        for frame in frames:
            self.give(frame)
        return [self.take(together=number) for number in range(len(frames), 0, -1)]

    def give(self, frame: Frame) -> None:
        """Give it a frame, whose result `take` returns. On this node's own CPU it begins only there."""
        self._batch.give(frame)

    def set_timeout(self, seconds: float) -> None:
        """Wait for results up to that long from now. Frames that would not be finished until then are not begun."""
        self._batch.set_timeout(seconds)

    def take(self, together: int = 1) -> Result:
        """Wait for the result of the oldest frame that was given, and return it.

        Args:
            together: how many results the caller waits for, one after another.

        Raises:
            ModelError: the model failed, and all frames that have no result are lost.
            TimeoutError: it does not come in time.

        """
        return self._make_result(self._batch.take(together))

    @property
    def came_s(self) -> float:
        """When the last result came, also of a forgotten frame, on the monotonic clock."""
        return self._batch.came_s

    def close_if_idle(self) -> None:
        """Leave the runtime if there has been no frame for a while: it keeps the last picture until then."""
        self._batch.close_if_idle()

    def forget(self) -> None:
        """Forget all frames whose results have not been taken, and do not wait for them."""
        self._batch.forget()

    def cancel(self) -> None:
        """Forget all frames, and leave the runtime, which may wait for those that it has."""
        self._batch.cancel()

    def _measure(self, frames: Frames) -> Generator[Result, None, Pace | None]:
        """Yield some results one by one, and return how fast the runtime is; None: the frames ended before."""
        measured: list[Pace] = []
        results = self._run(frames, _ONE_BY_ONE, live=True)
        for number, result in enumerate(results):
            there_s = sum(result.timing_ms.values()) / 1000
            if self.is_remote:
                # No step tells the time in the network. What this thread does itself does not overlap, however many
                # frames are in flight.
                there_s = result.ended_s - result.began_s - (time.thread_time() - self._batch.given_cpu_s)
            step_s = max(result.timing_ms.values(), default=inf) / 1000
            yield result
            if number >= _WARM_UP_RESULTS:
                measured.append(Pace(there_s, step_s))
            if len(measured) == _MEASURED_RESULTS:
                return find_pace(measured)
        return None

    def _run(self, frames: Frames, pace: Pace | None, *, live: bool, while_busy: bool = False) -> Iterator[Result]:
        """Yield the result of each frame, with as many frames in flight as the pace says; None: as many as it takes."""
        batch = self._batch
        busy_s = 0.0
        has_ended, source_error = False, None
        while batch.in_flight or not has_ended:
            is_full = has_ended or batch.is_ending or batch.in_flight >= self._most(pace, busy_s, while_busy)
            if is_full or batch.has_answer:
                together = 1 if live else batch.in_flight if has_ended else max(1, batch.in_flight // 2)
                result = self.take(together=together)
                from_s = time.monotonic()
                yield result
                busy_s = time.monotonic() - from_s
                continue
            try:
                frame = frames.send(self._poll_s()) if live and batch.in_flight else next(frames)
            except StopIteration:
                has_ended = True
            except Exception as error:  # noqa: BLE001  (raised again when all results have been taken)
                has_ended, source_error = True, error
            else:
                if frame is None:
                    batch.poll()
                else:
                    batch.give(frame)
        if source_error is not None:
            raise source_error

    def _most(self, pace: Pace | None, busy_s: float, while_busy: bool) -> int:
        """Return how many frames to keep in flight."""
        if not self.overlaps:
            return 1
        most = self._queue_depth
        if pace is None:
            return most
        in_flight = pace.in_flight()
        if in_flight > 1 or while_busy:
            in_flight = pace.in_flight(busy_s)
        return min(in_flight, most)

    def _poll_s(self) -> float:
        """Return how long to wait for a frame before the next look for results, which costs processor time.

        Most results take as long as the last one.
        """
        took_s, given_s = self._batch.took_s, self._batch.oldest_given_s or 0.0
        poll_s = max(given_s + _WAIT_FRACTION * took_s - time.monotonic(), _POLL_FRACTION * took_s)
        return min(max(poll_s, _MIN_POLL_S), _MAX_POLL_S)

    def _make_result(self, answer: Answer) -> Result:
        frame, began_s, ended_s, pysdk_result = answer
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
        return Result(frame, objects, timing_ms, began_s, ended_s, to_frame, self.input_size, labels=labels)
