"""The objects that the HTTP server reads from, and the Protocols through which it changes settings."""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, Protocol

from edgepub.camera.viewfinder import Viewfinder
from edgepub.config.areas import Areas
from edgepub.config.camera import CameraSettings
from edgepub.telemetry.metrics import CameraMetrics
from edgepub.telemetry.status import Status


class RuntimeSettings(Protocol):
    """A camera's settings that can be changed at runtime (implemented in `edgepub.camera.controls`)."""

    @property
    def values(self) -> Mapping[str, Any]:
        """The current values, by name."""

    def set(self, name: str, payload: bytes) -> None:
        """Set a value. An empty payload restores the value of the configuration. Raise ValueError if it is invalid."""


class AreaStore(Protocol):
    """Applies and saves zones and lines (implemented in `edgepub.daemon`)."""

    def has_saved(self, camera: str) -> bool:
        """Return whether saved zones and lines replace those of the configuration."""

    async def save(self, camera: str, areas: Areas | None) -> None:
        """Apply and save zones and lines. None restores those of the configuration. Raise EdgepubError on failure."""


class CameraView(NamedTuple):
    """One camera, as the HTTP server sees it."""

    settings: CameraSettings
    """The current settings."""
    viewfinder: Viewfinder
    controls: RuntimeSettings


class HttpContext(NamedTuple):
    """The objects that responses are made from. The mappings change on a reload: read them for each response."""

    node: str
    status: Status
    metrics: Mapping[str, CameraMetrics]
    """By camera. A camera that restarts keeps its own, so that counters never decrease."""
    cameras: Mapping[str, CameraView]
    outbox_sizes: Callable[[], Mapping[str, int]]
    """Returns the number of waiting messages, by lane."""
    area_store: AreaStore
