"""What monitoring reads: `/healthz`, and `/metrics` in Prometheus's formats.

Names and labels of the metrics never change: dashboards and alerts depend on them.
"""

import json
from collections.abc import Callable, Iterator, Mapping

from prometheus_client import CollectorRegistry, ProcessCollector
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.exposition import choose_encoder
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from edgepub.core.versions import versions
from edgepub.mqtt.payloads import stats
from edgepub.telemetry.histogram import cumulative
from edgepub.telemetry.metrics import STAGES, CameraMetrics, Reading
from edgepub.telemetry.status import Condition

DROPPED = (
    *("queue_full", "invalid", "stopped", "too_large", "refused"),
    *("event_queue_full", "event_expired", "event_damaged", "event_invalid", "event_stopped"),
    *("event_too_large", "event_refused"),
    *("snapshot_given_up", "snapshot_too_large", "snapshot_refused"),
)
"""Reasons that are told from the start, at nothing: Prometheus does not see a count grow that begins with its first."""
_BOUNDS_S = (0.001, 0.002, 0.005, 0.01, 0.02, 0.03, 0.05, 0.1, 0.2, 0.3, 0.5, 1.0, 2.0, 5.0, 15.0, 60.0)
_BOUNDS_MS = tuple(1000 * bound_s for bound_s in _BOUNDS_S)
_LE = (*map(str, _BOUNDS_S), "+Inf")
_NONE_DROPPED = dict.fromkeys(DROPPED, 0)


def health_answer(node: str, condition: Condition) -> tuple[int, bytes]:
    """Return the status and the JSON that tell how it is: 200 while it is ready, else 503."""
    wrong = condition.wrong
    payload = {
        "ready": not wrong,
        "node": node,
        "wrong": wrong,
        "broker": {
            "status": "online" if condition.broker.fault is None else "offline",
            "fault": condition.broker.fault,
        },
        "cameras": {name: {"status": its.status, "fault": its.fault} for name, its in condition.cameras.items()},
    }
    text = json.dumps(payload, ensure_ascii=False) + "\n"
    # A file's name in an error may hold bytes that are no UTF-8; this makes them JSON's own escapes.
    return 503 if wrong else 200, text.encode(errors="backslashreplace")


class MetricsPage:
    """The page; it reads what it tells when it is asked for it.

    Args:
        node: the box.
        condition: how the whole is.
        cameras: the counts of each camera.
        outbox_sizes: tells how many messages wait in each lane.

    """

    def __init__(
        self,
        node: str,
        condition: Condition,
        cameras: Mapping[str, CameraMetrics],
        outbox_sizes: Callable[[], Mapping[str, int]],
    ) -> None:
        self._registry = CollectorRegistry()
        self._registry.register(_Figures(node, condition, cameras, outbox_sizes))
        ProcessCollector(registry=self._registry)

    def encode(self, accept: str) -> tuple[bytes, str]:
        """Return the page and its content type, in the form that suits a client best, as its header `Accept` says."""
        try:
            encode, content_type = choose_encoder(accept)
        except (TypeError, ValueError):  # a version there that is none
            encode, content_type = choose_encoder("")
        return encode(self._registry), content_type


class _Figures(Collector):
    """What there is of edgepub's own."""

    def __init__(
        self,
        node: str,
        condition: Condition,
        cameras: Mapping[str, CameraMetrics],
        outbox_sizes: Callable[[], Mapping[str, int]],
    ) -> None:
        self._node = node
        self._condition = condition
        self._cameras = cameras
        self._outbox_sizes = outbox_sizes
        told = stats.json_schema()["$defs"]["CameraStats"]["properties"]
        self._words = {name: its["description"] for name, its in told.items() if "description" in its}

    def collect(self) -> Iterator[Metric]:
        """Yield all families, as they are now."""
        yield from self._of_node()
        yield from self._of_conditions()
        yield from self._of_cameras({name: counts.read() for name, counts in self._cameras.items()})

    def _of_node(self) -> Iterator[Metric]:
        runs, broker = versions(), self._condition.broker
        names = ("version", "pysdk", "python", "node")
        family = GaugeMetricFamily("edgepub_build_info", "what runs on the node; always 1", labels=names)
        family.add_metric((runs["edgepub"], runs["pysdk"], runs["python"], self._node), 1)
        yield family
        words = (
            "1: there is a session with the broker, and every enabled camera is online or its file has ended; else 0"
        )
        yield GaugeMetricFamily("edgepub_ready", words, int(not self._condition.wrong))
        words = "1: there is a session with the broker; else 0"
        yield GaugeMetricFamily("edgepub_broker_up", words, int(broker.fault is None))
        words = "sessions with the broker after the first"
        yield CounterMetricFamily("edgepub_broker_reconnects", words, broker.reconnects)
        family = GaugeMetricFamily("edgepub_outbox_messages", "messages that wait, by lane", labels=("lane",))
        for lane, number in self._outbox_sizes().items():
            family.add_metric((lane,), number)
        yield family

    def _of_conditions(self) -> Iterator[Metric]:
        words = "1: online, it gives frames and its model answers; else 0"
        up = GaugeMetricFamily("edgepub_camera_up", words, labels=("camera",))
        enabled = GaugeMetricFamily("edgepub_camera_enabled", "0: disabled, and so not up; else 1", labels=("camera",))
        for name, its in self._condition.cameras.items():
            up.add_metric((name,), int(its.status == "online"))
            enabled.add_metric((name,), int(its.status != "disabled"))
        yield from (up, enabled)

    def _of_cameras(self, now: Mapping[str, Reading]) -> Iterator[Metric]:
        for name, in_stats, value in _COUNTS:
            counter = CounterMetricFamily(f"edgepub_{name}", self._words[in_stats], labels=("camera",))
            for camera, its in now.items():
                counter.add_metric((camera,), value(its))
            yield counter
        for name, values in _BY_REASON:
            counter = CounterMetricFamily(f"edgepub_{name}", self._words[name], labels=("camera", "reason"))
            for camera, its in now.items():
                for reason, number in values(its).items():
                    counter.add_metric((camera, reason), number)
            yield counter
        words = f"how long it took, {self._words['latency_ms'].partition(';')[0]}; right to 2 %"
        latency = HistogramMetricFamily("edgepub_latency_seconds", words, labels=("camera", "stage"))
        for camera, its in now.items():
            for stage in STAGES:
                numbers, total_ms = cumulative(its.stages_ms[stage], _BOUNDS_MS)
                latency.add_metric((camera, stage), list(zip(_LE, numbers, strict=True)), total_ms / 1000)
        yield latency


_COUNTS: tuple[tuple[str, str, Callable[[Reading], int]], ...] = (
    ("camera_reconnects", "reconnects", lambda its: its.reconnects),
    ("frames_captured", "captured", lambda its: its.captured),
    ("frames_inferred", "inferred", lambda its: its.inferred),
    ("detections_published", "published", lambda its: its.published),
    ("events_published", "events", lambda its: its.events),
    ("snapshots", "snapshots", lambda its: its.snapshots),
)
_BY_REASON: tuple[tuple[str, Callable[[Reading], Mapping[str, int]]], ...] = (
    ("sampled", lambda its: its.sampled),
    ("dropped", lambda its: {**_NONE_DROPPED, **its.dropped}),
)
