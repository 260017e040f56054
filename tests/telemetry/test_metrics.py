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


def test_the_thread_that_reads_a_source_is_forgotten_when_it_has_ended():
    counts = CameraMetrics()
    counts.start_capture(1)
    counts.start_capture(2)  # the first one hangs, and was replaced
    counts.end_capture(1)
    assert counts.read().capture_thread == 2
    counts.end_capture(2)
    assert counts.read().capture_thread is None
