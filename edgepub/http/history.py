"""Rates and latencies of each camera, over the last five seconds and the last ten minutes."""

import asyncio
import time
from collections import deque
from collections.abc import Mapping
from typing import NamedTuple

from edgepub.mqtt.payloads import stats
from edgepub.telemetry.metrics import CameraMetrics, Reading

_POLL_S = 1.0
_POINT_READINGS = 5
_MAX_POINTS = 120


class Point(NamedTuple):
    """One point of the plot: five seconds."""

    at: float
    """The end of the five seconds, Unix time in seconds."""
    p50_ms: float | None
    """Median of the latency from capture to publish; None if nothing was published."""
    p95_ms: float | None
    """95th percentile of that latency."""
    dropped: int
    """Messages lost."""


class Figures(NamedTuple):
    """Rates over the last five seconds."""

    fps_in: float
    fps_inferred: float
    fps_published: float
    dropped: dict[str, int]
    """Messages lost since the daemon started, by reason."""
    sampled: dict[str, float]
    """Frames and results left out on purpose, per second, by reason."""


class CameraHistory:
    """The history of one camera."""

    def __init__(self) -> None:
        self._readings: deque[Reading] = deque(maxlen=_POINT_READINGS + 1)
        self._points: deque[Point] = deque(maxlen=_MAX_POINTS)
        self._reading_count = 0
        self._point_count = 0

    def update(self, reading: Reading) -> None:
        """Add the next reading of the camera's metrics."""
        self._readings.append(reading)
        self._reading_count += 1
        if self._reading_count > 1 and self._reading_count % _POINT_READINGS == 1:
            self._points.append(self._point())
            self._point_count += 1

    @property
    def figures(self) -> Figures | None:
        """The current rates; None before the second reading."""
        if len(self._readings) < 2:  # noqa: PLR2004  (a rate needs two readings)
            return None
        before, now = self._readings[0], self._readings[-1]
        rates, seconds = stats.camera_stats(before, now), max(now.at_s - before.at_s, 1e-3)
        sampled = {reason: (count - before.sampled.get(reason, 0)) / seconds for reason, count in now.sampled.items()}
        return Figures(rates["fps_in"], rates["fps_inferred"], rates["fps_published"], rates["dropped"], sampled)

    def points(self, after: int) -> tuple[list[Point], int]:
        """Return the points of the last ten minutes that follow the first `after` points, and the total of points."""
        new = self._point_count - after
        return (list(self._points)[-new:] if new > 0 else []), self._point_count

    def _point(self) -> Point:
        before, now = self._readings[0], self._readings[-1]
        total = stats.camera_stats(before, now)["latency_ms"].get("total")
        dropped = sum(now.dropped.values()) - sum(before.dropped.values())
        return Point(time.time(), total["p50"] if total else None, total["p95"] if total else None, dropped)


class Histories:
    """The histories of all cameras. The history of a removed camera is deleted.

    Args:
        metrics: the metrics of each camera; the mapping may change while this runs.

    """

    def __init__(self, metrics: Mapping[str, CameraMetrics]) -> None:
        self._metrics = metrics
        self._histories: dict[str, CameraHistory] = {}

    def get(self, camera: str) -> CameraHistory:
        """Return the history of a camera."""
        return self._histories.setdefault(camera, CameraHistory())

    async def run(self) -> None:
        """Read the metrics once per second, until cancelled."""
        while True:
            for removed in self._histories.keys() - self._metrics.keys():
                del self._histories[removed]
            for name, metrics in self._metrics.items():
                self.get(name).update(metrics.read())
            await asyncio.sleep(_POLL_S)
