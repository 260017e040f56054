"""Messages: topic, payload, QoS and retain, ready to send."""

from collections.abc import Callable
from typing import Literal, NamedTuple, Protocol

from edgepub.metrics import CameraMetrics

Lane = Literal["state", "events", "pictures", "stream"]
CameraStatus = Literal["online", "offline", "disabled"]


class Receipt(Protocol):
    """Whose message it is, and since when: what is counted when it leaves or is lost."""

    @property
    def queued_s(self) -> float:
        """When it was put into the outbox, on the monotonic clock."""

    def sent(self, taken_s: float) -> None:
        """Count it as published, having been taken from the outbox at this moment."""

    def lost(self, reason: str) -> None:
        """Count it as dropped."""


class DetectionsReceipt(NamedTuple):
    """The receipt of a detections message."""

    counts: CameraMetrics
    captured_s: float
    """When its frame was captured, on the monotonic clock."""
    queued_s: float

    def sent(self, taken_s: float) -> None:
        """Count it as published, and time it."""
        self.counts.count_published(self.captured_s, self.queued_s, taken_s)

    def lost(self, reason: str) -> None:
        """Count it as dropped."""
        self.counts.count_dropped(reason)


class EventReceipt(NamedTuple):
    """The receipt of an event."""

    counts: CameraMetrics
    queued_s: float

    def sent(self, taken_s: float) -> None:  # noqa: ARG002
        """Count it as published."""
        self.counts.count_event()

    def lost(self, reason: str) -> None:
        """Count it as dropped."""
        self.counts.count_dropped(f"event_{reason}")


class Message(NamedTuple):
    """What is sent to the broker."""

    topic: str
    payload: bytes | Callable[[], bytes]
    """A callable is asked for the bytes at the moment of sending, for figures that are known only then."""
    qos: Literal[0, 1] = 0
    retain: bool = False
    receipt: Receipt | None = None
    lane: Lane = "stream"

    def encoded(self) -> bytes:
        """Return the payload's bytes."""
        return self.payload if isinstance(self.payload, bytes) else self.payload()

    def count_sent(self, taken_s: float) -> None:
        """Count it as published, where that is counted, having been taken from the outbox at this moment."""
        if self.receipt is not None:
            self.receipt.sent(taken_s)

    def count_lost(self, reason: str) -> None:
        """Count it as dropped, where that is counted."""
        if self.receipt is not None:
            self.receipt.lost(reason)


class Received(NamedTuple):
    """What comes from the broker."""

    topic: str
    payload: bytes
    retained: bool
    """It is of the time before we asked for it."""


def state(topic: str, value: str | bytes) -> Message:
    """Return the message of a state: retained, and delivered at least once."""
    return Message(topic, value.encode() if isinstance(value, str) else value, qos=1, retain=True, lane="state")


def event(topic: str, payload: bytes, receipt: Receipt) -> Message:
    """Return the message of an event: delivered at least once."""
    return Message(topic, payload, qos=1, receipt=receipt, lane="events")


def picture(topic: str, jpeg: bytes) -> Message:
    """Return the message of a picture: a state, but a large one."""
    return Message(topic, jpeg, qos=1, retain=True, lane="pictures")
