"""Measures what decoding a stream costs, and says so."""

import time
from math import inf

from edgepub.telemetry.logs import CameraLogger
from edgepub.telemetry.metrics import CameraMetrics, DecodingCost

_MEASURED_PICTURES = 50
_NOTABLE_SHARE = 0.15


class CostMeter:
    """Measures the processor time of the thread that decodes, for the first pictures of a stream.

    Args:
        fps: the stream's frames a second; 0: not known.
        metrics: gets the cost.
        log: gets a line.
        could_be_less: whether a setting would make it less.

    """

    def __init__(self, fps: float, metrics: CameraMetrics, log: CameraLogger, *, could_be_less: bool) -> None:
        self._fps = fps
        self._metrics = metrics
        self._log = log
        self._could_be_less = could_be_less
        self._pictures = 0
        self._cpu_s = 0.0
        self._began_s = inf

    @property
    def is_done(self) -> bool:
        """Whether the cost is known, or cannot be."""
        return self._pictures >= _MEASURED_PICTURES or not self._fps

    def start(self) -> None:
        """Take note that decoding begins."""
        self._began_s = time.thread_time()

    def stop(self, width: int, height: int, pictures: int) -> None:
        """Take note that decoding has ended, and say what it costs once that is known."""
        self._cpu_s += time.thread_time() - self._began_s
        self._pictures += pictures
        if self.is_done:
            cost = DecodingCost(width, height, self._fps, self._cpu_s / self._pictures)
            self._metrics.set_decoding_cost(cost)
            self._log.info("%s", describe_cost(cost, could_be_less=self._could_be_less))


def describe_cost(cost: DecodingCost, *, could_be_less: bool) -> str:
    """Return a line about what decoding costs, and how it would be less, if it could and it is much."""
    text = (
        f"decoding {cost.width}x{cost.height} at {cost.fps:.0f} frames/s takes about {100 * cost.share:.0f} % of a core"
    )
    if cost.share < _NOTABLE_SHARE or not could_be_less:
        return text
    return f"{text}; capture.decode: adaptive, or the camera's second stream, would take less"
