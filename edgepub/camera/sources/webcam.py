"""Frames from a webcam, through Video4Linux."""

import errno
import os
import select
import threading
import time
from functools import partial
from pathlib import Path
from stat import S_ISCHR

import av

from edgepub.camera.frames import Shots
from edgepub.camera.sources.live_decoding import LiveDecoding, LiveParts
from edgepub.camera.sources.open_errors import describe_lost
from edgepub.camera.sources.opening import open_stream
from edgepub.config.capture import CaptureSettings
from edgepub.config.source import Webcam
from edgepub.core.errors import SourceError

_FORM = "v4l2"
_DEFAULT_SIZE = (640, 480)  # else a webcam has the size that the last program has set
_FORMATS = {"yuyv": "yuyv422", "uyvy": "uyvy422"}  # FFmpeg's names of what V4L2 calls so
_SILENT_FRACTION = 0.8  # of the stall timeout
_POLL_S = 0.25
# Of FFmpeg's log:
_NO_FORMAT = "Cannot find a proper format", "No such input format"
_NO_CAMERA = "Not a video capture device"


class WebcamSource:
    """A webcam, or another device of Video4Linux.

    Args:
        webcam: which.
        capture: its size, frame rate and format.
        parts: the camera's parts.

    """

    def __init__(self, webcam: Webcam, capture: CaptureSettings, parts: LiveParts) -> None:
        self._webcam = webcam
        self._device = str(webcam.device)
        self._capture = capture
        self._parts = parts

    def __str__(self) -> str:
        return str(self._webcam)

    def shots(self, stopping: threading.Event) -> Shots:
        """Yield the webcam's frames as they come; None for a frame that is not used.

        Raises:
            SourceError: it cannot be opened, its pictures are too large, or it gives no more frames.

        """
        self._parts.gate.reset()
        self._check()
        with open_stream(self._device, str(self), self._options(), _FORM, self._explain) as stream:
            self._check_format(stream.video.codec_context.pix_fmt)
            stream.wait = partial(self._wait, self._find_open(), stopping)
            try:
                yield from LiveDecoding(stream, str(self), self._parts).shots(stopping)
            except av.FFmpegError as error:
                raise SourceError(f"{self}: {describe_lost(error)}") from None
        if not stopping.is_set():
            raise SourceError(f"{self}: gives no more frames")

    def _check(self) -> None:
        """Check what FFmpeg's errors do not tell apart."""
        try:
            if not S_ISCHR(self._webcam.device.stat().st_mode):
                raise SourceError(f"{self}: cannot be opened: {self._device} is no device")
        except (OSError, ValueError):
            raise SourceError(f"{self}: cannot be opened: there is no {self._device}") from None
        if not os.access(self._device, os.R_OK | os.W_OK):
            raise SourceError(
                f"{self}: cannot be opened: no permission for {self._device}: add this user to the device's group, "
                "mostly `video`"
            )

    def _options(self) -> dict[str, str]:
        width, height = self._capture.size or _DEFAULT_SIZE
        options = {"video_size": f"{width}x{height}", "fpsprobesize": "0"}
        if self._capture.fps:
            options["framerate"] = f"{self._capture.fps:g}"
        if form := self._capture.format:
            options["input_format"] = _FORMATS.get(form, form)
        return options

    def _explain(self, error: av.FFmpegError, log: str, _elapsed_s: float) -> str:
        if error.errno == errno.EBUSY:
            return "another program uses it"
        if _NO_CAMERA in log or error.errno == errno.ENOTTY:
            return "it gives no pictures: a webcam often has two devices, and the other one does"
        if self._capture.format and any(text in log for text in _NO_FORMAT):
            return _describe_missing(self._capture.format)
        return (error.strerror or "it gives no picture").lower()

    def _check_format(self, pixels: str | None) -> None:
        """Check that raw pictures are those that were asked for: FFmpeg takes others if there are none."""
        form = self._capture.format or ""
        if self._capture.is_raw and pixels != _FORMATS.get(form, form):
            raise SourceError(f"{self}: cannot be opened: {_describe_missing(form)}")

    def _find_open(self) -> int | None:
        """Return the file descriptor with which FFmpeg has opened the device."""
        device = self._webcam.device.stat().st_rdev
        for opened in Path("/proc/self/fd").iterdir():
            try:
                status = opened.stat()
            except OSError:  # closed since
                continue
            if S_ISCHR(status.st_mode) and status.st_rdev == device:
                return int(opened.name)
        return None

    def _wait(self, opened: int | None, stopping: threading.Event) -> None:
        """Wait for the next frame: FFmpeg would wait without an end for a webcam that hangs, and hold it open.

        Raises:
            SourceError: none comes.

        """
        if opened is None:
            return
        give_up_s = time.monotonic() + _SILENT_FRACTION * self._parts.stall_timeout_s
        poll = select.poll()
        poll.register(opened, select.POLLIN)
        while not stopping.is_set() and not poll.poll(1000 * _POLL_S):
            if time.monotonic() > give_up_s:
                raise SourceError(f"{self}: the stream was lost: silent")


def _describe_missing(form: str) -> str:
    return f"it does not give {form}: `v4l2-ctl --list-formats-ext` shows what it gives"
