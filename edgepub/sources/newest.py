"""Only the newest frame of a live source, read in a thread of its own that may hang."""

import threading
import time
from collections.abc import Generator
from typing import Protocol

from edgepub.errors import SourceError
from edgepub.frames import Frame
from edgepub.metrics import CameraMetrics

_FIRST_FRAME_S = 30.0  # to open it, and to wait for the picture that it can begin with
_PROMISE = 0.9  # of the stall timeout: what is left is for saying so
_MOST_HUNG = 4
_LOOK_S = 0.25
_GOODBYE_S = 1.0


class LiveSource(Protocol):
    """What gives frames at its own pace."""

    def frames(self, stopping: threading.Event) -> Generator[Frame, None, None]:
        """Yield frames until the end or until `stopping` is set, or raise SourceError."""


class Newest:
    """Reads a live source all the time, keeps the newest frame, and gives that one when it is asked.

    What the reader of a frame was too busy to take is left out, and counted. A read that hangs is abandoned; its thread
    ends by itself when the read comes back.

    Args:
        source: the source.
        camera: the camera's name.
        stall_timeout_s: so long a source that has given a frame may be silent.
        counts: the camera's counts.

    """

    live = True

    def __init__(self, source: LiveSource, camera: str, stall_timeout_s: float, counts: CameraMetrics) -> None:
        self._source = source
        self._camera = camera
        self._stall_timeout_s = stall_timeout_s
        self._counts = counts
        self._left: list[threading.Thread] = []

    def __str__(self) -> str:
        return str(self._source)

    def frames(self, stopping: threading.Event) -> Generator[Frame, None, None]:
        """Yield the newest frame each time, having waited for it.

        Raises:
            SourceError: the source cannot be opened, was lost, or is silent.

        """
        self._left = [thread for thread in self._left if thread.is_alive()]
        if len(self._left) >= _MOST_HUNG:
            raise SourceError(f"{self}: {_MOST_HUNG} reads of it hang; it is opened again when one of them has ended")
        slot = _Slot(self._counts)
        name = f"camera-{self._camera}-capture"
        thread = threading.Thread(target=self._read, args=(slot, stopping), name=name, daemon=True)
        thread.start()
        self._left.append(thread)
        try:
            patience_s = _FIRST_FRAME_S
            while (frame := slot.take(patience_s, stopping)) is not None:
                patience_s = _PROMISE * self._stall_timeout_s
                yield frame
        except TimeoutError:
            raise SourceError(f"{self}: silent for {patience_s:.0f} s; this read of it is abandoned") from None
        finally:
            slot.left.set()
            if stopping.is_set():
                thread.join(_GOODBYE_S)

    def _read(self, slot: "_Slot", stopping: threading.Event) -> None:
        try:
            for frame in self._source.frames(slot.left):
                slot.put(frame)
                if stopping.is_set():
                    break  # even if who takes the frames hangs, and has not left
            slot.end(None)
        except Exception as error:  # whatever it is, it is raised again in the thread that takes the frames
            slot.end(error)


class _Slot:
    """Room for one frame between the thread that reads and the one that uses it."""

    def __init__(self, counts: CameraMetrics) -> None:
        self.left = threading.Event()
        """Set when nobody will take a frame any more."""
        self._counts = counts
        self._changed = threading.Condition()
        self._frame: Frame | None = None
        self._ended = False
        self._error: Exception | None = None

    def put(self, frame: Frame) -> None:
        """Let this be the newest."""
        with self._changed:
            missed, self._frame = self._frame, frame
            self._changed.notify()
        if missed is not None and not self.left.is_set():
            self._counts.count_sampled("busy")

    def end(self, error: Exception | None) -> None:
        """Let the last frame be taken, and then the error be raised."""
        with self._changed:
            self._ended, self._error = True, error
            self._changed.notify()

    def take(self, patience_s: float, stopping: threading.Event) -> Frame | None:
        """Wait for a frame; return it, or None at the end.

        Raises:
            SourceError: the source was lost.
            TimeoutError: it was silent for too long.

        """
        end_s = time.monotonic() + patience_s
        with self._changed:
            while not stopping.is_set():
                if self._frame is not None:
                    frame, self._frame = self._frame, None
                    return frame
                if self._ended:
                    if self._error is not None:
                        raise self._error
                    return None
                left_s = end_s - time.monotonic()
                if left_s <= 0:
                    raise TimeoutError
                self._changed.wait(min(left_s, _LOOK_S))
        return None
