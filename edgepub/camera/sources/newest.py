"""Only the newest frame of a live source, read in a thread of its own that may hang."""

import threading
import time
from math import inf

from edgepub.camera.frames import Frame, Frames, FrameSource
from edgepub.core.errors import SourceError
from edgepub.telemetry.metrics import CameraMetrics

_FIRST_FRAME_S = 30.0  # to open it, and to wait for the picture that it can begin with
_PROMISE = 0.9  # of the stall timeout: what is left is for saying so
_MOST_HUNG = 4
_LOOK_S = 0.25
_GOODBYE_S = 1.0


class NewestFrameSource:
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

    def __init__(self, source: FrameSource, camera: str, stall_timeout_s: float, counts: CameraMetrics) -> None:
        self._source = source
        self._camera = camera
        self._stall_timeout_s = stall_timeout_s
        self._counts = counts
        self._left: list[threading.Thread] = []

    def __str__(self) -> str:
        return str(self._source)

    def frames(self, stopping: threading.Event) -> Frames:
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
        patience_s, wait_s = max(_FIRST_FRAME_S, self._stall_timeout_s), None
        try:
            while True:
                frame = slot.take(patience_s, wait_s, stopping)
                if frame is not None:
                    patience_s = _PROMISE * self._stall_timeout_s
                wait_s = yield frame
        except EOFError:
            pass
        except TimeoutError:
            raise SourceError(f"{self}: silent for {patience_s:.0f} s; this read of it is abandoned") from None
        finally:
            slot.leave()
            if stopping.is_set():
                thread.join(_GOODBYE_S)

    def _read(self, slot: "_Slot", stopping: threading.Event) -> None:
        try:
            for frame in self._source.frames(slot.left):
                slot.put(frame)
                if stopping.is_set():
                    break  # even if who takes the frames hangs, and has not left
            slot.end(EOFError())
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
        self._heard_s = time.monotonic()
        self._end: Exception | None = None

    def put(self, frame: Frame | None) -> None:
        """Let this be the newest; None: one came that is not used."""
        with self._changed:
            self._heard_s = time.monotonic()
            missed = None
            if self.left.is_set():
                missed = frame
            elif frame is not None:
                missed, self._frame = self._frame, frame
                self._changed.notify()
        self._count(missed)

    def leave(self) -> None:
        """Take no frame any more."""
        with self._changed:
            self.left.set()
            missed, self._frame = self._frame, None
        self._count(missed)

    def _count(self, missed: Frame | None) -> None:
        if missed is not None:
            self._counts.count_sampled("busy")

    def end(self, error: Exception) -> None:
        """Let the last frame be taken, and then this be raised."""
        with self._changed:
            self._end = error
            self._changed.notify()

    def take(self, patience_s: float, wait_s: float | None, stopping: threading.Event) -> Frame | None:
        """Return the newest frame; or None when none came within `wait_s`.

        Raises:
            EOFError: the source has ended, or `stopping` is set.
            SourceError: the source was lost.
            TimeoutError: it has been silent for longer than `patience_s`.

        """
        end_s = inf if wait_s is None else time.monotonic() + wait_s
        with self._changed:
            while not stopping.is_set():
                if self._frame is not None:
                    frame, self._frame = self._frame, None
                    return frame
                if self._end is not None:
                    raise self._end
                now_s = time.monotonic()
                if now_s > self._heard_s + patience_s:
                    raise TimeoutError
                if now_s >= end_s:
                    return None
                self._changed.wait(min(self._heard_s + patience_s - now_s, end_s - now_s, _LOOK_S))
        raise EOFError
