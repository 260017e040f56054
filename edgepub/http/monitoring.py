"""The responses for monitoring: `/healthz`, and `/metrics` in Prometheus's formats.

Do not change names or labels of metrics: dashboards and alerts depend on them.
"""

import json
from collections.abc import Callable, Iterator, Mapping
from itertools import chain
from typing import get_args

from prometheus_client import CollectorRegistry, ProcessCollector
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.exposition import choose_encoder
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from edgepub.core.versions import installed_versions
from edgepub.http.object_metrics import object_metrics
from edgepub.mqtt.outbox.outbox import OutboxFigures
from edgepub.mqtt.payloads import stats
from edgepub.mqtt.payloads.schema import json_schema
from edgepub.telemetry.histogram import cumulative_counts
from edgepub.telemetry.metrics import STAGES, CameraMetrics, Reading
from edgepub.telemetry.status import BrokerStatus, CameraState, Resource, Status

SAMPLED = ("decode", "late", "undecodable", "max_fps", "busy", "unchanged", "every", "max_rate_hz", "adaptive")
DROPPED = (
    *("queue_full", "invalid", "stopped", "given_up", "too_large"),
    *("event_queue_full", "event_expired", "event_damaged", "event_stopped"),
    *("event_given_up", "event_too_large", "event_refused"),
    *("snapshot_given_up", "snapshot_too_large", "snapshot_refused"),
)
OBJECTS_DROPPED = ("invalid", "too_many")
"""Reasons that are exported as 0 from the start: Prometheus misses the first increase of a counter that starts at 1."""
_BOUNDS_S = (0.001, 0.002, 0.005, 0.01, 0.02, 0.03, 0.05, 0.1, 0.2, 0.3, 0.5, 1.0, 2.0, 5.0, 15.0, 60.0)
_BOUNDS_MS = tuple(1000 * bound_s for bound_s in _BOUNDS_S)
_LE = (*map(str, _BOUNDS_S), "+Inf")
_NONE_SAMPLED, _NONE_DROPPED = dict.fromkeys(SAMPLED, 0), dict.fromkeys(DROPPED, 0)
_NO_OBJECTS_DROPPED = dict.fromkeys(OBJECTS_DROPPED, 0)


def state_json(state: BrokerStatus | CameraState) -> dict[str, str | None]:
    """Return the status of the broker or of a camera, as all pages give it."""
    return {"status": state.status, "fault": state.problem}


def health_response(node: str, status: Status) -> tuple[int, bytes]:
    """Return the HTTP status and the JSON of `/healthz`: 200 while the node is ready, else 503."""
    problems = status.problems
    payload = {
        "ready": not problems,
        "node": node,
        "wrong": problems,
        "notes": status.notes,
        "limits": [limit._asdict() for limit in status.load.limits],
        "broker": state_json(status.broker),
        "cameras": {name: state_json(camera) for name, camera in status.cameras.items()},
    }
    text = json.dumps(payload, ensure_ascii=False) + "\n"
    # A file name in an error may contain bytes that are not UTF-8; these become JSON escapes.
    return 503 if problems else 200, text.encode(errors="backslashreplace")


