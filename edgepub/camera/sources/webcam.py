"""Frames from a webcam, through OpenCV."""

import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import cv2

from edgepub.camera.frames import NO_PIXELS, Frame, Shot, Shots
from edgepub.camera.sources.gate import Gate
from edgepub.camera.sources.limits import MAX_PIXELS, describe_too_large, limit_ffmpeg
from edgepub.core.errors import SourceError

_MAX_DAMAGED_FRAMES = 10  # in a row: such a read fails like the end of the stream does, but the next one is good
_MAX_DAMAGED_S = 1.0


class WebcamSource:
    """A webcam.

    Args:
        number: its number.
        gate: limits the frame rate.

    """

    def __init__(self, number: int, gate: Gate) -> None:
        self._number = number
        self._gate = gate

    def __str__(self) -> str:
        return f"webcam {self._number}"

    def shots(self, stopping: threading.Event) -> Shots:
        """Yield the webcam's frames as they come; None for a frame that is not used.

        Raises:
            SourceError: it cannot be opened, its pictures are too large, or it gives no more frames.

        """
        self._gate.reset()
        number = 0
        with self._open() as capture:
            while not stopping.is_set():
                if not self._grab(capture):
                    raise SourceError(f"{self}: no more frames, or none that can be decoded")
                captured_s, timestamp = time.monotonic(), time.time()
                if stopping.is_set():
                    return  # the read hung and was abandoned
                number += 1
                if not self._gate.admit(captured_s):
                    yield None
                    continue
                ok, image = capture.retrieve()
                if ok and image is not None:
                    frame = Frame(NO_PIXELS, number, timestamp, captured_s, captured_s)
                    yield Shot(lambda image=image: image, frame)  # type: ignore[misc]
                else:
                    self._gate.count_undecodable(captured=True)

    @contextmanager
    def _open(self) -> Iterator[cv2.VideoCapture]:
        # It writes to stderr past our log.
        cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)
        limit_ffmpeg()
        try:
            capture = cv2.VideoCapture(self._number, cv2.CAP_ANY)
        except cv2.error:
            raise SourceError(f"{self}: cannot be opened: {self._reason()}") from None
        try:
            if not capture.isOpened():
                raise SourceError(f"{self}: cannot be opened: {self._reason()}")
            width, height = (capture.get(key) for key in (cv2.CAP_PROP_FRAME_WIDTH, cv2.CAP_PROP_FRAME_HEIGHT))
            if width * height > MAX_PIXELS:
                raise SourceError(describe_too_large(str(self), f"its pictures have {width:.0f} x {height:.0f} pixels"))
            yield capture
        finally:
            capture.release()

    def _grab(self, capture: cv2.VideoCapture) -> bool:
        """Grab the next frame that can be decoded; return False if there is none."""
        give_up_s = time.monotonic() + _MAX_DAMAGED_S
        for _ in range(_MAX_DAMAGED_FRAMES):
            if capture.grab():
                return True
            self._gate.count_undecodable()
            if time.monotonic() > give_up_s:
                break
        return False

    def _reason(self) -> str:
        device = Path(f"/dev/video{self._number}")
        if not device.exists():
            return f"there is no {device}"
        if not os.access(device, os.R_OK | os.W_OK):
            return f"no permission for {device}: add this user to the device's group, mostly `video`"
        return "another program uses it, or it gives no picture"
