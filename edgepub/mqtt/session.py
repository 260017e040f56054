"""A connection that the broker has accepted."""

from collections.abc import AsyncIterator

import aiomqtt

from edgepub.core.errors import BrokerError, BrokerRefusedError, MessageRejectedError, SubscriptionRefusedError
from edgepub.mqtt.client import (
    FAILURES,
    TAKEN_OVER,
    UNWANTED,
    Client,
    PackedProperties,
    describe_error,
    publish_properties,
)
from edgepub.mqtt.messages import Message, Received

WINDOW = 64
"""Publishes under way at once, unless the broker takes fewer: several then share a turn of the event loop."""
_HEADER_BYTES = 9  # the most that a PUBLISH has beside topic, properties and payload (MQTT 5.0, 3.3)


class Session:
    """What can be done with a connection.

    Attributes:
        version: the MQTT version spoken, `5` or `3.1.1`.
        window: how many publishes may be under way at once.

    """

    def __init__(self, client: Client, version: str) -> None:
        self._client = client
        self.version = version
        self.window = min(WINDOW, client.granted("ReceiveMaximum", WINDOW))
        self._largest_bytes = client.granted("MaximumPacketSize", 0)

    def send(self, message: Message, key: int) -> None:
        """Begin to send a message. It is over when the socket has taken it (QoS 0) or the broker (QoS 1).

        Raises:
            BrokerError: the connection is broken.
            MessageRejectedError: it is larger than the broker wants.

        """
        payload, properties = message.encoded(), self._properties(message)
        if self._largest_bytes:
            packed = properties.packed if properties else b""
            size = _HEADER_BYTES + len(message.topic.encode()) + len(packed) + len(payload)
            if size > self._largest_bytes:
                text = f"it has {size} bytes, and the broker takes {self._largest_bytes}"
                raise MessageRejectedError(text, "too_large")
        try:
            self._client.begin(message, payload, properties, key)
        except aiomqtt.MqttError as error:
            raise _ended(error, self._client.identifier) from None

    async def publish(self, message: Message) -> None:
        """Send a message of QoS 1, and wait until the broker has it.

        Raises:
            BrokerError: the connection is broken.
            MessageRejectedError: the broker refuses it.

        """
        properties = self._properties(message)
        try:
            await self._client.publish_one(message, message.encoded(), properties)
        except aiomqtt.MqttError as error:
            raise _ended(error, self._client.identifier) from None

    async def subscribe(self, topic: str) -> None:
        """Ask for the messages of a topic, wildcards allowed, at QoS 1.

        Raises:
            BrokerError: the connection is broken.
            SubscriptionRefusedError: the broker says no.

        """
        try:
            answers = await self._client.subscribe(topic, qos=1)
        except aiomqtt.MqttError as error:
            raise _ended(error, self._client.identifier) from None
        if any(getattr(answer, "value", answer) >= FAILURES for answer in answers):
            raise SubscriptionRefusedError(f"the broker refuses the subscription to {topic}: {answers[0]}")

    async def messages(self) -> AsyncIterator[Received]:
        """Yield each message that comes, until the connection's end.

        Raises:
            BrokerError: the connection is broken.
            BrokerRefusedError: the broker does not want us any more.

        """
        try:
            async for message in self._client.messages:
                yield Received(message.topic.value, bytes(message.payload), message.retain)
        except aiomqtt.MqttError as error:
            raise _ended(error, self._client.identifier) from None

    def _properties(self, message: Message) -> PackedProperties | None:
        if self.version != "5":
            return None
        return publish_properties(message.payload_format.content_type, message.payload_format.schema, message.expiry_s)


def _ended(error: aiomqtt.MqttError, client_id: str) -> BrokerError:
    """Return what the end of a session means."""
    cause = error.__cause__ if isinstance(error.__cause__, aiomqtt.MqttCodeError) else error
    code = getattr(getattr(cause, "rc", None), "value", 0)
    if code == TAKEN_OVER:
        return BrokerRefusedError(
            f"another client has connected with our id {client_id}: one of the two needs another id"
        )
    return (BrokerRefusedError if code in UNWANTED else BrokerError)(describe_error(error))
