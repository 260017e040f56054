"""Messages: topic, payload, QoS and retain, ready to send."""

from collections.abc import Callable
from typing import Literal, NamedTuple

from edgepub.metrics import CameraMetrics

CameraStatus = Literal["online", "offline", "disabled"]


class Message(NamedTuple):
    """What is sent to the broker."""

    topic: str
    payload: bytes | Callable[[], bytes]
    """A callable is asked for the bytes at the moment of sending, for figures that are known only then."""
    qos: Literal[0, 1] = 0
    retain: bool = False
    counts: CameraMetrics | None = None
    """Whose sending or loss it is, where that is counted."""

    def encoded(self) -> bytes:
        """Return the payload's bytes."""
        return self.payload if isinstance(self.payload, bytes) else self.payload()


def state(topic: str, value: str | bytes) -> Message:
    """Return the message of a state: retained, and delivered at least once."""
    return Message(topic, value.encode() if isinstance(value, str) else value, qos=1, retain=True)
