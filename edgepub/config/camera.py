"""The settings of a camera, each key with its meaning, default and bounds."""

from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field, PrivateAttr, ValidationInfo, field_validator, model_validator

from edgepub.config.areas import Areas, Labels, Lines, Zones
from edgepub.config.fields import Name, Number, ReadableFile, Section, resolve_source

# The bounds come before `Number`: behind it, the JSON Schema would not have them.
MinScore = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False), Number]
MaxFps = Annotated[float, Field(ge=0.001, le=1000, allow_inf_nan=False), Number]


class PublishSettings(Section):
    """Which of a camera's results are published; the others are counted as sampled."""

    mode: Literal["always", "changes"] = "always"
    """`changes`: only results that differ from the last one published: in a label, how many there are, a track or zone,
    a box that moved by more than 2 % of the frame, or a score that changed by more than 0.1."""
    every: Annotated[int, Number] = Field(default=1, ge=1, le=1_000_000)
    """Only every so many results. In mode `changes`, a change waits for the next that is due."""
    max_rate_hz: Annotated[float, Field(gt=0, le=1000), Number] | None = None
    """At most so many messages a second, evenly. In mode `changes`, a change waits for the next allowed moment."""
    heartbeat_s: Annotated[float, Field(gt=0, le=86_400), Number] | None = 30
    """In mode `changes`: so long after the last message, the next result is published in any case; null: never."""
    adaptive: bool = False
    """Publish less often while messages grow old in the queue, as the broker does not keep up; changes still come."""

    @model_validator(mode="after")
    def _a_heartbeat_that_the_rate_allows(self) -> Self:
        if self.mode == "changes" and self.heartbeat_s and self.max_rate_hz and self.heartbeat_s * self.max_rate_hz < 1:
            least_s = f"{1 / self.max_rate_hz:g}"
            raise ValueError(f"heartbeat_s is oftener than max_rate_hz allows: set it to {least_s} or more, or to null")
        return self


class SnapshotSettings(Section):
    """A picture of what was seen, when an object appears and when there is a better one of it."""

    enabled: bool = True
    """False: no pixel leaves the box, and the picture that the broker may hold is taken away."""
    boxes: bool = True
    """Draw the detections' boxes and labels into it."""
    quality: Annotated[int, Number] = Field(default=80, ge=1, le=100)
    """Of the JPEG."""
    max_width: Annotated[int, Number] = Field(default=1280, ge=16, le=7680)
    """In pixels; a wider frame is made smaller."""
    min_interval_s: Annotated[float, Number] = Field(default=5, ge=0, le=86_400)
    """At least so many seconds from one to the next."""


