"""Finds the resource that is the limit of a node under overload, from two readings. Pure: readings in, limits out.

A limit needs a symptom, which a user would notice, and a cause, which was measured:

- decoding: a thread that reads a camera, or decodes for it, always works or waits for a processor, never for a frame.
- python: frames are skipped as `busy`, or detections wait or are lost; a camera's thread always works on a result, or
  waits for Python in the model's call. Or the event loop is late.
- model: frames are skipped as `busy`; the model always has a frame, its device works, and Python has time.
- broker: detections wait or are lost; Python has time, and the session with the broker lasts.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from edgepub.telemetry.histogram import Buckets, cumulative_counts, difference, quantile
from edgepub.telemetry.metrics import Reading
from edgepub.telemetry.status import Limit, Resource

_MIN_BUSY_FRAMES = 0.05
"""The share of frames skipped as `busy` that counts. Fewer are skipped when a slow frame delays the next one."""
_MIN_IN_MODEL = 0.6
"""The share of the time that the model has a frame. When the model is the limit the rest is for taking the results."""
_MIN_DEVICE = 0.3
"""The share of the time that a local device works, for all cameras together. If it works less, frames wait for Python.

A device that is the limit always works (the utilization law: P. J. Denning, J. P. Buzen, "The Operational Analysis of
Queueing Network Models", ACM Computing Surveys 10, 1978), but perhaps not every step of its work is reported.
"""
_MIN_DECODING = 0.9
"""The share of the time that a thread decodes, or waits for a processor to do so. The rest is for reading packets."""
_MIN_TURNS = 0.85
"""The share of the time that a camera's thread has the turn to work in Python. At the limit there is always one."""
_MIN_LOOP_LATE_MS = 100.0
"""How late the event loop wakes up, in the median. Another program on all processors makes it a few milliseconds."""
_MIN_QUEUE_MS = 500.0
"""How long a detections message waits in the outbox, for one in twenty. On a link that keeps up it is milliseconds."""
_KEPT = 0.7
"""What counts as over: a limit that holds already stays until its measure is below this part of the threshold."""
_MAX_NAMES = 5


class ThreadReading(NamedTuple):
    """A thread, since its start."""

    ran_s: float
    """How long it ran on a processor."""
    waited_s: float
    """How long it could have run, and waited for a processor."""
    is_decoder: bool
    """Whether it is one of a decoder's own threads."""


@dataclass(frozen=True, slots=True)
class NodeReading:
    """A node at one time. Totals since the start of the daemon."""

    at_s: float
    """The time of the reading, on the monotonic clock."""
    cameras: Mapping[str, Reading]
    devices: Mapping[str, str]
    """The device of each camera's model."""
    remote: Collection[str]
    """The cameras whose model runs on an AI server or in a cloud."""
    threads: Mapping[int, ThreadReading]
    """The threads that decode, by the system's number."""
    turns_held_s: float
    """How long a camera's thread has had the turn to work on a result."""
    loop_late_ms: Buckets
    """How late the event loop woke up."""
    session: int | None
    """The number of the session with the broker; None without one."""


def find_limits(before: NodeReading, now: NodeReading, current: Collection[Limit] = ()) -> list[Limit]:
    """Return the resources that were the limit between two readings.

    Args:
        before: the earlier reading.
        now: the later one.
        current: what is the limit already: it stays so, for its cameras, until that is clearly over.

    """
    window = _Window(before, now, current)
    python = window.python()
    found = [window.decoding(), python]
    if python is None:  # else nothing can be said of what is behind it
        found += [window.model(), window.broker()]
    return [limit for limit in found if limit]


class _Window:
    def __init__(self, before: NodeReading, now: NodeReading, current: Collection[Limit]) -> None:
        self._before = before
        self._now = now
        self._current = {limit.resource: limit for limit in current}
        self._seconds = max(now.at_s - before.at_s, 1e-3)
        self._cameras = {
            name: _Camera(before.cameras[name], reading, self._seconds)
            for name, reading in now.cameras.items()
            if name in before.cameras
        }
        self._device_shares: defaultdict[str, float] = defaultdict(float)
        for name, camera in self._cameras.items():
            if name not in now.remote:
                self._device_shares[now.devices.get(name, "")] += camera.device_share

    def decoding(self) -> Limit | None:
        shares = {
            name: self._share(reading.capture_thread)
            for name, reading in self._now.cameras.items()
            if reading.capture_thread is not None
        }
        slow = [
            name for name, share in shares.items() if sum(share) >= self._threshold("decoding", _MIN_DECODING, name)
        ]
        # FFmpeg's own threads work for one of the cameras, which cannot be seen. A file that is read as fast as
        # possible always keeps them busy, and nothing is late because of that.
        others = [self._share(number) for number, thread in self._now.threads.items() if thread.is_decoder]
        others = [] if self._reads_file() else others
        full = [share for share in others if sum(share) >= self._threshold("decoding", _MIN_DECODING)]
        if not slow and not full:
            return None
        busiest = [shares[name] for name in slow] or full
        ran, waited = (sum(part) / len(busiest) for part in zip(*busiest, strict=True))
        cameras = slow or (list(shares) if len(shares) == 1 else [])
        why = f"a thread takes {_percent(ran)} of a core"
        if waited > ran:
            why += f" and waits for a free one {_percent(waited)} of the time: the processor has too much other work"
        way_out = "use the camera's second stream, a lower frame rate in the camera, or fewer cameras"
        return Limit("decoding", cameras, f"decoding is the limit{_for(cameras)}: {why}; {way_out}")

    def python(self) -> Limit | None:
        held = (self._now.turns_held_s - self._before.turns_held_s) / self._seconds
        late_ms = quantile(difference(self._before.loop_late_ms, self._now.loop_late_ms), 0.5) or 0.0
        slow = [name for name, camera in self._cameras.items() if self._skips(name) or self._waits(name)]
        is_late = late_ms >= self._threshold("python", _MIN_LOOP_LATE_MS)
        is_full = held >= self._threshold("python", _MIN_TURNS)
        waits = any(not self._device_works(name) for name in self._full_models())
        if not (is_late or (is_full and slow) or waits):
            return None
        facts = [f"it works on results {_percent(held)} of the time"] * is_full
        facts += [f"{len(slow)} of {len(self._cameras)} cameras skip frames or are late"] * bool(slow)
        facts += ["frames wait for it in the model's call"] * waits
        facts += [f"the event loop is {late_ms:.0f} ms late"] * is_late
        way_out = "lower `max_fps`, use fewer cameras per node, or turn off what you do not need (tracking, snapshots)"
        return Limit("python", slow, f"Python is the limit: {', '.join(facts)}; {way_out}")

    def model(self) -> Limit | None:
        slow = {name: self._cameras[name] for name in self._full_models() if self._device_works(name)}
        if not slow:
            return None
        devices = ", ".join(sorted({self._now.devices[name] for name in slow if name in self._now.devices}))
        # Above 1 for a moment: a frame may be skipped in the interval after the one in which it was captured.
        skipped = min(1.0, sum(c.busy for c in slow.values()) / max(1, sum(c.admitted for c in slow.values())))
        device = f"the model's device {devices}" if devices else "the model's device"
        text = (
            f"{device} is the limit{_for(slow)}: {_percent(skipped)} of the frames are skipped as `busy`; "
            "lower `max_fps`, or use a smaller model, a faster device, or one more"
        )
        return Limit("model", list(slow), text)

    def broker(self) -> Limit | None:
        if self._now.session is None or self._now.session != self._before.session:
            return None  # what the status of the broker says is the reason
        slow = {name: camera for name, camera in self._cameras.items() if self._waits(name)}
        if not slow:
            return None
        lost = sum(camera.lost for camera in slow.values())
        waited_s = max(camera.queue_ms for camera in slow.values()) / 1000
        facts = [f"detections wait {waited_s:.1f} s"] * bool(waited_s)
        facts += [f"{lost} were dropped as `queue_full`"] * bool(lost)
        way_out = "set `publish.max_rate_hz` or `publish.mode: changes`, or use a faster link or broker"
        return Limit("broker", list(slow), f"the broker is the limit{_for(slow)}: {', '.join(facts)}; {way_out}")

    def _reads_file(self) -> bool:
        """Return whether a camera gave frames without a thread that reads a live source."""
        return any(camera.captured and camera.capture_thread is None for camera in self._cameras.values())

    def _threshold(self, resource: Resource, value: float, camera: str | None = None) -> float:
        """Return a threshold: a lower one for what is the limit already, and for this camera if there is one."""
        limit = self._current.get(resource)
        return value * _KEPT if limit and (camera is None or limit.concerns(camera)) else value

    def _skips(self, name: str) -> bool:
        camera = self._cameras[name]
        return camera.busy > self._threshold("model", _MIN_BUSY_FRAMES, name) * camera.admitted

    def _waits(self, name: str) -> bool:
        camera = self._cameras[name]
        return camera.lost > 0 or camera.queue_ms >= self._threshold("broker", _MIN_QUEUE_MS, name)

    def _full_models(self) -> list[str]:
        """Return the cameras that skip frames because their model always has one."""
        return [name for name in self._cameras if self._skips(name) and self._fills_model(name)]

    def _fills_model(self, name: str) -> bool:
        camera = self._cameras[name]
        # Without a result the model had one frame all the time: it is slower than the interval of two readings.
        return camera.results == 0 or camera.in_model >= self._threshold("model", _MIN_IN_MODEL, name)

    def _device_works(self, name: str) -> bool:
        camera = self._cameras[name]
        if name in self._now.remote or not camera.results or camera.device_share == 0:
            return True  # what it does is not reported
        return self._device_shares[self._now.devices.get(name, "")] >= _MIN_DEVICE

    def _share(self, thread: int) -> tuple[float, float]:
        """Return which part of the time a thread ran, and waited for a processor; zeros if it is new."""
        before, now = self._before.threads.get(thread), self._now.threads.get(thread)
        if before is None or now is None:
            return 0.0, 0.0
        return (now.ran_s - before.ran_s) / self._seconds, (now.waited_s - before.waited_s) / self._seconds


class _Camera:
    """What a camera did between two readings."""

    def __init__(self, before: Reading, now: Reading, seconds: float) -> None:
        self.busy = _increase(before.sampled, now.sampled, "busy")
        self.captured = now.captured - before.captured
        self.capture_thread = now.capture_thread or before.capture_thread
        self.admitted = self.captured - _increase(before.sampled, now.sampled, "max_fps")
        self.lost = _increase(before.dropped, now.dropped, "queue_full")
        self.queue_ms = quantile(difference(before.stages_ms["queue"], now.stages_ms["queue"]), 0.95) or 0.0
        self.results = now.inferred - before.inferred
        _, inference_ms = cumulative_counts(difference(before.stages_ms["inference"], now.stages_ms["inference"]), ())
        self.in_model = inference_ms / 1000 / seconds
        steps = [
            difference(before.model_ms.get(step, {}), buckets)
            for step, buckets in now.model_ms.items()
            if not step.startswith("stage/")  # of a pipeline: the same time once more, by model
        ]
        self.device_share = sum(cumulative_counts(step, ())[1] for step in steps) / 1000 / seconds


def _increase(before: Mapping[str, int], now: Mapping[str, int], reason: str) -> int:
    return now.get(reason, 0) - before.get(reason, 0)


def _for(cameras: Iterable[str]) -> str:
    names = list(cameras)
    if not names:
        return ""
    more = f" and {len(names) - _MAX_NAMES} more" if len(names) > _MAX_NAMES else ""
    return f" for {', '.join(names[:_MAX_NAMES])}{more}"


def _percent(share: float) -> str:
    return f"{100 * share:.0f} %"
