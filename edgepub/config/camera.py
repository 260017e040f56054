"""The settings of a camera: each key with its meaning, default and bounds."""

from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Self

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    PrivateAttr,
    ValidationInfo,
    field_validator,
    model_validator,
)

from edgepub.config.areas import Areas, Fraction, IgnoreAreas, Labels, Lines, Zones, is_number
from edgepub.config.capture import CaptureSettings
from edgepub.config.detection_fields import check_fields
from edgepub.config.fields import Name, Number, ReadableFile, Section, Texts
from edgepub.config.labels import KeptLabels, MinScore
from edgepub.config.publishing import EventSettings, PublishSettings, SnapshotSettings, TextLabelSettings
from edgepub.config.source import Source, Webcam, WebcamNumber, find_encoded, resolve_source
from edgepub.config.text_file import read_text

# The bounds come before `Number`: after it, they would be missing in the JSON Schema.
MaxFps = Annotated[float, Field(ge=0.001, le=1000, allow_inf_nan=False), Number]

_MIN_REGION = 0.01
_OWN_KEYS = frozenset({"attributes", "bbox_norm", "corners", "parent", "stationary", "track_id", "zones"})


def _check_included(key: str) -> str:
    if key in _OWN_KEYS:
        raise ValueError(f"{key} is made by edgepub, not by the model: remove it")
    return key


def _check_region(value: object) -> object:
    if not isinstance(value, list | tuple) or len(value) != len(("x1", "y1", "x2", "y2")):
        raise ValueError("a region is [x1, y1, x2, y2]")
    if not all(is_number(number) and 0 <= number <= 1 for number in value):
        raise ValueError("a region is [x1, y1, x2, y2] in fractions of the frame, 0 to 1, not in pixels")
    x1, y1, x2, y2 = value
    if x2 - x1 < _MIN_REGION or y2 - y1 < _MIN_REGION:
        raise ValueError(f"a region has x1 < x2 and y1 < y2, at least {_MIN_REGION} apart")
    return value


Region = Annotated[tuple[Fraction, Fraction, Fraction, Fraction], BeforeValidator(_check_region)]
IncludedKey = Annotated[str, Field(min_length=1, max_length=64), AfterValidator(_check_included)]


