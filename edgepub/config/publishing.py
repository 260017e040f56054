"""What of a camera is published: which results, events and pictures."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from edgepub.config.areas import Label, Labels
from edgepub.config.detection_fields import Fields
from edgepub.config.fields import Name, Number, Section


class PublishSettings(Section):
    """Which of a camera's results are published. The others are counted as sampled."""

    mode: Literal["always", "changes"] = "always"
    """`always`: publish every result. `changes`: publish only results that differ from the last one published.

    These differences count: another label, text or settled value; another number of objects, track or zone; a box that
    moved by more than 2 % of the frame; a score that changed by more than 0.1."""
    every: Annotated[int, Number] = Field(default=1, ge=1, le=1_000_000)
    """Publish only every Nth result. In mode `changes`, a change waits for the next result that is due."""
    max_rate_hz: Annotated[float, Field(gt=0, le=1000), Number] | None = None
    """Maximum messages per second, evenly spaced. In mode `changes`, a change waits for the next free slot."""
    heartbeat_s: Annotated[float, Field(gt=0, le=86_400), Number] | None = 30
    """In mode `changes`: publish the next result, changed or not, this many seconds after the last one; null: never."""
    adaptive: bool = False
    """Publish less often while the broker is slow and messages age in the queue. Changes are still published."""
    fields: Fields = "all"
    """Which keys the detections have. `lean`: `timestamp` and `detections`, and each of these `label`, `score`, `bbox`.

    A list adds keys to these, like `[seq, detections.track_id]`. [topics.md](topics.md#fewer-keys) says what each
    choice costs. Counts, events, the page and the other settings of `publish` use all keys in any case."""

    @model_validator(mode="after")
    def _check_heartbeat(self) -> Self:
        if self.mode == "changes" and self.heartbeat_s and self.max_rate_hz and self.heartbeat_s * self.max_rate_hz < 1:
            min_s = f"{1 / self.max_rate_hz:g}"
            raise ValueError(f"heartbeat_s is shorter than max_rate_hz allows: set it to {min_s} or more, or to null")
        return self


class TextLabelSettings(Section):
    """For models that read texts, and give them as labels: every object gets the same label, and its text."""

    name: Name = Field(default="text", alias="as")
    """The name of the attribute that the text becomes: `detections[].attributes.<name>.label`."""
    label: Label
    """The label of all objects, for counts, events and topics, for example `plate`."""


class EventSettings(Section):
    """Which objects have events and visits."""

    zones: Annotated[list[Name], Field(min_length=1)] | None = None
    """Names of zones: only objects that were in one of them have events and visits, from then on; null: all objects.

    Counts are not affected. Needs `tracking`."""


class SnapshotSettings(Section):
    """Snapshots: a JPEG when an object appears, and again when a better view of it is available."""

    enabled: bool = True
    """`false`: no picture leaves this node, and the pictures retained on the broker are deleted.

    The page shows boxes without the picture then. `snapshot_enabled/set` turns pictures off and on at run time, but not
    on if this is `false`."""
    crop: bool = True
    """Beside the whole picture, publish a cut-out of the newest object of each label. Needs `tracking`."""
    boxes: bool = True
    """Draw the detections: boxes with their labels, masks, landmarks."""
    blur: Labels | None = None
    """Blur objects with one of these labels, for example `[face]`, also on the page and in `snapshot.jpg`.

    Those that were detected in this very frame, with at least `min_score`, are blurred, also if a filter or an ignore
    area leaves them out. A frame in which not all was looked for
    [is not shown](how-it-works.md#blurred-objects)."""
    quality: Annotated[int, Number] = Field(default=80, ge=1, le=100)
    """JPEG quality."""
    max_width: Annotated[int, Number] = Field(default=1280, ge=16, le=7680)
    """Maximum width in pixels; a wider picture is scaled down."""
    min_interval_s: Annotated[float, Number] = Field(default=5, ge=0, le=86_400)
    """Minimum seconds between two snapshots, and between two cut-outs of an object."""
