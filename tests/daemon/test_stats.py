"""Statistics: quantiles, the stats message, and a log line per minute."""

import asyncio
import json
import logging
import random
import re
import time
from datetime import datetime

import jsonschema
import pytest

from edgepub.daemon.stats import StatsPublisher
from edgepub.mqtt.outbox.outbox import Outbox
from edgepub.mqtt.payloads import stats
from edgepub.mqtt.payloads.schema import json_schema
from edgepub.telemetry.histogram import Histogram, difference, quantile
from edgepub.telemetry.metrics import CameraMetrics
from edgepub.telemetry.status import Limit, LoadStatus, Status
from tests.support.waiting import take


def test_quantiles_are_right_to_two_percent():
    values = [random.Random(7).lognormvariate(2, 1.5) for _ in range(20_000)]
    histogram = Histogram()
    for value in values:
        histogram.add(value)
    for part in (0, 0.1, 0.5, 0.95, 0.99, 1):
        exact = sorted(values)[int(part * (len(values) - 1))]
        assert quantile(histogram.copy(), part) == pytest.approx(exact, rel=0.021)
    assert len(histogram.copy()) < 500, "little memory"


def test_the_difference_of_two_copies_is_the_time_between_them():
    histogram = Histogram()
    for value in (1, 2, 3):
        histogram.add(value)
    before = histogram.copy()
    for value in (100, 200):
        histogram.add(value)
    window = difference(before, histogram.copy())
    assert sum(window.values()) == 2
    assert quantile(window, 0) == pytest.approx(100, rel=0.021)


def test_extreme_values_are_counted():
    histogram = Histogram()
    assert quantile(histogram.copy(), 0.5) is None
    for value in (0, -1, 1e-9, 1e12):
        histogram.add(value)
    assert quantile(histogram.copy(), 0.5) == pytest.approx(1e-3, rel=0.021)
    assert quantile(histogram.copy(), 1) == pytest.approx(1e12, rel=0.021)


def a_busy_second(counts):
    """Count what a second of a camera makes."""
    now_s = time.monotonic()
    for n in range(30):
        counts.count_captured()
        if n % 2:
            counts.count_sampled("busy")
            continue
        counts.count_inferred(now_s - 0.100, now_s - 0.090, now_s - 0.050, {"inference": 20.0})
        counts.count_published(now_s - 0.100, now_s - 0.050, now_s - 0.010)
    counts.count_dropped("queue_full", 2)


async def running(cameras, outbox, interval_s=3600.0, load=None, **options):
    status = Status(cameras)
    status.broker.sessions = 5
    status.load = load or LoadStatus()
    stats_publisher = StatsPublisher(
        "garage",
        "boot",
        "edgepub/garage/stats",
        interval_s,
        cameras,
        outbox,
        status,
        time.monotonic(),
        **options,
    )
    task = asyncio.create_task(stats_publisher.run())
    await asyncio.sleep(0)  # it starts with a first reading
    await asyncio.sleep(0)
    return task


class WatchedMetrics(CameraMetrics):
    """Metrics that count how often they are read."""

    reads = 0

    def read(self):
        self.reads += 1
        return super().read()


async def test_one_log_line_a_minute(caplog):
    caplog.set_level(logging.INFO)
    cameras = {"porch": WatchedMetrics()}
    task = await running(cameras, Outbox(9), line_interval_s=0.1)
    a_busy_second(cameras["porch"])
    while len(caplog.messages) < 1:
        await asyncio.sleep(0.01)
    reads = cameras["porch"].reads
    while cameras["porch"].reads < reads + 2:  # two intervals without frames: the camera itself has logged why
        await asyncio.sleep(0.01)
    cameras["porch"].count_captured()
    while len(caplog.messages) < 2:
        await asyncio.sleep(0.01)
    task.cancel()
    first, second = caplog.messages
    assert {record.camera for record in caplog.records} == {"porch"}
    form = r"([\d.]+) frames/s in, ([\d.]+) inferred, \2 published, 95 % within 1\d\d ms, dropped: 2 queue_full"
    rates = re.fullmatch(form, first)
    assert rates, first
    assert float(rates[1]) == pytest.approx(2 * float(rates[2]), rel=0.02)
    assert re.fullmatch(r"[\d.]+ frames/s in, 0.0 inferred, 0.0 published", second), "nothing is left over"


