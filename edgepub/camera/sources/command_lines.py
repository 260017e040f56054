"""The command for a Raspberry Pi's camera, and the format that a command writes."""

import shutil

from edgepub.config.capture import CaptureSettings
from edgepub.config.source import RpiCamera

_PROGRAMS = ("rpicam-vid", "libcamera-vid")  # the second is its name before Raspberry Pi OS 12
_RPICAM_FORMATS = {None: "yuv420", "yuv420p": "yuv420"}
_RPICAM_SIZE = (1280, 720)
_RPICAM_FPS = 15.0


def rpicam_command(camera: RpiCamera, capture: CaptureSettings) -> tuple[list[str], CaptureSettings]:
    """Return the command that reads a Raspberry Pi's camera, and the settings for what it writes.

    Without `capture.format` it writes raw pictures: a Raspberry Pi 5 would encode video without hardware. Source of its
    options: "rpicam-apps", the documentation of Raspberry Pi's camera software.
    """
    width, height = capture.size or _RPICAM_SIZE
    fps = capture.fps or _RPICAM_FPS
    program = next((name for name in _PROGRAMS if shutil.which(name)), _PROGRAMS[0])
    command = [program, "--timeout", "0", "--nopreview", "--camera", str(camera.number), "--output", "-", "--flush"]
    command += ["--width", str(width), "--height", str(height), "--framerate", f"{fps:g}"]
    command += ["--codec", _RPICAM_FORMATS.get(capture.format, capture.format or "")]
    if capture.format == "h264":
        command += ["--inline", "--intra", f"{fps:.0f}"]
    written = {"size": (width, height), "fps": fps, "format": capture.format or "yuv420p"}
    return command, capture.model_copy(update=written)


def command_format(capture: CaptureSettings) -> tuple[str | None, dict[str, str]]:
    """Return FFmpeg's name of the format that a command writes, and FFmpeg's options for it; None: look for it."""
    if not capture.is_raw:
        rate = {"framerate": f"{capture.fps:g}"} if capture.fps and capture.format in {"h264", "hevc", "mjpeg"} else {}
        return capture.format, rate
    width, height = capture.size or (0, 0)
    options = {"pixel_format": str(capture.format), "video_size": f"{width}x{height}"}
    return "rawvideo", {**options, **({"framerate": f"{capture.fps:g}"} if capture.fps else {})}
