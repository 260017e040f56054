"""Statistics: a stats message every `stats.interval_s`, and one log line per camera and minute."""

import asyncio
import logging
import time
from collections.abc import Mapping

import psutil

from edgepub.mqtt.messages import json_format, stream_message
from edgepub.mqtt.outbox.outbox import Outbox
from edgepub.mqtt.payloads import stats
from edgepub.mqtt.payloads.iso_time import iso_time
from edgepub.telemetry.logs import camera_logger
from edgepub.telemetry.metrics import CameraMetrics, Reading
from edgepub.telemetry.status import Status

_LINE_INTERVAL_S = 60.0
_MIN_CLOCK_STEP_S = 10.0  # smaller differences are drift
_log = logging.getLogger(__name__)


class StatsPublisher:
    """Reads the metrics, publishes the stats message and writes the log lines.

    Args:
        node: the node's name.
        boot_id: identifies this run of the daemon.
        topic: the topic of the stats message.
        interval_s: seconds between two stats messages.
        cameras: the metrics of each camera.
        outbox: takes the messages; its figures are published.
        status: the status of the node.
        started_s: when the daemon started, on the monotonic clock.
        line_interval_s: seconds between two log lines of a camera.

    """

    def __init__(
        self,
        node: str,
        boot_id: str,
        topic: str,
        interval_s: float,
        cameras: Mapping[str, CameraMetrics],
        outbox: Outbox,
        status: Status,
        started_s: float,
        *,
        line_interval_s: float = _LINE_INTERVAL_S,
    ) -> None:
        self._header = {"schema": stats.SCHEMA, "node": node, "boot_id": boot_id}
        self._topic = topic
        self._interval_s = interval_s
        self._cameras = cameras
        self._outbox = outbox
        self._status = status
        self._load = status.load
        self._started_s = started_s
        self._line_interval_s = line_interval_s

    async def run(self) -> None:
        """Publish and log until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._publish(), name="stats")
            group.create_task(self._write_lines(), name="stats-lines")

    async def _publish(self) -> None:
        process = psutil.Process()
        process.cpu_percent()  # the next call measures from here
        last_s = time.monotonic()
        started = 0.0
        before, late_before = self._read(), self._load.loop_late_ms.copy()
        while True:
            await asyncio.sleep(self._interval_s)
            now_s, now, outbox = time.monotonic(), self._read(), self._outbox.figures()
            computed = round(time.time() - (now_s - self._started_s), 3)
            if abs(computed - started) > _MIN_CLOCK_STEP_S:  # a computer without a battery gets its time late
                started = computed
            late = self._load.loop_late_ms.copy()
            late_ms = stats.quantiles(late_before, late)
            timestamp = time.time()
            payload = {
                **self._header,
                "timestamp": timestamp,
                "time": iso_time(timestamp),
                "interval_s": round(now_s - last_s, 3),
                "uptime_s": round(now_s - self._started_s, 3),
                "started": started,
                "rss_bytes": process.memory_info().rss,
                "cpu_percent": process.cpu_percent(),
                "limits": [limit._asdict() for limit in self._load.limits],
                **({"loop_late_ms": late_ms} if late_ms else {}),
                "outbox": outbox.sizes,
                "broker": {
                    "reconnects": self._status.broker.reconnects,
                    "under_way": outbox.under_way,
                    "held_back": outbox.held_back,
                },
                "cameras": {
                    name: stats.camera_stats(before.get(name, now[name]), now[name], self._status.cameras.get(name))
                    for name in now
                },
            }
            self._outbox.put(stream_message(self._topic, stats.encode(payload), json_format(stats.SCHEMA)))
            before, late_before, last_s = now, late, now_s

    async def _write_lines(self) -> None:
        before = self._read()
        while True:
            await asyncio.sleep(self._line_interval_s)
            now = self._read()
            for name in now:
                # No line without frames: the camera itself has logged why.
                if name in before and now[name].captured > before[name].captured:
                    line = _format_line(before[name], now[name]) + self._format_limits(name)
                    camera_logger(_log, name).info("%s", line)
            before = now

    def _format_limits(self, camera: str) -> str:
        resources = [limit.resource for limit in self._load.limits if limit.concerns(camera)]
        return f", limit: {' and '.join(resources)}" if resources else ""

    def _read(self) -> dict[str, Reading]:
        return {name: metrics.read() for name, metrics in self._cameras.items()}


def _format_line(before: Reading, now: Reading) -> str:
    """Return a line about what a camera did between two readings."""
    figures = stats.camera_stats(before, now)
    fps_in, fps_inferred, fps_published = (figures[key] for key in ("fps_in", "fps_inferred", "fps_published"))
    text = f"{fps_in:.1f} frames/s in, {fps_inferred:.1f} inferred, {fps_published:.1f} published"
    if total := figures["latency_ms"].get("total"):
        text += f", 95 % within {total['p95']:.0f} ms"
    dropped = {reason: number - before.dropped.get(reason, 0) for reason, number in now.dropped.items()}
    if any(dropped.values()):
        text += ", dropped: " + ", ".join(f"{number} {reason}" for reason, number in dropped.items() if number)
    return text
