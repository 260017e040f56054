"""Figures of one camera that a subscriber computes from its detections messages."""

import time
from collections import deque
from collections.abc import Mapping
from typing import Any, NamedTuple

import orjson

from edgepub.cli.watch.formatting import clean
from edgepub.telemetry.histogram import Histogram, quantile

_WINDOW_S = 5.0
_MAX_ARRIVALS = 2000
_MAX_LABELS = 20


class Summary(NamedTuple):
    """The part of a detections message that is kept. What its camera does not publish is None."""

    boot_id: str | None
    seq: int | None
    dropped: int | None
    """The daemon's own count of dropped messages."""
    latency_ms: float | None
    """From capture to publish."""
    labels: Mapping[str, tuple[int, float]]
    """Number of detections and best score, by label."""


def parse_detections(payload: bytes) -> Summary:
    """Return the summary of a detections payload; raise Python's own errors if it is malformed."""
    content = orjson.loads(payload)
    return Summary(
        boot_id=clean(content["boot_id"]) if "boot_id" in content else None,
        seq=int(content["seq"]) if "seq" in content else None,
        dropped=int(content["dropped"]) if "dropped" in content else None,
        latency_ms=float(content["timing_ms"]["capture_to_publish"]) if "timing_ms" in content else None,
        labels=_count_labels(content["detections"]),
    )


class Tally:
    """The figures of one camera, from its detections messages alone."""

    def __init__(self) -> None:
        self.messages = 0
        self.missing = 0
        """Messages whose `seq` never arrived."""
        self.frames_with_objects = 0
        self.first_s: float | None = None
        """Arrival of the first message, on the monotonic clock."""
        self._last: Summary | None = None
        self._arrivals: deque[tuple[float, float | None]] = deque(maxlen=_MAX_ARRIVALS)  # arrival time, latency
        self._latencies = Histogram()

    def add(self, summary: Summary) -> None:
        """Count one message."""
        now_s = time.monotonic()
        self.first_s = self.first_s or now_s
        self.messages += 1
        self.frames_with_objects += bool(summary.labels)
        last, self._last = self._last, summary
        if last and last.boot_id == summary.boot_id and last.seq is not None and summary.seq is not None:
            self.missing += max(0, summary.seq - last.seq - 1)
        self._arrivals.append((now_s, summary.latency_ms))
        if summary.latency_ms is not None:
            self._latencies.add(summary.latency_ms)

    @property
    def dropped(self) -> int:
        """The daemon's own count of dropped messages."""
        return (self._last and self._last.dropped) or 0

    @property
    def is_fresh(self) -> bool:
        """Whether a message arrived in the last 5 s."""
        return bool(self._arrivals) and time.monotonic() - self._arrivals[-1][0] < _WINDOW_S

    @property
    def rate(self) -> float:
        """Messages per second over the last 5 s."""
        now_s = time.monotonic()
        self._remove_old(now_s)
        if not self._arrivals or self.first_s is None:
            return 0.0
        observed_s = now_s - (self._arrivals[0][0] if len(self._arrivals) == _MAX_ARRIVALS else self.first_s)
        return len(self._arrivals) / min(_WINDOW_S, max(observed_s, 1.0))

    @property
    def objects_text(self) -> str:
        """The objects in the latest frame, for example `2 person (0.91)`."""
        labels = self._last.labels if self._last else {}
        return ", ".join(f"{number} {label} ({score:.2f})" for label, (number, score) in labels.items()) or "nothing"

    def recent_latency_ms(self) -> tuple[float, float] | None:
        """Return median and 95th percentile from capture to publish over the last 5 s; None if no message has it."""
        self._remove_old(time.monotonic())
        ranked = sorted(latency_ms for _, latency_ms in self._arrivals if latency_ms is not None)
        if not ranked:
            return None
        return ranked[(len(ranked) - 1) // 2], ranked[int(0.95 * (len(ranked) - 1))]

    def overall_latency_ms(self) -> tuple[float, float]:
        """Return the same over all messages, accurate to 2 %; zeros without messages."""
        buckets = self._latencies.copy()
        return quantile(buckets, 0.5) or 0.0, quantile(buckets, 0.95) or 0.0

    def _remove_old(self, now_s: float) -> None:
        while self._arrivals and self._arrivals[0][0] < now_s - _WINDOW_S:
            self._arrivals.popleft()


def _count_labels(detections: list[Mapping[str, Any]]) -> dict[str, tuple[int, float]]:
    found: dict[str, tuple[int, float]] = {}
    for detection in detections:
        label, score = detection["label"], float(detection["score"])
        number, best = found.get(label, (0, 0.0))
        if number or len(found) < _MAX_LABELS:
            found[label] = number + 1, max(best, score)
    return {clean(label): value for label, value in found.items()}
