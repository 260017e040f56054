"""Makes the source of a camera from its settings."""

from pathlib import Path

from edgepub.camera.frames import FrameSource
from edgepub.camera.sources.capture import Gate
from edgepub.camera.sources.file import FileSource
from edgepub.camera.sources.live import LiveSource
from edgepub.camera.sources.newest import NewestFrameSource
from edgepub.telemetry.metrics import CameraMetrics


def make_source(
    name: str,
    source: str | int | Path,
    gate: Gate,
    *,
    loop: bool,
    realtime: bool,
    stall_timeout_s: float,
    metrics: CameraMetrics,
) -> FrameSource:
    """Make the source of a camera: a file for a path, a live source for a URL or a webcam's number.

    Args:
        name: the camera's name.
        source: what to open.
        gate: limits the frame rate.
        loop: files only: start again at the end.
        realtime: files only: play at the file's own rate, as a camera would.
        stall_timeout_s: how long a live source may give no frame.
        metrics: the camera's metrics.

    """
    if isinstance(source, Path):
        file = FileSource(source, gate, loop=loop, realtime=realtime)
        return NewestFrameSource(file, name, stall_timeout_s, metrics) if realtime else file
    return NewestFrameSource(LiveSource(source, gate, stall_timeout_s), name, stall_timeout_s, metrics)
