"""Counters and timings of a camera, updated where things happen. They never decrease; a reader subtracts readings."""

import threading
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from edgepub.telemetry.histogram import Buckets, Histogram
from edgepub.telemetry.object_counters import ObjectCounters

STAGES = ("capture_to_inference", "inference", "queue", "publish", "total")


@dataclass(frozen=True, slots=True)
class Reading:
    """The counts of one camera at one time, since the start of the daemon."""

    at_s: float
    """The time of the reading, on the monotonic clock."""
    captured: int
    """Frames received from the source."""
    inferred: int
    """Frames processed by the model."""
    published: int
    """Detections messages published."""
    sampled: dict[str, int]
    """Frames and results left out on purpose, by reason."""
    dropped: dict[str, int]
    """Messages lost, by reason."""
    objects_dropped: dict[str, int]
    """Objects left out of results, by reason."""
    events: int
    """Events published."""
    visits: int
    """Visits published."""
    snapshots: int
    """Snapshots made."""
    reconnects: int
    """How often the camera came back online."""
    behind_s: float | None
    """How old a frame was when it had been decoded: the oldest of the last 10 to 20 s; None: no live frame was."""
    clock_offset_s: float | None
    """How far the camera's own clock is ahead; None: it does not tell its time."""
    capture_thread: int | None
    """The system's number of the thread that reads the live source; None without one."""
    stages_ms: dict[str, Buckets]
    """The duration of each stage."""
    model_ms: dict[str, Buckets]
    """The duration of each step inside the runtime, as it reports them."""


class DecodingCost(NamedTuple):
    """What decoding every picture of a stream costs."""

    width: int
    height: int
    fps: float
    """Pictures a second."""
    cpu_s: float
    """Processor time of a picture, in seconds."""

    @property
    def share(self) -> float:
        """The share of a core that it takes."""
        return self.fps * self.cpu_s


class CameraMetrics:
    """Counts for one camera, since the start of the daemon."""

    def __init__(self) -> None:
        self._lock = threading.Lock()  # for the counts that several threads write
        self._dropped: Counter[str] = Counter()
        self._sampled: Counter[str] = Counter()
        self._objects_dropped: Counter[str] = Counter()
        self._captured = 0
        self._inferred = 0
        self._published = 0
        self._events = 0
        self._visits = 0
        self._snapshots = 0
        self._reconnects = 0
        self._behind = _RecentMaximum()
        self._clock_offset_s: float | None = None
        self.decoding_cost: DecodingCost | None = None
        """What decoding costs; None while that is not known."""
        self.objects = ObjectCounters()
        """What objects did."""
        self._capture_thread: int | None = None
        self._last_seq = 0
        self._stages = {stage: Histogram() for stage in STAGES}
        self._steps: dict[str, Histogram] = {}

    def start_capture(self, thread: int) -> None:
        """Set the thread that reads the live source, by the system's number."""
        self._capture_thread = thread

    def end_capture(self, thread: int) -> None:
        """Forget that thread, unless another one has replaced it: the system gives its number to a new one."""
        if self._capture_thread == thread:
            self._capture_thread = None

    def set_behind(self, behind_s: float, now_s: float) -> None:
        """Take note of a frame that has been decoded.

        Args:
            behind_s: how long ago its packet came.
            now_s: the time, on the monotonic clock.

        """
        self._behind.add(behind_s, now_s)  # only the thread that reads the source does

    def set_clock_offset(self, offset_s: float) -> None:
        """Take note of how far the camera's own clock is ahead of this computer's."""
        self._clock_offset_s = offset_s

    def set_decoding_cost(self, cost: DecodingCost) -> None:
        """Take note of what decoding costs."""
        self.decoding_cost = cost

    def count_captured(self) -> None:
        """Count a frame received from the source."""
        self._captured += 1  # only the thread that reads the source writes it

    def count_inferred(
        self, captured_s: float, started_s: float, finished_s: float, timing_ms: Mapping[str, float]
    ) -> None:
        """Count a frame that the model has processed, with its timings.

        Args:
            captured_s: when the frame was captured, on the monotonic clock.
            started_s: when the model received the frame.
            finished_s: when it returned the result.
            timing_ms: the duration of each step inside the runtime, in milliseconds.

        """
        self._inferred += 1  # only the inference thread writes it
        self._stages["capture_to_inference"].add(1000 * (started_s - captured_s))
        self._stages["inference"].add(1000 * (finished_s - started_s))
        for step, ms in timing_ms.items():
            if step not in self._steps:
                self._steps = {**self._steps, step: Histogram()}
            self._steps[step].add(ms)

    def next_seq(self) -> int:
        """Return the sequence number of the next detections message. A number that is not published shows as a gap."""
        self._last_seq += 1  # only the inference thread writes it
        return self._last_seq

    def count_published(self, captured_s: float, queued_s: float, taken_s: float) -> None:
        """Count a detections message that was published just now, with its timings.

        Args:
            captured_s: when its frame was captured, on the monotonic clock.
            queued_s: when the message was put into the outbox.
            taken_s: when it was taken out for sending.

        """
        self._published += 1  # only the event loop writes it
        now_s = time.monotonic()
        self._stages["queue"].add(1000 * (taken_s - queued_s))
        self._stages["publish"].add(1000 * (now_s - taken_s))
        self._stages["total"].add(1000 * (now_s - captured_s))

    def count_dropped(self, reason: str, number: int = 1) -> None:
        """Count lost messages."""
        with self._lock:
            self._dropped[reason] += number

    def count_sampled(self, reason: str) -> None:
        """Count a frame or a result that was left out on purpose."""
        with self._lock:
            self._sampled[reason] += 1

    def count_objects_dropped(self, reason: str, number: int) -> None:
        """Count objects that were left out of a result."""
        with self._lock:
            self._objects_dropped[reason] += number

    def count_event(self) -> None:
        """Count a published event."""
        self._events += 1  # only the event loop writes it

    def count_visit(self) -> None:
        """Count a published visit."""
        self._visits += 1  # only the event loop writes it

    def count_snapshot(self) -> None:
        """Count a snapshot."""
        self._snapshots += 1  # only the snapshot thread writes it

    def count_reconnect(self) -> None:
        """Count that the camera came back online."""
        self._reconnects += 1

    @property
    def published(self) -> int:
        """Detections messages published."""
        return self._published

    @property
    def dropped_total(self) -> int:
        """Messages lost."""
        with self._lock:
            return self._dropped.total()

    def read(self) -> Reading:
        """Return all counts as they are now."""
        with self._lock:
            sampled, dropped = dict(self._sampled), dict(self._dropped)
            objects_dropped = dict(self._objects_dropped)
        now_s = time.monotonic()
        return Reading(
            now_s,
            self._captured,
            self._inferred,
            self._published,
            sampled,
            dropped,
            objects_dropped,
            self._events,
            self._visits,
            self._snapshots,
            self._reconnects,
            self._behind.read(now_s),
            self._clock_offset_s,
            self._capture_thread,
            {name: histogram.copy() for name, histogram in self._stages.items()},
            {name: histogram.copy() for name, histogram in self._steps.items()},
        )


