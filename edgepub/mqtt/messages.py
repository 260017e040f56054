"""Messages: topic, payload, QoS and retain, ready to send."""

import time
from collections.abc import Callable
from typing import Literal, NamedTuple, Protocol

from edgepub.core.errors import MessageRejectedError
from edgepub.telemetry.metrics import CameraMetrics, MetricsByCamera

Lane = Literal["announcements", "state", "durable", "pictures", "stream"]

STREAM_EXPIRY_S = 60
"""Stream messages are useless later: a broker need not keep them for a subscriber who is away (MQTT 5)."""


class PayloadFormat(NamedTuple):
    """What a payload is, for subscribers that speak MQTT 5."""

    content_type: str
    """A MIME type."""
    schema: str | None = None
    """The name and version of the payload's schema; sent as the user property `schema`."""
    fields: str | None = None
    """Which of the schema's keys it has, if not all: `lean` or `list`; sent as the user property `fields`."""
    properties: tuple[tuple[str, str], ...] = ()
    """Further user properties."""


TEXT = PayloadFormat("text/plain;charset=utf-8")
JPEG = PayloadFormat("image/jpeg")
JSON = PayloadFormat("application/json")


def json_format(schema: str) -> PayloadFormat:
    """Return the format of a JSON payload."""
    return JSON._replace(schema=schema)


class Receipt(Protocol):
    """Counts a message when it is sent or dropped."""

    @property
    def queued_s(self) -> float:
        """When the message was put into the outbox, in monotonic seconds; 0 if the receipt does not use it."""

    def count_sent(self, taken_s: float) -> None:
        """Count the message as published; it was taken from the outbox at `taken_s` on the monotonic clock."""

    def count_dropped(self, reason: str, number: int = 1) -> None:
        """Count the message as dropped, or several of its kind."""


class DetectionsReceipt(NamedTuple):
    """The receipt of a detections message."""

    metrics: CameraMetrics
    captured_s: float
    """When its frame was captured, on the monotonic clock."""
    queued_s: float

    def count_sent(self, taken_s: float) -> None:
        """Count the message as published, and its delays."""
        self.metrics.count_published(self.captured_s, self.queued_s, taken_s)

    def count_dropped(self, reason: str, number: int = 1) -> None:
        """Count the message as dropped, or several of its kind."""
        self.metrics.count_dropped(reason, number)


class EventReceipt(NamedTuple):
    """The receipt of an event or a visit. It may be older than this run, and its camera not configured any more."""

    metrics: MetricsByCamera
    camera: str
    queued_s: float = 0.0
    is_visit: bool = False

    def count_sent(self, taken_s: float) -> None:  # noqa: ARG002
        """Count the event or the visit as published."""
        metrics = self.metrics.of(self.camera)
        if self.is_visit:
            metrics.count_visit()
        else:
            metrics.count_event()

    def count_dropped(self, reason: str, number: int = 1) -> None:
        """Count the message as dropped, or several of its kind. Visits wait beside events, and count as such here."""
        self.metrics.of(self.camera).count_dropped(f"event_{reason}", number)


class PictureReceipt(NamedTuple):
    """The receipt of a snapshot."""

    metrics: CameraMetrics
    queued_s: float = 0.0

    def count_sent(self, taken_s: float) -> None:
        """Count nothing: a snapshot is counted when it is made."""

    def count_dropped(self, reason: str, number: int = 1) -> None:
        """Count the message as dropped, or several of its kind."""
        self.metrics.count_dropped(f"snapshot_{reason}", number)


class Message(NamedTuple):
    """One message to the broker."""

    topic: str
    payload: bytes | Callable[[], bytes]
    """The bytes, or a function that returns them at the moment of sending, for figures that are known only then."""
    qos: Literal[0, 1] = 0
    retain: bool = False
    receipt: Receipt | None = None
    lane: Lane = "stream"
    payload_format: PayloadFormat = TEXT
    expiry_s: int | None = None
    """How many seconds after the sending the message is of use; None: without limit."""
    created_s: float = 0.0
    """When an event was put into the outbox, or when it was decided to make a picture; 0 for other messages. On the
    monotonic clock, because the wall clock may be wrong; negative if that was before the boot."""
    row: int = 0
    """The row of an event in the file of events; 0 for other messages."""
    picture: tuple[str, float] | None = None
    """The topic of the picture that an event names, and the `created_s` of it; None: it names none."""

    def encoded(self) -> bytes:
        """Return the bytes of the payload."""
        return self.payload if isinstance(self.payload, bytes) else self.payload()

    def count_sent(self, taken_s: float) -> None:
        """Count the message as published, if it has a receipt; it was taken from the outbox at `taken_s`."""
        if self.receipt is not None:
            self.receipt.count_sent(taken_s)

    def count_dropped(self, reason: str) -> None:
        """Count the message as dropped, if it has a receipt."""
        if self.receipt is not None:
            self.receipt.count_dropped(reason)


class Received(NamedTuple):
    """One message from the broker."""

    topic: str
    payload: bytes
    retained: bool
    """Whether the broker kept it from before the subscription."""


def state_message(topic: str, value: str | bytes, payload_format: PayloadFormat = TEXT) -> Message:
    """Return a state message: retained, delivered at least once. An empty value clears the topic."""
    encoded = value.encode() if isinstance(value, str) else value
    return Message(topic, encoded, qos=1, retain=True, lane="state", payload_format=payload_format)


def announcement_message(topic: str, payload: bytes) -> Message:
    """Return an announcement of what exists. An empty payload says that it no longer exists."""
    return Message(topic, payload, qos=1, retain=True, lane="announcements", payload_format=JSON)


def event_message(
    topic: str, payload: bytes, payload_format: PayloadFormat, picture: tuple[str, float] | None = None
) -> Message:
    """Return an event message: written to disk first, delivered at least once.

    Args:
        topic: the topic.
        payload: the payload.
        payload_format: what the payload is.
        picture: the topic of a picture that goes first, if that is soon, and its `created_s`.

    """
    return Message(topic, payload, qos=1, lane="durable", payload_format=payload_format, picture=picture)


def picture_message(
    topic: str,
    jpeg: bytes,
    receipt: Receipt | None = None,
    payload_format: PayloadFormat = JPEG,
    created_s: float | None = None,
) -> Message:
    """Return a picture message: a large state. An empty one takes the picture away.

    Args:
        topic: the topic.
        jpeg: the picture.
        receipt: counts it.
        payload_format: what the payload is.
        created_s: when it was decided to make it, on the monotonic clock; None: now.

    """
    created_s = time.monotonic() if created_s is None else created_s
    message = Message(topic, jpeg, qos=1, retain=True, receipt=receipt, lane="pictures", created_s=created_s)
    return message._replace(payload_format=payload_format)


def stream_message(
    topic: str, payload: bytes | Callable[[], bytes], payload_format: PayloadFormat, receipt: Receipt | None = None
) -> Message:
    """Return a stream message: it may be dropped if it is not delivered soon."""
    return Message(topic, payload, receipt=receipt, payload_format=payload_format, expiry_s=STREAM_EXPIRY_S)


OnDone = Callable[[Message, MessageRejectedError | None], None]
"""Takes a message that is done, and the reason if the broker does not take it."""
