"""A camera as the pages see it, and what they share of it."""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, Protocol

from edgepub.camera.viewfinder import Viewfinder
from edgepub.config.areas import Areas
from edgepub.config.camera import CameraSettings
from edgepub.telemetry.metrics import CameraMetrics
from edgepub.telemetry.status import Condition


class RuntimeSettings(Protocol):
    """What can be set while the daemon runs (the seam to `edgepub.camera.controls`)."""

    @property
    def values(self) -> Mapping[str, Any]:
        """The values in force, by name."""

    def set(self, name: str, payload: bytes) -> None:
        """Set one, or raise ValueError; empty: the configuration's again."""


class AreaStore(Protocol):
    """Who lets a camera have other zones and lines, and keeps them (the seam to `edgepub.daemon.run`)."""

    def has_saved(self, camera: str) -> bool:
        """Return whether its zones and lines are saved ones, not the configuration's."""

    async def save(self, camera: str, areas: Areas | None) -> None:
        """Let these be in force and keep them; None: the configuration's again. Raise EdgepubError if that fails."""


class CameraView(NamedTuple):
    """One camera."""

    settings: CameraSettings
    """In force."""
    viewfinder: Viewfinder
    controls: RuntimeSettings


class HttpContext(NamedTuple):
    """All that is served. The mappings may change meanwhile: they are read when they are needed."""

    node: str
    condition: Condition
    metrics: Mapping[str, CameraMetrics]
    """Of each camera; one that is begun anew keeps its own, so that they never go down."""
    cameras: Mapping[str, CameraView]
    outbox_sizes: Callable[[], Mapping[str, int]]
    """How many messages wait in each lane."""
    area_store: AreaStore
