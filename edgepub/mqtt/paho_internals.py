"""All contact with the private parts of aiomqtt and paho, and the check that they are as expected.

Used by the fast path alone, `FastClient`. Others need `paho_of`, and work without what it returns.

aiomqtt 2.5:

- `Client._client`: the paho client. Its public callbacks provide what aiomqtt hides: the properties of CONNACK,
  the reason codes of PUBACK, and when there is something to write.
- `Client._disconnected`, a future: ends the iterator of messages, and with it the session, with an error of ours.

paho 2.2:

- `Client._out_packet`, a deque of dictionaries: what is not written yet. paho calls the kernel and sends a TCP segment
  for each. Several PUBLISH are joined here into one. `Client._packet_queue` fills it; the check calls it, and inspects
  the result.
- `Client._last_bytes_received` and `Client._ping_t`, times: paho measures the keep-alive by them. A large message on a
  slow link takes longer than that, and the ping waits behind it.
- `Client._send_pingreq`, a method: sends a ping before the keep-alive does. Its answer resets `Client._ping_t`.
- `Client._handle_publish`, a method: parses a message in `Client._in_packet`. paho refuses some that brokers pass on,
  as one with U+FEFF in a property, and ends the session over it: again in each session, if the message is retained.
  The method is replaced by one that acknowledges such a message (`Client._send_puback`) and ignores it.
- `Client._sock_recv`, a method: reads from the socket what is added to `Client._in_packet`. It is replaced by one that
  keeps the beginning of a message alone if that is larger than allowed. Both are in `edgepub.mqtt.paho_incoming`.
- `Client._sock_close`, a method: closes the socket without a DISCONNECT. aiomqtt leaves the socket open when a session
  breaks or a goodbye fails; the broker would know two of us after the next connect.
- `Client._create_socket`, a method: opens the connection, with a handshake of WebSockets without a time limit. It is
  replaced for these, by what it is made of: `_create_socket_connection`, `_ssl_wrap_socket` and `_WebsocketWrapper`.
- `Properties.pack`, a method: packs the properties of each message again, although most of them are the same.
"""

import asyncio
import functools
import logging
import socket
import time
from collections import deque
from collections.abc import Sequence
from importlib.metadata import version
from typing import Any

import aiomqtt
import paho.mqtt.client as paho
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from edgepub.mqtt.messages import Message, PayloadFormat
from edgepub.mqtt.paho_incoming import OnIgnored, PahoIncoming
from edgepub.mqtt.protocol import publish_properties
from edgepub.mqtt.websocket import shake_hands

_EXPECTED_VERSIONS = {"aiomqtt": "2.5.", "paho-mqtt": "2.2."}
_PACKET_KEYS = {"command", "qos", "to_process", "packet"}
_INCOMING_KEYS = {"command", "have_remaining", "remaining_length", "packet"}
_MAX_JOINED_BYTES = 16_384
_MESSAGES = "edgepub_messages"
"""The key in a packet for the messages of QoS 0 in it: paho would make three objects to report that one was written."""
_CREATE_SOCKET = ("create_socket", "create_socket_connection", "ssl_wrap_socket")
_PahoWebSocket: Any = getattr(paho, "_WebsocketWrapper", object)
_log = logging.getLogger(__name__)


class _WebSocket(_PahoWebSocket):  # type: ignore[misc]
    """A WebSocket of paho, with another handshake."""

    def __init__(self, sock: socket.socket, host: str, port: int, is_ssl: bool, target: str, timeout_s: float) -> None:
        self._timeout_s = timeout_s
        super().__init__(socket=sock, host=host, port=port, is_ssl=is_ssl, path=target, extra_headers=None)

    def _do_handshake(self, _headers: object) -> None:
        scheme = "https" if self._ssl else "http"
        shake_hands(self._socket, scheme, self._host, self._port, self._path, self._timeout_s)
        self.connected = True


class PackedProperties(Properties):
    """Properties that were packed once, for many messages."""

    packed: bytes

    def __init__(self, packed: bytes) -> None:
        object.__setattr__(self, "packed", packed)  # paho's own method allows only properties

    def pack(self) -> bytes:
        """Return them as they are sent."""
        return self.packed


