"""aiomqtt's client, and what paho knows that it keeps to itself."""

import asyncio
import contextlib
import functools
import logging
import re
import socket
import ssl
import time
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import aiomqtt
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from edgepub.core.errors import MessageRejectedError
from edgepub.core.redaction import redact_line
from edgepub.mqtt.messages import Message

if TYPE_CHECKING:
    from paho.mqtt.client import MQTTMessageInfo

# Reason codes (MQTT 5.0, 2.4), to which paho also turns those of MQTT 3.1.1.
FAILURES = 0x80  # and all above
UNSUPPORTED_VERSION = 0x84
KEEP_ALIVE_TIMEOUT = 0x8D
TAKEN_OVER = 0x8E
QUOTA_EXCEEDED = 0x97
UNWANTED = {0x85, 0x86, 0x87, 0x8A, 0x8C, TAKEN_OVER, 0x98, 0x9D}  # client id, password, rights, ban, method, moved

_GATHERED_BYTES = 16_384
_REFUSAL_S = 0.1
"""With TLS 1.3 a broker refuses us after the handshake (RFC 8446, 4.4.2.4), and its reason is lost if we write then."""
_NUMBER = "edgepub_number"  # of the messages of QoS 0 in a packet

LOST = "the connection is lost"
SILENT = "it gives no answer"

Done = Callable[[int, MessageRejectedError | None], None]
"""Takes the key of a message that is over, and the reason if the broker does not take it."""


class PackedProperties(Properties):
    """Properties that are packed once, for many messages."""

    packed: bytes

    def __init__(self, packed: bytes) -> None:
        object.__setattr__(self, "packed", packed)  # paho's own lets only properties be set

    def pack(self) -> bytes:
        """Return them as they are sent."""
        return self.packed


@functools.lru_cache(maxsize=1024)
def publish_properties(content_type: str, schema: str | None, expiry_s: int | None) -> PackedProperties:
    """Return the properties of a PUBLISH (MQTT 5.0, 3.3.2.3)."""
    properties: Any = Properties(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call]
    properties.ContentType = content_type
    if schema:
        properties.UserProperty = ("schema", schema)
    if expiry_s is not None:
        properties.MessageExpiryInterval = expiry_s
    return PackedProperties(properties.pack())


def connect_properties(maximum_packet_size: int) -> Properties:
    """Return the properties of a CONNECT (MQTT 5.0, 3.1.2.11)."""
    properties: Any = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]
    properties.MaximumPacketSize = maximum_packet_size
    return properties  # type: ignore[no-any-return]


class PahoLog(logging.Logger):
    """What paho says: nearly nothing of it is for us, but only here it tells why a connection was lost."""

    def __init__(self) -> None:
        super().__init__("edgepub.paho", logging.ERROR)
        self.lost_by: object = None

    def log(self, level: int, msg: object, *args: object, **_: Any) -> None:  # noqa: ANN401
        """Keep the reason of an error."""
        if level >= logging.ERROR:
            self.lost_by = args[-1] if args else msg


