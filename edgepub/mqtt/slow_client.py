"""The slow path: one message at a time, through aiomqtt's public API."""

import asyncio
import functools
import math
from collections.abc import AsyncIterator
from typing import Any

import aiomqtt
from paho.mqtt.properties import Properties

from edgepub.core.errors import MessageRejectedError
from edgepub.mqtt.client import Client
from edgepub.mqtt.messages import Message, OnDone
from edgepub.mqtt.paho_log import PahoLog
from edgepub.mqtt.protocol import check_acknowledgement, publish_properties

_publish_properties = functools.lru_cache(maxsize=1024)(publish_properties)


class SlowClient(Client):
    """A client that is correct with any aiomqtt 2, whatever its private parts.

    One message of QoS 1 in flight is what every broker takes, and then its acknowledgement needs no bookkeeping.

    What the fast path does and this does not: a picture that takes longer than the keep-alive ends the session, a
    message from the broker that paho cannot parse ends it too, a message of any size is read into memory (MQTT 3.1.1),
    and a WebSocket's handshake has no time limit. If the paho client is not where it was, a broker's refusal of a
    message (MQTT 5) is taken for an acknowledgement, and its maximum packet size is unknown.

    Args:
        mqtt: the client of aiomqtt, not connected; `log` is its logger.
        log: the log of paho.
        on_done: as in `Client`.

    """

    max_in_flight = 1

    def __init__(self, mqtt: aiomqtt.Client, log: PahoLog, on_done: OnDone) -> None:
        super().__init__(mqtt, log, on_done)
        self._sending: set[asyncio.Task[None]] = set()
        self._acknowledgement: Any = None  # the reason code of the last one
        self._is_writing = False
        if self._paho:
            self._add_callback("on_publish", self._on_publish)

    async def close(self) -> None:
        """Disconnect, within a second."""
        for task in self._sending:
            task.cancel()
        await super().close()

    def properties(self, message: Message) -> Properties:
        """Return the properties of a message (MQTT 5)."""
        return _publish_properties(message.payload_format, message.expiry_s)

    def send(self, message: Message, payload: bytes, properties: Properties | None) -> None:
        """Start a task that sends a message; errors as in `Client`."""
        task = asyncio.create_task(self._send(message, payload, properties), name="broker-publish")
        self._sending.add(task)
        task.add_done_callback(self._sending.discard)

    async def publish(self, message: Message, payload: bytes, properties: Properties | None) -> None:
        """Send a message and wait until it is done; errors as in `Client`, and after the timeout of aiomqtt."""
        await self._publish(message, payload, properties, self.mqtt.timeout)

    async def ping(self) -> None:
        """Return immediately: the public API has no ping."""

    async def messages(self) -> AsyncIterator[aiomqtt.Message]:
        """Yield each message from the broker; errors as in `Client`."""
        while True:
            yield await self._unless_lost(anext(self.mqtt.messages))

    async def _publish(self, message: Message, payload: bytes, properties: Properties | None, timeout_s: float) -> None:
        qos, retain = self._flags(message)
        if qos:
            self._acknowledgement = None
        call = self.mqtt.publish(message.topic, payload, qos, retain, properties, timeout=timeout_s)
        try:
            await self._unless_lost(call)
        except ValueError as error:
            raise MessageRejectedError(str(error), "refused") from None
        if qos and self._acknowledgement is not None:
            check_acknowledgement(self._acknowledgement, message.topic)

    async def _send(self, message: Message, payload: bytes, properties: Properties | None) -> None:
        refusal = None
        try:
            await self._publish(message, payload, properties, math.inf)
        except MessageRejectedError as error:
            refusal = error
        except aiomqtt.MqttError as error:
            self._fail(error.__cause__ if isinstance(error.__cause__, aiomqtt.MqttError) else error)
            return
        self._on_done(message, refusal)

    def _on_publish(self, _client: object, _userdata: object, _mid: int, reason: Any, _properties: object) -> None:  # noqa: ANN401
        if not self._is_writing:  # else it is of QoS 0
            self._acknowledgement = reason

    def _write(self, _sock: Any) -> None:  # noqa: ANN401
        self._is_writing = True
        try:
            self._paho.loop_write()
        except Exception as error:  # noqa: BLE001  (paho's may be any; the session is over then)
            self._fail_by(error)
        self._is_writing = False
