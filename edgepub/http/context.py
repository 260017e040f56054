"""The objects that the HTTP server reads from, and the Protocols through which it changes settings."""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, Protocol

from edgepub.camera.viewfinder import Viewfinder
from edgepub.config.areas import Areas
from edgepub.config.effective import InForce
from edgepub.mqtt.outbox.outbox import OutboxFigures
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
    """Applies and saves areas (implemented in `edgepub.daemon`)."""

    async def save(self, camera: str, areas: Areas | None) -> None:
        """Save zones, lines and ignore areas, and put them into force. None restores those of the configuration.

        Raises:
            ValueError: the camera cannot have them.
            EdgepubError: they cannot be saved.

        """


class CameraView(NamedTuple):
    """One camera, as the HTTP server sees it."""

    viewfinder: Viewfinder
    controls: RuntimeSettings


class EntityCount(Protocol):
    """How many entities there are in Home Assistant (implemented in `edgepub.home_assistant.device`)."""

    @property
    def total(self) -> int:
        """All of them."""

    @property
    def enabled(self) -> int:
        """Those that are enabled by default."""


class HttpContext(NamedTuple):
    """The objects that responses are made from. The mappings change on a reload: read them for each response."""

    in_force: InForce
    """The settings in force. They have the same cameras as `cameras`."""
    status: Status
    metrics: Mapping[str, CameraMetrics]
    """By camera. A camera that restarts keeps its own, so that counters never decrease."""
    cameras: Mapping[str, CameraView]
    outbox_figures: Callable[[], OutboxFigures]
    area_store: AreaStore
    entity_count: Callable[[], EntityCount | None]
    """How many entities Home Assistant has of the node; None: discovery is disabled."""

    @property
    def node(self) -> str:
        """The node's name."""
        return self.in_force.settings.node

    def areas(self, camera: str) -> tuple[Areas, bool]:
        """Return a camera's areas in force, and whether they are saved ones."""
        effective = self.in_force.effective
        return effective.settings.cameras[camera].areas, effective.is_saved(camera)
