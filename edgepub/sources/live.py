"""Frames from a camera: a URL or a webcam."""

import threading
import time
from collections.abc import Iterator

import cv2

from edgepub.errors import SourceError
from edgepub.frames import Frame
from edgepub.redaction import place
from edgepub.sources.capture import opened

_TIMEOUT_MS = 10_000
_TIMEOUTS = [cv2.CAP_PROP_OPEN_TIMEOUT_MSEC, _TIMEOUT_MS, cv2.CAP_PROP_READ_TIMEOUT_MSEC, _TIMEOUT_MS]


class LiveSource:
    """A camera.

    Args:
        source: a URL, or a webcam's number.

    """

    live = True

    def __init__(self, source: str | int) -> None:
        self._source = source

    def __str__(self) -> str:
        return f"webcam {self._source}" if isinstance(self._source, int) else place(self._source)

    def frames(self, stopping: threading.Event) -> Iterator[Frame]:
        """Yield the camera's frames as they come.

        Raises:
            SourceError: it cannot be opened, or gives no more frames.

        """
        is_url = isinstance(self._source, str)
        backend, parameters = (cv2.CAP_FFMPEG, _TIMEOUTS) if is_url else (cv2.CAP_ANY, [])
        why_not = f"{self}: cannot be opened: not there, refused, or not a video"
        with opened(self._source, backend, parameters, why_not) as capture:
            number = 0
            while not stopping.is_set():
                ok, image = capture.read()
                if not ok:
                    raise SourceError(f"{self}: gives no more frames")
                number += 1
                yield Frame(image, number, time.time(), time.monotonic())
