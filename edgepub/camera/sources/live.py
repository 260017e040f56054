"""Frames from a camera: a URL or a webcam."""

import os
import threading
import time
from pathlib import Path

import cv2

from edgepub.camera.frames import Frame, Frames
from edgepub.camera.sources.capture import Gate, Reader, open_reader
from edgepub.core.errors import SourceError
from edgepub.core.redaction import url_origin

_OPEN_TIMEOUT_S = 10.0
_MAX_ONE_THREAD_PIXELS = 1920 * 1088


class LiveSource:
    """A camera: a URL or a webcam.

    Args:
        source: a URL, or a webcam's number.
        gate: limits the frame rate.
        stall_timeout_s: how long it may give no frame.

    """

    live = True

    def __init__(self, source: str | int, gate: Gate, stall_timeout_s: float) -> None:
        self._source = source
        self._gate = gate
        # With this timeout the thread of a read that hangs ends by itself, where FFmpeg supports it. It ends after it
        # was abandoned, because OpenCV first gives the frames left in the decoder, which are old, one at each timeout.
        self._read_timeout_s = stall_timeout_s
        self._large = False

    def __str__(self) -> str:
        return f"webcam {self._source}" if isinstance(self._source, int) else url_origin(self._source)

    def frames(self, stopping: threading.Event) -> Frames:
        """Yield the camera's frames as they come; None for a frame that is not used.

        Raises:
            SourceError: it cannot be opened, its pictures are too large, or it gives no more frames.

        """
        backend = cv2.CAP_FFMPEG if isinstance(self._source, str) else cv2.CAP_ANY
        reason = f"{self}: cannot be opened: {self._reason()}"
        self._gate.reset()
        number = 0
        while not stopping.is_set():
            with open_reader(self._source, backend, self._parameters(), self._gate, str(self), reason) as reader:
                if not self._large and self._is_large(reader):
                    self._large = True
                    continue
                while not stopping.is_set():
                    if not reader.grab():
                        raise SourceError(f"{self}: no more frames, or none that can be decoded")
                    captured_s, timestamp = time.monotonic(), time.time()
                    if stopping.is_set():
                        return  # the read hung and was abandoned
                    number += 1
                    image = reader.retrieve(captured_s)
                    if image is not None:
                        yield Frame(image, number, timestamp, captured_s, captured_s)
                    else:
                        yield None

    def _reason(self) -> str:
        if isinstance(self._source, str):
            return "unreachable, refused, or not a video"
        device = Path(f"/dev/video{self._source}")
        if not device.exists():
            return f"there is no {device}"
        if not os.access(device, os.R_OK | os.W_OK):
            return f"no permission for {device}: add this user to the device's group, mostly `video`"
        return "another program uses it, or it gives no picture"

    def _parameters(self) -> list[int]:
        if isinstance(self._source, int):
            return []
        timeouts = [
            cv2.CAP_PROP_OPEN_TIMEOUT_MSEC,
            int(1000 * _OPEN_TIMEOUT_S),
            cv2.CAP_PROP_READ_TIMEOUT_MSEC,
            int(1000 * self._read_timeout_s),
        ]
        # FFmpeg decodes one frame in each of several threads, so each frame comes that many frames late: 500 ms at 2
        # frames a second with two processors. One thread keeps up with a camera, unless its pictures are very large.
        return timeouts if self._large else [*timeouts, cv2.CAP_PROP_N_THREADS, 1]

    def _is_large(self, reader: Reader) -> bool:
        return isinstance(self._source, str) and reader.pixels > _MAX_ONE_THREAD_PIXELS
