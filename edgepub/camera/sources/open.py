"""Frames from a file, a URL or a webcam."""

import threading
from pathlib import Path
from typing import Protocol

from edgepub.camera.frames import Frames
from edgepub.camera.sources.capture import Gate
from edgepub.camera.sources.file import FileSource
from edgepub.camera.sources.live import LiveSource
from edgepub.camera.sources.newest import Newest
from edgepub.telemetry.metrics import CameraMetrics

__all__ = ["FileSource", "Gate", "LiveSource", "Newest", "Source", "source_of"]


class Source(Protocol):
    """Where frames come from."""

    live: bool
    """True where a frame that is not taken at once grows old: a camera, not a file."""

    def frames(self, stopping: threading.Event) -> Frames:
        """Open the source and yield its frames, until it ends or `stopping` is set.

        Raises:
            SourceError: the source cannot be opened, or was lost.

        """


def source_of(
    name: str,
    source: str | int | Path,
    gate: Gate,
    *,
    loop: bool,
    realtime: bool,
    stall_timeout_s: float,
    counts: CameraMetrics,
) -> Source:
    """Return the source of a camera: a file's for a path, a live one for a URL or a webcam's number.

    Args:
        name: the camera's name.
        source: what to open.
        gate: admits its frames.
        loop: files only: start again at the end.
        realtime: files only: play it as a camera would.
        stall_timeout_s: how long a live source may be silent.
        counts: the camera's counts.

    """
    if isinstance(source, Path):
        file = FileSource(source, gate, loop=loop, realtime=realtime)
        return Newest(file, name, stall_timeout_s, counts) if realtime else file
    return Newest(LiveSource(source, gate, stall_timeout_s), name, stall_timeout_s, counts)
