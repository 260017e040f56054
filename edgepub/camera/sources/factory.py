"""Makes the source of a camera from its settings."""

import logging
from collections.abc import Sequence
from pathlib import Path

from edgepub.camera.attention import Attention
from edgepub.camera.frames import FrameSource, ShotSource
from edgepub.camera.sources.command import CommandSource
from edgepub.camera.sources.command_lines import command_format, rpicam_command
from edgepub.camera.sources.contents import Contents, FileContents, WebContents
from edgepub.camera.sources.file import FileSource
from edgepub.camera.sources.gate import Gate
from edgepub.camera.sources.hardware import hardware_command
from edgepub.camera.sources.live import LiveSource, read_timeout_s
from edgepub.camera.sources.live_decoding import LiveParts
from edgepub.camera.sources.newest import NewestFrameSource
from edgepub.camera.sources.selection import Selection
from edgepub.camera.sources.web import WebSource, may_be_file
from edgepub.camera.sources.webcam import WebcamSource
from edgepub.config.capture import CaptureSettings
from edgepub.config.source import RpiCamera, Webcam
from edgepub.core.redaction import url_origin
from edgepub.telemetry.logs import camera_logger
from edgepub.telemetry.metrics import CameraMetrics

_log = logging.getLogger(__name__)
_PICTURES_PER_S = 1.0  # of a folder


def make_source(
    name: str,
    source: str | Path | Webcam | RpiCamera | Sequence[str],
    gate: Gate,
    *,
    loop: bool,
    realtime: bool,
    stall_timeout_s: float,
    metrics: CameraMetrics,
    capture: CaptureSettings | None = None,
    attention: Attention | None = None,
    notes: dict[str, str] | None = None,
) -> FrameSource:
    """Make the source of a camera.

    Args:
        name: the camera's name.
        source: what to open: a URL, a file, a webcam, a Raspberry Pi's camera, or a command.
        gate: limits the frame rate.
        loop: files only, also those at a URL: start again at the end.
        realtime: files only: play at the file's own rate, as a camera would.
        stall_timeout_s: how long a live source may give no frame.
        metrics: the camera's metrics.
        capture: how the pictures are received.
        attention: for `decode: adaptive`: says whether something is to be seen.
        notes: gets lines about what does not work although the camera does.

    """
    capture = capture or CaptureSettings()
    parts = LiveParts(
        gate,
        Selection(capture.decode, attention or Attention()),
        capture.rotate,
        stall_timeout_s,
        metrics,
        {} if notes is None else notes,
        camera_logger(_log, name),
    )

    def newest(shots: ShotSource) -> FrameSource:
        return NewestFrameSource(shots, name, stall_timeout_s, metrics)

    def file(contents: Contents) -> FrameSource:
        fps = capture.fps or _PICTURES_PER_S
        source = FileSource(contents, gate, loop=loop, realtime=realtime, rotate=capture.rotate, fps=fps)
        return newest(source) if realtime else source

    if isinstance(source, Path):
        return file(FileContents(source))
    live = newest(_make_live(source, capture, parts))
    must_be_file = loop or realtime
    if isinstance(source, str) and (must_be_file or may_be_file(source)):
        contents = WebContents(source, read_timeout_s(stall_timeout_s), is_trusted=capture.tls_insecure)
        return WebSource(contents, file(contents), None if must_be_file else live)
    return live


def _make_live(
    source: str | Webcam | RpiCamera | Sequence[str], capture: CaptureSettings, parts: LiveParts
) -> ShotSource:
    if isinstance(source, Webcam):
        return WebcamSource(source, capture, parts)
    if isinstance(source, str) and capture.hardware != "none":
        command, given = hardware_command(source, capture, read_timeout_s(parts.stall_timeout_s))
        return CommandSource(command, url_origin(source), "nut", {}, parts, given)
    if isinstance(source, str):
        return LiveSource(source, capture, parts)
    if isinstance(source, RpiCamera):
        command, capture = rpicam_command(source, capture)
        return CommandSource(command, str(source), *command_format(capture), parts)
    return CommandSource(source, Path(source[0]).name or source[0], *command_format(capture), parts)
