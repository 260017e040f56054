"""Every frame of a video file, in order; or, in real time, those that its own clock has reached."""

import threading
import time
from collections.abc import Iterator
from pathlib import Path

import cv2

from edgepub.errors import SourceError
from edgepub.frames import Frame
from edgepub.sources.capture import opened

_USUAL_FPS = 25.0  # for a file that does not say
_SMALL = 640 * 480  # pixels


class FileSource:
    """A video file.

    Args:
        path: the file.
        loop: start again at the end; frames are numbered on.
        realtime: play at the file's own rate, as a camera would: a frame is not given before its time, and is left out
            when its time is over before it is asked for.

    """

    def __init__(self, path: Path, *, loop: bool, realtime: bool) -> None:
        self.live = realtime
        self._path = path
        self._loop = loop
        self._realtime = realtime

    def __str__(self) -> str:
        return str(self._path)

    def frames(self, stopping: threading.Event) -> Iterator[Frame]:
        """Yield the file's frames.

        Raises:
            SourceError: no such file, or not a video.

        """
        if not self._path.is_file():
            raise SourceError(f"no such file: {self._path}")
        why_not = f"not a video that OpenCV can read: {self._path}"
        with opened(str(self._path), cv2.CAP_ANY, [], why_not) as capture:
            parameters = _decoder(capture)
        number = 0
        began_s = time.monotonic()
        while not stopping.is_set():
            before = number
            with opened(str(self._path), cv2.CAP_ANY, parameters, why_not) as capture:
                period_s = 1 / (capture.get(cv2.CAP_PROP_FPS) or _USUAL_FPS) if self._realtime else 0.0
                while not stopping.is_set():
                    if period_s:
                        late = int((time.monotonic() - began_s) / period_s) - number
                        number += sum(capture.grab() for _ in range(late))
                    ok, image = capture.read()
                    if not ok:
                        break
                    if period_s:
                        stopping.wait(max(0.0, began_s + number * period_s - time.monotonic()))
                    number += 1
                    yield Frame(image, number, time.time(), time.monotonic())
            if number == before and not stopping.is_set():
                raise SourceError(f"a video without a frame: {self._path}")
            if not self._loop:
                return


def _decoder(capture: cv2.VideoCapture) -> list[int]:
    """Return the parameters to open a video with, having looked at it.

    FFmpeg decodes with a thread for each processor. With small pictures, handing over costs more than it brings.
    """
    pixels = capture.get(cv2.CAP_PROP_FRAME_WIDTH) * capture.get(cv2.CAP_PROP_FRAME_HEIGHT)
    small = pixels <= _SMALL and capture.getBackendName() == "FFMPEG"
    return [cv2.CAP_PROP_N_THREADS, 1] if small else []
