"""HTTP connections with strict limits: a misbehaving client costs little, and only for a short time.

A live page stays connected for longer; `edgepub.http.live` limits what that costs.
"""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from http import HTTPStatus
from typing import cast

from aiohttp import web

from edgepub.http.limits import HttpLimits
from edgepub.http.responses import text_response

_SHUTDOWN_TIMEOUT_S = 0.25
_log = logging.getLogger(__name__)
_DISCARD = logging.Logger("aiohttp", logging.CRITICAL + 1)  # noqa: LOG001  (in no tree, where a level could be set)
"""Discards aiohttp's messages about its clients: the operator of this node cannot fix those."""


@asynccontextmanager
async def listen_at(host: str, port: int, app: web.Application, limits: HttpLimits) -> AsyncIterator[None]:
    """Serve an application at an address, one request per connection.

    Args:
        host: an address of this computer, or `0.0.0.0` or `::` for all of them.
        port: the port.
        app: makes the responses.
        limits: limits of each connection and of their number.

    Raises:
        OSError: the address is not available.

    """
    runner = web.AppRunner(app, shutdown_timeout=_SHUTDOWN_TIMEOUT_S)
    await runner.setup()
    server = cast("web.Server", runner.server)
    connections = _ConnectionLimits(limits)
    loop = asyncio.get_running_loop()
    try:
        listener = await loop.create_server(
            lambda: _Connection(server, connections, limits.max_request_bytes, loop),
            host,
            port,
            backlog=limits.max_connections,
        )
        try:
            yield
        finally:
            listener.close()
            connections.abort_all()
    finally:
        await runner.cleanup()


def lift_limits(request: web.Request) -> None:
    """Lift the limits on time and bytes from a request's connection."""
    cast("_Connection", request.protocol).lift_limits()


def abort(request: web.Request) -> None:
    """Abort a request's connection. Discard what the client has not read."""
    if request.transport:
        request.transport.abort()


class _ConnectionLimits:
    """Limits the number of connections, and the lifetime of each."""

    def __init__(self, limits: HttpLimits) -> None:
        self._limits = limits
        self._timers: dict[asyncio.Transport, asyncio.TimerHandle] = {}

    def add(self, transport: asyncio.Transport) -> None:
        """Start the timer of a new connection. Abort the oldest connection if there are too many."""
        if len(self._timers) >= self._limits.max_connections:
            self.abort(next(iter(self._timers)))
        loop = asyncio.get_running_loop()
        self._timers[transport] = loop.call_later(self._limits.max_connection_s, self.abort, transport)

    def abort(self, transport: asyncio.Transport) -> None:
        self.remove(transport)
        transport.abort()  # close() would wait for a client that does not read

    def remove(self, transport: asyncio.Transport) -> None:
        """Forget a connection that has closed, or whose limits are lifted."""
        if timer := self._timers.pop(transport, None):
            timer.cancel()

    def abort_all(self) -> None:
        for transport in list(self._timers):
            self.abort(transport)


class _Connection(web.RequestHandler):
    """A connection within its limits."""

    def __init__(
        self,
        server: web.Server,
        connections: _ConnectionLimits,
        max_request_bytes: int,
        loop: asyncio.AbstractEventLoop,
    ) -> None:
        # lingering_time=0: the rest of a request that no handler reads is dropped with its connection.
        super().__init__(server, loop=loop, logger=_DISCARD, access_log=_DISCARD, lingering_time=0)
        self._connections = connections
        self._max_request_bytes = max_request_bytes
        self._own_transport: asyncio.Transport | None = None
        self._received_bytes = 0
        self._is_limited = True

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._own_transport = cast("asyncio.Transport", transport)
        self._connections.add(self._own_transport)
        super().connection_made(transport)

    def lift_limits(self) -> None:
        """Remove this connection's limits on time and bytes."""
        self._is_limited = False
        if self._own_transport:
            self._connections.remove(self._own_transport)

    def connection_lost(self, exc: BaseException | None) -> None:
        if self._own_transport:
            self._connections.remove(self._own_transport)
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        self._received_bytes += len(data)
        if self._is_limited and self._received_bytes > self._max_request_bytes:
            self._abort()
            return
        try:
            super().data_received(data)
        except ValueError:  # aiohttp before 3.14 raises it if the request's URL has an invalid address
            self._abort()

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,  # noqa: ARG002
    ) -> web.StreamResponse:
        """Respond to an error without internal details. Do not log invalid requests."""
        if isinstance(exc, ConnectionError):
            status = HTTPStatus.BAD_REQUEST  # the client disconnected in the middle of its request
        if "Expect" in request.headers and isinstance(exc, UnicodeEncodeError):
            status = HTTPStatus.EXPECTATION_FAILED  # aiohttp fails to quote such a header in its own response
        if status != HTTPStatus.INTERNAL_SERVER_ERROR:
            return _finish_response(text_response(status, "invalid HTTP request"))
        _log.error("http: %s: internal error, please report it", request.path, exc_info=exc)
        return _finish_response(text_response(status, "internal error; edgepub's log has the details"))

    def _abort(self) -> None:
        if self._own_transport:
            self._connections.abort(self._own_transport)


def _finish_response(response: web.StreamResponse) -> web.StreamResponse:
    response.headers["Server"] = "edgepub"
    response.headers["Cache-Control"] = "no-store"
    response.force_close()
    return response