@functools.lru_cache(maxsize=1024)
def packed_publish_properties(payload_format: PayloadFormat, expiry_s: int | None) -> PackedProperties:
    """Return the properties of a PUBLISH, packed."""
    return PackedProperties(publish_properties(payload_format, expiry_s).pack())  # type: ignore[no-untyped-call]


def paho_of(client: aiomqtt.Client) -> Any:  # noqa: ANN401
    """Return the paho client of an aiomqtt client, for its public callbacks; None if it is not where it was."""
    inner = getattr(client, "_client", None)
    return inner if isinstance(inner, paho.Client) else None


def retrieve_errors(client: aiomqtt.Client) -> None:
    """Retrieve the errors that aiomqtt's futures will have; asyncio logs one that nothing retrieves, with a traceback.

    aiomqtt retrieves them only while it waits for a message or for CONNACK.
    """
    for name in ("_connected", "_disconnected"):
        if isinstance(future := getattr(client, name, None), asyncio.Future):
            future.add_done_callback(lambda done: done.cancelled() or done.exception())


@functools.cache
def is_fast_path_possible() -> bool:
    """Return whether the private parts are as expected; log what is not. Checked once; in an event loop."""
    if differences := find_differences(aiomqtt.Client("localhost")):  # it is never connected
        text = "MQTT: unexpected %s: messages are published one at a time, which is slower"
        _log.warning(text, ", ".join(differences))
    return not differences


def find_differences(client: aiomqtt.Client) -> Sequence[str]:
    """Return the names of the private parts of a client that are not as expected."""
    inner = paho_of(client)
    is_expected = {
        **{f"{name} {version(name)}": version(name).startswith(begin) for name, begin in _EXPECTED_VERSIONS.items()},
        "aiomqtt.Client._client": inner is not None,
        "aiomqtt.Client._disconnected": hasattr(getattr(client, "_disconnected", None), "set_exception"),
        "paho.Client._out_packet": _has_packets(inner),
        "paho.Client._last_bytes_received": isinstance(getattr(inner, "_last_bytes_received", None), float),
        "paho.Client._ping_t": isinstance(getattr(inner, "_ping_t", None), float),
        "paho.Client._handle_publish": callable(getattr(inner, "_handle_publish", None)),
        "paho.Client._in_packet": _has_incoming(inner),
        "paho.Client._sock_recv": callable(getattr(inner, "_sock_recv", None)),
        "paho.Client._send_puback": callable(getattr(inner, "_send_puback", None)),
        "paho.Client._send_pingreq": callable(getattr(inner, "_send_pingreq", None)),
        "paho.Client._sock_close": callable(getattr(inner, "_sock_close", None)),
        "paho.Client._create_socket": _has_websockets(inner),
        "paho.Properties.pack": callable(getattr(Properties, "pack", None)),
    }
    return [name for name, is_right in is_expected.items() if not is_right]


def _has_websockets(inner: Any) -> bool:  # noqa: ANN401
    """Return whether WebSockets are made of the parts that `limit_handshake` puts together."""
    return (
        callable(getattr(_PahoWebSocket, "_do_handshake", None))
        and all(hasattr(inner, name) for name in ("transport", "host", "port", "_ssl", "_websocket_path"))
        and all(callable(getattr(inner, f"_{name}", None)) for name in _CREATE_SOCKET)
    )


def _has_incoming(inner: Any) -> bool:  # noqa: ANN401
    """Return whether the packet that is being received is where it was."""
    packet = getattr(inner, "_in_packet", {})
    return packet.keys() >= _INCOMING_KEYS and isinstance(packet["packet"], bytearray)


def _has_packets(inner: Any) -> bool:  # noqa: ANN401
    """Return whether the packets that a client which is not connected is to write are where they were."""
    try:
        inner._packet_queue(PacketTypes.DISCONNECT << 4, b"packet", 0, 0)
        packet = inner._out_packet.pop()
        return isinstance(inner._out_packet, deque) and packet.keys() >= _PACKET_KEYS and packet["packet"] == b"packet"
    except Exception:  # noqa: BLE001  (another version of paho may raise anything)
        return False


