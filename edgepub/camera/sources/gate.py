"""Counts the frames of a source and limits their rate."""

from math import inf

from edgepub.camera.rates import RateLimiter
from edgepub.telemetry.metrics import CameraMetrics


class Gate:
    """Limits the frame rate, evenly, before any further work on a frame; counts all frames that come.

    Args:
        max_fps: frames a second, at most; None: no limit.
        metrics: the camera's metrics.

    """

    def __init__(self, max_fps: float | None, metrics: CameraMetrics) -> None:
        self._metrics = metrics
        self.set_max_fps(max_fps)

    def set_max_fps(self, max_fps: float | None) -> None:
        """Set another limit. Callable from any thread."""
        self._max_fps = inf if max_fps is None else max_fps
        self.reset()

    def reset(self) -> None:
        """Prepare for a new source, whose clock may differ."""
        self._limiter = RateLimiter(self._max_fps)

    def admit(self, captured_s: float) -> bool:
        """Return whether to use the frame captured at this moment, on its source's clock."""
        self._metrics.count_captured()
        admitted = self._limiter.admit(captured_s)
        if not admitted:
            self._metrics.count_sampled("max_fps")
        return admitted

    def count_skipped(self, reason: str) -> None:
        """Count a frame that is not decoded: `late`, because decoding is behind, or `decode`, by this setting."""
        self._metrics.count_captured()
        self._metrics.count_sampled(reason)

    def count_undecodable(self, *, captured: bool = False) -> None:
        """Count a frame that cannot be decoded; `captured`: it was admitted, so it is counted as captured already."""
        if not captured:
            self._metrics.count_captured()
        self._metrics.count_sampled("undecodable")
