"""Makes the source of a camera from its settings."""

import logging
from pathlib import Path

from edgepub.camera.attention import Attention
from edgepub.camera.frames import FrameSource
from edgepub.camera.sources.file import FileSource
from edgepub.camera.sources.gate import Gate
from edgepub.camera.sources.live import LiveSource
from edgepub.camera.sources.newest import NewestFrameSource
from edgepub.camera.sources.selection import DecodeMode, Selection
from edgepub.camera.sources.webcam import WebcamSource
from edgepub.telemetry.logs import camera_logger
from edgepub.telemetry.metrics import CameraMetrics

_log = logging.getLogger(__name__)


def make_source(
    name: str,
    source: str | int | Path,
    gate: Gate,
    *,
    loop: bool,
    realtime: bool,
    transport: str = "auto",
    decode: DecodeMode = "all",
    attention: Attention | None = None,
    stall_timeout_s: float,
    metrics: CameraMetrics,
    notes: dict[str, str] | None = None,
) -> FrameSource:
    """Make the source of a camera: a file for a path, a live source for a URL or a webcam's number.

    Args:
        name: the camera's name.
        source: what to open.
        gate: limits the frame rate.
        loop: files only: start again at the end.
        realtime: files only: play at the file's own rate, as a camera would.
        transport: RTSP only: `auto`, `tcp`, `udp` or `multicast`.
        decode: URLs only: which frames to decode.
        attention: for `decode: adaptive`: says whether something is to be seen.
        stall_timeout_s: how long a live source may give no frame.
        metrics: the camera's metrics.
        notes: gets lines about what does not work although the camera does.

    """
    if isinstance(source, Path):
        file = FileSource(source, gate, loop=loop, realtime=realtime)
        return NewestFrameSource(file, name, stall_timeout_s, metrics) if realtime else file
    if isinstance(source, int):
        live: WebcamSource | LiveSource = WebcamSource(source, gate)
    else:
        live = LiveSource(
            source,
            gate,
            transport,
            Selection(decode, attention or Attention()),
            stall_timeout_s,
            metrics,
            {} if notes is None else notes,
            camera_logger(_log, name),
        )
    return NewestFrameSource(live, name, stall_timeout_s, metrics)