class MetricsPage:
    """Makes `/metrics` from the current values of edgepub's own metrics and of the process.

    Args:
        node: the name of the node.
        status: the status of the broker session and of the cameras.
        cameras: the metrics of each camera.
        outbox_figures: returns how many messages are where.

    """

    def __init__(
        self,
        node: str,
        status: Status,
        cameras: Mapping[str, CameraMetrics],
        outbox_figures: Callable[[], OutboxFigures],
    ) -> None:
        self._node = node
        self._status = status
        self._cameras = cameras
        self._outbox_figures = outbox_figures
        self._descriptions = _descriptions("CameraStats")
        self._broker_descriptions = _descriptions("BrokerStats")
        self._process = ProcessCollector(registry=None)

    def prepare(self, accept: str) -> Callable[[], tuple[bytes, str]]:
        """Read the current values, and return a function that makes the page from them.

        Making the page takes long with many cameras, and may be done in another thread. The function returns the page
        and its content type, in the format that a client prefers (its header `Accept`).
        """
        try:
            encode, content_type = choose_encoder(accept)
        except (TypeError, ValueError):  # an invalid version in the header
            encode, content_type = choose_encoder("")
        node = [*self._node_metrics(), *self._load_metrics(), *self._status_metrics()]
        readings = {name: metrics.read() for name, metrics in self._cameras.items()}
        objects = {name: metrics.objects.read() for name, metrics in self._cameras.items()}

        def make() -> tuple[bytes, str]:
            registry = CollectorRegistry()
            cameras = chain(self._camera_figures(readings), self._camera_metrics(readings), object_metrics(objects))
            registry.register(_Values(chain(node, cameras)))
            registry.register(self._process)
            return encode(registry), content_type

        return make

    def _node_metrics(self) -> Iterator[Metric]:
        version, broker = installed_versions(), self._status.broker
        names = ("version", "pysdk", "python", "node")
        family = GaugeMetricFamily("edgepub_build_info", "versions in use on the node; always 1", labels=names)
        family.add_metric((version["edgepub"], version["pysdk"], version["python"], self._node), 1)
        yield family
        text = "1 if the broker is connected, and every enabled camera is online or its file has ended; else 0"
        yield GaugeMetricFamily("edgepub_ready", text, int(not self._status.problems))
        text = "1 if the broker is connected; else 0"
        yield GaugeMetricFamily("edgepub_broker_up", text, int(broker.problem is None))
        text = "sessions with the broker after the first"
        yield CounterMetricFamily("edgepub_broker_reconnects", text, broker.reconnects)
        family = GaugeMetricFamily(
            "edgepub_outbox_messages", "messages waiting in the outbox, by lane", labels=("lane",)
        )
        figures = self._outbox_figures()
        for lane, count in figures.sizes.items():
            family.add_metric((lane,), count)
        yield family
        for name, value in (("under_way", figures.under_way), ("held_back", figures.held_back)):
            yield GaugeMetricFamily(f"edgepub_broker_{name}", self._broker_descriptions[name], value)

    def _load_metrics(self) -> Iterator[Metric]:
        load = self._status.load
        text = "1 while the resource is the limit of what the node does; else 0"
        family, limits = GaugeMetricFamily("edgepub_limit", text, labels=("resource",)), load.limits
        for resource in get_args(Resource):
            family.add_metric((resource,), int(any(limit.resource == resource for limit in limits)))
        yield family
        counts, total_ms = cumulative_counts(load.loop_late_ms.copy(), _BOUNDS_MS)
        text = f"{_descriptions(stats.SCHEMA)['loop_late_ms']}; accurate to 2 %"
        late = HistogramMetricFamily("edgepub_event_loop_late_seconds", text)
        late.add_metric((), list(zip(_LE, counts, strict=True)), total_ms / 1000)
        yield late

    def _status_metrics(self) -> Iterator[Metric]:
        text = "1 if the camera is online: frames arrive and the model gives valid results; else 0"
        up = GaugeMetricFamily("edgepub_camera_up", text, labels=("camera",))
        enabled = GaugeMetricFamily(
            "edgepub_camera_enabled",
            "0 if the camera is disabled (edgepub_camera_up is then 0, too); else 1",
            labels=("camera",),
        )
        for name, camera in self._status.cameras.items():
            up.add_metric((name,), int(camera.status == "online"))
            enabled.add_metric((name,), int(camera.status != "disabled"))
        yield from (up, enabled)

    def _camera_figures(self, now: Mapping[str, Reading]) -> Iterator[Metric]:
        for name, key, figure in _FIGURES:
            gauge = GaugeMetricFamily(f"edgepub_{name}", self._descriptions[key], labels=("camera",))
            for camera, reading in now.items():
                if (present := figure(reading)) is not None:
                    gauge.add_metric((camera,), present)
            yield gauge

    def _camera_metrics(self, now: Mapping[str, Reading]) -> Iterator[Metric]:
        for name, key, value in _COUNTS:
            counter = CounterMetricFamily(f"edgepub_{name}", self._descriptions[key], labels=("camera",))
            for camera, reading in now.items():
                counter.add_metric((camera,), value(reading))
            yield counter
        for name, values in _BY_REASON:
            counter = CounterMetricFamily(f"edgepub_{name}", self._descriptions[name], labels=("camera", "reason"))
            for camera, reading in now.items():
                for reason, count in values(reading).items():
                    counter.add_metric((camera, reason), count)
            yield counter
        text = f"latency, {self._descriptions['latency_ms'].partition(';')[0]}; accurate to 2 %"
        latency = HistogramMetricFamily("edgepub_latency_seconds", text, labels=("camera", "stage"))
        for camera, reading in now.items():
            for stage in STAGES:
                counts, total_ms = cumulative_counts(reading.stages_ms[stage], _BOUNDS_MS)
                latency.add_metric((camera, stage), list(zip(_LE, counts, strict=True)), total_ms / 1000)
        yield latency


class _Values(Collector):
    def __init__(self, metrics: Iterator[Metric]) -> None:
        self._metrics = metrics

    def collect(self) -> Iterator[Metric]:
        return self._metrics


def _descriptions(name: str) -> dict[str, str]:
    """Return the descriptions in a part of the stats schema, by key."""
    schema = json_schema(stats.VALIDATOR)
    properties = {stats.SCHEMA: schema, **schema["$defs"]}[name]["properties"]
    return {key: schema["description"] for key, schema in properties.items() if "description" in schema}


_COUNTS: tuple[tuple[str, str, Callable[[Reading], int]], ...] = (
    ("camera_reconnects", "reconnects", lambda reading: reading.reconnects),
    ("frames_captured", "captured", lambda reading: reading.captured),
    ("frames_inferred", "inferred", lambda reading: reading.inferred),
    ("detections_published", "published", lambda reading: reading.published),
    ("events_published", "events", lambda reading: reading.events),
    ("visits_published", "visits", lambda reading: reading.visits),
    ("snapshots", "snapshots", lambda reading: reading.snapshots),
)
_FIGURES: tuple[tuple[str, str, Callable[[Reading], float | None]], ...] = (
    ("camera_behind_seconds", "behind_s", lambda reading: reading.behind_s),
    ("camera_clock_offset_seconds", "clock_offset_s", lambda reading: reading.clock_offset_s),
)
_BY_REASON: tuple[tuple[str, Callable[[Reading], Mapping[str, int]]], ...] = (
    ("sampled", lambda reading: {**_NONE_SAMPLED, **reading.sampled}),
    ("dropped", lambda reading: {**_NONE_DROPPED, **reading.dropped}),
    ("objects_dropped", lambda reading: {**_NO_OBJECTS_DROPPED, **reading.objects_dropped}),
)
