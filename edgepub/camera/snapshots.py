"""When a snapshot of a camera is made, and the one thread that makes the snapshots of all cameras."""

import asyncio
import logging
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from functools import partial
from math import inf
from typing import Any

from edgepub.camera.analysis.presence import Sighting
from edgepub.camera.analysis.quality import MIN_IMPROVEMENT, quality
from edgepub.camera.drawing import select_labels
from edgepub.camera.frames import Frame
from edgepub.camera.jpeg import encode_jpeg
from edgepub.config.camera import SnapshotSettings
from edgepub.core.threads import call_in_loop, start_native_thread
from edgepub.telemetry.logs import camera_logger
from edgepub.telemetry.metrics import CameraMetrics

_OBJECT_KEYS = ("label", "score", "track_id", "bbox")
_POLL_S = 0.02
_MAX_OBJECTS = 200  # in the comment
_log = logging.getLogger(__name__)
_Key = tuple[str, int]


class SnapshotThread:
    """A thread that does one piece of work at a time, and accepts none while it is busy. It starts with the first."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._work: Callable[[], None] | None = None
        self._thread: threading.Thread | None = None
        self._on_end: Callable[[], None] | None = None

    def submit(self, work: Callable[[], None]) -> bool:
        """Do this work in the thread, unless the thread is busy; return whether it accepts it."""
        with self._changed:
            if self._work is not None:
                return False
            self._work = work
            if self._thread is None:
                self._thread = start_native_thread("snapshots", self._run)
            self._changed.notify()
        return True

    async def wait_idle(self, timeout_s: float) -> None:
        """Wait for the end of the current work, up to `timeout_s` seconds."""
        work = self._work
        with suppress(TimeoutError):
            async with asyncio.timeout(timeout_s):
                while work is not None and self._work is work:  # noqa: ASYNC110  (a thread ends it)
                    await asyncio.sleep(_POLL_S)

    async def stop(self, timeout_s: float) -> None:
        """End the thread after its current work; wait for that up to `timeout_s` seconds."""
        loop, ended = asyncio.get_running_loop(), asyncio.Event()
        with self._changed:
            if self._thread is None:
                return
            self._on_end = partial(call_in_loop, loop, ended.set)
            self._changed.notify()
        with suppress(TimeoutError):
            async with asyncio.timeout(timeout_s):
                await ended.wait()

    def _run(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._work or self._on_end)
                if self._work is None:
                    break
            try:
                self._work()
            except Exception:  # noqa: BLE001  (the next snapshot, of any camera, needs this thread)
                _log.exception("internal error, please report it")
            with self._changed:
                self._work = None  # which also frees the frame
        if self._on_end:
            self._on_end()


class Snapshots:
    """Has a snapshot made when an object appears, and when it is seen better than in all snapshots before.

    Args:
        identity: the `node`, the `camera` and the `boot_id`, for the comment of every picture.
        settings: the camera's `snapshot` settings.
        thread: makes the pictures.
        publish: takes the pictures, in that thread.
        metrics: the camera's metrics.

    """

    def __init__(
        self,
        identity: Mapping[str, str],
        settings: SnapshotSettings,
        thread: SnapshotThread,
        publish: Callable[[bytes], None],
        metrics: CameraMetrics,
    ) -> None:
        self._identity = identity
        self._settings = settings
        self._thread = thread
        self._publish = publish
        self._metrics = metrics
        self._log = camera_logger(_log, identity["camera"])
        self._best: dict[_Key, tuple[float, int]] = {}  # the best quality so far, and the frame of the newest picture
        self._last_s = -inf

    def update(self, frame: Frame, objects: Sequence[Mapping[str, Any]], present: Mapping[_Key, Sighting]) -> None:
        """Have a snapshot made of a frame, if it shows an object that no snapshot has shown as well.

        Args:
            frame: the frame.
            objects: its detections, which are drawn.
            present: the objects that are present and in this frame.

        """
        settings = self._settings
        if not settings.enabled or frame.source_s - self._last_s < settings.min_interval_s:
            return
        qualities = {key: quality(sighting.object) for key, sighting in present.items()}
        if not any(self._is_better(key, seen) for key, seen in qualities.items()):
            return
        if self._thread.submit(lambda: self._make(frame, objects)):
            self._last_s = frame.source_s
            for key, seen in qualities.items():
                best = self._best.get(key, (0.0, 0))[0]
                self._best[key] = max(best, seen), frame.number

    def frame_of(self, key: _Key) -> int | None:
        """Return the frame number of the newest snapshot that shows an object; None without one."""
        return self._best[key][1] if key in self._best else None

    def forget(self, gone: Iterable[_Key]) -> None:
        """Forget objects that are gone."""
        for key in gone:
            self._best.pop(key, None)

    def reset(self) -> None:
        """Prepare for a new source, whose clock may differ."""
        self._last_s = -inf

    def _is_better(self, key: _Key, seen: float) -> bool:
        return key not in self._best or seen >= MIN_IMPROVEMENT * self._best[key][0]

    def _make(self, frame: Frame, objects: Sequence[Mapping[str, Any]]) -> None:
        settings = self._settings
        listed = [
            {key: detection[key] for key in _OBJECT_KEYS if key in detection} for detection in objects[:_MAX_OBJECTS]
        ]
        comment = {**self._identity, "frame": frame.number, "timestamp": frame.timestamp, "objects": listed}
        drawn = objects if settings.boxes else []
        blurred = select_labels(objects, settings.blur)
        size = settings.max_width, settings.quality
        try:
            picture = encode_jpeg(frame.full_image, drawn, *size, comment, blurred=blurred)
        except Exception as error:  # noqa: BLE001  (from OpenCV; the thread must continue, for all cameras)
            self._log.warning("no snapshot of frame %d: %s", frame.number, error)
            return
        self._metrics.count_snapshot()
        self._publish(picture)
