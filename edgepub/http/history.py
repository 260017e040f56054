"""How each camera did in the last seconds, and in the last ten minutes."""

import asyncio
import time
from collections import deque
from collections.abc import Mapping
from typing import NamedTuple

from edgepub.mqtt.payloads import stats
from edgepub.telemetry.metrics import CameraMetrics, Reading

_EVERY_S = 1.0
_WINDOW = 5  # looks
_POINTS = 120


class Point(NamedTuple):
    """Five seconds."""

    at: float
    """Their end, Unix seconds."""
    p50_ms: float | None
    """From the capture to the publishing, of half of the messages at most; None: there was none."""
    p95_ms: float | None
    """Of 95 in a hundred."""
    dropped: int
    """Messages lost."""


class Figures(NamedTuple):
    """The last five seconds."""

    fps_in: float
    fps_inferred: float
    fps_published: float
    dropped: dict[str, int]
    """Messages lost since the daemon's start, by reason."""
    sampled: dict[str, float]
    """Frames and results left out on purpose, a second, by reason."""


class History:
    """One camera's."""

    def __init__(self) -> None:
        self._readings: deque[Reading] = deque(maxlen=_WINDOW + 1)
        self._points: deque[Point] = deque(maxlen=_POINTS)
        self._looks = 0
        self._number = 0

    def look(self, reading: Reading) -> None:
        """Take the next reading of its counts."""
        self._readings.append(reading)
        self._looks += 1
        if self._looks > 1 and self._looks % _WINDOW == 1:
            self._points.append(self._point())
            self._number += 1

    @property
    def figures(self) -> Figures | None:
        """How it does; None: it is too early to tell."""
        if len(self._readings) < 2:  # noqa: PLR2004  (two ends of a time)
            return None
        before, now = self._readings[0], self._readings[-1]
        its, seconds = stats.camera_stats(before, now), max(now.at_s - before.at_s, 1e-3)
        left_out = {why: (count - before.sampled.get(why, 0)) / seconds for why, count in now.sampled.items()}
        return Figures(its["fps_in"], its["fps_inferred"], its["fps_published"], its["dropped"], left_out)

    def points(self, after: int) -> tuple[list[Point], int]:
        """Return the points that came after so many, of the last ten minutes, and how many there were."""
        new = self._number - after
        return (list(self._points)[-new:] if new > 0 else []), self._number

    def _point(self) -> Point:
        before, now = self._readings[0], self._readings[-1]
        total = stats.camera_stats(before, now)["latency_ms"].get("total")
        lost = sum(now.dropped.values()) - sum(before.dropped.values())
        return Point(time.time(), total["p50"] if total else None, total["p95"] if total else None, lost)


class Histories:
    """Those of all cameras; one that is gone is forgotten.

    Args:
        counts: of each camera; read anew each time.

    """

    def __init__(self, counts: Mapping[str, CameraMetrics]) -> None:
        self._counts = counts
        self._of: dict[str, History] = {}

    def of(self, camera: str) -> History:
        """Return a camera's."""
        return self._of.setdefault(camera, History())

    async def run(self) -> None:
        """Look once a second, until cancelled."""
        while True:
            for gone in self._of.keys() - self._counts.keys():
                del self._of[gone]
            for name, counts in self._counts.items():
                self.of(name).look(counts.read())
            await asyncio.sleep(_EVERY_S)
