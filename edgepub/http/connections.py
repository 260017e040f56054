"""HTTP for clients that need not be polite: whatever they do, it costs little, and for a short time only.

A page that is watched stays for longer; what that may cost is the work of ``edgepub.http.live``.
"""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from http import HTTPStatus
from typing import cast

from aiohttp import web

from edgepub.http.responses import said

_MOST = 32
"""Connections at once; for another one the oldest ends, so that many that say nothing keep nobody out."""
_LONGEST_S = 10.0
"""A connection's life, from the first byte of the request to the last of the answer."""
_LARGEST_BYTES = 65_536
"""Of what a client says; beside aiohttp's own bounds, for each header."""
_GRACE_S = 0.25
_log = logging.getLogger(__name__)
_NOWHERE = logging.Logger("aiohttp", logging.CRITICAL + 1)  # noqa: LOG001  (in no tree, where a level could be set)
"""For what aiohttp says of its clients: nobody here can mend them."""


@asynccontextmanager
async def serving(host: str, port: int, app: web.Application) -> AsyncIterator[None]:
    """Answer at an address, one request a connection; raise OSError if the address cannot be had.

    Args:
        host: an address of this box, or the one that stands for all.
        port: the port.
        app: makes the answers.

    """
    runner = web.AppRunner(app, shutdown_timeout=_GRACE_S)
    await runner.setup()
    server = cast("web.Server", runner.server)
    lives = _Lives()
    loop = asyncio.get_running_loop()
    try:
        listener = await loop.create_server(lambda: _Connection(server, lives, loop), host, port, backlog=_MOST)
        try:
            yield
        finally:
            listener.close()
            lives.end_all()
    finally:
        await runner.cleanup()


def stay(request: web.Request) -> None:
    """Let a request's connection live on, and say as much as it likes, until `leave`."""
    cast("_Connection", request.protocol).stay()


def leave(request: web.Request) -> None:
    """End a request's connection at once, with what it has not read."""
    if request.transport:
        request.transport.abort()


class _Lives:
    """The connections that there are, each with its end."""

    def __init__(self) -> None:
        self._ends: dict[asyncio.Transport, asyncio.TimerHandle] = {}

    def begin(self, transport: asyncio.Transport) -> None:
        if len(self._ends) >= _MOST:
            self.end(next(iter(self._ends)))
        self._ends[transport] = asyncio.get_running_loop().call_later(_LONGEST_S, self.end, transport)

    def end(self, transport: asyncio.Transport) -> None:
        self.ended(transport)
        transport.abort()  # to close it would be to wait for a client that does not read

    def ended(self, transport: asyncio.Transport) -> None:
        if timer := self._ends.pop(transport, None):
            timer.cancel()

    def end_all(self) -> None:
        for transport in list(self._ends):
            self.end(transport)


class _Connection(web.RequestHandler):
    """A connection, with its bounds."""

    def __init__(self, server: web.Server, lives: _Lives, loop: asyncio.AbstractEventLoop) -> None:
        # Nothing is read that no page asks for: what is still to come of a request ends with its connection.
        super().__init__(server, loop=loop, logger=_NOWHERE, access_log=_NOWHERE, lingering_time=0)
        self._lives = lives
        self._own: asyncio.Transport | None = None
        self._heard_bytes = 0
        self._is_bound = True

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._own = cast("asyncio.Transport", transport)
        self._lives.begin(self._own)
        super().connection_made(transport)

    def stay(self) -> None:
        """Live on without bounds."""
        self._is_bound = False
        if self._own:
            self._lives.ended(self._own)

    def connection_lost(self, exc: BaseException | None) -> None:
        if self._own:
            self._lives.ended(self._own)
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        self._heard_bytes += len(data)
        if self._is_bound and self._heard_bytes > _LARGEST_BYTES:
            self._end()
            return
        try:
            super().data_received(data)
        except ValueError:  # which aiohttp before 3.14 lets pass where a request names an address that is none
            self._end()

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,  # noqa: ARG002
    ) -> web.StreamResponse:
        """Answer without what is ours alone to know; of what is no HTTP, the log says nothing."""
        if isinstance(exc, ConnectionError):
            status = HTTPStatus.BAD_REQUEST  # the client has left in the middle of its request
        if "Expect" in request.headers and isinstance(exc, UnicodeEncodeError):
            status = HTTPStatus.EXPECTATION_FAILED  # which aiohttp could not quote
        if status != HTTPStatus.INTERNAL_SERVER_ERROR:
            return _finished(said(status, "this is no request that can be understood"))
        _log.error("http: %s: internal error, please report it", request.path, exc_info=exc)
        return _finished(said(status, "edgepub has made a mistake; its log says more"))

    def _end(self) -> None:
        if self._own:
            self._lives.end(self._own)


def _finished(response: web.StreamResponse) -> web.StreamResponse:
    response.headers["Server"] = "edgepub"
    response.headers["Cache-Control"] = "no-store"
    response.force_close()
    return response
