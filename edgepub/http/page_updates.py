"""Updates for one live page: only what the page does not have yet."""

import asyncio
import time
from math import inf
from typing import Any

from edgepub.camera.viewfinder import Viewfinder
from edgepub.config.areas import Areas
from edgepub.http.context import HttpContext
from edgepub.http.history import CameraHistory
from edgepub.http.monitoring import state_json
from edgepub.http.pictures import Picture, PictureEncoder
from edgepub.http.responses import to_json

# A little less than a second, so that a page that requests once per second gets them each time.
_FIGURES_PERIOD_S = 0.95


class PageUpdates:
    """Makes the updates for one page.

    Args:
        camera: the camera's name.
        context: the objects that updates are made from.
        encoder: encodes the pictures.
        history: the camera's recent rates and latencies.
        read_only_reason: why areas cannot be saved; None if they can.

    """

    def __init__(
        self,
        camera: str,
        context: HttpContext,
        encoder: PictureEncoder,
        history: CameraHistory,
        read_only_reason: str | None,
    ) -> None:
        self._camera = camera
        self._context = context
        self._encoder = encoder
        self._history = history
        self._read_only_reason = read_only_reason
        self._picture: Picture | None = None
        self._event_count = 0
        self._point_count = 0
        self._figures_at_s = -inf
        self._updated_at_s = -inf
        self._limits: list[str] = []
        self._areas: tuple[Areas, bool] | None = None
        self._description: dict[str, Any] | None = None

    async def next(self, fps: int) -> tuple[bytes, bytes | None] | None:
        """Wait for something new. Return it as JSON, and the picture if there is a new one; None: no such camera.

        Args:
            fps: pictures per second that the page wants, 0 to 30.

        """
        period_s = 1 / (fps or 1)
        is_due = time.monotonic() - self._updated_at_s >= period_s
        while True:
            if not is_due:
                # Pages with the same rate are due at the same moments, so that they share one picture.
                await asyncio.sleep(period_s - time.monotonic() % period_s)
            is_due = False
            picture = await self._encoder.picture(period_s / 2) if fps else None
            view = self._context.cameras.get(self._camera)
            if view is None:
                return None
            update = self._changes(view.viewfinder)
            if picture is not None and picture is not self._picture:
                self._picture = picture
                frame, objects, _ = picture.seen
                width, height = frame.size
                size = {"number": frame.number, "timestamp": frame.timestamp, "width": width, "height": height}
                update["frame"] = {**size, "detections": objects, "has_picture": picture.jpeg is not None}
            if update:
                state = self._context.status.cameras[self._camera]
                always = {**state_json(state), "settings": view.controls.values}
                self._updated_at_s = time.monotonic()
                return to_json({**always, **update}), picture.jpeg if picture and "frame" in update else None

    def _changes(self, viewfinder: Viewfinder) -> dict[str, Any]:
        """Return what has changed since the last update, apart from the picture."""
        changes: dict[str, Any] = {}
        events, self._event_count = viewfinder.events(self._event_count)
        if events:
            changes["events"] = events
        points, self._point_count = self._history.points(self._point_count)
        if points:
            changes["history"] = [point._asdict() for point in points]
        now_s = time.monotonic()
        if now_s - self._figures_at_s >= _FIGURES_PERIOD_S:
            self._figures_at_s = now_s
            if figures := self._history.figures:
                changes["figures"] = figures._asdict()
        limits = [limit.text for limit in self._context.status.load.limits if limit.concerns(self._camera)]
        if limits != self._limits:
            self._limits = changes["limits"] = limits
        areas = self._context.areas(self._camera)
        if areas != self._areas:
            self._areas = areas
            changes["areas"] = areas_json(*areas)
        description = self._describe()
        if description != self._description:
            self._description = changes["camera"] = description
        return changes

    def _describe(self) -> dict[str, Any]:
        settings = self._context.in_force.settings.cameras[self._camera]
        return {
            "name": self._camera,
            "node": self._context.node,
            "labels": settings.kept_labels,
            "tracking": settings.tracking,
            "may_edit": self._read_only_reason is None,
            "why_not": self._read_only_reason,
        }


def areas_json(areas: Areas, is_saved: bool) -> dict[str, Any]:
    """Return areas as a page gets them: in the configuration's format, with whether they are saved ones."""
    return {**areas.model_dump(mode="json", by_alias=True), "saved": is_saved}
