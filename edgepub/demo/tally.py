"""What a subscriber makes of the detections that it receives."""

import time
from collections import Counter, deque
from collections.abc import Mapping
from statistics import median
from typing import Any

_LATENCIES = 10_000
_WINDOW_S = 2.0


class Tally:
    """The figures of one camera, from its payloads alone."""

    def __init__(self) -> None:
        self.status = "starting"
        self.messages = 0
        self.missing = 0
        """Messages whose `seq` never came."""
        self.frames_with_objects = 0
        self._seq = 0
        self._latest: Mapping[str, Any] = {"detections": [], "dropped": 0}
        self._arrivals: deque[float] = deque()
        self._latencies_ms: deque[float] = deque(maxlen=_LATENCIES)

    def take(self, payload: Mapping[str, Any]) -> None:
        """Count one payload."""
        now_s = time.monotonic()
        self.messages += 1
        self.frames_with_objects += bool(payload["detections"])
        if self._seq:
            self.missing += max(0, payload["seq"] - self._seq - 1)
        self._seq = payload["seq"]
        self._latest = payload
        self._latencies_ms.append(payload["timing_ms"]["capture_to_publish"])
        self._arrivals.append(now_s)

    @property
    def fps(self) -> float:
        """Messages a second, over the last two seconds."""
        horizon_s = time.monotonic() - _WINDOW_S
        while self._arrivals and self._arrivals[0] < horizon_s:
            self._arrivals.popleft()
        return len(self._arrivals) / _WINDOW_S

    @property
    def labels(self) -> str:
        """What was in the latest frame, in words."""
        scores: dict[str, float] = {}
        for detection in self._latest["detections"]:
            scores[detection["label"]] = max(detection["score"], scores.get(detection["label"], 0.0))
        numbers = Counter(detection["label"] for detection in self._latest["detections"])
        return ", ".join(f"{number} {label} ({scores[label]:.2f})" for label, number in numbers.items()) or "nothing"

    @property
    def dropped(self) -> int:
        """What the daemon itself says that it has dropped."""
        return int(self._latest["dropped"])

    def latency_ms(self) -> tuple[float, float]:
        """Return the median and the 95th percentile from capture to publish, of the last 10,000 messages."""
        if not self._latencies_ms:
            return 0.0, 0.0
        ranked = sorted(self._latencies_ms)
        return median(ranked), ranked[int(0.95 * (len(ranked) - 1))]
