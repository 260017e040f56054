"""Reads all that the broker has sent, in place of aiomqtt's callback, which reads once."""

import asyncio
import select
from collections.abc import Callable
from typing import Any

_MAX_READS = 100
"""Reads in one turn of the event loop."""


class SocketReader:
    """Reads from a socket until nothing is left.

    When data comes together with a reset, uvloop reports both as one event, and nothing after it. The reset would be
    noticed only at the next write, or by the keep-alive.

    Args:
        paho: the paho client.
        sock: its socket.
        on_error: called with an error of paho; the session is over then.

    """

    def __init__(self, paho: Any, sock: Any, on_error: Callable[[Exception], None]) -> None:  # noqa: ANN401
        self._paho = paho
        self._sock = sock
        self._on_error = on_error
        self._poll = select.poll()

    def start(self, loop: asyncio.AbstractEventLoop) -> None:
        """Read from now on; in the event loop."""
        if self._sock.fileno() < 0:  # it was closed meanwhile
            return
        self._poll.register(self._sock.fileno(), select.POLLIN)
        loop.add_reader(self._sock.fileno(), self._read, loop)

    def _read(self, loop: asyncio.AbstractEventLoop) -> None:
        try:
            for _ in range(_MAX_READS):
                self._paho.loop_read()
                if not self._has_more():
                    return
        except Exception as error:  # noqa: BLE001  (paho's may be any; the session is over then)
            self._on_error(error)
            return
        loop.call_soon(self._read, loop)

    def _has_more(self) -> bool:
        if self._sock.fileno() < 0:
            return False
        if hasattr(self._sock, "pending") and self._sock.pending():  # decoded by TLS, or of a WebSocket
            return True
        return bool(self._poll.poll(0))
