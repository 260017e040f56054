"""A camera as the pages see it, and what they share of it."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, NamedTuple, Protocol

from edgepub.areas import Areas
from edgepub.camera_settings import CameraSettings
from edgepub.condition import Condition
from edgepub.http.screen import Screen
from edgepub.metrics import CameraMetrics
from edgepub.viewfinder import Viewfinder


class Controls(Protocol):
    """What can be set while the daemon runs (the seam to `edgepub.controls`)."""

    @property
    def values(self) -> Mapping[str, Any]:
        """The values in force, by name."""

    def set(self, name: str, payload: bytes) -> None:
        """Set one, or raise ValueError; empty: the configuration's again."""


class Editor(Protocol):
    """Who lets a camera have other zones and lines, and keeps them (the seam to `edgepub.daemon`)."""

    def has_saved(self, camera: str) -> bool:
        """Return whether its zones and lines are saved ones, not the configuration's."""

    async def save(self, camera: str, areas: Areas | None) -> None:
        """Let these be in force and keep them; None: the configuration's again. Raise EdgepubError if that fails."""


class View(NamedTuple):
    """One camera."""

    settings: CameraSettings
    """In force."""
    viewfinder: Viewfinder
    controls: Controls


class Served(NamedTuple):
    """All that is served. The mappings may change meanwhile: they are read when they are needed."""

    node: str
    condition: Condition
    counts: Mapping[str, CameraMetrics]
    """Of each camera; one that is begun anew keeps its own, so that they never go down."""
    views: Mapping[str, View]
    outbox_sizes: Callable[[], Mapping[str, int]]
    """How many messages wait in each lane."""
    editor: Editor


class Screens:
    """A screen for each camera that somebody watches: all who do share it.

    Args:
        max_width: of the pictures, in pixels.
        quality: of the JPEGs, 1 to 100.
        boxes: whether to draw the detections.

    """

    def __init__(self, max_width: int, quality: int, *, boxes: bool) -> None:
        self._max_width = max_width
        self._quality = quality
        self._boxes = boxes
        self._watched: dict[Viewfinder, tuple[Screen, int]] = {}

    @contextmanager
    def of(self, viewfinder: Viewfinder) -> Iterator[Screen]:
        """Give a camera's screen, for as long as the context lasts."""
        screen, number = self._watched.get(viewfinder) or (
            Screen(viewfinder, self._max_width, self._quality, boxes=self._boxes),
            0,
        )
        self._watched[viewfinder] = screen, number + 1
        try:
            with viewfinder.watched():
                yield screen
        finally:
            screen, number = self._watched.pop(viewfinder)
            if number > 1:
                self._watched[viewfinder] = screen, number - 1