class _RecentMaximum:
    """The largest value of the last 10 to 20 s."""

    _PERIOD_S = 10.0

    def __init__(self) -> None:
        self._windows: tuple[float, float | None, float | None] = (0.0, None, None)  # since when, the last, this one

    def add(self, value: float, now_s: float) -> None:
        began_s, last, this = self._windows
        if now_s - began_s > self._PERIOD_S:
            last, this, began_s = (this if now_s - began_s < 2 * self._PERIOD_S else None), None, now_s
        self._windows = (began_s, last, value if this is None else max(this, value))

    def read(self, now_s: float) -> float | None:
        began_s, last, this = self._windows
        values = [value for value in (last, this) if value is not None]
        return max(values) if values and now_s - began_s < 2 * self._PERIOD_S else None


class MetricsByCamera(Mapping[str, CameraMetrics]):
    """The metrics of each camera, by name, for as long as the daemon runs. Thread-safe.

    It lists the configured cameras, and others from the moment when something of theirs is counted: events that wait on
    the disk may be of a camera that is not there yet, or not there any more.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._all: dict[str, CameraMetrics] = {}
        self._listed: Mapping[str, CameraMetrics] = {}  # replaced, never changed: readers iterate over it

    def of(self, camera: str) -> CameraMetrics:
        """Return the metrics of a camera, and list them from now on."""
        if metrics := self._listed.get(camera):
            return metrics
        with self._lock:
            metrics = self._all.setdefault(camera, CameraMetrics())
            self._listed = {**self._listed, camera: metrics}
        return metrics

    def unlist(self, camera: str) -> None:
        """Do not list a camera that was removed. Its counts continue if it comes back."""
        with self._lock:
            self._listed = {name: metrics for name, metrics in self._listed.items() if name != camera}

    def __getitem__(self, camera: str) -> CameraMetrics:
        return self._listed[camera]

    def __iter__(self) -> Iterator[str]:
        return iter(self._listed)

    def __len__(self) -> int:
        return len(self._listed)
