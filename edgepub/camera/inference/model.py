"""A loaded model: frames in, results out; one by one, or with the next ones on their way."""

import difflib
import time
from collections.abc import Generator, Iterable, Iterator
from math import inf
from statistics import median
from typing import TYPE_CHECKING, Any

from edgepub.camera.frames import Frame, Frames, Result
from edgepub.camera.inference.error_text import clean_error
from edgepub.core.errors import ModelError

if TYPE_CHECKING:
    from degirum.model import Model as PysdkModel

_END: Any = object()
_NOT_WARM = 2  # results
_WATCHED = 20
_NO_TIME_MS = 0.01  # what a runtime's step takes at least
_LOOK_S = 0.001  # how often to look for results while live frames are under way
_QUIET_S = 2.0
_TIMINGS = {
    "CorePreprocessDuration_ms": "preprocess",
    "CoreInferenceDuration_ms": "inference",
    "CorePostprocessDuration_ms": "postprocess",
}


class Model:
    """A loaded model; for one thread at a time.

    Args:
        pysdk: the PySDK model.
        overlaps: it can work on one frame while it is given another.
        in_flight: how many live frames should be under way at once, where it overlaps; None: to be found out.

    """

    def __init__(self, pysdk: "PysdkModel", *, overlaps: bool, in_flight: int | None = None) -> None:
        self.pysdk = pysdk
        self.in_flight = in_flight
        """How many live frames are under way at once, at most; None: not found out yet."""
        self._overlaps = overlaps

    @property
    def device(self) -> str:
        """Where it runs, like `TFLITE/CPU`."""
        return str(self.pysdk.device_type)

    def unknown_labels(self, labels: Iterable[str]) -> list[str]:
        """Return a line for each label that the model does not have; none where it does not tell which it has."""
        known = list(self.pysdk.label_dictionary.values())
        return [_strange(label, known) for label in labels if known and label not in known]

    def infer(self, frames: Frames, *, live: bool) -> Iterator[Result]:
        """Yield the result of each frame, in order.

        Args:
            frames: the frames.
            live: give each result as soon as it is there, and ask for no frame before the model has room for it.

        Raises:
            ModelError: the model failed.
            SourceError: what `frames` raised.

        """
        if not self._overlaps:
            yield from self._one_by_one(frames)
        elif not live:
            yield from self._together(frames, None)
        else:
            if self.in_flight is None:
                self.in_flight = yield from self._watched(frames)
            if self.in_flight is None:
                return  # they have ended
            if self.in_flight == 1:
                yield from self._one_by_one(frames)
            else:
                yield from self._together(frames, self.in_flight)

    def _one_by_one(self, frames: Frames) -> Iterator[Result]:
        for frame in frames:
            if frame is None:
                continue
            began_s = time.monotonic()
            try:
                answer = self.pysdk.predict(frame.image)
            except Exception as error:  # noqa: BLE001  (PySDK raises Exception itself, and more)
                raise ModelError(clean_error(error)) from None
            yield _result(frame, began_s, answer)

    def _watched(self, frames: Frames) -> Generator[Result, None, int | None]:
        """Yield some results one by one, and return how many frames should be under way at once.

        That is how often the longest step of the runtime fits into the whole time of a frame: with fewer that step
        would idle, with more they would wait for it, and grow old (Little's law: J. D. C. Little, "A Proof for the
        Queuing Formula L = λW", Operations Research 9, 1961). None: the frames have ended before that was clear.
        """
        times: list[float] = []
        for number, result in enumerate(self._one_by_one(frames)):
            yield result
            longest_ms = max(result.timing_ms.values(), default=inf)
            if number >= _NOT_WARM:
                times.append(1000 * (result.ended_s - result.began_s) / max(longest_ms, _NO_TIME_MS))
            if len(times) == _WATCHED:
                return max(1, min(round(median(times)), int(self.pysdk.frame_queue_depth)))
        return None

    def _together(self, frames: Frames, most: int | None) -> Iterator[Result]:
        self.pysdk.non_blocking_batch_predict = most is not None
        feed = _Feed(frames, most)
        while not feed.ended:
            answers = self.pysdk.predict_batch(feed)
            while True:
                try:
                    answer = next(answers, _END)
                except Exception as error:  # noqa: BLE001  (as above)
                    raise ModelError(clean_error(error)) from None
                if answer is _END:
                    break
                if answer is not None:
                    feed.count_answer()
                    frame, began_s = answer.info
                    yield _result(frame, began_s, answer)
        if feed.lost is not None:
            raise feed.lost


class _Feed:
    """What PySDK takes its frames from: in a loop that also looks for results, whenever it is given None.

    In that loop PySDK waits for ever where a connection is lost; only when there are no more frames does it look after
    that. So when no result comes for a while the frames end, and begin again when all are answered.

    Args:
        frames: the frames.
        most: so many under way at once; None: as many as PySDK takes.

    """

    def __init__(self, frames: Frames, most: int | None) -> None:
        self._frames = frames
        self._most = most
        self._under_way = 0
        self._heard_s = 0.0
        self.ended = False
        """No more frames come."""
        self.lost: Exception | None = None
        """What they ended with; PySDK would make an error of its own of it, and lose the frames under way."""

    def count_answer(self) -> None:
        """Note that a frame is answered."""
        self._under_way -= 1
        self._heard_s = time.monotonic()

    def __iter__(self) -> Iterator[tuple[Any, tuple[Frame, float]] | None]:
        self._under_way = 0
        try:
            while not self._under_way or time.monotonic() - self._heard_s < _QUIET_S:
                frame = self._next()
                if frame is None:
                    yield None
                    continue
                now_s = time.monotonic()
                if not self._under_way:
                    self._heard_s = now_s
                self._under_way += 1
                yield frame.image, (frame, now_s)
        except StopIteration:
            self.ended = True
        except Exception as error:  # noqa: BLE001  (raised again outside of PySDK)
            self.ended, self.lost = True, error

    def _next(self) -> Frame | None:
        if self._most is None or not self._under_way:
            return next(self._frames)
        if self._under_way < self._most:
            return self._frames.send(_LOOK_S)
        time.sleep(_LOOK_S)
        return None


def _strange(label: str, known: list[str]) -> str:
    by_lower = {each.lower(): each for each in known}
    close = difflib.get_close_matches(label.lower(), by_lower, n=1)
    return f"the model has no label {label!r}{f'; did you mean {by_lower[close[0]]!r}?' if close else ''}"


def _result(frame: Frame, began_s: float, answer: Any) -> Result:  # noqa: ANN401  (PySDK is untyped)
    timing = getattr(answer, "timing", None) or {}
    timing_ms = {ours: round(timing[key], 3) for key, ours in _TIMINGS.items() if key in timing}
    return Result(frame, answer.results, timing_ms, began_s, time.monotonic())