class Client(aiomqtt.Client):
    """An aiomqtt client that tells more: what CONNACK grants, an end before CONNACK, and the reason code of PUBACK.

    And `begin` sends without a task and an event for each message, which cost more than the sending.

    Args:
        done: called for each message that was begun, when it is over.
        options: of aiomqtt.

    """

    def __init__(self, done: Done, **options: Any) -> None:  # noqa: ANN401
        self.log = PahoLog()
        self._done = done
        self._granted: Properties | None = None
        self._keys: dict[int, int] = {}  # of QoS 1, by packet identifier
        self._awaited: dict[int, asyncio.Future[None]] = {}  # of `publish_one`
        self._blocked = False
        self._abandoned = False
        self._unwritten: deque[int] = deque()  # of QoS 0, their keys
        super().__init__(logger=self.log, **options)

    def be_quiet(self) -> None:
        """Log no more: paho would call the log for each message."""
        self._client.disable_logger()

    def granted(self, name: str, default: int) -> int:
        """Return a property of CONNACK."""
        return int(getattr(self._granted, name, default))

    def begin(self, message: Message, payload: bytes, properties: Properties | None, key: int) -> None:
        """Give a message to paho, which writes it in the next turn of the event loop.

        Raises:
            MqttError: the connection is broken.
            MessageRejectedError: the topic is none.

        """
        info = self._publish(message, payload, properties)
        if message.qos == 0:
            self._unwritten.append(key)
        else:
            self._keys[info.mid] = key

    async def publish_one(self, message: Message, payload: bytes, properties: Properties | None) -> None:
        """Send a message of QoS 1 and wait until the broker has it; raise as `begin`, or that it does not take it."""
        info = self._publish(message, payload, properties)
        answer = self._awaited[info.mid] = self._loop.create_future()
        await asyncio.wait([answer, self._disconnected], return_when=asyncio.FIRST_COMPLETED)
        if not answer.done():
            raise aiomqtt.MqttError(LOST) from self._disconnected.exception()
        answer.result()

    def _publish(self, message: Message, payload: bytes, properties: Properties | None) -> "MQTTMessageInfo":
        try:
            info = self._client.publish(message.topic, payload, message.qos, message.retain, properties)
        except ValueError as error:
            raise MessageRejectedError(str(error), "refused") from None
        if info.rc != 0:
            why = self._disconnected.exception() if self._disconnected.done() else None
            raise aiomqtt.MqttCodeError(info.rc, "Could not publish message") from why
        return info

    def cut(self) -> None:
        """Close the socket, if it is still open: aiomqtt leaves it so when a session breaks or a goodbye fails."""
        self._client._sock_close()  # noqa: SLF001

    def abandon(self) -> None:
        """Let nothing become of a connection that is being made: it would be a second one, with our last will."""
        self._abandoned = True
        with contextlib.suppress(OSError, ValueError):  # as far as it has come
            self._client.disconnect()  # which may follow CONNECT at once (MQTT 5.0, 3.1.4)
            self._client.loop_write()
        self.cut()

    def _on_socket_open(self, client: Any, userdata: Any, sock: Any) -> None:  # noqa: ANN401
        super()._on_socket_open(client, userdata, sock)
        if self._abandoned:  # in a thread that was still looking the broker's name up
            self._loop.call_soon_threadsafe(self.cut)

    def _on_connect(self, client: Any, userdata: Any, flags: Any, reason_code: Any, properties: Any = None) -> None:  # noqa: ANN401
        self._granted = properties
        super()._on_connect(client, userdata, flags, reason_code, properties)

    def _on_disconnect(self, client: Any, userdata: Any, flags: Any, reason_code: Any, properties: Any = None) -> None:  # noqa: ANN401
        if self._connected.cancelled():
            return
        if not self._connected.done():
            self._connected.set_exception(aiomqtt.MqttError(SILENT if reason_code == KEEP_ALIVE_TIMEOUT else LOST))
        super()._on_disconnect(client, userdata, flags, reason_code, properties)

    def _on_socket_register_write(self, client: Any, userdata: Any, sock: Any) -> None:  # noqa: ANN401, ARG002
        def write() -> None:
            packets = client._out_packet  # noqa: SLF001
            if self._blocked:
                _is_alive(client)
            _gather(packets)
            try:
                client.loop_write()
            except Exception as error:  # noqa: BLE001
                if not self._disconnected.done():
                    self._disconnected.set_exception(error)
            _acknowledge_at_once(sock)
            self._blocked = bool(packets)
            waiting = sum(packet.get(_NUMBER, 0) for packet in packets)
            while len(self._unwritten) > waiting:
                self._done(self._unwritten.popleft(), None)
            if self._blocked and sock.fileno() >= 0:  # it may be closed by now
                self._loop.add_writer(sock.fileno(), write)

        if isinstance(sock, ssl.SSLSocket) and not self._connected.done():
            self._loop.call_soon_threadsafe(self._loop.call_later, _REFUSAL_S, write)
        else:  # at once: a socket nearly always takes it, and to ask it first costs as much
            self._loop.call_soon_threadsafe(write)

    def _on_publish(self, client: Any, userdata: Any, mid: int, reason_code: Any, properties: Any) -> None:  # noqa: ANN401, ARG002
        if reason_code.value == QUOTA_EXCEEDED:  # it may take it later
            if not self._disconnected.done():
                self._disconnected.set_exception(aiomqtt.MqttCodeError(reason_code))
            return
        error = None
        if reason_code.value >= FAILURES:
            error = MessageRejectedError(f"the broker refuses it: {reason_code}", "refused")
        if (key := self._keys.pop(mid, None)) is not None:
            self._done(key, error)
        elif (answer := self._awaited.pop(mid, None)) and not answer.done():
            if error:
                answer.set_exception(error)
            else:
                answer.set_result(None)


def _gather(packets: deque[dict[str, Any]]) -> None:
    """Make few packets of the messages that paho is to write: for each it would call the kernel, and send a segment.

    And let it tell nobody that one of QoS 0 is written: it would make three objects to say so.
    """
    into: dict[str, Any] | None = None
    for _ in range(len(packets)):
        packet = packets.popleft()
        if packet["command"] >> 4 != PacketTypes.PUBLISH:
            into = None
        else:
            packet.setdefault(_NUMBER, 0 if packet["qos"] else 1)
            packet["qos"] = 1  # of which paho tells only with its PUBACK
            if into and into["to_process"] + packet["to_process"] <= _GATHERED_BYTES:
                for key in ("packet", "to_process", _NUMBER):
                    into[key] += packet[key]
                continue
            into = packet
        packets.append(packet)


def _is_alive(client: Any) -> None:  # noqa: ANN401
    """Let paho wait longer for a sign of life: the socket was full and takes more, so its other end has acknowledged.

    Its ping stands behind a picture that may take a slow link longer than the keep-alive, and no answer can come yet.
    """
    client._last_bytes_received = time.monotonic()  # noqa: SLF001
    if client._ping_t:  # noqa: SLF001
        client._ping_t = time.monotonic()  # noqa: SLF001


def _acknowledge_at_once(sock: Any) -> None:  # noqa: ANN401
    """Let the kernel acknowledge what the broker answers next.

    A broker in its default state holds its second PUBACK back until then (Nagle), and the kernel would wait 40 ms for
    something to acknowledge it with. It has to be asked again and again (Linux, tcp(7), TCP_QUICKACK).
    """
    with contextlib.suppress(OSError, AttributeError):  # it is closed, or no TCP
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 1)


def describe_error(error: object) -> str:
    """Return an error's text without the numbers in it that say nothing to a person."""
    cause = getattr(error, "__cause__", None)
    text = str(cause if isinstance(cause, aiomqtt.MqttError) else error)
    text = re.sub(r"^\[(code|SSL|X509|Errno)\b[^]]*\] |\s*\(_ssl\.c:\d+\)", "", text)
    return (
        LOST
        if text in {"Unspecified error", "Disconnected during message iteration"}
        else redact_line(text).rstrip(".")
    )
