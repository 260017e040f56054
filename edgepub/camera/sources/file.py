"""Frames of what ends, as a video file: every frame in order, or in real time at its own rate."""

import threading
import time
from collections.abc import Iterator
from functools import partial
from itertools import chain
from math import inf

import av

from edgepub.camera.frames import NO_PIXELS, Fit, Frame, Frames, Shot, Shots
from edgepub.camera.sources.contents import Contents
from edgepub.camera.sources.decoder import Decoder
from edgepub.camera.sources.gate import Gate
from edgepub.camera.sources.media_clock import MediaClock
from edgepub.camera.sources.picture import Converter
from edgepub.camera.sources.stream import Stream
from edgepub.core.errors import SourceError

_SIGN_OF_LIFE_S = 0.5
_MAX_SMALL_PIXELS = 640 * 480


class FileSource:
    """A video file, or pictures.

    Args:
        contents: what to read.
        gate: limits the frame rate, by the file's own clock.
        loop: start again at the end; the frame numbers continue.
        realtime: play at the file's own rate, as a camera would: no frame comes before its time.
        rotate: degrees clockwise to turn the pictures.
        fps: for pictures: how many of them are a second.

    """

    def __init__(
        self, contents: Contents, gate: Gate, *, loop: bool, realtime: bool, rotate: int = 0, fps: float = 1
    ) -> None:
        self.live = realtime
        self._contents = contents
        self._gate = gate
        self._loop = loop
        self._rotate = rotate
        self._picture_s = 1 / fps

    def __str__(self) -> str:
        return str(self._contents)

    def frames(self, stopping: threading.Event, fit: Fit | None = None) -> Frames:
        """Yield the frames.

        Args:
            stopping: ends it.
            fit: the size that the model takes; None: full size.

        Raises:
            SourceError: no such file, not readable, not a video, or its pictures are too large.

        """
        for shot in self.shots(stopping):
            frame = shot.to_frame(fit) if shot else None
            if frame is not None:
                yield frame

    def shots(self, stopping: threading.Event) -> Shots:
        """Yield the frames; None for a frame that is not used. Of several files, those that are damaged are left out.

        Raises:
            SourceError: no such file, not readable, not a video, or its pictures are too large.

        """
        self._gate.reset()
        progress = _Progress()
        while not stopping.is_set():
            before, problem = progress.decoded, ""
            names = self._contents.names()
            for name in names:
                try:
                    yield from self._play(name, progress, stopping)
                except SourceError as error:
                    if len(names) == 1:
                        raise
                    self._gate.count_undecodable()
                    problem = f"; the last: {error}"
                    yield None
                if stopping.is_set():
                    return
            if progress.decoded == before:
                what = "a video without a frame" if len(names) == 1 else f"none of {len(names)} files can be decoded"
                raise SourceError(f"{what}: {self}{problem}")
            if not self._loop:
                return

    def _play(self, name: str, progress: "_Progress", stopping: threading.Event) -> Shots:
        with self._contents.open(name) as stream:
            clock = MediaClock(stream.video, self._picture_s if stream.is_single_picture else None)
            converter = Converter(self._gate, str(self), self._rotate)
            for picture in self._pictures(stream, stopping):
                progress.number += 1
                if picture is None:
                    self._gate.count_undecodable()
                    yield None
                    continue
                progress.decoded += 1
                media_s = progress.media_s + clock.due_s(picture.time)
                while self.live and (left_s := progress.began_s + media_s - time.monotonic()) > 0:
                    if stopping.wait(min(left_s, _SIGN_OF_LIFE_S)):
                        return
                    if left_s > _SIGN_OF_LIFE_S:
                        yield None
                if stopping.is_set():
                    return
                if self._gate.admit(media_s):
                    frame = Frame(NO_PIXELS, progress.number, time.time(), time.monotonic(), media_s, "file")
                    yield Shot(partial(converter.convert, picture), frame)
                else:
                    yield None
            progress.media_s += clock.end_s

    def _pictures(self, stream: Stream, stopping: threading.Event) -> Iterator[av.VideoFrame | None]:
        video = stream.video
        # With small pictures, passing frames between threads costs more than it gains.
        threads = 1 if video.width * video.height <= _MAX_SMALL_PIXELS else 0
        decoder = Decoder(video, str(self), threads=threads, max_damaged_s=inf, is_whole=True)
        for packet in chain(stream.packets(stopping), [None]):
            yield from decoder.decode(packet)


class _Progress:
    """How far it has played, over all files and rounds."""

    def __init__(self) -> None:
        self.began_s = time.monotonic()
        self.media_s = 0.0
        self.number = 0
        self.decoded = 0
