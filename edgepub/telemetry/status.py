"""The current status of each part: written by the part itself, read by those that report it."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Literal, NamedTuple

from edgepub.telemetry.histogram import Histogram

CameraStatus = Literal["online", "offline", "disabled"]
STARTING = "is starting"


class CameraState:
    """The state of a camera. Written by one thread at a time, read by any."""

    def __init__(self) -> None:
        self.device: str | None = None
        """The device of the model that was loaded last, like `TFLITE/CPU`."""
        self.is_remote = False
        """Whether that is a device of an AI server or a cloud."""
        self.server: str | None = None
        """The AI server where the first model was loaded last; None: on this node, or in a cloud."""
        self.servers: Mapping[str, str] = {}
        """The AI server where each model was loaded last, by the model's name; without those that are not on one."""
        self.status: CameraStatus = "offline"
        """The published status."""
        self.problem: str | None = STARTING
        """Why the camera is not online. None if that is no problem: it is online or disabled, or its file has ended."""
        self.unfindable = ""
        """Why what must be blurred in pictures cannot be found, for a person; empty: it can, as far as is known."""
        self.notes: dict[str, str] = {}
        """What does not work although the camera does, by the part that notices it."""


class BrokerStatus:
    """The status of the session with the broker. Written and read in the event loop."""

    def __init__(self) -> None:
        self.sessions = 0
        """The number of sessions so far."""
        self.problem: str | None = "no session yet"
        """Why there is no session, or why it is of no use; None while it works."""
        self.notes: dict[str, str] = {}
        """What does not work although the session works, by the part that notices it."""

    @property
    def status(self) -> Literal["online", "offline"]:
        """Whether there is a session."""
        return "online" if self.problem is None else "offline"

    @property
    def reconnects(self) -> int:
        """The number of sessions after the first."""
        return max(0, self.sessions - 1)


Resource = Literal["decoding", "model", "python", "broker"]


class Limit(NamedTuple):
    """A resource that is the limit: with more of it, the node would do more."""

    resource: Resource
    cameras: Sequence[str]
    """The cameras that get less because of it; empty if that cannot be measured."""
    text: str
    """What was measured and the way out, one line."""

    def concerns(self, camera: str) -> bool:
        """Return whether a camera may get less because of it."""
        return camera in self.cameras or not self.cameras


class LoadStatus:
    """How the node keeps up. Written and read in the event loop."""

    def __init__(self) -> None:
        self.limits: Sequence[Limit] = ()
        """The resources that are the limit now."""
        self.loop_late_ms = Histogram()
        """How late the event loop wakes up, in milliseconds."""


class Status:
    """The status of the node.

    Args:
        cameras: the names of the cameras.

    """

    def __init__(self, cameras: Iterable[str]) -> None:
        self.broker = BrokerStatus()
        self.load = LoadStatus()
        self.cameras = {name: CameraState() for name in cameras}

    @property
    def summary(self) -> str:
        """The status in a few words, for a person."""
        enabled = [camera.status for camera in self.cameras.values() if camera.status != "disabled"]
        return f"{enabled.count('online')} of {len(enabled)} cameras online"

    @property
    def problems(self) -> list[str]:
        """The current problems, one line each; empty while the node is ready."""
        broker = [] if self.broker.problem is None else [f"broker: {self.broker.problem}"]
        cameras = [f"{name}: {camera.problem}" for name, camera in self.cameras.items() if camera.problem is not None]
        return broker + cameras

    @property
    def notes(self) -> list[str]:
        """What does not work although the node is ready, one line each."""
        # A list at once: other threads add and remove notes.
        broker = [f"broker: {note}" for note in list(self.broker.notes.values())]
        cameras = [f"{name}: {note}" for name, camera in self.cameras.items() for note in list(camera.notes.values())]
        return broker + cameras
