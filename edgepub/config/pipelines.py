"""The settings of pipelines: models that are applied to a frame, one after another or side by side."""

from collections.abc import Iterator
from typing import Annotated, Self

from pydantic import BeforeValidator, Field, model_validator

from edgepub.config.areas import Labels
from edgepub.config.fields import Name, Number, Section

_KINDS = ("detect", "classify", "regress", "embed")


class DetectorSettings(Section):
    """A model that is applied to the frame, and what to keep of it. Its name alone keeps everything."""

    model: Name
    """The name of one of the `models`."""
    labels: Labels | None = None
    """Keep only objects with one of these labels; null: all labels."""


class TilesSettings(Section):
    """Tiles: the model is applied to parts of the frame, one after another, so that it finds small objects."""

    columns: Annotated[int, Number] = Field(default=2, ge=1, le=16)
    """Tiles side by side."""
    rows: Annotated[int, Number] = Field(default=2, ge=1, le=16)
    """Tiles one below the other."""
    overlap: Annotated[float, Number] = Field(default=0.1, ge=0, le=0.5)
    """How much neighbours overlap, as a part of a tile. An object that is larger than that is cut at a border."""
    whole: bool = True
    """Apply the model to the whole frame, too, for large objects."""


class StageSettings(Section):
    """A model that is applied to the objects that were found, each cut out of the frame.

    Set one of `detect`, `classify`, `regress` and `embed`.
    """

    on: Labels | None = None
    """The labels of the objects; null: all."""
    detect: Name | None = None
    """A model that finds objects in them, in each frame. They are added, with `parent`."""
    classify: Name | None = None
    """A model that answers a question about each object, such as its colour or its text. It becomes an attribute.

    With tracking, it is asked a few times for each object: when the object is new, when it is seen better, and until
    three answers agree."""
    regress: Name | None = None
    """A model that gives a number for each object, such as an age. It becomes an attribute.

    With tracking, it is asked as `classify` is, five times for each object; the median counts."""
    embed: Name | None = None
    """A model that gives an embedding of each object. It is asked when an object is new, and when it is seen better.

    Only cameras with `include: [embedding]` ask it."""
    labels: Labels | None = None
    """For `detect`: keep only objects with one of these labels; null: all labels."""
    name: Name | None = Field(default=None, alias="as")
    """For `classify` and `regress`: the name of the attribute, `detections[].attributes.<name>`. Required there."""
    margin: Annotated[float, Number] = Field(default=0, ge=0, le=1)
    """How much more than its box is cut out at each side, as a part of the box."""

    @property
    def kind(self) -> str:
        """What it does: `detect`, `classify`, `regress` or `embed`."""
        return next(kind for kind in _KINDS if getattr(self, kind))

    @property
    def model(self) -> str:
        """The name of the stage's model."""
        return str(getattr(self, self.kind))

    @model_validator(mode="after")
    def _check_kind(self) -> Self:
        if sum(getattr(self, kind) is not None for kind in _KINDS) != 1:
            raise ValueError("set one of detect, classify, regress and embed")
        if (self.classify or self.regress) and not self.name:
            raise ValueError("as is missing: the name of the attribute")
        if self.labels and not self.detect:
            raise ValueError("labels is for detect only: remove it")
        if self.detect and self.name:
            raise ValueError("as is for classify and regress only: remove it")
        return self


def _make_detectors(value: object) -> object:
    values = value if isinstance(value, list) else [value]
    return [{"model": one} if isinstance(one, str) else one for one in values]


_Short = Name | DetectorSettings
Detectors = Annotated[
    list[DetectorSettings],
    Field(min_length=1),
    BeforeValidator(_make_detectors, json_schema_input_type=_Short | Annotated[list[_Short], Field(min_length=1)]),
]


class PipelineSettings(Section):
    """A camera names a pipeline in `model`, instead of a model."""

    detect: Detectors
    """The models that are applied to the frame: a name, a mapping, or a list of these.

    If two of them find the same object, the one with the higher score is kept: the same label, and boxes whose
    intersection is more than half of their union."""
    tiles: TilesSettings | None = None
    """Apply these models to tiles of the frame; null: to the frame."""
    then: list[StageSettings] = Field(default_factory=list)
    """Models that are applied to the objects that were found, in order."""

    @property
    def models(self) -> list[str]:
        """The names of all its models, without duplicates."""
        names = [*(detector.model for detector in self.detect), *(stage.model for stage in self.then)]
        return list(dict.fromkeys(names))

    @model_validator(mode="after")
    def _check_stages(self) -> Self:
        names = [stage.name for stage in self.then if stage.classify or stage.regress]
        if double := next((name for name in names if names.count(name) > 1), None):
            raise ValueError(f"two stages with as: {double}: give each its own name")
        return self


def find_model_names(pipelines: object) -> Iterator[tuple[tuple[str | int, ...], str]]:
    """Yield the place and the name of each model that pipelines name; of raw values, which may be anything."""
    for pipeline, raw in pipelines.items() if isinstance(pipelines, dict) else ():
        if not isinstance(raw, dict):
            continue
        detect = raw.get("detect")
        for index, one in enumerate(detect if isinstance(detect, list) else [detect]):
            place = ("pipelines", pipeline, "detect", *([index] if isinstance(detect, list) else []))
            if isinstance(one, str):
                yield place, one
            elif isinstance(one, dict) and isinstance(one.get("model"), str):
                yield (*place, "model"), one["model"]
        then = raw.get("then")
        for index, stage in enumerate(then if isinstance(then, list) else []):
            for key in _KINDS:
                if isinstance(stage, dict) and isinstance(stage.get(key), str):
                    yield ("pipelines", pipeline, "then", index, key), stage[key]
