"""Messages: topic, payload, QoS and retain, ready to send."""

from collections.abc import Callable
from typing import Literal, NamedTuple, Protocol

from edgepub.telemetry.metrics import CameraMetrics

Lane = Literal["announcements", "state", "durable", "pictures", "stream"]

STREAM_EXPIRY_S = 60
"""What is of the moment is of no use later: a broker need not keep it for a subscriber who is away (MQTT 5)."""


class PayloadFormat(NamedTuple):
    """What a payload is, for those who read MQTT 5."""

    content_type: str
    """A MIME type."""
    schema: str | None = None
    """The name and version of the payload's schema, in the user property `schema`."""


TEXT = PayloadFormat("text/plain;charset=utf-8")
JPEG = PayloadFormat("image/jpeg")
JSON = PayloadFormat("application/json")


def json_format(schema: str) -> PayloadFormat:
    """Return the form of a JSON payload."""
    return JSON._replace(schema=schema)


class Receipt(Protocol):
    """Whose message it is: what is counted when it leaves or is lost."""

    @property
    def queued_s(self) -> float:
        """When it was put into the outbox, on the monotonic clock; where that matters."""

    def count_sent(self, taken_s: float) -> None:
        """Count it as published, having been taken from the outbox at this moment."""

    def count_dropped(self, reason: str) -> None:
        """Count it as dropped."""


class DetectionsReceipt(NamedTuple):
    """The receipt of a detections message."""

    counts: CameraMetrics
    captured_s: float
    """When its frame was captured, on the monotonic clock."""
    queued_s: float

    def count_sent(self, taken_s: float) -> None:
        """Count it as published, and time it."""
        self.counts.count_published(self.captured_s, self.queued_s, taken_s)

    def count_dropped(self, reason: str) -> None:
        """Count it as dropped."""
        self.counts.count_dropped(reason)


class EventReceipt(NamedTuple):
    """The receipt of an event."""

    counts: CameraMetrics
    queued_s: float = 0.0

    def count_sent(self, taken_s: float) -> None:  # noqa: ARG002
        """Count it as published."""
        self.counts.count_event()

    def count_dropped(self, reason: str) -> None:
        """Count it as dropped."""
        self.counts.count_dropped(f"event_{reason}")


class PictureReceipt(NamedTuple):
    """The receipt of a snapshot."""

    counts: CameraMetrics
    queued_s: float = 0.0

    def count_sent(self, taken_s: float) -> None:
        """Count nothing: it was counted when it was made."""

    def count_dropped(self, reason: str) -> None:
        """Count it as dropped."""
        self.counts.count_dropped(f"snapshot_{reason}")


class Message(NamedTuple):
    """What is sent to the broker."""

    topic: str
    payload: bytes | Callable[[], bytes]
    """A callable is asked for the bytes at the moment of sending, for figures that are known only then."""
    qos: Literal[0, 1] = 0
    retain: bool = False
    receipt: Receipt | None = None
    lane: Lane = "stream"
    payload_format: PayloadFormat = TEXT
    expiry_s: int | None = None
    """For so long from the sending on anybody wants it; None: for ever."""
    created_s: float = 0.0
    """Of an event: when it was put into the outbox, in Unix seconds."""
    row: int = 0
    """Of an event: its place in the file of events."""

    def encoded(self) -> bytes:
        """Return the payload's bytes."""
        return self.payload if isinstance(self.payload, bytes) else self.payload()

    def count_sent(self, taken_s: float) -> None:
        """Count it as published, where that is counted, having been taken from the outbox at this moment."""
        if self.receipt is not None:
            self.receipt.count_sent(taken_s)

    def count_dropped(self, reason: str) -> None:
        """Count it as dropped, where that is counted."""
        if self.receipt is not None:
            self.receipt.count_dropped(reason)


class Received(NamedTuple):
    """What comes from the broker."""

    topic: str
    payload: bytes
    retained: bool
    """It is of the time before we asked for it."""


def state_message(topic: str, value: str | bytes, payload_format: PayloadFormat = TEXT) -> Message:
    """Return the message of a state: retained, and delivered at least once; an empty one takes the topic away."""
    encoded = value.encode() if isinstance(value, str) else value
    return Message(topic, encoded, qos=1, retain=True, lane="state", payload_format=payload_format)


def announcement_message(topic: str, payload: bytes) -> Message:
    """Return the message that tells others what there is; an empty one, that something is no more."""
    return Message(topic, payload, qos=1, retain=True, lane="announcements", payload_format=JSON)


def event_message(topic: str, payload: bytes, payload_format: PayloadFormat) -> Message:
    """Return the message of an event: written to disk first, and delivered at least once."""
    return Message(topic, payload, qos=1, lane="durable", payload_format=payload_format)


def picture_message(topic: str, jpeg: bytes, receipt: Receipt | None = None) -> Message:
    """Return the message of a picture: a state, but a large one."""
    return Message(topic, jpeg, qos=1, retain=True, receipt=receipt, lane="pictures", payload_format=JPEG)


def stream_message(
    topic: str, payload: bytes | Callable[[], bytes], payload_format: PayloadFormat, receipt: Receipt | None = None
) -> Message:
    """Return a message of the moment: what is not delivered soon may be dropped."""
    return Message(topic, payload, receipt=receipt, payload_format=payload_format, expiry_s=STREAM_EXPIRY_S)
