"""Live pages: each page requests an update, and gets one response with everything new.

So a page that is slow or stopped gets fewer updates, and nothing is queued for it. docs/how-it-works.md describes the
protocol. WebSocket: RFC 6455, December 2011.
"""

import asyncio
import logging
from collections.abc import Callable
from contextlib import suppress

from aiohttp import WSCloseCode, WSMessage, WSMsgType, web

from edgepub.camera.viewfinder import Viewfinder
from edgepub.http.connections import abort, lift_limits
from edgepub.http.context import HttpContext
from edgepub.http.history import Histories
from edgepub.http.limits import HttpLimits
from edgepub.http.page_updates import PageUpdates
from edgepub.http.pictures import PictureEncoders
from edgepub.http.responses import find_camera

_MAX_FPS = 30
_JPEG_QUALITY = 80
_CLOSE_TIMEOUT_S = 0.2
_MAX_REQUEST_BYTES = 64
_log = logging.getLogger(__name__)


class LivePages:
    """Serves the WebSockets of all live pages.

    Args:
        context: the objects that updates are made from.
        histories: the recent rates and latencies of each camera.
        max_viewers: pages that can be open at the same time.
        read_only_reason: why areas cannot be saved; None if they can.
        is_allowed: returns whether a request is still allowed: its browser may have logged out.
        limits: timeouts, and the width of the pictures.

    """

    def __init__(
        self,
        context: HttpContext,
        histories: Histories,
        max_viewers: int,
        read_only_reason: str | None,
        is_allowed: Callable[[web.Request], bool],
        limits: HttpLimits,
    ) -> None:
        self._context = context
        self._histories = histories
        self._max_viewers = max_viewers
        self._read_only_reason = read_only_reason
        self._is_allowed = is_allowed
        self._limits = limits
        self._encoders = PictureEncoders(limits.live_max_width, _JPEG_QUALITY, boxes=False)
        self._sockets: set[web.WebSocketResponse] = set()

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Serve a page until it disconnects or its camera is removed."""
        name, view = find_camera(request, self._context)
        socket = web.WebSocketResponse(
            timeout=_CLOSE_TIMEOUT_S, compress=False, autoping=False, max_msg_size=_MAX_REQUEST_BYTES
        )
        await socket.prepare(request)
        if len(self._sockets) >= self._max_viewers:
            reason = f"too many live pages are open; the limit is {self._max_viewers} (http.max_viewers)"
            await _close(socket, WSCloseCode.TRY_AGAIN_LATER, reason)
            return socket
        lift_limits(request)
        self._sockets.add(socket)
        try:
            with self._encoders.watch(view.viewfinder) as encoder, suppress(ConnectionError, TimeoutError):
                history = self._histories.get(name)
                updates = PageUpdates(name, self._context, encoder, history, self._read_only_reason)
                await _close(socket, *await self._serve(request, socket, updates, view.viewfinder))
        except Exception:  # the WebSocket is open already: an HTTP response is no longer possible
            _log.exception("http: %s: internal error, please report it", request.path)
            await _close(socket, WSCloseCode.INTERNAL_ERROR, "internal error; edgepub's log has the details")
        finally:
            self._sockets.discard(socket)
            abort(request)
        return socket

    async def close(self, _: web.Application) -> None:
        """Close all WebSockets."""
        await asyncio.gather(
            *(_close(socket, WSCloseCode.GOING_AWAY, "edgepub is stopping") for socket in self._sockets)
        )

    async def _serve(
        self, request: web.Request, socket: web.WebSocketResponse, updates: PageUpdates, viewfinder: Viewfinder
    ) -> tuple[WSCloseCode, str]:
        """Respond to requests. Return the code and the reason to close with.

        Raises:
            TimeoutError: the page has sent no request, or has not read its update, in time.

        """
        while True:
            async with asyncio.timeout(self._limits.live_request_timeout_s):
                message = await _receive(socket)
            if message.type is not WSMsgType.TEXT and message.type is not WSMsgType.BINARY:
                return WSCloseCode.OK, ""
            fps = _parse_request(message)
            if fps is None:
                return WSCloseCode.POLICY_VIOLATION, f"request 0 to {_MAX_FPS} pictures per second"
            update = await updates.next(fps)
            if not self._is_allowed(request):
                return WSCloseCode.POLICY_VIOLATION, "logged out"
            if update is None:
                return WSCloseCode.POLICY_VIOLATION, "this camera was removed"
            text, picture = update
            # After the timeout the page is dropped, with what it has not read.
            async with asyncio.timeout(self._limits.live_send_timeout_s):
                await socket.send_str(text.decode())
                if picture and not viewfinder.shows_pixels:  # since a moment ago; the page waits for it
                    return WSCloseCode.SERVICE_RESTART, "pictures were switched off"
                if picture:
                    await socket.send_bytes(picture)


async def _receive(socket: web.WebSocketResponse) -> WSMessage:
    """Return the next message of a page. Answer its pings, which are not requests."""
    while True:
        message = await socket.receive()
        if message.type is WSMsgType.PING:
            await socket.pong(message.data)
        elif message.type is not WSMsgType.PONG:
            return message


async def _close(socket: web.WebSocketResponse, code: WSCloseCode, reason: str) -> None:
    """Close a WebSocket. Wait briefly for the page's own close."""
    with suppress(ConnectionError, TimeoutError):
        async with asyncio.timeout(2 * _CLOSE_TIMEOUT_S):
            await socket.close(code=code, message=reason.encode())


def _parse_request(message: WSMessage) -> int | None:
    """Return the number of pictures per second that a page wants; None if the request is invalid."""
    if message.type is not WSMsgType.TEXT or not message.data.isascii() or not message.data.isdecimal():
        return None
    fps = int(message.data)
    return fps if fps <= _MAX_FPS else None
