"""Zones, lines and ignore areas of a camera's frame."""

from collections.abc import Iterator, Sequence
from typing import Annotated, Literal, Self

from pydantic import BeforeValidator, Field, model_validator

from edgepub.config.fields import Name, Number, Section


def is_number(value: object) -> bool:
    """Return whether this is a number, and not what YAML reads `yes` as."""
    return isinstance(value, int | float) and not isinstance(value, bool)


def _check_point(value: object) -> object:
    if not isinstance(value, list | tuple) or len(value) != len(("x", "y")) or not all(map(is_number, value)):
        raise ValueError("a point is [x, y]")
    if not all(0 <= coordinate <= 1 for coordinate in value):
        raise ValueError("a point is [x, y] in fractions of the frame, 0 to 1, not in pixels")
    return value


Fraction = Annotated[float, Field(ge=0, le=1)]
Point = Annotated[tuple[Fraction, Fraction], BeforeValidator(_check_point)]
Label = Annotated[str, Field(min_length=1, max_length=256)]  # a level of a topic
Labels = Annotated[list[Label], Field(min_length=1)]
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
_MIN_AREA = 1e-4
_MAX_CORNERS = 100  # each side is compared with each other side, and each object is tested against each corner
_MAX_AREAS = 100
Polygon = Annotated[list[Point], Field(min_length=3, max_length=_MAX_CORNERS)]


class ZoneSettings(Section):
    """A zone is a part of the frame. An object is in the zone while its anchor point is."""

    polygon: Polygon
    """The corners in order around the zone, each `[x, y]` in fractions of the frame, measured from its top left."""
    labels: Labels | None = None
    """Use only objects with one of these labels; null: all labels of the camera."""
    anchor: Anchor = "bottom_center"
    """The point of an object's box that is its position. Objects stand on the ground at the bottom of their box."""
    loitering_s: Annotated[float, Field(gt=0, le=86_400), Number] | None = None
    """Seconds in the zone after which an object loiters: an event while it is still there, and a state; null: never.

    Needs `tracking`."""

    @model_validator(mode="after")
    def _check_polygon(self) -> Self:
        _check_polygon(self.polygon)
        return self


class IgnoreSettings(Section):
    """An ignore area is a part of the frame in which objects are left out: they are not published, tracked or counted.

    An object is in it while its anchor point is. In a pipeline, what would be found in that object is left out with
    it.
    """

    polygon: Polygon
    """The corners in order around the area, each `[x, y]` in fractions of the frame, measured from its top left."""
    labels: Labels | None = None
    """Ignore only objects with one of these labels; null: all labels."""
    anchor: Anchor = "bottom_center"
    """The point of an object's box that is its position."""

    @model_validator(mode="after")
    def _check_polygon(self) -> Self:
        _check_polygon(self.polygon)
        return self


class LineSettings(Section):
    """An object crosses the line when its anchor point does."""

    start: Point = Field(alias="from")
    """The start of the line, `[x, y]` in fractions of the frame, measured from its top left."""
    to: Point
    """The end of the line. Seen from `from` towards `to`, an object crosses to the `left` or to the `right`."""
    labels: Labels | None = None
    """Use only objects with one of these labels; null: all labels of the camera."""
    anchor: Anchor = "bottom_center"
    """The point of an object's box that has to cross."""

    @model_validator(mode="after")
    def _check_line(self) -> Self:
        if self.start == self.to:
            raise ValueError("from and to are the same point: set two different points")
        return self


Zones = Annotated[dict[Name, ZoneSettings], Field(max_length=_MAX_AREAS)]
Lines = Annotated[dict[Name, LineSettings], Field(max_length=_MAX_AREAS)]
IgnoreAreas = Annotated[dict[Name, IgnoreSettings], Field(max_length=_MAX_AREAS)]


class Areas(Section):
    """All zones, lines and ignore areas of a camera. They can be replaced while the camera runs."""

    zones: Zones = Field(default_factory=dict)
    """The zones, by name."""
    lines: Lines = Field(default_factory=dict)
    """The lines, by name."""
    ignore: IgnoreAreas | None = None
    """The ignore areas, by name; None: those of the configuration, as in what was saved before there were any."""

    @property
    def kinds(self) -> str:
        """What is set here, in words."""
        return "zones and lines" if self.ignore is None else "zones, lines and ignore areas"


def _check_polygon(polygon: Sequence[Point]) -> None:
    if any(_cross(*one, *other) for one, other in _side_pairs(polygon)):
        raise ValueError("polygon crosses itself: list its corners in order around it")
    if _area(polygon) < _MIN_AREA:
        raise ValueError("polygon has no area: its corners are on one line or too close together")


def _area(polygon: Sequence[Point]) -> float:
    """Return the area, computed with the shoelace formula."""
    sides = zip(polygon, [*polygon[1:], polygon[0]], strict=True)
    return abs(sum(x1 * y2 - x2 * y1 for (x1, y1), (x2, y2) in sides)) / 2


def _side_pairs(polygon: Sequence[Point]) -> Iterator[tuple[tuple[Point, Point], tuple[Point, Point]]]:
    """Yield the pairs of sides that share no corner."""
    sides = list(zip(polygon, [*polygon[1:], polygon[0]], strict=True))
    for number, side in enumerate(sides):
        for other in range(number + 2, len(sides)):
            if (other + 1) % len(sides) != number:
                yield side, sides[other]


def _cross(a: Point, b: Point, c: Point, d: Point) -> bool:
    """Return whether the segments from a to b and from c to d cross, each between the ends of the other."""
    return _side(a, b, c) * _side(a, b, d) < 0 and _side(c, d, a) * _side(c, d, b) < 0


def _side(a: Point, b: Point, p: Point) -> float:
    return (b[0] - a[0]) * (p[1] - a[1]) - (b[1] - a[1]) * (p[0] - a[0])
