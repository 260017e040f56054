"""How each part is right now: said by the part itself, read by whoever tells others."""

from collections.abc import Iterable
from typing import Literal

CameraStatus = Literal["online", "offline", "disabled"]
STARTS = "is starting"


class CameraState:
    """How a camera is. Written by one thread at a time, read by any."""

    def __init__(self) -> None:
        self.status: CameraStatus = "offline"
        """As it is published."""
        self.problem: str | None = STARTS
        """Why it is not online; None where nothing is wrong: it is, or is disabled, or has ended as a file does."""


class BrokerStatus:
    """How the session with the broker is. Written and read in the event loop."""

    def __init__(self) -> None:
        self.sessions = 0
        """How many there have been."""
        self.problem: str | None = "no session yet"
        """Why there is none; None while there is one."""

    @property
    def reconnects(self) -> int:
        """How often there was a new one after the first."""
        return max(0, self.sessions - 1)


class Status:
    """How the whole is.

    Args:
        cameras: the cameras' names.

    """

    def __init__(self, cameras: Iterable[str]) -> None:
        self.broker = BrokerStatus()
        self.cameras = {name: CameraState() for name in cameras}

    @property
    def summary(self) -> str:
        """How it is, in a few words for a person."""
        wanted = [each.status for each in self.cameras.values() if each.status != "disabled"]
        return f"{wanted.count('online')} of {len(wanted)} cameras online"

    @property
    def problems(self) -> list[str]:
        """What is wrong, one line each; none while it is ready."""
        broker = [] if self.broker.problem is None else [f"broker: {self.broker.problem}"]
        return broker + [f"{name}: {each.problem}" for name, each in self.cameras.items() if each.problem is not None]