class PahoInternals:
    """The private parts of one client, after the check that they are as expected.

    Args:
        client: of aiomqtt.

    """

    def __init__(self, client: aiomqtt.Client) -> None:
        self._client = client
        self._paho: Any = client._client
        self._has_unwritten = False

    @property
    def disconnected(self) -> asyncio.Future[None]:
        """The future of aiomqtt that is done when the session is over."""
        return self._client._disconnected

    def fail(self, error: Exception) -> None:
        """End the session with an error."""
        if not self.disconnected.done():
            self.disconnected.set_exception(error)

    def limit_incoming(self, max_bytes: int | None, on_ignored: OnIgnored) -> None:
        """Ignore messages from the broker that cannot be parsed, or are larger than allowed.

        Args:
            max_bytes: the largest packet; None: any size.
            on_ignored: called for each message that is ignored.

        """
        PahoIncoming(self._paho, max_bytes, on_ignored, self._extend_keep_alive).install()

    def close_socket(self) -> None:
        """Close the socket, if it is open."""
        self._paho._sock_close()

    def ping(self) -> None:
        """Send a ping."""
        self._paho._send_pingreq()

    @property
    def is_pinging(self) -> bool:
        """Whether the broker has not answered a ping yet."""
        return bool(self._paho._ping_t)

    def limit_handshake(self, timeout_s: float) -> None:
        """Limit the handshake of a WebSocket, which paho does while it connects."""
        inner = self._paho

        def create_socket() -> _WebSocket:
            sock = inner._create_socket_connection()
            try:
                if inner._ssl:
                    sock = inner._ssl_wrap_socket(sock)
                return _WebSocket(sock, inner.host, inner.port, inner._ssl, inner._websocket_path, timeout_s)
            except BaseException:
                sock.close()
                raise

        if inner.transport == "websockets":
            inner._create_socket = create_socket

    def tag_last_packet(self, message: Message) -> None:
        """Attach a message of QoS 0, which was given to paho just now, to its packet."""
        packet = self._paho._out_packet[-1]
        packet[_MESSAGES] = [message]
        packet["qos"] = 1  # for which paho waits for PUBACK, and tells nothing after writing

    def write(self) -> list[Message]:
        """Write as much as the socket takes; return the messages of QoS 0 that are written."""
        packets = self._paho._out_packet
        if self._has_unwritten:
            self._extend_keep_alive()
        _join(packets)
        before = list(packets)
        try:
            self._paho.loop_write()
        except Exception as error:  # noqa: BLE001  (paho's may be any; the session is over then)
            self.fail(error)
        self._has_unwritten = bool(packets)
        written = before[: len(before) - len(packets)]
        return [message for packet in written for message in packet.get(_MESSAGES, ())]

    def _extend_keep_alive(self) -> None:
        """Restart the keep-alive: the socket takes or has more of something large, so the broker is there.

        The ping waits behind a picture that takes a slow link longer than the keep-alive, or its answer behind a large
        message from the broker.
        """
        now_s = time.monotonic()
        self._paho._last_bytes_received = now_s
        if self._paho._ping_t:
            self._paho._ping_t = now_s


def _join(packets: deque[dict[str, Any]]) -> None:
    """Join neighbouring PUBLISH packets into few."""
    target: dict[str, Any] | None = None
    for _ in range(len(packets)):
        packet = packets.popleft()
        if packet["command"] >> 4 != PacketTypes.PUBLISH:
            target = None
        elif target and target["to_process"] + packet["to_process"] <= _MAX_JOINED_BYTES:
            target["packet"] += packet["packet"]
            target["to_process"] += packet["to_process"]
            if messages := packet.get(_MESSAGES):
                target.setdefault(_MESSAGES, []).extend(messages)
            continue
        else:
            target = packet
        packets.append(packet)
