"""What is counted, each thing where it happens."""

import threading
from collections import Counter


class CameraMetrics:
    """The counts of one camera since the daemon's start."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._dropped: Counter[str] = Counter()
        self._sampled: Counter[str] = Counter()
        self._inferred = 0
        self._published = 0

    def count_inferred(self) -> None:
        """Count a frame that the model has answered."""
        self._inferred += 1  # by the inference thread alone

    def count_published(self) -> None:
        """Count a detections message that has left."""
        self._published += 1  # by the event loop alone

    def count_dropped(self, reason: str, number: int = 1) -> None:
        """Count messages lost against our will."""
        with self._lock:
            self._dropped[reason] += number

    def count_sampled(self, reason: str, number: int = 1) -> None:
        """Count frames or results left out on purpose."""
        with self._lock:
            self._sampled[reason] += number

    @property
    def inferred(self) -> int:
        """Frames that the model has answered."""
        return self._inferred

    @property
    def published(self) -> int:
        """Detections messages that have left."""
        return self._published

    @property
    def dropped(self) -> dict[str, int]:
        """Messages lost against our will, by reason."""
        with self._lock:
            return dict(self._dropped)

    @property
    def dropped_total(self) -> int:
        """Messages lost against our will."""
        with self._lock:
            return self._dropped.total()

    @property
    def sampled(self) -> dict[str, int]:
        """Frames and results left out on purpose, by reason."""
        with self._lock:
            return dict(self._sampled)
