"""Frames from an http address that may be a video file or a live stream."""

import threading
from urllib.parse import urlsplit

from edgepub.camera.frames import Fit, Frames, FrameSource
from edgepub.camera.sources.contents import Contents
from edgepub.core.errors import SourceError

_FILES = (".mp4", ".m4v", ".mov", ".mkv", ".webm", ".avi", ".ts", ".mts", ".m2ts", ".mpg", ".mpeg", ".wmv", ".flv")


def may_be_file(url: str) -> bool:
    """Return whether a URL could be that of a video file, by its name."""
    return url.startswith(("http://", "https://")) and urlsplit(url).path.lower().endswith(_FILES)


class WebSource:
    """An http address. It is opened once to see which of the two it is.

    Args:
        contents: opens it.
        file: reads it as a file.
        live: reads it as a live stream; None: it must be a file.

    """

    def __init__(self, contents: Contents, file: FrameSource, live: FrameSource | None) -> None:
        self._contents = contents
        self._file = file
        self._live = live
        self._chosen: FrameSource | None = None

    def __str__(self) -> str:
        return str(self._contents)

    @property
    def live(self) -> bool:
        """Whether a frame that is not taken immediately gets old."""
        return (self._chosen or self._live or self._file).live

    def frames(self, stopping: threading.Event, fit: Fit | None = None) -> Frames:
        """Open the address and yield its frames.

        Args:
            stopping: ends it.
            fit: the size that the model takes; None: full size.

        Raises:
            SourceError: it cannot be opened, was lost, or is no file although it must be one.

        """
        if self._chosen is None:
            self._chosen = self._choose()
        return self._chosen.frames(stopping, fit)

    def _choose(self) -> FrameSource:
        for name in self._contents.names():
            with self._contents.open(name) as stream:
                if stream.is_finite:
                    return self._file
        if self._live is None:
            raise SourceError(f"{self}: it is live, not a file: remove loop and realtime")
        return self._live