class CameraSettings(Section):
    """One camera: where its frames come from, what looks at them, and what is published of it."""

    source: str | int | None = None
    """A URL (`rtsp://`, `http://`...), a file, or a webcam's number."""
    source_file: ReadableFile | None = None
    """A file that holds the source, for a URL with a password in it."""
    model: Name
    """Which of `models` looks at the frames."""
    enabled: bool = True
    """False: the camera is left alone, and its status is `disabled`."""
    loop: bool = False
    """Files only: start again at the end."""
    realtime: bool = False
    """Files only: play at the file's own rate, as a camera would, instead of at the model's speed."""
    max_fps: MaxFps | None = None
    """Frames a second given to the model, evenly spaced; the rest are sampled. A file's seconds are its own."""
    stall_timeout_s: Annotated[float, Number] = Field(default=10, ge=1, le=3600)
    """A live source without a new frame, or a model without an answer, is `offline` within so many seconds."""
    labels: Labels | None = None
    """Only detections with one of these labels; null: all."""
    min_score: MinScore = 0.5
    """Only detections with at least this score. A model's own `output_confidence_threshold` comes before it."""
    publish: PublishSettings = PublishSettings()
    tracking: bool = True
    """Follow each object from frame to frame, which gives it a `track_id`; without, there are counts but no events."""
    track_lost_s: Annotated[float, Number] = Field(default=3, ge=0, le=3600)
    """An object that is not found for up to so many seconds (never fewer than `occupancy_off_s`) keeps its track."""
    occupancy_on_frames: Annotated[int, Number] = Field(default=3, ge=1, le=1000)
    """An object counts, and has appeared, when it was found in so many frames; so with a zone that it enters.
    With tracking those are frames with its track, which begins with the second in which it is found."""
    occupancy_off_s: Annotated[float, Number] = Field(default=2, ge=0, le=3600)
    """It counts no more, and has left, when it was not found for so many seconds and `occupancy_on_frames` frames."""
    zones: Zones = Field(default_factory=dict)
    """Parts of the frame, by name: what is in them is counted for itself."""
    lines: Lines = Field(default_factory=dict)
    """Lines in the frame, by name: what crosses them is an event."""
    snapshot: SnapshotSettings = SnapshotSettings()

    @field_validator("source", mode="before")
    @classmethod
    def _a_source(cls, value: object, info: ValidationInfo) -> object:
        source = resolve_source(value, info)
        return str(source) if isinstance(source, Path) else source

    @property
    def all_labels(self) -> list[str]:
        """All labels that are named, each once: of the camera, its zones and its lines."""
        zones, lines = self.zones.values(), self.lines.values()
        lists = [self.labels, *(zone.labels for zone in zones), *(line.labels for line in lines)]
        return list(dict.fromkeys(label for labels in lists for label in labels or []))

    _resolved: str | int | Path = PrivateAttr(default=0)

    @model_validator(mode="after")
    def _one_source(self, info: ValidationInfo) -> Self:
        if (self.source is None) == (self.source_file is None):
            raise ValueError("give one of source and source_file")
        source: str | int | None = self.source
        if self.source_file is not None:
            try:
                source = self.source_file.read_text(encoding="utf-8").strip()
            except UnicodeError:
                raise ValueError(f"source_file is not a text in UTF-8: {self.source_file}") from None
            if not source:
                raise ValueError(f"source_file is empty: {self.source_file}")
        self._resolved = resolve_source(source, info)
        is_file = isinstance(self.resolved_source, Path)
        for key in ("loop", "realtime"):
            if getattr(self, key) and not is_file:
                raise ValueError(f"{key} is for files only: take it out")
        return self

    @property
    def labels_by_zone(self) -> dict[str | None, Labels | None]:
        """The labels of which there are counts, by zone (None: the whole frame); null: of all that are seen."""
        return {None: self.labels, **{name: zone.labels or self.labels for name, zone in self.zones.items()}}

    @property
    def areas(self) -> Areas:
        """The zones and lines."""
        return Areas(zones=self.zones, lines=self.lines)

    def with_areas(self, areas: Areas) -> Self:
        """Return the same settings with other zones and lines.

        Raises:
            ValueError: the camera cannot have them; in the words of the configuration's mistakes.

        """
        self._check(areas)
        return self.model_copy(update={"zones": areas.zones, "lines": areas.lines})

    @property
    def resolved_source(self) -> str | int | Path:
        """The source itself: a URL, a webcam's number, or the absolute path of a file."""
        return self._resolved

    @model_validator(mode="after")
    def _areas_that_can_be(self) -> Self:
        self._check(self.areas)
        return self

    def _check(self, areas: Areas) -> None:
        if areas.lines and not self.tracking:
            raise ValueError("lines need tracking: set it to true, or take lines out")
        for key, each in (("zones", areas.zones), ("lines", areas.lines)):
            for name, area in each.items():
                if never := _without(self.labels, area.labels):
                    raise ValueError(f"{key}.{name}.labels: {never!r} is not one of the camera's labels")


def _without(all_labels: Iterable[str] | None, labels: Iterable[str] | None) -> str | None:
    """Return a label that is not among all, if there is one."""
    return None if all_labels is None else next((label for label in labels or () if label not in all_labels), None)
