"""The conversation with a page that watches a camera: it asks, and gets in one answer all that is new.

So a page that is slow, or stopped, gets less and is owed nothing. The protocol stands in docs/how-it-works.md.
WebSocket: RFC 6455, December 2011.
"""

import asyncio
import time
from contextlib import suppress
from math import inf
from typing import Any

import orjson
from aiohttp import WSCloseCode, WSMessage, WSMsgType, web

from edgepub.areas import Areas
from edgepub.http.answers import view_of
from edgepub.http.cameras import Screens, Served, View
from edgepub.http.connections import staying
from edgepub.http.history import Histories, History
from edgepub.http.screen import Picture, Screen

_MOST_FPS = 30
_MAX_WIDTH, _QUALITY = 1280, 80
_HEARTBEAT_S = 10.0
_GOODBYE_S = 0.2
_LONGEST_QUESTION_BYTES = 64
_FIGURES_S = 0.95  # at the pace of a second


class Live:
    """All conversations.

    Args:
        served: what there is.
        histories: how the cameras did.
        max_viewers: conversations at once.
        why_not: why zones cannot be saved; None: they can.

    """

    def __init__(self, served: Served, histories: Histories, max_viewers: int, why_not: str | None) -> None:
        self._served = served
        self._histories = histories
        self._max_viewers = max_viewers
        self._why_not = why_not
        self.screens = Screens(_MAX_WIDTH, _QUALITY, boxes=False)
        self._viewers: set[web.WebSocketResponse] = set()

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Talk with a page until it leaves, or the camera is gone."""
        name, view = view_of(request, self._served)
        socket = web.WebSocketResponse(
            timeout=_GOODBYE_S, heartbeat=_HEARTBEAT_S, compress=False, max_msg_size=_LONGEST_QUESTION_BYTES
        )
        await socket.prepare(request)
        if len(self._viewers) >= self._max_viewers:
            why = f"{self._max_viewers} pages are being watched already, and more are not allowed (http.max_viewers)"
            await socket.close(code=WSCloseCode.TRY_AGAIN_LATER, message=why.encode())
            return socket
        self._viewers.add(socket)
        goodbye = b""
        try:
            with (
                staying(request),
                self.screens.of(view.viewfinder) as screen,
                suppress(ConnectionError, TimeoutError),
            ):
                its = Conversation(name, self._served, screen, self._histories.of(name), self._why_not)
                goodbye = await self._talk(socket, its)
        finally:
            self._viewers.discard(socket)
        if goodbye:
            await socket.close(code=WSCloseCode.POLICY_VIOLATION, message=goodbye)
        return socket

    async def end(self, _: web.Application) -> None:
        """End all of them."""
        goodbyes = [each.close(code=WSCloseCode.GOING_AWAY, message=b"edgepub stops") for each in self._viewers]
        with suppress(TimeoutError):
            async with asyncio.timeout(2 * _GOODBYE_S):  # what a page has not read is in the way of its goodbye
                await asyncio.gather(*goodbyes, return_exceptions=True)

    async def _talk(self, socket: web.WebSocketResponse, its: "Conversation") -> bytes:
        """Answer until the page leaves; else return why that is all."""
        async for question in socket:
            fps = _wanted(question)
            if fps is None:
                return b"ask for 0 to 30 pictures a second"
            answer = await its.answer(fps)
            if answer is None:
                return b"this camera is there no more"
            news, picture = answer
            async with asyncio.timeout(_HEARTBEAT_S):  # or it is left, with what it did not read
                await socket.send_str(news.decode())
                if picture:
                    await socket.send_bytes(picture)
        return b""


class Conversation:
    """One of them: what the page knows already, and so what is new.

    Args:
        camera: its name.
        served: what there is.
        screen: makes the pictures.
        history: how the camera did.
        why_not: why zones cannot be saved; None: they can.

    """

    def __init__(self, camera: str, served: Served, screen: Screen, history: History, why_not: str | None) -> None:
        self._camera = camera
        self._served = served
        self._screen = screen
        self._history = history
        self._why_not = why_not
        self._picture: Picture | None = None
        self._events = 0
        self._point_at = -inf
        self._figures_s = -inf
        self._areas: tuple[Areas, bool] | None = None

    async def answer(self, fps: int) -> tuple[bytes, bytes | None] | None:
        """Wait until there is anything new, and return it as JSON, with a picture if that is; None: the camera is gone.

        Args:
            fps: how many pictures a second the page wants, 0 to 30.

        """
        period_s = 1 / (fps or 1)
        while True:
            if self._areas is not None:
                # All who want as many look at the same moments: so one picture is for all.
                await asyncio.sleep(period_s - time.monotonic() % period_s)
            view = self._served.views.get(self._camera)
            if view is None:
                return None
            picture = await self._screen.picture(period_s / 2) if fps else None
            news = self._news(view)
            if picture is not None and picture is not self._picture:
                self._picture = picture
                frame, objects = picture.seen
                height, width = frame.image.shape[:2]
                size = {"number": frame.number, "timestamp": frame.timestamp, "width": width, "height": height}
                news["frame"] = {**size, "detections": objects}
            if news:
                condition = self._served.condition.cameras[self._camera]
                how = {"status": condition.status, "fault": condition.fault, "settings": view.controls.values}
                return orjson.dumps({**how, **news}), picture.jpeg if picture and "frame" in news else None

    def _news(self, view: View) -> dict[str, Any]:
        news: dict[str, Any] = {}
        events, self._events = view.viewfinder.events(self._events)
        if events:
            news["events"] = events
        if points := self._history.points(self._point_at):
            self._point_at = points[-1].at
            news["history"] = [point._asdict() for point in points]
        now_s = time.monotonic()
        if now_s - self._figures_s >= _FIGURES_S:
            self._figures_s = now_s
            if figures := self._history.figures:
                news["figures"] = figures._asdict()
        areas = view.settings.areas, self._served.editor.has_saved(self._camera)
        if areas != self._areas:
            if self._areas is None:
                news["camera"] = self._about(view)
            self._areas = areas
            news["areas"] = areas_json(*areas)
        return news

    def _about(self, view: View) -> dict[str, Any]:
        return {
            "name": self._camera,
            "node": self._served.node,
            "labels": view.settings.labels,
            "tracking": view.settings.tracking,
            "may_edit": self._why_not is None,
            "why_not": self._why_not,
        }


def areas_json(areas: Areas, is_saved: bool) -> dict[str, Any]:
    """Return zones and lines as a page gets them: in the configuration's form, and whether they are saved ones."""
    return {**areas.model_dump(mode="json", by_alias=True), "saved": is_saved}


def _wanted(question: WSMessage) -> int | None:
    """Return how many pictures a second are wanted; None: the question is none."""
    if question.type is not WSMsgType.TEXT or not question.data.isascii() or not question.data.isdecimal():
        return None
    fps = int(question.data)
    return fps if fps <= _MOST_FPS else None
