"""A camera as a subscriber sees it."""

import time
from dataclasses import dataclass, field

from edgepub.cli.watch.formatting import clean
from edgepub.cli.watch.tally import Summary, Tally
from edgepub.mqtt.label_levels import label_text

_MAX_LABELS = 100
_MIN_FULL_SHARE = 0.9


@dataclass(slots=True)
class Figures:
    """A camera's figures from the latest stats message of its node."""

    fps: float
    """Frames per second that the model processed."""
    fps_published: float
    """Detections messages sent per second."""
    latency_ms: tuple[float, float] | None
    """Median and 95th percentile from capture to publish."""
    valid_until_s: float
    """When the figures become too old, on the monotonic clock."""


@dataclass(slots=True)
class Camera:
    """The state of a camera: what its node retains, and the figures from its messages."""

    status: str | None = None
    reported: str | None = None
    """The last status that was reported as news."""
    dropped: int = 0
    settings: dict[str, str] = field(default_factory=dict)
    counts: dict[str, int] = field(default_factory=dict)
    """The number of objects by label, as a topic level."""
    tally: Tally = field(default_factory=Tally)
    figures: Figures | None = None

    def add_detections(self, summary: Summary) -> None:
        """Count a detections message."""
        self.tally.add(summary)
        if summary.dropped is not None:
            self.dropped = summary.dropped

    def set_count(self, level: str, number: int) -> None:
        """Set the number of objects with a label, given as a topic level."""
        if level not in self.counts and len(self.counts) >= _MAX_LABELS:
            empty = next((level for level, number in self.counts.items() if not number), level)
            self.counts.pop(empty, None)
        if level in self.counts or len(self.counts) < _MAX_LABELS:
            self.counts[level] = number

    def clear_retained(self) -> None:
        """Clear the values that come from retained messages."""
        self.status = None
        self.settings.clear()
        self.counts.clear()

    @property
    def fps(self) -> float | None:
        """Frames per second that the model processes, if known."""
        if figures := self._current_figures():
            return figures.fps
        return self.tally.rate if self.tally.messages else None

    @property
    def latency_ms(self) -> tuple[float, float] | None:
        """Median and 95th percentile from capture to publish, if anything was published."""
        figures = self._current_figures()
        return (figures and figures.latency_ms) or self.tally.recent_latency_ms()

    @property
    def objects_text(self) -> str:
        """The objects in the frame as text, from the newest source: detections, else counts."""
        if not self.counts or self.tally.is_fresh:
            return self.tally.objects_text if self.tally.messages else ""
        found = {level: number for level, number in self.counts.items() if number}
        return ", ".join(f"{number} {clean(label_text(level))}" for level, number in found.items()) or "nothing"

    def _current_figures(self) -> Figures | None:
        """Return the node's figures, unless the detections give the same figures sooner."""
        figures = self.figures
        if figures is None or time.monotonic() > figures.valid_until_s:
            return None
        is_all_published = self.tally.is_fresh and figures.fps_published >= _MIN_FULL_SHARE * figures.fps
        return None if is_all_published and self.tally.recent_latency_ms() else figures