async def test_stats_are_of_the_interval_and_count_from_the_start():
    cameras, outbox = {"porch": CameraMetrics()}, Outbox(9)
    task = await running(cameras, outbox, interval_s=0.3)
    a_busy_second(cameras["porch"])
    sent = [json.loads((await take(outbox)).encoded()) for _ in range(2)]
    task.cancel()
    for payload in sent:
        jsonschema.Draft202012Validator(json_schema(stats.VALIDATOR)).validate(payload)
        porch = payload["cameras"]["porch"]
        assert (porch["captured"], porch["inferred"], porch["published"]) == (30, 15, 15)
        assert (porch["sampled"], porch["dropped"]) == ({"busy": 15}, {"queue_full": 2})
        assert payload["broker"]["reconnects"] == 4
        assert payload["cpu_percent"] >= 0
        assert datetime.fromisoformat(payload["time"]).timestamp() == pytest.approx(payload["timestamp"], abs=0.001)
    first, second = (payload["cameras"]["porch"] for payload in sent)
    assert first["fps_in"] == pytest.approx(30 / sent[0]["interval_s"], rel=0.2)
    assert (second["fps_in"], second["latency_ms"], second["model_ms"]) == (0, {}, {})
    expected = {"capture_to_inference": 10, "inference": 40, "queue": 40, "publish": 10, "total": 100}
    assert {stage: parts["p50"] for stage, parts in first["latency_ms"].items()} == pytest.approx(expected, rel=0.2)
    assert first["model_ms"]["inference"]["p99"] == pytest.approx(20, rel=0.021)


async def test_limits_are_in_stats_and_in_the_line_of_the_cameras_that_they_concern(caplog):
    caplog.set_level(logging.INFO)
    cameras, outbox, load = {"porch": CameraMetrics(), "yard": CameraMetrics()}, Outbox(9), LoadStatus()
    load.limits = [Limit("decoding", ["porch"], "decoding is the limit"), Limit("python", [], "Python is the limit")]
    task = await running(cameras, outbox, interval_s=0.2, load=load, line_interval_s=0.1)
    load.loop_late_ms.add(40.0)
    for metrics in cameras.values():
        a_busy_second(metrics)
    sent = [json.loads((await take(outbox)).encoded()) for _ in range(2)]
    task.cancel()
    assert sent[0]["limits"][0] == {"resource": "decoding", "cameras": ["porch"], "text": "decoding is the limit"}
    assert sent[0]["loop_late_ms"]["p95"] == pytest.approx(40, rel=0.021)
    assert "loop_late_ms" not in sent[1], "nothing was measured in the second interval"
    lines = {record.camera: record.getMessage() for record in caplog.records}
    assert lines["porch"].endswith(", limit: decoding and python")
    assert lines["yard"].endswith(", limit: python")


async def test_the_start_is_one_moment_until_the_clock_is_set(monkeypatch):
    """A computer without a battery gets its time from the network, when the daemon has long been running."""
    outbox, ahead_s, real = Outbox(9), [0.0], time.time
    monkeypatch.setattr(time, "time", lambda: real() + ahead_s[0])
    task = await running({}, outbox, interval_s=0.1)
    first, second = [json.loads((await take(outbox)).encoded())["started"] for _ in range(2)]
    assert first == second == pytest.approx(real(), abs=60)
    ahead_s[0] = 86_400.0
    while (then := json.loads((await take(outbox)).encoded())["started"]) == first:
        pass
    task.cancel()
    assert then == pytest.approx(first + 86_400, abs=5)
