"""A connection that the broker has accepted."""

from collections.abc import AsyncIterator

import aiomqtt

from edgepub.core.errors import (
    BrokerError,
    BrokerRefusedError,
    ConnectionLostError,
    MessageRejectedError,
    SubscriptionRefusedError,
)
from edgepub.core.redaction import redact_line
from edgepub.mqtt.client import Client
from edgepub.mqtt.messages import Message, Received
from edgepub.mqtt.protocol import (
    LOST,
    TAKEN_OVER,
    UNSPECIFIED_ERROR,
    UNWANTED,
    describe_error,
    is_over_message,
    reason_code,
)

_MAX_HEADER_BYTES = 9  # of a PUBLISH, without topic, properties and payload (MQTT 5.0, 3.3)


class Session:
    """What can be done with a connection.

    Attributes:
        version: the MQTT version spoken, `5` or `3.1.1`.
        window: how many messages of QoS 1 may be in flight.
        limits: what the broker takes.

    """

    def __init__(self, client: Client, version: str) -> None:
        self._client = client
        self.version = version
        self.limits = client.limits
        self.window = min(client.max_in_flight, client.granted("ReceiveMaximum", client.max_in_flight))
        self._properties = client.properties if version == "5" else _no_properties
        self._max_packet_bytes = client.granted("MaximumPacketSize", 0)

    def send(self, message: Message) -> None:
        """Start to send a message. It is done when the socket has taken it (QoS 0) or the broker (QoS 1).

        Raises:
            BrokerError: the connection is broken.
            MessageRejectedError: the message is larger than the broker allows, or its topic is not valid.

        """
        payload, properties = message.encoded(), self._properties(message)
        if self._max_packet_bytes:
            packed = properties.pack() if properties else b""  # type: ignore[no-untyped-call]
            size = _MAX_HEADER_BYTES + len(message.topic.encode()) + len(packed) + len(payload)
            if size > self._max_packet_bytes:
                text = f"{size} bytes are more than the broker's limit of {self._max_packet_bytes}"
                raise MessageRejectedError(text, "too_large")
        try:
            self._client.send(message, payload, properties)
        except aiomqtt.MqttError as error:
            raise self._session_error(error) from None

    async def publish(self, message: Message) -> None:
        """Send a message of QoS 1, and wait until the broker has acknowledged it.

        Raises:
            BrokerError: the connection is broken.
            MessageRejectedError: the broker refuses the message.

        """
        try:
            await self._client.publish(message, message.encoded(), self._properties(message))
        except aiomqtt.MqttError as error:
            raise self._session_error(error) from None

    async def ping(self) -> None:
        """Return when the broker has read all that was sent before, or immediately if that cannot be known."""
        await self._client.ping()

    async def subscribe(self, topic: str) -> None:
        """Subscribe to a topic, wildcards allowed, at QoS 1.

        Raises:
            BrokerError: the connection is broken.
            SubscriptionRefusedError: the broker refuses the subscription, or does not answer.

        """
        try:
            reason_codes = await self._client.subscribe(topic)
        except aiomqtt.MqttError as error:
            if isinstance(error.__context__, TimeoutError):
                raise SubscriptionRefusedError(f"the broker does not answer the subscription to {topic}") from None
            raise self._session_error(error) from None
        if any(getattr(code, "value", code) >= UNSPECIFIED_ERROR for code in reason_codes):
            raise SubscriptionRefusedError(f"the broker refuses the subscription to {topic}: {reason_codes[0]}")

    async def unsubscribe(self, topic: str) -> None:
        """End a subscription.

        Raises:
            BrokerError: the connection is broken.

        """
        try:
            await self._client.unsubscribe(topic)
        except aiomqtt.MqttError as error:
            if isinstance(error.__context__, TimeoutError):  # the broker does not answer
                return
            raise self._session_error(error) from None

    async def messages(self) -> AsyncIterator[Received]:
        """Yield each message from the broker, until the connection ends.

        Raises:
            BrokerError: the connection is broken.
            BrokerRefusedError: the broker no longer accepts this client.

        """
        try:
            async for message in self._client.messages():
                yield Received(message.topic.value, bytes(message.payload), message.retain)
        except aiomqtt.MqttError as error:
            cause = error.__cause__
            if isinstance(cause, aiomqtt.MqttError):
                raise self._session_error(error) from None
            if cause is None or isinstance(cause, OSError):  # aiomqtt does not know why
                raise ConnectionLostError(LOST) from None
            raise BrokerError(f"{LOST}: a packet from the broker cannot be read: {redact_line(cause)}") from None

    def _session_error(self, error: aiomqtt.MqttError) -> BrokerError:
        """Return the error that says why the session is over."""
        cause = error.__cause__ if isinstance(error.__cause__, aiomqtt.MqttCodeError) else error
        code = reason_code(cause)
        if code == TAKEN_OVER:
            client_id = self._client.mqtt.identifier
            return BrokerRefusedError(
                f"another client has connected with the same id {client_id}: one of the two needs another id"
            )
        if code == UNSPECIFIED_ERROR:
            return ConnectionLostError(LOST)
        result = (BrokerRefusedError if code in UNWANTED else BrokerError)(describe_error(error))
        result.is_over_message = is_over_message(code)
        return result


def _no_properties(_message: Message) -> None:
    """Return the properties of a message before MQTT 5."""