class CameraSettings(Section):
    """Each camera has a source and a model, and settings for what is published."""

    source: str | int | list[str] | None = None
    """A URL, a file, a folder of pictures, a webcam, `rpicam:0`, or a command. Required, unless `source_file` is set.

    A URL begins with `rtsp://`, `rtsps://`, `http://`, `https://`, `rtmp://`, `rtmps://`, `srt://`, `udp://`, `rtp://`,
    `tcp://` or `tls://`. A webcam is its number, or its device: `/dev/v4l/by-id/...` stays the same when another webcam
    is plugged in. `rpicam:0` is the first camera of a Raspberry Pi. A command is a list, `[program, argument,
    ...]`: the video that it writes to its standard output is read. Pictures can have up to 8192 x 4352 pixels, or as
    many in another shape."""
    source_file: ReadableFile | None = None
    """A file that contains the source. Use it for a URL that contains a password."""
    model: Name
    """The name of one of the `models`, or of one of the `pipelines`."""
    region: Region | None = None
    """The part of the frame that the model sees, `[x1, y1, x2, y2]` in fractions of the frame; null: all of it.

    Boxes are in pixels of the frame, as always."""
    enabled: bool = True
    """`false`: the source stays closed and the camera's status is `disabled`."""
    loop: bool = False
    """Files only, also those at an `http://` address: start again when the file ends."""
    realtime: bool = False
    """Files only, also those at an `http://` address: play at the file's own frame rate, as a camera would.

    `false`: as fast as the model allows."""
    capture: CaptureSettings = CaptureSettings()
    max_fps: MaxFps | None = None
    """Maximum frames per second given to the model, evenly spaced; null: as many as the model can process.

    The other frames are counted as sampled. For a file, the seconds are those of its own clock."""
    stall_timeout_s: Annotated[float, Number] = Field(default=10, ge=1, le=3600)
    """After this many seconds without a frame from a live source, or a valid result of the model, a camera is
    `offline`."""
    labels: KeptLabels | None = None
    """Keep only detections with one of these labels; null: all labels.

    A list, like `[person, car]`, or a mapping of each label to what its objects must be like, like
    `{person: {min_score: 0.6}, car: {}}`."""
    text_labels: TextLabelSettings | None = None
    """Use the model's labels as texts, which differ each time; null: they are labels."""
    include: list[IncludedKey] = Field(default_factory=list)
    """Keys of the model's results that are published beyond the usual ones; [models.md](models.md) lists those.

    Their values can be any JSON of up to 16 KiB. A result of a Python postprocessor that is no list of objects is
    published as one object with the label `result`, if it has one of these keys."""
    min_score: MinScore = 0.5
    """Minimum score of a detection; detections with a lower score are discarded.

    The model applies its own `output_confidence_threshold` first, so a value below that has no effect."""
    publish: PublishSettings = PublishSettings()
    tracking: bool = True
    """Follow each object from frame to frame and give it a `track_id`. `false`: counts only, no events or visits."""
    track_lost_s: Annotated[float, Number] = Field(default=3, ge=0, le=3600)
    """Seconds for which an undetected object keeps its track. If `occupancy_off_s` is longer, that applies.

    At low frame rates, it may be missing in up to `occupancy_on_frames` frames, even if they take longer."""
    occupancy_on_frames: Annotated[int, Number] = Field(default=3, ge=1, le=1000)
    """Frames in which an object must be detected before it counts and its `appeared` event is sent.

    The same applies when an object enters a zone. With tracking, these frames are counted from where the object's track
    begins: in the second of two frames in a row in which it has the same label."""
    occupancy_off_s: Annotated[float, Number] = Field(default=2, ge=0, le=3600)
    """Seconds without a detection before an object stops counting and its `left` event is sent.

    The object must also be missing in `occupancy_on_frames` frames."""
    stationary_s: Annotated[float, Field(ge=1, le=3600), Number] | None = 10
    """Seconds without moving after which an object is stationary; null: off.

    A stationary object does not count as active. If it is hidden for a while, or edgepub restarts, its visit goes on.
    An object has not moved while its box overlaps where it was. Needs `tracking`."""
    zones: Zones = Field(default_factory=dict)
    """Zones by name. Objects in a zone are also counted separately."""
    lines: Lines = Field(default_factory=dict)
    """Lines by name. Each crossing is an event."""
    ignore: IgnoreAreas = Field(default_factory=dict)
    """Ignore areas by name. Objects in them do not count."""
    events: EventSettings = EventSettings()
    snapshot: SnapshotSettings = SnapshotSettings()

    @field_validator("source", mode="before", json_schema_input_type=str | WebcamNumber | Texts)
    @classmethod
    def _resolve(cls, value: object, info: ValidationInfo) -> object:
        source = resolve_source(value, info)
        if isinstance(source, Webcam):
            return str(source.device)
        return str(source) if isinstance(source, Path) else value

    @property
    def kept_labels(self) -> Labels | None:
        """The labels to keep; None: all."""
        if self.text_labels:
            return [self.text_labels.label]
        return None if self.labels is None else list(self.labels)

    @property
    def min_scores(self) -> dict[str, float]:
        """The minimum scores of the labels that have their own."""
        labels = (self.labels or {}).items()
        return {label: settings.min_score for label, settings in labels if settings.min_score is not None}

    @property
    def min_top_scores(self) -> dict[str, float]:
        """The scores that objects must reach once before they count, of the labels that have one."""
        labels = (self.labels or {}).items()
        return {label: settings.min_top_score for label, settings in labels if settings.min_top_score is not None}

    @property
    def model_labels(self) -> list[str]:
        """All labels that the model should have, without duplicates."""
        others = [self.snapshot.blur, *(area.labels for area in self.ignore.values())]
        named = [*self.all_labels, *(label for labels in others for label in labels or ())]
        return [] if self.text_labels else list(dict.fromkeys(named))

    @property
    def all_labels(self) -> list[str]:
        """All labels to count: those named by the camera, its zones and its lines, without duplicates."""
        zones, lines = self.zones.values(), self.lines.values()
        lists = [self.kept_labels, *(zone.labels for zone in zones), *(line.labels for line in lines)]
        return list(dict.fromkeys(label for labels in lists for label in labels or []))

    _resolved: Source = PrivateAttr(default="")
    _encoded: str = PrivateAttr(default="")

    @model_validator(mode="after")
    def _read_source(self, info: ValidationInfo) -> Self:
        if (self.source is None) == (self.source_file is None):
            raise ValueError("set either source or source_file")
        source = self.source if self.source_file is None else _read_source_file(self.source_file)
        self._resolved = resolve_source(source, info)
        if isinstance(self._resolved, str):
            self._encoded = find_encoded(str(source), self._resolved)
        is_web = isinstance(self._resolved, str) and self._resolved.startswith(("http://", "https://"))
        for key in ("loop", "realtime"):
            if getattr(self, key) and not (is_web or isinstance(self._resolved, Path)):
                raise ValueError(f"{key} is for files only, or their http:// addresses: remove it")
        self.capture.check(self._resolved)
        return self

    @property
    def labels_by_zone(self) -> dict[str | None, Labels | None]:
        """The labels to count, by zone (None: the whole frame). A value of None means every label that is detected."""
        kept = self.kept_labels
        return {None: kept, **{name: zone.labels or kept for name, zone in self.zones.items()}}

    @property
    def finds_stationary(self) -> bool:
        """Whether objects that do not move are told from others."""
        return self.tracking and self.stationary_s is not None

    @property
    def snapshot_enabled(self) -> bool:
        """Whether pictures leave the node, unless a command says otherwise."""
        return self.snapshot.enabled

    @property
    def has_cutouts(self) -> bool:
        """Whether cut-outs of objects are made."""
        return self.tracking and self.snapshot.crop

    @property
    def areas(self) -> Areas:
        """The zones, lines and ignore areas of the camera."""
        return Areas(zones=self.zones, lines=self.lines, ignore=self.ignore)

    def with_areas(self, areas: Areas) -> Self:
        """Return the same settings with other zones, lines and ignore areas.

        Raises:
            ValueError: they do not fit the camera; the text is the same as for a mistake in the configuration.

        """
        self._check_areas(areas)
        ignore = self.ignore if areas.ignore is None else areas.ignore
        return self.model_copy(update={"zones": areas.zones, "lines": areas.lines, "ignore": ignore})

    @property
    def resolved_source(self) -> Source:
        """The source, with its absolute path and an encoded login."""
        return self._resolved

    @property
    def encoded_in_login(self) -> str:
        """The characters of the URL's user and password that were encoded, for a person; empty if none was."""
        return self._encoded

    @model_validator(mode="after")
    def _check_labels(self) -> Self:
        if self.text_labels and self.labels and [*self.labels] != [self.text_labels.label]:
            raise ValueError(f"with text_labels, the only label is {self.text_labels.label!r}: remove labels")
        if unknown := _first_unknown(self.snapshot.blur, self.kept_labels):
            raise ValueError(f"snapshot.blur: {unknown!r} is not one of the camera's labels: add it to labels")
        return self

    @model_validator(mode="after")
    def _check_fields(self) -> Self:
        try:
            check_fields(self.publish.fields, self.include)
        except ValueError as error:
            raise ValueError(f"publish.fields: {error}") from None
        return self

    @model_validator(mode="after")
    def _check_own_areas(self) -> Self:
        self._check_areas(self.areas)
        return self

    def _check_areas(self, areas: Areas) -> None:
        if not self.tracking:
            self._check_untracked(areas)
        if unknown := _first_unknown(self.events.zones, areas.zones):
            raise ValueError(f"events.zones: {unknown!r} is not one of the camera's zones")
        for key, named in (("zones", areas.zones), ("lines", areas.lines), ("ignore", areas.ignore or {})):
            for name, area in named.items():
                if unknown := _first_unknown(area.labels, self.kept_labels):
                    raise ValueError(f"{key}.{name}.labels: {unknown!r} is not one of the camera's labels")

    def _check_untracked(self, areas: Areas) -> None:
        if areas.lines:
            raise ValueError("lines need tracking: set it to true, or remove lines")
        if loitering := next((name for name, zone in areas.zones.items() if zone.loitering_s is not None), None):
            key = f"zones.{loitering}.loitering_s"
            raise ValueError(f"{key} needs tracking: set it to true, or remove {key}")
        if self.events.zones is not None:
            raise ValueError("events.zones needs tracking: set it to true, or remove events.zones")


def _first_unknown(labels: Iterable[str] | None, known: Iterable[str] | None) -> str | None:
    """Return the first label that is not known; None if there is none, or if every label is known."""
    return None if known is None else next((label for label in labels or () if label not in known), None)


def _read_source_file(path: Path) -> str:
    try:
        source = read_text(path).strip()
    except OSError as error:
        raise ValueError(f"source_file cannot be read: {error.strerror}: {path}") from None
    except ValueError as error:
        raise ValueError(f"source_file {error}: {path}") from None
    if not source:
        raise ValueError(f"source_file is empty: {path}")
    return source
