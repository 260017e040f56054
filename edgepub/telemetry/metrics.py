"""What is counted and timed, each thing where it happens; it only ever grows, and whoever reads it subtracts."""

import threading
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

from edgepub.telemetry.histogram import Buckets, Histogram

STAGES = ("capture_to_inference", "inference", "queue", "publish", "total")


@dataclass(frozen=True, slots=True)
class Reading:
    """One camera's counts at one moment, all since the daemon's start."""

    at_s: float
    """The moment, on the monotonic clock."""
    captured: int
    """Frames that the source gave."""
    inferred: int
    """Frames that the model answered."""
    published: int
    """Detections messages that left."""
    sampled: dict[str, int]
    """Frames and results left out on purpose, by reason."""
    dropped: dict[str, int]
    """Messages lost against our will, by reason."""
    events: int
    """Events that were published."""
    snapshots: int
    """Pictures that were made."""
    reconnects: int
    """How often the camera came back."""
    stages_ms: dict[str, Buckets]
    """How long each stage took."""
    model_ms: dict[str, Buckets]
    """How long the runtime says that its own steps took."""


class CameraMetrics:
    """The counts of one camera since the daemon's start."""

    def __init__(self) -> None:
        self._lock = threading.Lock()  # of the counts that have several writers
        self._dropped: Counter[str] = Counter()
        self._sampled: Counter[str] = Counter()
        self._captured = 0
        self._inferred = 0
        self._published = 0
        self._events = 0
        self._snapshots = 0
        self._reconnects = 0
        self._made = 0
        self._stages = {stage: Histogram() for stage in STAGES}
        self._steps: dict[str, Histogram] = {}

    def count_captured(self) -> None:
        """Count a frame that the source gave."""
        self._captured += 1  # by the thread that reads the source alone

    def count_inferred(self, captured_s: float, began_s: float, ended_s: float, timing_ms: Mapping[str, float]) -> None:
        """Count a frame that the model has answered, and how long that took.

        Args:
            captured_s: when the frame was captured, on the monotonic clock.
            began_s: when the model was given the frame.
            ended_s: when it gave its answer.
            timing_ms: the runtime's own steps, in milliseconds.

        """
        self._inferred += 1  # by the inference thread alone
        self._stages["capture_to_inference"].add(1000 * (began_s - captured_s))
        self._stages["inference"].add(1000 * (ended_s - began_s))
        for step, ms in timing_ms.items():
            if step not in self._steps:
                self._steps = {**self._steps, step: Histogram()}
            self._steps[step].add(ms)

    def next_seq(self) -> int:
        """Count a detections message that is to be published, and return its number."""
        self._made += 1  # by the inference thread alone
        return self._made

    def count_published(self, captured_s: float, queued_s: float, taken_s: float) -> None:
        """Count a detections message that has left just now, and how long it took.

        Args:
            captured_s: when its frame was captured, on the monotonic clock.
            queued_s: when it was put into the outbox.
            taken_s: when it was taken out to be sent.

        """
        self._published += 1  # by the event loop alone
        now_s = time.monotonic()
        self._stages["queue"].add(1000 * (taken_s - queued_s))
        self._stages["publish"].add(1000 * (now_s - taken_s))
        self._stages["total"].add(1000 * (now_s - captured_s))

    def count_dropped(self, reason: str, number: int = 1) -> None:
        """Count messages lost against our will."""
        with self._lock:
            self._dropped[reason] += number

    def count_sampled(self, reason: str) -> None:
        """Count a frame or a result left out on purpose."""
        with self._lock:
            self._sampled[reason] += 1

    def count_event(self) -> None:
        """Count an event that was published."""
        self._events += 1  # by the event loop alone

    def count_snapshot(self) -> None:
        """Count a picture that was made."""
        self._snapshots += 1  # by the thread that makes them alone

    def count_reconnect(self) -> None:
        """Count a camera that came back."""
        self._reconnects += 1

    @property
    def published(self) -> int:
        """Detections messages that have left."""
        return self._published

    @property
    def dropped_total(self) -> int:
        """Messages lost against our will."""
        with self._lock:
            return self._dropped.total()

    def read(self) -> Reading:
        """Return all of it, as it is now."""
        with self._lock:
            sampled, dropped = dict(self._sampled), dict(self._dropped)
        return Reading(
            time.monotonic(),
            self._captured,
            self._inferred,
            self._published,
            sampled,
            dropped,
            self._events,
            self._snapshots,
            self._reconnects,
            {name: histogram.copy() for name, histogram in self._stages.items()},
            {name: histogram.copy() for name, histogram in self._steps.items()},
        )
