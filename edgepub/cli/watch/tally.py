"""What a subscriber makes of the detections that it receives."""

import time
from collections import deque
from collections.abc import Mapping
from typing import Any, NamedTuple

import orjson

from edgepub.cli.watch.words import clean
from edgepub.telemetry.histogram import Histogram, quantile

_WINDOW_S = 5.0
_LATEST = 2000
_LABELS = 20


class Seen(NamedTuple):
    """What of a detections message is kept."""

    boot_id: str
    seq: int
    dropped: int
    """What the daemon itself says that it has dropped."""
    latency_ms: float
    """From capture to publish."""
    labels: Mapping[str, tuple[int, float]]
    """How many there are of each, and the best score."""


def read(payload: bytes) -> Seen:
    """Return what a payload says; if it is none of detections, raise what Python raises then."""
    its = orjson.loads(payload)
    latency_ms = float(its["timing_ms"]["capture_to_publish"])
    return Seen(clean(its["boot_id"]), int(its["seq"]), int(its["dropped"]), latency_ms, _labels(its["detections"]))


class Tally:
    """The figures of one camera, from its detections alone."""

    def __init__(self) -> None:
        self.messages = 0
        self.missing = 0
        """Messages whose `seq` never came."""
        self.frames_with_objects = 0
        self.first_s: float | None = None
        """When the first came, on the monotonic clock."""
        self._last: Seen | None = None
        self._arrivals: deque[tuple[float, float]] = deque(maxlen=_LATEST)  # when, and how old
        self._latencies = Histogram()

    def take(self, seen: Seen) -> None:
        """Count one message."""
        now_s = time.monotonic()
        self.first_s = self.first_s or now_s
        self.messages += 1
        self.frames_with_objects += bool(seen.labels)
        if self._last is not None and self._last.boot_id == seen.boot_id:
            self.missing += max(0, seen.seq - self._last.seq - 1)
        self._last = seen
        self._arrivals.append((now_s, seen.latency_ms))
        self._latencies.add(seen.latency_ms)

    @property
    def dropped(self) -> int:
        """What the daemon itself says that it has dropped."""
        return self._last.dropped if self._last else 0

    @property
    def is_fresh(self) -> bool:
        """Whether a message came in the last seconds."""
        return bool(self._arrivals) and time.monotonic() - self._arrivals[-1][0] < _WINDOW_S

    @property
    def rate(self) -> float:
        """Messages a second, over the last seconds."""
        now_s = time.monotonic()
        self._forget(now_s)
        if not self._arrivals or self.first_s is None:
            return 0.0
        whole = now_s - (self._arrivals[0][0] if len(self._arrivals) == _LATEST else self.first_s)
        return len(self._arrivals) / min(_WINDOW_S, max(whole, 1.0))

    @property
    def labels(self) -> str:
        """What was in the latest frame, in words."""
        seen = self._last.labels if self._last else {}
        return ", ".join(f"{number} {label} ({score:.2f})" for label, (number, score) in seen.items()) or "nothing"

    def latest_ms(self) -> tuple[float, float] | None:
        """Return the median and the 95th percentile from capture to publish of the last seconds, if there are any."""
        self._forget(time.monotonic())
        if not self._arrivals:
            return None
        ranked = sorted(latency_ms for _, latency_ms in self._arrivals)
        return ranked[(len(ranked) - 1) // 2], ranked[int(0.95 * (len(ranked) - 1))]

    def overall_ms(self) -> tuple[float, float]:
        """Return the same of all messages, right to 2 %; zeros if there were none."""
        buckets = self._latencies.copy()
        return quantile(buckets, 0.5) or 0.0, quantile(buckets, 0.95) or 0.0

    def _forget(self, now_s: float) -> None:
        while self._arrivals and self._arrivals[0][0] < now_s - _WINDOW_S:
            self._arrivals.popleft()


def _labels(detections: list[Mapping[str, Any]]) -> dict[str, tuple[int, float]]:
    found: dict[str, tuple[int, float]] = {}
    for each in detections:
        label, score = each["label"], float(each["score"])
        number, best = found.get(label, (0, 0.0))
        if number or len(found) < _LABELS:
            found[label] = number + 1, max(best, score)
    return {clean(label): value for label, value in found.items()}
