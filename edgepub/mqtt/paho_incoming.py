"""Messages from the broker that are not passed on: paho cannot parse them, or they are larger than allowed.

Part of `edgepub.mqtt.paho_internals`, which lists the private parts of paho that are used here.
"""

from collections.abc import Callable
from typing import Any

from paho.mqtt.packettypes import PacketTypes

from edgepub.core.redaction import redact_line

_MAX_READ_BYTES = 65_536
_HEAD_BYTES = 2 + 65_535 + 2
"""The topic with its length, and the packet identifier, are within these (MQTT 5.0, 3.3.2)."""

OnIgnored = Callable[[str, str], None]
"""Takes the topic of a message that is ignored, and the reason."""


class _Head(bytearray):
    """The beginning of a packet. The rest is not kept."""

    def __iadd__(self, data: Any, /) -> "_Head":  # type: ignore[misc]  # noqa: ANN401
        self.extend(data[: max(0, _HEAD_BYTES - len(self))])
        return self


class PahoIncoming:
    """Takes the place of two methods of paho: the one that reads, and the one that parses a message.

    paho would keep each packet until it has all of it, with MQTT 3.1.1 up to 256 MB, several times.

    Args:
        inner: the paho client.
        max_bytes: the largest packet; None: any size.
        on_ignored: called for each message that is ignored.
        on_progress: called while a packet that is too large comes in.

    """

    def __init__(
        self,
        inner: Any,  # noqa: ANN401
        max_bytes: int | None,
        on_ignored: OnIgnored,
        on_progress: Callable[[], None],
    ) -> None:
        self._paho = inner
        self._max_bytes = max_bytes
        self._on_ignored = on_ignored
        self._on_progress = on_progress
        self._receive = inner._sock_recv
        self._handle_publish = inner._handle_publish

    def install(self) -> None:
        """Replace the methods."""
        self._paho._handle_publish = self._handle
        if self._max_bytes is None:
            return
        limit, receive, receive_large = self._max_bytes, self._receive, self._receive_large

        def receive_limited(max_bytes: int) -> Any:  # noqa: ANN401
            # paho asks for all that is left of a packet. There are three such calls for each acknowledgement.
            return receive(max_bytes) if max_bytes <= limit else receive_large(max_bytes)

        self._paho._sock_recv = receive_limited

    def _receive_large(self, max_bytes: int) -> bytes:
        """Read a part of a message that is too large, and have little of it kept.

        Raises:
            ValueError: a packet is too large and not a message. There is no reason for one.

        """
        packet = self._paho._in_packet
        if packet["command"] >> 4 != PacketTypes.PUBLISH:
            raise ValueError(f"it has {packet['remaining_length']} bytes and is not a message")
        if not packet["packet"]:
            packet["packet"] = _Head()
        self._on_progress()
        return bytes(self._receive(min(max_bytes, _MAX_READ_BYTES)))

    def _handle(self) -> int:
        """Pass a message on; acknowledge and ignore it if it is too large, or paho cannot parse it."""
        size_bytes = self._paho._in_packet["remaining_length"]
        if self._max_bytes is not None and size_bytes > self._max_bytes:
            return self._ignore(f"it has {size_bytes} bytes, and the limit is {self._max_bytes}")
        try:
            return int(self._handle_publish())
        except Exception as error:  # noqa: BLE001  (paho's may be any)
            return self._ignore(f"it cannot be read: {redact_line(error)}")

    def _ignore(self, reason: str) -> int:
        packet, command = self._paho._in_packet["packet"], self._paho._in_packet["command"]
        topic_end = 2 + int.from_bytes(packet[:2])
        self._on_ignored(packet[2:topic_end].decode(errors="replace"), reason)
        if command & 0x06:  # QoS 1: we ask for no higher one
            return int(self._paho._send_puback(int.from_bytes(packet[topic_end : topic_end + 2])))
        return 0
