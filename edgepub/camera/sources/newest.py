"""The newest frame of a live source, which is read in a thread of its own that may hang."""

import threading
import time
from math import inf

from edgepub.camera.frames import Fit, Frame, Frames, Shot, ShotSource
from edgepub.core.errors import SourceError
from edgepub.core.threads import start_native_thread
from edgepub.telemetry.metrics import CameraMetrics

_FIRST_FRAME_TIMEOUT_S = 30.0  # to open the source and to wait for its first key frame
_STALL_FRACTION = 0.9  # of the stall timeout; the rest is for reporting the stall
_MAX_HUNG = 4
_POLL_S = 0.25
_JOIN_TIMEOUT_S = 1.0


class NewestFrameSource:
    """Reads a live source all the time, keeps the newest frame, and gives that frame when one is wanted.

    Frames that come while the consumer is busy are left out and counted. A read that hangs is abandoned; its thread
    ends by itself when the read returns.

    Args:
        source: the source.
        camera: the camera's name.
        stall_timeout_s: how long a source that has given a frame may give none.
        metrics: the camera's metrics.

    """

    live = True

    def __init__(self, source: ShotSource, camera: str, stall_timeout_s: float, metrics: CameraMetrics) -> None:
        self._source = source
        self._camera = camera
        self._stall_timeout_s = stall_timeout_s
        self._metrics = metrics
        self._abandoned: list[threading.Thread] = []

    def __str__(self) -> str:
        return str(self._source)

    def frames(self, stopping: threading.Event, fit: Fit | None = None) -> Frames:
        """Yield the newest frame each time, after waiting for it.

        Args:
            stopping: ends it.
            fit: the size that the model takes; None: full size.

        Raises:
            SourceError: the source cannot be opened, was lost, or gives no frame.

        """
        self._abandoned = [thread for thread in self._abandoned if thread.is_alive()]
        if len(self._abandoned) >= _MAX_HUNG:
            raise SourceError(f"{self}: {_MAX_HUNG} reads hang; waiting until one of them ends")
        slot = _Slot(self._metrics)
        thread = start_native_thread(f"camera-{self._camera}-capture", lambda: self._read(slot, stopping))
        self._abandoned.append(thread)
        timeout_s, wait_s = max(_FIRST_FRAME_TIMEOUT_S, self._stall_timeout_s), None
        try:
            while True:
                frame = _take(slot, fit, timeout_s, wait_s, stopping)
                if frame is not None:
                    timeout_s = _STALL_FRACTION * self._stall_timeout_s
                wait_s = yield frame
        except EOFError:
            pass
        except TimeoutError:
            raise SourceError(f"{self}: no frame for {timeout_s:.0f} s; this read is abandoned") from None
        finally:
            slot.close()
            if stopping.is_set():
                thread.join(_JOIN_TIMEOUT_S)

    def _read(self, slot: "_Slot", stopping: threading.Event) -> None:
        self._metrics.start_capture(threading.get_native_id())
        try:
            for shot in self._source.shots(slot.closed):
                slot.put(shot)
                if stopping.is_set():
                    break  # even if the consumer hangs and has not closed the slot
            slot.finish(EOFError())
        except Exception as error:  # whatever it is, it is raised again in the consumer's thread
            slot.finish(error)
        finally:
            self._metrics.end_capture(threading.get_native_id())


def _take(
    slot: "_Slot", fit: Fit | None, timeout_s: float, wait_s: float | None, stopping: threading.Event
) -> Frame | None:
    """Return the newest frame that can be converted; or None if none came within `wait_s`.

    Raises:
        As `_Slot.take`, or SourceError: no frame can be converted.

    """
    end_s = None if wait_s is None else time.monotonic() + wait_s
    while shot := slot.take(timeout_s, None if end_s is None else end_s - time.monotonic(), stopping):
        if frame := shot.to_frame(fit):
            return frame
    return None


class _Slot:
    """Holds one frame between the thread that reads and the consumer."""

    def __init__(self, metrics: CameraMetrics) -> None:
        self.closed = threading.Event()
        """Set when no frame will be taken any more."""
        self._metrics = metrics
        self._changed = threading.Condition()
        self._shot: Shot | None = None
        self._put_s = time.monotonic()
        self._end: Exception | None = None

    def put(self, shot: Shot | None) -> None:
        """Replace the frame with a newer one; None: the source gave one that is not used."""
        with self._changed:
            self._put_s = time.monotonic()
            missed = None
            if self.closed.is_set():
                missed = shot
            elif shot is not None:
                missed, self._shot = self._shot, shot
                self._changed.notify()
        self._count(missed)

    def close(self) -> None:
        """Accept no frame any more."""
        with self._changed:
            self.closed.set()
            missed, self._shot = self._shot, None
        self._count(missed)

    def _count(self, missed: Shot | None) -> None:
        if missed is not None:
            self._metrics.count_sampled("busy")

    def finish(self, error: Exception) -> None:
        """Raise this error in `take` once the last frame is taken."""
        with self._changed:
            self._end = error
            self._changed.notify()

    def take(self, timeout_s: float, wait_s: float | None, stopping: threading.Event) -> Shot | None:
        """Return the newest frame; or None if none came within `wait_s`.

        Raises:
            EOFError: the source has ended, or `stopping` is set.
            SourceError: the source was lost.
            TimeoutError: the source has given no frame for longer than `timeout_s`.

        """
        end_s = inf if wait_s is None else time.monotonic() + wait_s
        with self._changed:
            while not stopping.is_set():
                if self._shot is not None:
                    shot, self._shot = self._shot, None
                    return shot
                if self._end is not None:
                    raise self._end
                now_s = time.monotonic()
                if now_s > self._put_s + timeout_s:
                    raise TimeoutError
                if now_s >= end_s:
                    return None
                self._changed.wait(min(self._put_s + timeout_s - now_s, end_s - now_s, _POLL_S))
        raise EOFError
