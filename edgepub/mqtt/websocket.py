"""The opening handshake of a WebSocket (RFC 6455, 4.1), in the thread that connects.

In place of paho's, which reads for as long as the server sends, and says nothing about a refusal.
"""

import base64
import hashlib
import os
import re
import socket
import time
from collections.abc import Mapping
from http import HTTPStatus

from edgepub.core.redaction import redact_line, url_origin

_MAX_RESPONSE_BYTES = 16_384
_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
_DEFAULT_PORTS = {"http": 80, "https": 443}


def shake_hands(sock: socket.socket, scheme: str, host: str, port: int, target: str, timeout_s: float) -> None:
    """Request a WebSocket for MQTT, and check the response.

    Args:
        sock: the connection to the server.
        scheme: `http`, or `https` with TLS.
        host: the server's name or address.
        port: its port.
        target: the path, and the query if there is one.
        timeout_s: how long all of this may take.

    Raises:
        OSError: the server does not answer in time, or refuses; one line with the reason.

    """
    end_s = time.monotonic() + timeout_s
    key = base64.b64encode(os.urandom(16))
    name = f"[{host}]" if ":" in host else host
    authority = name if port == _DEFAULT_PORTS[scheme] else f"{name}:{port}"
    lines = [
        f"GET {target} HTTP/1.1",
        f"Host: {authority}",
        "Upgrade: websocket",
        "Connection: Upgrade",
        f"Origin: {scheme}://{authority}",
        f"Sec-WebSocket-Key: {key.decode()}",
        "Sec-WebSocket-Version: 13",
        "Sec-WebSocket-Protocol: mqtt",
    ]
    try:
        sock.settimeout(timeout_s)
        sock.sendall("\r\n".join([*lines, "", ""]).encode())
        response = _read_response(sock, end_s)
    except TimeoutError:
        raise TimeoutError(f"the WebSocket handshake takes longer than {timeout_s:g} s") from None
    _check(response, target, base64.b64encode(hashlib.sha1(key + _GUID, usedforsecurity=False).digest()).decode())


def _read_response(sock: socket.socket, end_s: float) -> str:
    """Return the response up to the empty line, and read nothing beyond that."""
    response = bytearray()
    while not response.endswith((b"\r\n\r\n", b"\n\n")):
        if (left_s := end_s - time.monotonic()) <= 0:
            raise TimeoutError
        sock.settimeout(left_s)
        byte = sock.recv(1)
        if not byte:
            raise ConnectionError("the broker closes the connection during the WebSocket handshake")
        response += byte
        if len(response) > _MAX_RESPONSE_BYTES:
            raise ConnectionError("the answer to the WebSocket handshake is too long")
    return response.decode("latin-1")


def _check(response: str, target: str, accept: str) -> None:
    first, *lines = response.split("\n")
    if not (status := re.match(r"HTTP/1\.[01] (\d{3})\b", first)):
        raise ConnectionError("the answer to the WebSocket handshake is not HTTP: is there a WebSocket at this port?")
    fields = {name.strip().lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    if int(status[1]) != HTTPStatus.SWITCHING_PROTOCOLS:
        raise ConnectionError(_refusal(status[1], fields, target.partition("?")[0]))
    if fields.get("upgrade", "").lower() != "websocket" or fields.get("sec-websocket-accept") != accept:
        raise ConnectionError("the answer to the WebSocket handshake is wrong: this is no WebSocket")


def _refusal(status: str, fields: Mapping[str, str], path: str) -> str:
    if status.startswith("3") and "location" in fields:
        origin = redact_line(url_origin(fields["location"]))
        return f"the broker redirects the WebSocket to {origin} (HTTP {status}): set mqtt.url to the new address"
    return f"the broker refuses the WebSocket (HTTP {status}): check the path in mqtt.url, which is {path} now"
