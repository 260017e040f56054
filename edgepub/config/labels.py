"""The labels that a camera keeps, each with what its objects must be like."""

from typing import Annotated, Self

from pydantic import BeforeValidator, Field, TypeAdapter, model_validator

from edgepub.config.areas import Label, Labels
from edgepub.config.fields import Number, Section

# The bounds come before `Number`: after it, they would be missing in the JSON Schema.
MinScore = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False), Number]
_PartOfFrame = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False), Number]
_Ratio = Annotated[float, Field(gt=0, le=1000, allow_inf_nan=False), Number]
_RANGES = (("min_area", "max_area"), ("min_ratio", "max_ratio"))
_LABELS: TypeAdapter[Labels] = TypeAdapter(Labels)


class LabelSettings(Section):
    """What objects with this label must be like. The others are left out: they are not published, tracked or counted.

    Areas and ratios are those of `bbox`; of a rotated object, that is the extent of its corners.
    """

    min_score: MinScore | None = None
    """Minimum score, instead of the camera's, also if that is set while edgepub runs; null: the camera's."""
    min_top_score: MinScore | None = None
    """A score that an object must reach once before it counts and has events; null: none."""
    min_area: _PartOfFrame | None = None
    """Minimum area of the box, as a part of the frame's."""
    max_area: _PartOfFrame | None = None
    """Maximum area of the box, as a part of the frame's."""
    min_ratio: _Ratio | None = None
    """Minimum ratio of the box's width to its height, in pixels: below 1 for objects that are upright."""
    max_ratio: _Ratio | None = None
    """Maximum ratio of the box's width to its height, in pixels."""

    @property
    def concerns_box(self) -> bool:
        """Whether objects may be left out because of their box."""
        return any(getattr(self, key) is not None for keys in _RANGES for key in keys)

    @model_validator(mode="after")
    def _check_ranges(self) -> Self:
        for low, high in _RANGES:
            least, most = getattr(self, low), getattr(self, high)
            if least is not None and most is not None and least > most:
                raise ValueError(f"{low} ({least:g}) is more than {high} ({most:g}): no object is like that")
        return self


def _by_label(value: object) -> object:
    """Return a mapping: a list has labels of which all objects are kept."""
    if isinstance(value, dict):
        return {label: {} if settings is None else settings for label, settings in value.items()}
    return {label: {} for label in _LABELS.validate_python(value)}


KeptLabels = Annotated[
    dict[Label, LabelSettings],
    Field(min_length=1),
    BeforeValidator(
        _by_label,
        json_schema_input_type=Labels | Annotated[dict[Label, LabelSettings | None], Field(min_length=1)],
    ),
]
"""The labels that are kept, in order."""
