"""What objects did, as metrics for Prometheus: by zone, by line and by label. Pure.

Do not change names or labels of metrics: dashboards depend on them.
"""

from collections.abc import Callable, Iterator, Mapping

from prometheus_client.core import CounterMetricFamily, HistogramMetricFamily
from prometheus_client.metrics_core import Metric

from edgepub.telemetry.object_counters import DWELL_BOUNDS_S, Counts, ObjectReading

_LE = (*map(str, DWELL_BOUNDS_S), "+Inf")


def object_metrics(now: Mapping[str, ObjectReading]) -> Iterator[Metric]:
    """Yield the metrics of some cameras, by their names."""
    for name, text, labels, values in _COUNTS:
        counter = CounterMetricFamily(f"edgepub_{name}", text, labels=("camera", *labels))
        for camera, reading in now.items():
            for key, count in values(reading).items():
                counter.add_metric((camera, *key), count)
        yield counter
    text = "how long objects stayed in a zone, of those that have left it"
    dwell = HistogramMetricFamily("edgepub_zone_dwell_seconds", text, labels=("camera", "zone"))
    for camera, reading in now.items():
        for zone, (counts, sum_s) in reading.dwell.items():
            dwell.add_metric((camera, zone), list(zip(_LE, counts, strict=True)), sum_s)
    yield dwell


_COUNTS: tuple[tuple[str, str, tuple[str, ...], Callable[[ObjectReading], Counts]], ...] = (
    ("zone_entered", "objects that entered a zone", ("zone", "label"), lambda reading: reading.entered),
    ("zone_left", "objects that left a zone", ("zone", "label"), lambda reading: reading.left),
    ("line_crossed", "objects that crossed a line", ("line", "direction", "label"), lambda reading: reading.crossed),
    ("visits_ended", "visits that are over", ("label",), lambda reading: reading.visits),
)
