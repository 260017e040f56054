"""The picture of one camera: made when somebody wants it, once for all who do, of the newest frame alone."""

import asyncio
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

from edgepub.camera.jpeg import encode_jpeg
from edgepub.camera.viewfinder import Seen, Viewfinder
from edgepub.core.threads import run_in_thread


class Picture(NamedTuple):
    """A frame, ready to be sent."""

    seen: Seen
    jpeg: bytes


class Screen:
    """Makes the pictures.

    Args:
        viewfinder: shows the newest frame.
        max_width: of the picture, in pixels.
        quality: of the JPEG, 1 to 100.
        boxes: whether to draw those of the detections.

    """

    def __init__(self, viewfinder: Viewfinder, max_width: int, quality: int, *, boxes: bool) -> None:
        self._viewfinder = viewfinder
        self._max_width = max_width
        self._quality = quality
        self._boxes = boxes
        self._picture: Picture | None = None
        self._made_s = 0.0
        self._lock = asyncio.Lock()

    async def picture(self, fresh_s: float) -> Picture | None:
        """Return a picture of the newest frame, or of one that was the newest so many seconds ago; None without any."""
        async with self._lock:
            seen = self._viewfinder.newest
            is_new = seen is not None and (self._picture is None or self._picture.seen is not seen)
            if seen is not None and is_new and time.monotonic() - self._made_s >= fresh_s:
                self._made_s = time.monotonic()
                self._picture = Picture(seen, await run_in_thread("picture", lambda: self._encode(seen)))
            return self._picture if seen is not None else None

    def _encode(self, seen: Seen) -> bytes:
        drawn = seen.objects if self._boxes else []
        says = {"frame": seen.frame.number, "timestamp": seen.frame.timestamp}
        return encode_jpeg(seen.frame.image, drawn, self._max_width, self._quality, says, labels=False)


class Screens:
    """A screen for each camera that somebody watches: all who do share it.

    Args:
        max_width: of the pictures, in pixels.
        quality: of the JPEGs, 1 to 100.
        boxes: whether to draw the detections.

    """

    def __init__(self, max_width: int, quality: int, *, boxes: bool) -> None:
        self._max_width = max_width
        self._quality = quality
        self._boxes = boxes
        self._watched: dict[Viewfinder, tuple[Screen, int]] = {}

    @contextmanager
    def of(self, viewfinder: Viewfinder) -> Iterator[Screen]:
        """Give a camera's screen, for as long as the context lasts."""
        screen, number = self._watched.get(viewfinder) or (
            Screen(viewfinder, self._max_width, self._quality, boxes=self._boxes),
            0,
        )
        self._watched[viewfinder] = screen, number + 1
        try:
            with viewfinder.watch():
                yield screen
        finally:
            screen, number = self._watched.pop(viewfinder)
            if number > 1:
                self._watched[viewfinder] = screen, number - 1
