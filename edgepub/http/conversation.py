"""What a page that watches a camera knows already, and so what is new to it."""

import asyncio
import json
import time
from math import inf
from typing import Any

import orjson

from edgepub.config.areas import Areas
from edgepub.http.context import CameraView, HttpContext
from edgepub.http.history import History
from edgepub.http.screens import Picture, Screen

_FIGURES_S = 0.95  # at the pace of a second


class Conversation:
    """With one page.

    Args:
        camera: its name.
        context: what there is.
        screen: makes the pictures.
        history: how the camera did.
        why_not: why zones cannot be saved; None: they can.

    """

    def __init__(
        self, camera: str, context: HttpContext, screen: Screen, history: History, why_not: str | None
    ) -> None:
        self._camera = camera
        self._context = context
        self._screen = screen
        self._history = history
        self._why_not = why_not
        self._picture: Picture | None = None
        self._events = 0
        self._points = 0
        self._figures_s = -inf
        self._answered_s = -inf
        self._areas: tuple[Areas, bool] | None = None
        self._about: dict[str, Any] | None = None

    async def answer(self, fps: int) -> tuple[bytes, bytes | None] | None:
        """Wait until there is anything new, and return it as JSON, with a picture if that is; None: the camera is gone.

        Args:
            fps: how many pictures a second the page wants, 0 to 30.

        """
        period_s = 1 / (fps or 1)
        is_due = time.monotonic() - self._answered_s >= period_s
        while True:
            if not is_due:
                # All who want as many look at the same moments: so one picture is for all.
                await asyncio.sleep(period_s - time.monotonic() % period_s)
            is_due = False
            picture = await self._screen.picture(period_s / 2) if fps else None
            view = self._context.cameras.get(self._camera)
            if view is None:
                return None
            news = self._news(view)
            if picture is not None and picture is not self._picture:
                self._picture = picture
                frame, objects = picture.seen
                height, width = frame.image.shape[:2]
                size = {"number": frame.number, "timestamp": frame.timestamp, "width": width, "height": height}
                news["frame"] = {**size, "detections": objects}
            if news:
                condition = self._context.condition.cameras[self._camera]
                how = {"status": condition.status, "fault": condition.fault, "settings": view.controls.values}
                self._answered_s = time.monotonic()
                return _json({**how, **news}), picture.jpeg if picture and "frame" in news else None

    def _news(self, view: CameraView) -> dict[str, Any]:
        news: dict[str, Any] = {}
        events, self._events = view.viewfinder.events(self._events)
        if events:
            news["events"] = events
        points, self._points = self._history.points(self._points)
        if points:
            news["history"] = [point._asdict() for point in points]
        now_s = time.monotonic()
        if now_s - self._figures_s >= _FIGURES_S:
            self._figures_s = now_s
            if figures := self._history.figures:
                news["figures"] = figures._asdict()
        areas = view.settings.areas, self._context.area_store.has_saved(self._camera)
        if areas != self._areas:
            self._areas = areas
            news["areas"] = areas_json(*areas)
        about = self._what_it_is(view)
        if about != self._about:
            self._about = news["camera"] = about
        return news

    def _what_it_is(self, view: CameraView) -> dict[str, Any]:
        return {
            "name": self._camera,
            "node": self._context.node,
            "labels": view.settings.labels,
            "tracking": view.settings.tracking,
            "may_edit": self._why_not is None,
            "why_not": self._why_not,
        }


def areas_json(areas: Areas, is_saved: bool) -> dict[str, Any]:
    """Return zones and lines as a page gets them: in the configuration's form, and whether they are saved ones."""
    return {**areas.model_dump(mode="json", by_alias=True), "saved": is_saved}


def _json(answer: object) -> bytes:
    """Return it as JSON, whatever a model has put into its results."""
    try:
        return orjson.dumps(answer, option=orjson.OPT_SERIALIZE_NUMPY)
    except TypeError:
        return json.dumps(answer, default=str).encode()
