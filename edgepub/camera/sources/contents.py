"""What a source that ends consists of: a video file, pictures, or a file at a URL."""

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from pathlib import Path
from typing import Protocol

import av

from edgepub.camera.sources.files import list_files, open_file
from edgepub.camera.sources.limits import read_ffmpeg_options
from edgepub.camera.sources.open_errors import describe_lost, describe_open_error
from edgepub.camera.sources.opening import open_stream
from edgepub.camera.sources.stream import Stream
from edgepub.core.errors import SourceError
from edgepub.core.redaction import url_origin

_NO_PROTOCOL = "none"  # a playlist in a file cannot make FFmpeg open anything else


class Contents(Protocol):
    """What is read from beginning to end. Its text is the title of the source."""

    def names(self) -> Sequence[str]:
        """Return what to read, one after the other.

        Raises:
            SourceError: there is nothing.

        """

    def open(self, name: str) -> AbstractContextManager[Stream]:
        """Open one of them; a context manager.

        Raises:
            SourceError: it cannot be read, and why.

        """


class FileContents:
    """A video file, the pictures in a folder, or the files that match a pattern.

    Args:
        path: the path.

    """

    def __init__(self, path: Path) -> None:
        self._path = path

    def __str__(self) -> str:
        return str(self._path)

    def names(self) -> Sequence[str]:
        """Return the paths of the files.

        Raises:
            SourceError: there are none, or the folder cannot be read.

        """
        try:
            return [str(path) for path in list_files(self._path)]
        except OSError as error:
            raise SourceError(f"cannot be read: {error.strerror}: {self._path}") from None

    @contextmanager
    def open(self, name: str) -> Iterator[Stream]:
        """Open a file.

        Raises:
            SourceError: no such file, not readable, or not a video.

        """
        # FFmpeg gets the content, not the path: so it never needs its protocol `file`, which a server could name, too.
        options = read_ffmpeg_options({}, protocols=_NO_PROTOCOL)
        try:
            with open_file(Path(name)) as content, open_stream(content, name, options) as stream:
                yield stream
        except av.FFmpegError:
            raise SourceError(f"not a video that FFmpeg can read: {name}") from None
        except OSError as error:
            raise SourceError(f"cannot be read: {error.strerror}: {name}") from None


class WebContents:
    """A video file at a URL.

    Args:
        url: the URL.
        timeout_s: how long its server may be silent.
        is_trusted: do not verify the server's certificate.

    """

    def __init__(self, url: str, timeout_s: float, *, is_trusted: bool) -> None:
        self._url = url
        self._timeout_s = timeout_s
        self._is_trusted = is_trusted

    def __str__(self) -> str:
        return url_origin(self._url)

    def names(self) -> Sequence[str]:
        """Return the URL."""
        return [self._url]

    @contextmanager
    def open(self, name: str) -> Iterator[Stream]:
        """Open the URL.

        Raises:
            SourceError: it cannot be opened, or its server was lost.

        """
        options = read_ffmpeg_options({"rw_timeout": f"{self._timeout_s * 1e6:.0f}"}, is_trusted=self._is_trusted)
        explain = partial(describe_open_error, name)
        try:
            with open_stream(name, str(self), options, explain=explain, read_timeout_s=self._timeout_s) as stream:
                yield stream
        except av.FFmpegError as error:
            raise SourceError(f"{self}: {describe_lost(error)}") from None
