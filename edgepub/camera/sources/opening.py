"""Opens a stream with FFmpeg."""

import logging
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from io import BufferedReader
from typing import cast

import av
from av.video.stream import VideoStream

from edgepub.camera.sources.limits import limit_ffmpeg
from edgepub.camera.sources.stream import INVALID_DATA, Stream
from edgepub.core.errors import SourceError

_OPEN_TIMEOUT_S = 10.0
_TEXT = "tty"  # FFmpeg draws the characters of a text


@contextmanager
def open_stream(
    source: str | BufferedReader,
    title: str,
    options: Mapping[str, str],
    form: str | None = None,
    explain: Callable[[av.FFmpegError, str, float], str] | None = None,
    read_timeout_s: float | None = None,
) -> Iterator[Stream]:
    """Open a stream in this thread, and close it at the end.

    Args:
        source: a URL, or an open file.
        title: the source, for errors.
        options: FFmpeg's options for the format and the protocol.
        form: FFmpeg's name of the format; None: look for it.
        explain: says why it cannot be opened: gets the error, what FFmpeg wrote to its log, and the seconds that it
            took.
        read_timeout_s: how long a read may take.

    Raises:
        SourceError: it cannot be opened, and why.
        FFmpegError: it cannot be opened, and nothing explains why.

    """
    _prepare_log()
    limit_ffmpeg()
    with av.logging.Capture() as log:
        began_s = time.monotonic()
        try:
            container = av.open(
                cast("str", source),
                format=form,
                container_options=dict(options),
                metadata_errors="replace",
                timeout=(_OPEN_TIMEOUT_S, read_timeout_s),
            )
            if container.format.name == _TEXT:
                container.close()
                raise av.error.InvalidDataError(*INVALID_DATA)
        except av.FFmpegError as error:
            if explain is None:
                raise
            reason = explain(error, "".join(text for _, _, text in log), time.monotonic() - began_s)
            raise SourceError(f"{title}: cannot be opened: {reason}") from None
        except ValueError:
            raise SourceError(f"{title}: FFmpeg does not know the format {form}") from None
        with container:
            video = container.streams.best("video")
            if not isinstance(video, VideoStream):
                kinds = ", ".join(sorted({stream.type for stream in container.streams})) or "nothing"
                raise SourceError(f"{title}: has no video, only {kinds}: use another of the camera's streams")
            if video.codec_context is None:
                raise SourceError(
                    f"{title}: FFmpeg does not know the codec of its video: set H.264 or H.265 in the camera"
                )
            log.clear()
            yield Stream(container, video, log)


def _prepare_log() -> None:
    """Have FFmpeg's lines captured by the thread that causes them, and written nowhere: they may contain a password."""
    if av.logging.get_level() is None:
        logging.getLogger("libav").setLevel(logging.CRITICAL + 1)
        av.logging.set_skip_repeated(False)
        av.logging.set_level(av.logging.WARNING)
