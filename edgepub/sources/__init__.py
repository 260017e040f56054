"""Frames from a file, a URL or a webcam."""

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

from edgepub.frames import Frame
from edgepub.sources.file import FileSource
from edgepub.sources.live import LiveSource

__all__ = ["FileSource", "LiveSource", "Source", "source_of"]


class Source(Protocol):
    """Where frames come from."""

    live: bool
    """True where a frame that is not taken at once grows old: a camera, not a file."""

    def frames(self, stopping: threading.Event) -> Iterator[Frame]:
        """Open the source and yield its frames, until it ends or `stopping` is set.

        Raises:
            SourceError: the source cannot be opened, or was lost.

        """


def source_of(source: str | int | Path, *, loop: bool, realtime: bool) -> Source:
    """Return the source of a camera: a file's for a path, a live one for a URL or a webcam's number."""
    return FileSource(source, loop=loop, realtime=realtime) if isinstance(source, Path) else LiveSource(source)
