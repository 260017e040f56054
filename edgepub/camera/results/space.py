"""Where the points of a result are, and what else its conversion needs."""

from collections.abc import Collection
from typing import NamedTuple

from edgepub.camera.frames import Box, PixelMap, Result
from edgepub.camera.results.budget import Budget


class Space(NamedTuple):
    """The pixels of a result's points, and of its frame."""

    width: int
    """Width of the frame."""
    height: int
    """Height of the frame."""
    to_frame: PixelMap | None
    """Converts points to pixels of the frame; None: they are."""
    input_size: tuple[int, int] | None
    """Width and height of the model's input, which a mask without a size has."""
    visible: Box
    """The part of the frame that the model was given, which is the box of what has none."""
    include: Collection[str]
    """Additional keys of objects and landmarks."""
    budget: Budget
    """What is left for the result's objects."""


def find_space(result: Result, include: Collection[str], budget: Budget) -> Space:
    """Return the space of a result."""
    width, height = result.frame.size
    visible = result.visible or (0.0, 0.0, width, height)
    return Space(width, height, result.to_frame, result.input_size, visible, include, budget)
