"""Frames of a video file: every frame in order, or in real time at the file's own rate."""

import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from io import BufferedReader, FileIO
from pathlib import Path
from stat import S_ISREG

import cv2

from edgepub.camera.frames import Frame, Frames
from edgepub.camera.sources.capture import Gate, Reader, open_reader
from edgepub.core.errors import SourceError

_DEFAULT_FPS = 25.0  # for a file without a frame rate
_MAX_SMALL_PIXELS = 640 * 480


class FileSource:
    """A video file.

    Args:
        path: the file's path.
        gate: limits the frame rate, by the file's own clock.
        loop: start again at the end; the frame numbers continue.
        realtime: play at the file's own rate, as a camera would: no frame comes before its time.

    """

    def __init__(self, path: Path, gate: Gate, *, loop: bool, realtime: bool) -> None:
        self.live = realtime
        self._path = path
        self._gate = gate
        self._loop = loop

    def __str__(self) -> str:
        return str(self._path)

    def frames(self, stopping: threading.Event) -> Frames:
        """Yield the file's frames; in real time, None for a frame that is not used.

        Raises:
            SourceError: no such file, not readable, not a video, or its pictures are too large.

        """
        self._check_is_file()
        with self._open([]) as reader:
            parameters = _decoder_parameters(reader)
        self._gate.reset()
        number = 0
        began_s = time.monotonic()
        round_s = 0.0
        while not stopping.is_set():
            before = number
            with self._open(parameters) as reader:
                clock = _Clock(reader.capture)
                while not stopping.is_set() and reader.grab():
                    number += 1
                    media_s = round_s + clock.read_s()
                    if self.live:
                        stopping.wait(max(0.0, began_s + media_s - time.monotonic()))
                    captured_s, timestamp = time.monotonic(), time.time()
                    image = reader.retrieve(media_s)
                    if image is not None:
                        yield Frame(image, number, timestamp, captured_s, media_s)
                    elif self.live:
                        yield None
                round_s += clock.end_s
            if number == before and not stopping.is_set():
                raise SourceError(f"a video without a frame: {self._path}")
            if not self._loop:
                return

    def _check_is_file(self) -> None:
        try:
            mode = self._path.stat().st_mode
        except (FileNotFoundError, NotADirectoryError, ValueError):  # ValueError: a null character
            raise SourceError(f"no such file: {self._path}") from None
        except OSError as error:  # a directory that this user may not enter, for example
            raise self._unreadable(error) from None
        if not S_ISREG(mode):  # a pipe could be waited for without end
            raise SourceError(f"a directory, a device or a pipe, not a file: {self._path}")

    def _unreadable(self, error: OSError) -> SourceError:
        return SourceError(f"cannot be read: {error.strerror}: {self._path}")

    @contextmanager
    def _open(self, parameters: Sequence[int]) -> Iterator[Reader]:
        # FFmpeg gets the content, not the path: so it never needs its protocol `file`, which a server could name, too.
        reason = f"not a video that OpenCV can read: {self._path}"
        try:
            content = _Content(FileIO(self._path))
        except OSError as error:
            raise self._unreadable(error) from None
        with content, open_reader(content, cv2.CAP_FFMPEG, parameters, self._gate, str(self), reason) as reader:
            yield reader


class _Content(BufferedReader):
    """The content of a file. It ends where it cannot be read: an exception in one of these calls crashes OpenCV."""

    def read(self, size: int | None = -1, /) -> bytes:
        """Read up to that many bytes."""
        try:
            return super().read(size)
        except (OSError, ValueError, MemoryError):
            return b""

    def seek(self, target: int, whence: int = 0, /) -> int:
        """Move to an offset; return where that is, or -1."""
        try:
            return super().seek(target, whence)
        except (OSError, ValueError):
            return -1


class _Clock:
    """Gives the time of each frame, in seconds from the first: by its timestamp, else by the file's frame rate."""

    def __init__(self, capture: cv2.VideoCapture) -> None:
        self._capture = capture
        self._period_s = 1 / (capture.get(cv2.CAP_PROP_FPS) or _DEFAULT_FPS)
        self._first_s: float | None = None
        self.end_s = 0.0
        """When the frame after the last one is due, if it has no timestamp."""

    def read_s(self) -> float:
        """Return when the last grabbed frame is due."""
        timestamp_s = self._capture.get(cv2.CAP_PROP_POS_MSEC) / 1000
        if self._first_s is None:
            self._first_s, due_s = timestamp_s, 0.0
        else:
            due_s = timestamp_s - self._first_s
            if due_s <= self.end_s - self._period_s:  # not after the previous one: a file without timestamps
                due_s = self.end_s
        self.end_s = due_s + self._period_s
        return due_s


def _decoder_parameters(reader: Reader) -> list[int]:
    """Return the parameters to open this video with.

    FFmpeg decodes with one thread for each processor. With small pictures, passing frames between threads costs more
    than it gains.
    """
    return [cv2.CAP_PROP_N_THREADS, 1] if reader.pixels <= _MAX_SMALL_PIXELS else []
