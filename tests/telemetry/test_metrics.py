"""Counts and timings of a camera."""

from edgepub.telemetry.metrics import CameraMetrics


def test_counts_are_by_reason():
    counts = CameraMetrics()
    counts.count_dropped("queue_full", 2)
    counts.count_dropped("invalid")
    counts.count_sampled("busy")
    read = counts.read()
    assert (read.dropped, read.sampled) == ({"queue_full": 2, "invalid": 1}, {"busy": 1})
    assert counts.dropped_total == 3
