"""Zones and lines: where in a camera's frame something is of interest."""

from collections.abc import Iterator, Sequence
from typing import Annotated, Literal, Self

from pydantic import BeforeValidator, Field, model_validator

from edgepub.config.fields import Name, Section


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _a_point(value: object) -> object:
    if not isinstance(value, list | tuple) or len(value) != len(("x", "y")) or not all(map(_is_number, value)):
        raise ValueError("a point is [x, y]")
    if not all(0 <= each <= 1 for each in value):
        raise ValueError("a point is [x, y] in fractions of the frame, 0 to 1, not in pixels")
    return value


Fraction = Annotated[float, Field(ge=0, le=1)]
Point = Annotated[tuple[Fraction, Fraction], BeforeValidator(_a_point)]
Labels = Annotated[list[Annotated[str, Field(min_length=1)]], Field(min_length=1)]
Anchor = Literal[
    "bottom_center",
    "bottom_left",
    "bottom_right",
    "center",
    "center_left",
    "center_right",
    "top_center",
    "top_left",
    "top_right",
]
_LEAST_AREA = 1e-4
_MOST_CORNERS = 100  # each is compared with each, and looked at for each object
_MOST = 100


class ZoneSettings(Section):
    """A part of the frame, in which an object is while its anchor is."""

    polygon: list[Point] = Field(min_length=3, max_length=_MOST_CORNERS)
    """The corners in their order round the zone, each `[x, y]` in fractions of the frame from its top left."""
    labels: Labels | None = None
    """Only objects with one of these labels; null: all that the camera has."""
    anchor: Anchor = "bottom_center"
    """The point of an object's box that says where the object is; at the bottom is where it stands."""

    @model_validator(mode="after")
    def _a_polygon(self) -> Self:
        if any(_cross(*one, *other) for one, other in _pairs_of_sides(self.polygon)):
            raise ValueError("polygon crosses itself: give its corners in their order round the zone")
        if _area(self.polygon) < _LEAST_AREA:
            raise ValueError("polygon has no area: its corners are on a line, or too near to each other")
        return self


class LineSettings(Section):
    """A line in the frame, which an object crosses when its anchor does."""

    start: Point = Field(alias="from")
    """Where the line begins, `[x, y]` in fractions of the frame from its top left."""
    to: Point
    """Where it ends. Looking from there to here, what crosses goes to the `left` or to the `right`."""
    labels: Labels | None = None
    """Only objects with one of these labels; null: all that the camera has."""
    anchor: Anchor = "bottom_center"
    """The point of an object's box that must cross."""

    @model_validator(mode="after")
    def _a_line(self) -> Self:
        if self.start == self.to:
            raise ValueError("from and to are the same point: give two")
        return self


Zones = Annotated[dict[Name, ZoneSettings], Field(max_length=_MOST)]
Lines = Annotated[dict[Name, LineSettings], Field(max_length=_MOST)]


class Areas(Section):
    """All zones and lines of a camera: what can be others while it goes on."""

    zones: Zones = Field(default_factory=dict)
    """Parts of the frame, by name."""
    lines: Lines = Field(default_factory=dict)
    """Lines in the frame, by name."""


def _area(polygon: Sequence[Point]) -> float:
    """Return the area by the shoelace formula."""
    sides = zip(polygon, [*polygon[1:], polygon[0]], strict=True)
    return abs(sum(x1 * y2 - x2 * y1 for (x1, y1), (x2, y2) in sides)) / 2


def _pairs_of_sides(polygon: Sequence[Point]) -> Iterator[tuple[tuple[Point, Point], tuple[Point, Point]]]:
    """Yield the pairs of sides that have no corner in common."""
    sides = list(zip(polygon, [*polygon[1:], polygon[0]], strict=True))
    for number, side in enumerate(sides):
        for other in range(number + 2, len(sides)):
            if (other + 1) % len(sides) != number:
                yield side, sides[other]


def _cross(a: Point, b: Point, c: Point, d: Point) -> bool:
    """Return whether the lines from a to b and from c to d cross, each between the ends of the other."""
    return _side(a, b, c) * _side(a, b, d) < 0 and _side(c, d, a) * _side(c, d, b) < 0


def _side(a: Point, b: Point, p: Point) -> float:
    return (b[0] - a[0]) * (p[1] - a[1]) - (b[1] - a[1]) * (p[0] - a[0])
