"""JPEGs of a camera's newest frame: encoded on request only, and once for all viewers."""

import asyncio
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

from edgepub.camera.jpeg import encode_jpeg
from edgepub.camera.viewfinder import Seen, Viewfinder
from edgepub.core.threads import run_in_thread


class Picture(NamedTuple):
    """A frame with its JPEG."""

    seen: Seen
    jpeg: bytes | None
    """None: no picture may leave the node."""


class PictureEncoder:
    """Encodes the newest frame of one camera.

    Args:
        viewfinder: holds the newest frame.
        max_width: the JPEG's width in pixels, at most; wider frames are scaled down.
        quality: the JPEG's quality, 1 to 100.
        boxes: whether to draw the boxes of the detections.

    """

    def __init__(self, viewfinder: Viewfinder, max_width: int, quality: int, *, boxes: bool) -> None:
        self._viewfinder = viewfinder
        self._max_width = max_width
        self._quality = quality
        self._boxes = boxes
        self._picture: Picture | None = None
        self._encoded_at_s = 0.0
        self._lock = asyncio.Lock()

    async def picture(self, min_interval_s: float) -> Picture | None:
        """Return the newest frame's picture, or the last one if it was encoded within this interval; None: no frame."""
        async with self._lock:
            seen = self._viewfinder.newest
            if seen is None:
                return None
            if self._viewfinder.shows_pixels:
                is_new = self._picture is None or self._picture.seen is not seen or self._picture.jpeg is None
                if is_new and time.monotonic() - self._encoded_at_s >= min_interval_s:
                    self._encoded_at_s = time.monotonic()
                    jpeg = await run_in_thread("picture", lambda: self._encode(seen), native=True)
                    self._picture = Picture(seen, jpeg)
            if not self._viewfinder.shows_pixels:  # perhaps only since a moment ago
                self._hide(seen)
            return self._picture

    def _hide(self, seen: Seen) -> None:
        if self._picture is None or self._picture.seen is not seen or self._picture.jpeg is not None:
            self._picture = Picture(seen, None)

    def _encode(self, seen: Seen) -> bytes:
        drawn = seen.objects if self._boxes else []
        comment = {"frame": seen.frame.number, "timestamp": seen.frame.timestamp}
        size = self._max_width, self._quality
        return encode_jpeg(seen.frame.full_image, drawn, *size, comment, labels=False, blurred=seen.blurred)


class PictureEncoders:
    """One encoder for each camera that is watched, shared by its viewers.

    Args:
        max_width: the JPEGs' width in pixels, at most; wider frames are scaled down.
        quality: the JPEGs' quality, 1 to 100.
        boxes: whether to draw the boxes of the detections.

    """

    def __init__(self, max_width: int, quality: int, *, boxes: bool) -> None:
        self._max_width = max_width
        self._quality = quality
        self._boxes = boxes
        self._encoders: dict[Viewfinder, tuple[PictureEncoder, int]] = {}  # with the number of viewers

    @contextmanager
    def watch(self, viewfinder: Viewfinder) -> Iterator[PictureEncoder]:
        """Have a camera's frames kept, and return its encoder, as long as the context lasts."""
        encoder, viewers = self._encoders.get(viewfinder) or (
            PictureEncoder(viewfinder, self._max_width, self._quality, boxes=self._boxes),
            0,
        )
        self._encoders[viewfinder] = encoder, viewers + 1
        try:
            with viewfinder.watch():
                yield encoder
        finally:
            encoder, viewers = self._encoders.pop(viewfinder)
            if viewers > 1:
                self._encoders[viewfinder] = encoder, viewers - 1
