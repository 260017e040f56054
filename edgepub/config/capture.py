"""The settings of how a camera's pictures are received."""

import re
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from edgepub.config.fields import Number, Section
from edgepub.config.source import RpiCamera, Source, Webcam

_RAW = re.compile(r"yuv\w*|yuyv\w*|uyvy\w*|nv12|nv21|gray\w*|rgb24|bgr24|rgba|bgra|gbrp\w*")
"""FFmpeg's names of the pixel formats that a command may write."""
_WITH_TLS = ("http://", "https://", "rtsps://", "rtmps://", "tls://")
_FORMAT = re.compile(r"[a-z0-9_]{1,32}")


def _check_format(name: str) -> str:
    if not _FORMAT.fullmatch(name):
        raise ValueError("must be a name of FFmpeg's, in small letters: h264, mpegts, yuv420p")
    return name


DecodeMode = Literal["all", "keyframes", "adaptive"]


class CaptureSettings(Section):
    """How a camera's pictures are received."""

    transport: Literal["auto", "tcp", "udp", "multicast"] = "auto"
    """RTSP only: how packets come. `auto`: over TCP, else over UDP, else over multicast, as the camera offers it.

    Over UDP and multicast packets can be lost; pictures that lack something are left out up to the next key frame."""
    decode: DecodeMode = "all"
    """URLs only: which frames are decoded. `all`; `keyframes`: only those that need no other, one every few seconds.

    `adaptive`: key frames while nothing is detected; every frame from the key frame in which something is detected,
    until 5 s after the last detection. At 1920x1080 that takes an eighth of the processor time while nothing is there,
    but what comes and goes between two key frames is missed: set the camera's key frame interval (GOP) to 1 or 2 s.
    Cameras that send JPEG have only key frames: all are decoded."""

    hardware: Literal["none", "auto", "vaapi", "drm", "v4l2m2m"] = "none"
    """URLs only: decode on the computer's video hardware, with the system's `ffmpeg` as a child process.

    `vaapi`: Intel and AMD, and `size` is made there, too. `drm`: H.265 on a Raspberry Pi. `v4l2m2m`: H.264 on a
    Raspberry Pi 4. `auto`: what FFmpeg finds, else the processor."""
    rotate: Literal[0, 90, 180, 270] = 0
    """Degrees clockwise to turn the pictures, for a camera that is mounted so, beside what the stream itself says."""
    tls_insecure: bool = False
    """URLs with TLS, or that lead to one: do not verify the camera's certificate. Cameras often make their own."""

    poll_s: Annotated[float, Field(ge=0.1, le=86_400), Number] = 1
    """A URL of a single picture only: ask for it again after this many seconds."""
    size: tuple[Annotated[int, Field(ge=16, le=8192)], Annotated[int, Field(ge=16, le=8192)]] | None = None
    """Webcams, `rpicam:`, and commands that write raw pictures: width and height. With `hardware`: at most so large.

    null: 640x480 for webcams, 1280x720 for `rpicam:`."""
    fps: Annotated[float, Field(ge=0.1, le=240), Number] | None = None
    """Webcams, `rpicam:`, commands and pictures in a folder: frames per second.

    null: 15 for `rpicam:`, 1 for pictures, for the others as many as come."""
    format: Annotated[str, AfterValidator(_check_format)] | None = None
    """Webcams, `rpicam:` and commands: what they give: `h264`, `hevc`, `mjpeg`, raw pictures such as `yuyv` or
    `yuv420p`, or a container of FFmpeg's such as `mpegts`.

    null: raw for webcams, if they can, and `rpicam:`; what is found for a command."""

    @property
    def is_raw(self) -> bool:
        """Whether `format` is one of raw pictures."""
        return bool(self.format) and bool(_RAW.fullmatch(self.format or ""))

    def check(self, source: Source) -> None:
        """Check that each setting is one for this source.

        Raises:
            ValueError: one is not; the text says which.

        """
        is_rtsp = isinstance(source, str) and source.startswith(("rtsp://", "rtsps://"))
        if self.transport != "auto" and not is_rtsp:
            raise ValueError("capture.transport is for rtsp:// only: remove it")
        if self.tls_insecure and not (isinstance(source, str) and source.startswith(_WITH_TLS)):
            raise ValueError("capture.tls_insecure is for http(s)://, rtsps://, rtmps:// and tls:// only: remove it")
        if self.hardware != "none" and not isinstance(source, str):
            raise ValueError("capture.hardware is for URLs only: remove it")
        if self.hardware != "none" and self.decode == "adaptive":
            raise ValueError("capture.decode: adaptive does not go with capture.hardware: use all or keyframes")
        is_set_here = isinstance(source, list | Webcam | RpiCamera)
        if self.format is not None and not is_set_here:
            raise ValueError("capture.format is for webcams, rpicam: and commands only: remove it")
        is_set_here = is_set_here or self.hardware != "none"
        if self.size is not None and not is_set_here:
            raise ValueError("capture.size is for webcams, rpicam:, commands and capture.hardware only: remove it")
        if self.fps is not None and not (is_set_here or isinstance(source, Path)):
            raise ValueError("capture.fps is for webcams, rpicam:, commands and pictures only: remove it")
        if isinstance(source, list) and self.is_raw and not self.size:
            raise ValueError("capture.size is missing: raw pictures do not say how large they are")
