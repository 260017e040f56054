"""The fast path: many messages in flight, joined to few packets, without a task and an event for each.

Tasks and events cost more than the sending.
"""

import asyncio
import contextlib
import logging
import socket
from collections.abc import AsyncIterator
from typing import Any

import aiomqtt
from paho.mqtt.properties import Properties

from edgepub.core.errors import MessageRejectedError
from edgepub.mqtt.client import MAX_IN_FLIGHT, Client
from edgepub.mqtt.messages import Message, OnDone
from edgepub.mqtt.paho_internals import PackedProperties, PahoInternals, packed_publish_properties
from edgepub.mqtt.paho_log import PahoLog
from edgepub.mqtt.protocol import (
    LOST,
    UNSPECIFIED_ERROR,
    check_acknowledgement,
)

_PING_POLL_S = 0.1
_log = logging.getLogger(__name__)


class FastClient(Client):
    """A client that sends through paho's public API and socket callbacks, and through `PahoInternals`.

    Args:
        mqtt: the client of aiomqtt, not connected; its private parts are as expected.
        log: the log of paho.
        on_done: as in `Client`.
        max_received_bytes: the largest packet that is read; None: any size.
        broker: the broker's name, for the log.

    """

    max_in_flight = MAX_IN_FLIGHT

    def __init__(
        self, mqtt: aiomqtt.Client, log: PahoLog, on_done: OnDone, max_received_bytes: int | None, broker: str
    ) -> None:
        super().__init__(mqtt, log, on_done)
        self._broker = broker
        self._internals = PahoInternals(mqtt)
        self._unacknowledged: dict[int, Message | asyncio.Future[None]] = {}  # of QoS 1, by packet identifier
        self._paho.on_publish = self._on_puback
        self._internals.limit_incoming(max_received_bytes, self._log_ignored)

    async def open(self) -> None:
        """Connect, and wait for CONNACK; errors as in `Client`."""
        self._internals.limit_handshake(self.mqtt.timeout)
        await super().open()

    def properties(self, message: Message) -> PackedProperties:
        """Return the properties of a message (MQTT 5), packed."""
        return packed_publish_properties(message.payload_format, message.expiry_s)

    def send(self, message: Message, payload: bytes, properties: Properties | None) -> None:
        """Give a message to paho, which writes it in the next turn of the event loop; errors as in `Client`."""
        if packet_id := self._give_to_paho(message, payload, properties):
            self._unacknowledged[packet_id] = message
        else:
            self._internals.tag_last_packet(message)

    async def publish(self, message: Message, payload: bytes, properties: Properties | None) -> None:
        """Send a message of QoS 1 and wait until it is done; errors as in `Client`."""
        packet_id = self._give_to_paho(message, payload, properties)
        if not packet_id:
            return
        acknowledgement = self._unacknowledged[packet_id] = self._loop.create_future()
        disconnected = self._internals.disconnected
        try:
            await asyncio.wait([acknowledgement, disconnected], return_when=asyncio.FIRST_COMPLETED)
            if not acknowledgement.done():
                raise aiomqtt.MqttError(LOST) from disconnected.exception()
            acknowledgement.result()
        finally:
            acknowledgement.cancel()  # nothing would retrieve the reason of a later refusal

    async def ping(self) -> None:
        """Return when the broker has answered a ping, and so has read all that was sent before."""
        await self._wait_for_ping()  # the one of the keep-alive may have been sent earlier
        self._internals.ping()
        await self._wait_for_ping()

    def messages(self) -> AsyncIterator[aiomqtt.Message]:
        """Yield each message from the broker; errors as in `Client`."""
        return self.mqtt.messages

    async def _wait_for_ping(self) -> None:
        while self._internals.is_pinging:  # noqa: ASYNC110  (paho does not report the answer)
            await asyncio.sleep(_PING_POLL_S)

    def _give_to_paho(self, message: Message, payload: bytes, properties: Properties | None) -> int:
        """Return the packet identifier; 0 with QoS 0."""
        qos, retain = self._flags(message)
        try:
            info = self._paho.publish(message.topic, payload, qos, retain, properties)
        except ValueError as error:
            raise MessageRejectedError(str(error), "refused") from None
        if info.rc != 0:
            disconnected = self._internals.disconnected
            raise aiomqtt.MqttCodeError(info.rc) from disconnected.exception() if disconnected.done() else None
        return info.mid if qos else 0

    def _fail_by(self, error: Exception) -> None:
        self._internals.fail(error)

    def _close_socket(self) -> None:
        self._internals.close_socket()

    def _on_puback(self, _client: object, _userdata: object, packet_id: int, reason: Any, _properties: object) -> None:  # noqa: ANN401
        refusal = None
        pending = self._unacknowledged.pop(packet_id, None)
        if reason.value >= UNSPECIFIED_ERROR:
            try:
                check_acknowledgement(reason, pending.topic if isinstance(pending, Message) else "the last topic")
            except MessageRejectedError as error:
                refusal = error
            except aiomqtt.MqttError as error:
                self._internals.fail(error)
                return
        if isinstance(pending, Message):
            self._on_done(pending, refusal)
        elif pending and not pending.done():
            if refusal:
                pending.set_exception(refusal)
            else:
                pending.set_result(None)

    def _write(self, sock: Any) -> None:  # noqa: ANN401
        for message in self._internals.write():
            self._on_done(message, None)
        _acknowledge_immediately(sock)

    def _log_ignored(self, topic: str, reason: str) -> None:
        if topic:
            text = "broker %s: a message on %.200s is ignored: %s; if it is retained, clear it there"
            _log.warning(text, self._broker, topic, reason)
        else:
            _log.warning("broker %s: a message without a topic is ignored: %s", self._broker, reason)


def _acknowledge_immediately(sock: Any) -> None:  # noqa: ANN401
    """Make the kernel acknowledge the broker's next data without delay.

    A broker in its default state holds its second PUBACK back until the first is acknowledged (Nagle), and the kernel
    would wait 40 ms for data to acknowledge it with. The option must be set again each time (Linux, tcp(7),
    TCP_QUICKACK).
    """
    with contextlib.suppress(OSError, AttributeError):  # it is closed, or not TCP
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 1)
