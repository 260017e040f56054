"""A camera as a subscriber knows it."""

import time
from dataclasses import dataclass, field

from edgepub.cli.watch.tally import Seen, Tally

_LABELS = 100
_NEARLY_ALL = 0.9


@dataclass(slots=True)
class Figures:
    """What the node says of a camera in its latest stats."""

    fps: float
    """Frames a second that the model answered."""
    fps_published: float
    """Detections messages a second that left."""
    latency_ms: tuple[float, float] | None
    """The median and the 95th percentile from capture to publish."""
    until_s: float
    """They are those of now until this moment, on the monotonic clock."""


@dataclass(slots=True)
class Camera:
    """What is known of a camera; all that its node retains, and what comes of it."""

    status: str | None = None
    told: str | None = None
    """The status that was news last."""
    dropped: int = 0
    settings: dict[str, str] = field(default_factory=dict)
    counts: dict[str, int] = field(default_factory=dict)
    tally: Tally = field(default_factory=Tally)
    figures: Figures | None = None

    def detect(self, seen: Seen) -> None:
        """Take what a detections message says."""
        self.tally.take(seen)
        self.dropped = seen.dropped

    def count(self, label: str, number: int) -> None:
        """Take how many there are of a label."""
        if label in self.counts or len(self.counts) < _LABELS:
            self.counts[label] = number

    def forget(self) -> None:
        """Know no longer what is retained."""
        self.status = None
        self.settings.clear()
        self.counts.clear()

    @property
    def fps(self) -> float | None:
        """Frames a second that the model answers, if that is known."""
        if figures := self._figures():
            return figures.fps
        return self.tally.rate if self.tally.messages else None

    @property
    def latency_ms(self) -> tuple[float, float] | None:
        """The median and the 95th percentile from capture to publish, if anything was published."""
        figures = self._figures()
        return (figures and figures.latency_ms) or self.tally.latest_ms()

    @property
    def sees(self) -> str:
        """What is in sight, in words: from the newest of what tells it."""
        if not self.counts or self.tally.is_fresh:
            return self.tally.labels if self.tally.messages else ""
        return ", ".join(f"{number} {label}" for label, number in self.counts.items() if number) or "nothing"

    def _figures(self) -> Figures | None:
        """Return the node's figures, unless those of its detections tell as much, and sooner."""
        its = self.figures
        if its is None or time.monotonic() > its.until_s:
            return None
        is_all_published = self.tally.is_fresh and its.fps_published >= _NEARLY_ALL * its.fps
        return None if is_all_published else its
