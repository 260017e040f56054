"""The monitor of the load: when a limit begins and ends."""

import asyncio
import logging
import time

import pytest

from edgepub.core.fair_lock import FairLock
from edgepub.daemon.load import LoadMonitor
from edgepub.telemetry.metrics import CameraMetrics
from edgepub.telemetry.status import Status


async def until(condition):
    async with asyncio.timeout(30):
        while not condition():
            await asyncio.sleep(0.01)


async def overload(metrics):
    """Count frames of which the model takes every second one, for as long as it is not cancelled."""
    while True:
        now_s = time.monotonic()
        for _ in range(10):
            metrics.count_captured()
            metrics.count_captured()
            metrics.count_sampled("busy")
            metrics.count_inferred(now_s - 1, now_s - 1, now_s, {})
        await asyncio.sleep(0.01)


async def test_a_limit_is_logged_once_when_it_begins_and_once_when_it_ends(caplog):
    caplog.set_level(logging.INFO)
    status, metrics = Status(["porch"]), CameraMetrics()
    status.cameras["porch"].device = "HAILORT/HAILO8"
    async with asyncio.TaskGroup() as group:
        monitor = group.create_task(LoadMonitor(status, {"porch": metrics}, FairLock(), interval_s=0.2).run())
        work = group.create_task(overload(metrics))
        await until(lambda: status.load.limits)
        (limit,) = status.load.limits
        assert (limit.resource, list(limit.cameras)) == ("model", ["porch"])
        await until(lambda: sum(status.load.loop_late_ms.copy().values()) > 3)
        assert [record.levelname for record in caplog.records] == ["WARNING"]
        work.cancel()
        await until(lambda: not status.load.limits)
        monitor.cancel()
    assert [record.levelname for record in caplog.records] == ["WARNING", "INFO"]
    assert caplog.messages[0] == limit.text or "HAILORT/HAILO8" in caplog.messages[0]


def remove(status):
    del status.cameras["porch"]  # its metrics stay listed: an event was published late


def disable(status):
    status.cameras["porch"].status = "disabled"


@pytest.mark.parametrize("end", [remove, disable])
async def test_a_limit_does_not_outlast_its_cameras(end):
    status, metrics = Status(["porch"]), CameraMetrics()
    async with asyncio.TaskGroup() as group:
        monitor = group.create_task(LoadMonitor(status, {"porch": metrics}, FairLock(), interval_s=0.2).run())
        work = group.create_task(overload(metrics))
        await until(lambda: status.load.limits)
        end(status)
        await until(lambda: not status.load.limits)
        probes = sum(status.load.loop_late_ms.copy().values())
        await until(lambda: status.load.limits or sum(status.load.loop_late_ms.copy().values()) > probes + 4)
        assert not status.load.limits
        for task in (work, monitor):
            task.cancel()


async def test_a_short_overload_is_no_limit(caplog):
    status, metrics = Status(["porch"]), CameraMetrics()
    async with asyncio.TaskGroup() as group:
        monitor = group.create_task(LoadMonitor(status, {"porch": metrics}, FairLock(), interval_s=0.3).run())
        await until(status.load.loop_late_ms.copy)
        metrics.count_captured()
        metrics.count_captured()
        metrics.count_sampled("busy")
        metrics.count_inferred(time.monotonic() - 9, time.monotonic() - 9, time.monotonic(), {})
        probes = sum(status.load.loop_late_ms.copy().values())
        await until(lambda: sum(status.load.loop_late_ms.copy().values()) > probes + 4)  # three intervals
        monitor.cancel()
    assert not status.load.limits
    assert not caplog.records
