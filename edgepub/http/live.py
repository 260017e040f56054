"""Pages that watch a camera: each asks, and gets in one answer all that is new.

So a page that is slow, or stopped, gets less and is owed nothing. The protocol stands in docs/how-it-works.md.
WebSocket: RFC 6455, December 2011.
"""

import asyncio
import logging
from contextlib import suppress

from aiohttp import WSCloseCode, WSMessage, WSMsgType, web

from edgepub.http.connections import leave, stay
from edgepub.http.context import HttpContext
from edgepub.http.conversation import Conversation
from edgepub.http.history import Histories
from edgepub.http.responses import view_of
from edgepub.http.screens import Screens

_MOST_FPS = 30
_MAX_WIDTH, _QUALITY = 1280, 80
_SILENT_S = 15.0
"""For so long a page may ask nothing; one that is shown asks all the time, one that is hidden every second."""
_READS_WITHIN_S = 10.0
_GOODBYE_S = 0.2
_LONGEST_QUESTION_BYTES = 64
_log = logging.getLogger(__name__)


class Live:
    """All conversations.

    Args:
        context: what there is.
        histories: how the cameras did.
        max_viewers: conversations at once.
        why_not: why zones cannot be saved; None: they can.

    """

    def __init__(self, context: HttpContext, histories: Histories, max_viewers: int, why_not: str | None) -> None:
        self._context = context
        self._histories = histories
        self._max_viewers = max_viewers
        self._why_not = why_not
        self._screens = Screens(_MAX_WIDTH, _QUALITY, boxes=False)
        self._viewers: set[web.WebSocketResponse] = set()

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Talk with a page until it leaves, or the camera is gone."""
        name, view = view_of(request, self._context)
        socket = web.WebSocketResponse(
            timeout=_GOODBYE_S, compress=False, autoping=False, max_msg_size=_LONGEST_QUESTION_BYTES
        )
        await socket.prepare(request)
        if len(self._viewers) >= self._max_viewers:
            why = f"{self._max_viewers} pages are being watched already, and more are not allowed (http.max_viewers)"
            await _close(socket, WSCloseCode.TRY_AGAIN_LATER, why)
            return socket
        stay(request)
        self._viewers.add(socket)
        try:
            with self._screens.of(view.viewfinder) as screen, suppress(ConnectionError, TimeoutError):
                its = Conversation(name, self._context, screen, self._histories.of(name), self._why_not)
                await _close(socket, *await _talk(socket, its))
        except Exception:  # an answer in HTTP would be nonsense here
            _log.exception("http: %s: internal error, please report it", request.path)
            await _close(socket, WSCloseCode.INTERNAL_ERROR, "edgepub has made a mistake; its log says more")
        finally:
            self._viewers.discard(socket)
            leave(request)
        return socket

    async def end(self, _: web.Application) -> None:
        """End all of them."""
        await asyncio.gather(*(_close(each, WSCloseCode.GOING_AWAY, "edgepub stops") for each in self._viewers))


async def _talk(socket: web.WebSocketResponse, its: Conversation) -> tuple[WSCloseCode, str]:
    """Answer what is asked; return why that is over, as a code and in words.

    Raises:
        TimeoutError: the page is silent, or does not read.

    """
    while True:
        async with asyncio.timeout(_SILENT_S):
            question = await _heard(socket)
        if question.type is not WSMsgType.TEXT and question.type is not WSMsgType.BINARY:
            return WSCloseCode.OK, ""
        fps = _wanted(question)
        if fps is None:
            return WSCloseCode.POLICY_VIOLATION, f"ask for 0 to {_MOST_FPS} pictures a second"
        answer = await its.answer(fps)
        if answer is None:
            return WSCloseCode.POLICY_VIOLATION, "this camera is there no more"
        news, picture = answer
        async with asyncio.timeout(_READS_WITHIN_S):  # or it is left, with what it did not read
            await socket.send_str(news.decode())
            if picture:
                await socket.send_bytes(picture)


async def _heard(socket: web.WebSocketResponse) -> WSMessage:
    """Return what a page says, but that it wants to know whether we are there."""
    while True:
        message = await socket.receive()
        if message.type is WSMsgType.PING:
            await socket.pong(message.data)
        elif message.type is not WSMsgType.PONG:
            return message


async def _close(socket: web.WebSocketResponse, code: WSCloseCode, why: str) -> None:
    """Say goodbye, and wait a moment for the page to say it, too."""
    with suppress(ConnectionError, TimeoutError):
        async with asyncio.timeout(2 * _GOODBYE_S):
            await socket.close(code=code, message=why.encode())


def _wanted(question: WSMessage) -> int | None:
    """Return how many pictures a second are wanted; None: the question is none."""
    if question.type is not WSMsgType.TEXT or not question.data.isascii() or not question.data.isdecimal():
        return None
    fps = int(question.data)
    return fps if fps <= _MOST_FPS else None
