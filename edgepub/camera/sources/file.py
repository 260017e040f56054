"""Frames of a video file: every frame in order, or in real time at the file's own rate."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from io import BufferedReader, FileIO
from itertools import chain
from math import inf
from pathlib import Path
from stat import S_ISREG

import av

from edgepub.camera.frames import NO_PIXELS, Frame, Frames, Shot, Shots
from edgepub.camera.sources.decoder import Decoder
from edgepub.camera.sources.gate import Gate
from edgepub.camera.sources.limits import read_ffmpeg_options
from edgepub.camera.sources.media_clock import MediaClock
from edgepub.camera.sources.picture import Converter
from edgepub.camera.sources.stream import Stream, open_stream
from edgepub.core.errors import SourceError

_NO_PROTOCOL = "none"  # a playlist in a file cannot make FFmpeg open anything else
_MAX_SMALL_PIXELS = 640 * 480


class FileSource:
    """A video file.

    Args:
        path: the file's path.
        gate: limits the frame rate, by the file's own clock.
        loop: start again at the end; the frame numbers continue.
        realtime: play at the file's own rate, as a camera would: no frame comes before its time.
        rotate: degrees clockwise to turn the pictures.

    """

    def __init__(self, path: Path, gate: Gate, *, loop: bool, realtime: bool, rotate: int = 0) -> None:
        self.live = realtime
        self._path = path
        self._gate = gate
        self._loop = loop
        self._rotate = rotate

    def __str__(self) -> str:
        return str(self._path)

    def frames(self, stopping: threading.Event) -> Frames:
        """Yield the file's frames.

        Raises:
            SourceError: no such file, not readable, not a video, or its pictures are too large.

        """
        for shot in self.shots(stopping):
            frame = shot.to_frame() if shot else None
            if frame is not None:
                yield frame

    def shots(self, stopping: threading.Event) -> Shots:
        """Yield the file's frames; None for a frame that is not used.

        Raises:
            SourceError: no such file, not readable, not a video, or its pictures are too large.

        """
        self._gate.reset()
        number = 0
        began_s = time.monotonic()
        round_s = 0.0
        while not stopping.is_set():
            is_empty = True
            with self._open() as stream:
                clock = MediaClock(stream.video)
                converter = Converter(self._gate, str(self), self._rotate)
                for picture in self._pictures(stream, stopping):
                    number += 1
                    if picture is None:
                        self._gate.count_undecodable()
                        continue
                    is_empty = False
                    media_s = round_s + clock.due_s(picture.time)
                    if self.live:
                        stopping.wait(max(0.0, began_s + media_s - time.monotonic()))
                    if stopping.is_set():
                        return
                    if self._gate.admit(media_s):
                        frame = Frame(NO_PIXELS, number, time.time(), time.monotonic(), media_s, "file")
                        yield Shot(partial(converter.convert, picture), frame)
                    else:
                        yield None
                round_s += clock.end_s
            if is_empty and not stopping.is_set():
                raise SourceError(f"a video without a frame: {self._path}")
            if not self._loop:
                return

    def _pictures(self, stream: Stream, stopping: threading.Event) -> Iterator[av.VideoFrame | None]:
        video = stream.video
        # With small pictures, passing frames between threads costs more than it gains.
        threads = 1 if video.width * video.height <= _MAX_SMALL_PIXELS else 0
        decoder = Decoder(video, self._gate, str(self), threads=threads, max_damaged_s=inf, is_whole=True)
        for packet in chain(stream.packets(stopping), [None]):
            yield from decoder.decode(packet)

    @contextmanager
    def _open(self) -> Iterator[Stream]:
        # FFmpeg gets the content, not the path: so it never needs its protocol `file`, which a server could name, too.
        try:
            with (
                self._content() as content,
                open_stream(content, str(self), read_ffmpeg_options({}, protocols=_NO_PROTOCOL)) as stream,
            ):
                yield stream
        except av.FFmpegError:
            raise SourceError(f"not a video that FFmpeg can read: {self._path}") from None
        except OSError as error:
            raise self._unreadable(error) from None

    def _content(self) -> BufferedReader:
        try:
            mode = self._path.stat().st_mode
        except (FileNotFoundError, NotADirectoryError, ValueError):  # ValueError: a null character
            raise SourceError(f"no such file: {self._path}") from None
        if not S_ISREG(mode):  # a pipe could be waited for without end
            raise SourceError(f"a directory, a device or a pipe, not a file: {self._path}")
        return BufferedReader(FileIO(self._path))

    def _unreadable(self, error: OSError) -> SourceError:
        return SourceError(f"cannot be read: {error.strerror}: {self._path}")
