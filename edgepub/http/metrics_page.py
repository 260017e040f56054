"""`/metrics`: what is counted and timed, as Prometheus reads it.

Names and labels are for good: dashboards and alerts stand on them.
"""

from collections.abc import Callable, Iterator, Mapping

from prometheus_client import CollectorRegistry, ProcessCollector
from prometheus_client.exposition import choose_encoder

from edgepub import stats
from edgepub.condition import Condition
from edgepub.histogram import Buckets, cumulative
from edgepub.http.exposition import Family, labels, text
from edgepub.metrics import STAGES, CameraMetrics, Reading
from edgepub.versions import versions

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
        runs = versions()
        self._build = labels(version=runs["edgepub"], pysdk=runs["pysdk"], python=runs["python"], node=node)
        self._condition = condition
        self._cameras = cameras
        self._outbox_sizes = outbox_sizes
        told = stats.json_schema()["$defs"]["CameraStats"]["properties"]
        self._words = {name: its["description"] for name, its in told.items() if "description" in its}
        self._process = CollectorRegistry()
        ProcessCollector(registry=self._process)

    def encode(self, accept: str) -> tuple[bytes, str]:
        """Return the page and its content type, in the form that suits a client best, as its header `Accept` says."""
        try:
            encode, content_type = choose_encoder(accept)
        except (TypeError, ValueError):  # a version there that is none
            encode, content_type = choose_encoder("")
        ours = text(self._families(), is_open_metrics="openmetrics" in content_type)
        return ours.encode() + encode(self._process), content_type  # with OpenMetrics' mark of the end behind

    def _families(self) -> Iterator[Family]:
        yield from self._of_node()
        yield from self._of_conditions()
        yield from self._of_cameras({name: counts.read() for name, counts in self._cameras.items()})

    def _of_node(self) -> Iterator[Family]:
        broker = self._condition.broker
        yield Family("edgepub_build_info", "gauge", "what runs on the node; always 1", [(self._build, 1)])
        words = (
            "1: there is a session with the broker, and every enabled camera is online or its file has ended; else 0"
        )
        yield Family("edgepub_ready", "gauge", words, [("", int(not self._condition.wrong))])
        words = "1: there is a session with the broker; else 0"
        yield Family("edgepub_broker_up", "gauge", words, [("", int(broker.fault is None))])
        words = "sessions with the broker after the first"
        yield Family("edgepub_broker_reconnects", "counter", words, [("", max(0, broker.sessions - 1))])
        waiting = [(labels(lane=lane), number) for lane, number in self._outbox_sizes().items()]
        yield Family("edgepub_outbox_messages", "gauge", "messages that wait, by lane", waiting)

    def _of_conditions(self) -> Iterator[Family]:
        its = self._condition.cameras.items()
        up = [(labels(camera=name), int(each.status == "online")) for name, each in its]
        enabled = [(labels(camera=name), int(each.status != "disabled")) for name, each in its]
        yield Family("edgepub_camera_up", "gauge", "1: online, it gives frames and its model answers; else 0", up)
        yield Family("edgepub_camera_enabled", "gauge", "0: disabled, and so not up; else 1", enabled)

    def _of_cameras(self, now: Mapping[str, Reading]) -> Iterator[Family]:
        def counter(name: str, in_stats: str, value: Callable[[Reading], int]) -> Family:
            series = [(labels(camera=camera), value(its)) for camera, its in now.items()]
            return Family(f"edgepub_{name}", "counter", self._words[in_stats], series)

        def by_reason(name: str, values: Callable[[Reading], Mapping[str, int]]) -> Family:
            series = [
                (labels(camera=camera, reason=reason), number)
                for camera, its in now.items()
                for reason, number in values(its).items()
            ]
            return Family(f"edgepub_{name}", "counter", self._words[name], series)

        yield counter("camera_reconnects", "reconnects", lambda its: its.reconnects)
        yield counter("frames_captured", "captured", lambda its: its.captured)
        yield counter("frames_inferred", "inferred", lambda its: its.inferred)
        yield counter("detections_published", "published", lambda its: its.published)
        yield counter("events_published", "events", lambda its: its.events)
        yield counter("snapshots", "snapshots", lambda its: its.snapshots)
        yield by_reason("sampled", lambda its: its.sampled)
        yield by_reason("dropped", lambda its: {**_NONE_DROPPED, **its.dropped})
        words = f"how long it took, {self._words['latency_ms'].partition(';')[0]}; right to 2 %"
        latencies = [
            line
            for camera, its in now.items()
            for stage in STAGES
            for line in _histogram(labels(camera=camera, stage=stage), its.stages_ms[stage])
        ]
        yield Family("edgepub_latency_seconds", "histogram", words, latencies)


def _histogram(whose: str, buckets_ms: Buckets) -> Iterator[tuple[str, float]]:
    numbers, total_ms = cumulative(buckets_ms, _BOUNDS_MS)
    bucket = f"_bucket{whose[:-1]},le="
    for bound, number in zip(_LE, numbers, strict=True):
        yield f'{bucket}"{bound}"}}', number
    yield f"_count{whose}", numbers[-1]
    yield f"_sum{whose}", total_ms / 1000
