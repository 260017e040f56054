"""Every frame of a video file, in order; or, in real time, as its own clock reaches them."""

import threading
import time
from pathlib import Path

import cv2

from edgepub.camera.frames import Frame, Frames
from edgepub.camera.sources.capture import Gate, grab, open_capture
from edgepub.core.errors import SourceError

_USUAL_FPS = 25.0  # for a file that does not say
_SMALL = 640 * 480  # pixels


class FileSource:
    """A video file.

    Args:
        path: the file.
        gate: admits its frames, by the file's own clock.
        loop: start again at the end; frames are numbered on.
        realtime: play at the file's own rate, as a camera would: a frame is not given before its time.

    """

    def __init__(self, path: Path, gate: Gate, *, loop: bool, realtime: bool) -> None:
        self.live = realtime
        self._path = path
        self._gate = gate
        self._loop = loop
        self._realtime = realtime

    def __str__(self) -> str:
        return str(self._path)

    def frames(self, stopping: threading.Event) -> Frames:
        """Yield the file's frames; in real time, None for one that is not used.

        Raises:
            SourceError: no such file, or not a video.

        """
        if not self._path.is_file():
            raise SourceError(f"no such file: {self._path}")
        why_not = f"not a video that OpenCV can read: {self._path}"
        with open_capture(str(self._path), cv2.CAP_ANY, [], why_not) as capture:
            parameters = _decoder(capture)
        self._gate.reset()
        number = 0
        began_s = time.monotonic()
        round_s = 0.0
        while not stopping.is_set():
            before = number
            with open_capture(str(self._path), cv2.CAP_ANY, parameters, why_not) as capture:
                clock = _Clock(capture)
                while not stopping.is_set() and grab(capture):
                    number += 1
                    media_s = round_s + clock.read_s()
                    if self._realtime:
                        stopping.wait(max(0.0, began_s + media_s - time.monotonic()))
                    captured_s, timestamp = time.monotonic(), time.time()
                    ok, image = capture.retrieve() if self._gate.admit(media_s) else (False, None)
                    if ok and image is not None:
                        yield Frame(image, number, timestamp, captured_s, media_s)
                    elif self._realtime:
                        yield None
                round_s += clock.end_s
            if number == before and not stopping.is_set():
                raise SourceError(f"a video without a frame: {self._path}")
            if not self._loop:
                return


class _Clock:
    """When each frame is due, in seconds from the first: by its own stamp, else by the rate of the file."""

    def __init__(self, capture: cv2.VideoCapture) -> None:
        self._capture = capture
        self._period_s = 1 / (capture.get(cv2.CAP_PROP_FPS) or _USUAL_FPS)
        self._first_s: float | None = None
        self.end_s = 0.0
        """When the frame after the last one is due, if it has no stamp."""

    def read_s(self) -> float:
        """Return when the frame that was grabbed last is due."""
        stamp_s = self._capture.get(cv2.CAP_PROP_POS_MSEC) / 1000
        if self._first_s is None:
            self._first_s, due_s = stamp_s, 0.0
        else:
            due_s = stamp_s - self._first_s
            if due_s <= self.end_s - self._period_s:  # not after the one before: a file without stamps
                due_s = self.end_s
        self.end_s = due_s + self._period_s
        return due_s


def _decoder(capture: cv2.VideoCapture) -> list[int]:
    """Return the parameters to open a video with, having looked at it.

    FFmpeg decodes with a thread for each processor. With small pictures, handing over costs more than it brings.
    """
    pixels = capture.get(cv2.CAP_PROP_FRAME_WIDTH) * capture.get(cv2.CAP_PROP_FRAME_HEIGHT)
    small = pixels <= _SMALL and capture.getBackendName() == "FFMPEG"
    return [cv2.CAP_PROP_N_THREADS, 1] if small else []
