"""How it goes: the stats, for programs every `stats.interval_s`, for a person one line a camera a minute."""

import asyncio
import logging
import time
from collections.abc import Mapping

import psutil

from edgepub.mqtt.messages import json_format, stream_message
from edgepub.mqtt.outbox.outbox import Outbox
from edgepub.mqtt.payloads import stats
from edgepub.telemetry.logs import camera_logger
from edgepub.telemetry.metrics import CameraMetrics, Reading
from edgepub.telemetry.status import BrokerStatus

_LINE_EVERY_S = 60.0
_CLOCK_WAS_SET_S = 10.0  # at least; what is less is drift
_log = logging.getLogger(__name__)


class StatsPublisher:
    """Reads what has been counted, and tells it.

    Args:
        node: the box.
        boot_id: the daemon's life.
        topic: where the stats go.
        interval_s: seconds from one to the next.
        cameras: the counts of each camera.
        outbox: takes the messages, and tells how many wait.
        broker: how the session with the broker is.
        began_s: when the daemon began, on the monotonic clock.

    """

    def __init__(
        self,
        node: str,
        boot_id: str,
        topic: str,
        interval_s: float,
        cameras: Mapping[str, CameraMetrics],
        outbox: Outbox,
        broker: BrokerStatus,
        began_s: float,
    ) -> None:
        self._whose = {"schema": stats.SCHEMA, "node": node, "boot_id": boot_id}
        self._topic = topic
        self._interval_s = interval_s
        self._cameras = cameras
        self._outbox = outbox
        self._broker = broker
        self._began_s = began_s

    async def run(self) -> None:
        """Tell how it goes until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._publish(), name="stats")
            group.create_task(self._write_lines(), name="stats-lines")

    async def _publish(self) -> None:
        process = psutil.Process()
        process.cpu_percent()  # the next call tells of the time since this one
        last_s = time.monotonic()
        started = 0.0
        before = self._read()
        while True:
            await asyncio.sleep(self._interval_s)
            now_s, now = time.monotonic(), self._read()
            at = round(time.time() - (now_s - self._began_s), 3)
            if abs(at - started) > _CLOCK_WAS_SET_S:  # a box without a battery gets its time from the network, late
                started = at
            payload = {
                **self._whose,
                "timestamp": time.time(),
                "interval_s": round(now_s - last_s, 3),
                "uptime_s": round(now_s - self._began_s, 3),
                "started": started,
                "rss_bytes": process.memory_info().rss,
                "cpu_percent": process.cpu_percent(),
                "outbox": self._outbox.sizes(),
                "broker": {"reconnects": self._broker.reconnects},
                "cameras": {name: stats.camera_stats(before.get(name, now[name]), now[name]) for name in now},
            }
            self._outbox.put(stream_message(self._topic, stats.encode(payload), json_format(stats.SCHEMA)))
            before, last_s = now, now_s

    async def _write_lines(self) -> None:
        before = self._read()
        while True:
            await asyncio.sleep(_LINE_EVERY_S)
            now = self._read()
            for name in now:
                if name in before and now[name].captured > before[name].captured:  # else the camera has said why
                    camera_logger(_log, name).info("%s", _line(before[name], now[name]))
            before = now

    def _read(self) -> dict[str, Reading]:
        return {name: counts.read() for name, counts in self._cameras.items()}


def _line(before: Reading, now: Reading) -> str:
    """Return what a camera did between two readings, for a person."""
    did = stats.camera_stats(before, now)
    text = f"{did['fps_in']:.1f} frames/s in, {did['fps_inferred']:.1f} inferred, {did['fps_published']:.1f} published"
    if total := did["latency_ms"].get("total"):
        text += f", 95 % within {total['p95']:.0f} ms"
    dropped = {reason: number - before.dropped.get(reason, 0) for reason, number in now.dropped.items()}
    if any(dropped.values()):
        text += ", dropped: " + ", ".join(f"{number} {reason}" for reason, number in dropped.items() if number)
    return text
