"""When a picture is made of what a camera sees, and the one thread that makes them all."""

import asyncio
import logging
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from math import inf
from typing import Any

from edgepub.camera.analysis.presence import Sighting
from edgepub.camera.frames import Frame
from edgepub.camera.jpeg import encode_jpeg
from edgepub.config.camera import SnapshotSettings
from edgepub.telemetry.logs import camera_logger
from edgepub.telemetry.metrics import CameraMetrics

BETTER = 1.2
"""A picture is better by so much: the object's score times its part of the frame."""

_SAID = ("label", "score", "track_id", "bbox")
_LOOK_S = 0.02
_MOST_SAID = 200  # objects: a JPEG's comment is shorter than 64 kB
_log = logging.getLogger(__name__)
_Key = tuple[str, int]


class SnapshotThread:
    """A thread that does one piece of work at a time, and takes none while it is busy."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._work: Callable[[], None] | None = None
        self._thread: threading.Thread | None = None
        self._end: Callable[[], None] | None = None

    def submit(self, work: Callable[[], None]) -> bool:
        """Let this be done, unless something else is being done; return whether it will be."""
        with self._changed:
            if self._work is not None:
                return False
            self._work = work
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="snapshots", daemon=True)
                self._thread.start()
            self._changed.notify()
        return True

    async def wait_idle(self, grace_s: float) -> None:
        """Wait for the end of the picture that is being made now, for so long at most."""
        work = self._work
        with suppress(TimeoutError):
            async with asyncio.timeout(grace_s):
                while work is not None and self._work is work:  # noqa: ASYNC110  (it is a thread that ends it)
                    await asyncio.sleep(_LOOK_S)

    async def stop(self, grace_s: float) -> None:
        """Let the thread end after the picture in hand, and wait so long for that at most."""
        loop, ended = asyncio.get_running_loop(), asyncio.Event()

        def end() -> None:
            with suppress(RuntimeError):  # the loop is closed: it has not waited so long
                loop.call_soon_threadsafe(ended.set)

        with self._changed:
            if self._thread is None:
                return
            self._end = end
            self._changed.notify()
        with suppress(TimeoutError):
            async with asyncio.timeout(grace_s):
                await ended.wait()

    def _run(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._work or self._end)
                if self._work is None:
                    break
            self._work()
            with self._changed:
                self._work = None  # and the frame with it
        if self._end:
            self._end()


class Snapshots:
    """Has a picture made when an object has appeared, and when it is seen better than in all pictures before.

    Args:
        whose: what every picture says of where it is from.
        settings: the camera's `snapshot`.
        snapshot_thread: makes the pictures.
        publish: takes them, in the thread that makes them.
        counts: the camera's counts.

    """

    def __init__(
        self,
        whose: Mapping[str, str],
        settings: SnapshotSettings,
        snapshot_thread: SnapshotThread,
        publish: Callable[[bytes], None],
        counts: CameraMetrics,
    ) -> None:
        self._whose = whose
        self._settings = settings
        self._snapshot_thread = snapshot_thread
        self._publish = publish
        self._counts = counts
        self._log = camera_logger(_log, whose["camera"])
        self._best: dict[_Key, tuple[float, int]] = {}  # how well it is seen, and the frame of the newest picture
        self._last_s = -inf

    def update(self, frame: Frame, objects: Sequence[Mapping[str, Any]], here: Mapping[_Key, Sighting]) -> None:
        """Have a picture made of a frame, if it shows something that no picture has shown so well.

        Args:
            frame: the frame.
            objects: its detections, which are drawn.
            here: the objects in it that matter.

        """
        settings = self._settings
        if not settings.enabled or frame.source_s - self._last_s < settings.min_interval_s:
            return
        goodness = {key: _goodness(sighting.object) for key, sighting in here.items()}
        if not any(key not in self._best or good >= BETTER * self._best[key][0] for key, good in goodness.items()):
            return
        if self._snapshot_thread.submit(lambda: self._make(frame, objects)):
            self._last_s = frame.source_s
            for key, good in goodness.items():
                best = self._best.get(key, (0.0, 0))[0]
                self._best[key] = max(best, good), frame.number

    def frame_of(self, key: _Key) -> int | None:
        """Return the number of the frame in the newest picture that shows an object."""
        return self._best[key][1] if key in self._best else None

    def forget(self, gone: Iterable[_Key]) -> None:
        """Forget objects that are there no more."""
        for key in gone:
            self._best.pop(key, None)

    def reset(self) -> None:
        """Begin anew with a source whose clock may be another."""
        self._last_s = -inf

    def _make(self, frame: Frame, objects: Sequence[Mapping[str, Any]]) -> None:
        settings = self._settings
        shown = [{key: each[key] for key in _SAID if key in each} for each in objects[:_MOST_SAID]]
        says = {**self._whose, "frame": frame.number, "timestamp": frame.timestamp, "objects": shown}
        drawn = objects if settings.boxes else []
        try:
            picture = encode_jpeg(frame.image, drawn, settings.max_width, settings.quality, says)
        except Exception as error:  # noqa: BLE001  (of OpenCV; the thread must go on, for all cameras)
            self._log.warning("no snapshot of frame %d: %s", frame.number, error)
            return
        self._counts.count_snapshot()
        self._publish(picture)


def _goodness(each: Mapping[str, Any]) -> float:
    x1, y1, x2, y2 = each["bbox_norm"]
    return float(each["score"] * (x2 - x1) * (y2 - y1))
