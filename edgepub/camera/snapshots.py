"""When a snapshot of a camera is made: the whole frame."""

import logging
from collections.abc import Callable, Iterable, Mapping
from math import inf

from edgepub.camera.analysis.presence import Sighting
from edgepub.camera.analysis.quality import MIN_IMPROVEMENT, quality
from edgepub.camera.jpeg import encode_jpeg, list_object
from edgepub.camera.picture_switch import PictureSwitch
from edgepub.camera.snapshot_thread import SnapshotThread
from edgepub.camera.viewfinder import Seen
from edgepub.config.publishing import SnapshotSettings
from edgepub.telemetry.logs import camera_logger
from edgepub.telemetry.metrics import CameraMetrics

_MAX_OBJECTS = 200  # in the comment
_log = logging.getLogger(__name__)
_Key = tuple[str, int]


class Snapshots:
    """Has a snapshot made when an object appears, and when it is seen better than in all snapshots before.

    Args:
        identity: the `node`, the `camera` and the `boot_id`, for the comment of every picture.
        settings: the camera's `snapshot` settings.
        thread: makes the pictures.
        switch: tells whether pictures may leave the node.
        publish: takes the pictures, in that thread.
        metrics: the camera's metrics.

    """

    def __init__(
        self,
        identity: Mapping[str, str],
        settings: SnapshotSettings,
        thread: SnapshotThread,
        switch: PictureSwitch,
        publish: Callable[[bytes], None],
        metrics: CameraMetrics,
    ) -> None:
        self._identity = identity
        self._settings = settings
        self._thread = thread
        self._switch = switch
        self._publish = publish
        self._metrics = metrics
        self._log = camera_logger(_log, identity["camera"])
        self._best: dict[_Key, tuple[float, int]] = {}  # the best quality so far, and the frame of the newest picture
        self._last_s = -inf
        self._clearings = switch.clearings

    def update(self, seen: Seen, present: Mapping[_Key, Sighting]) -> None:
        """Have a snapshot made of a frame, if it shows an object that no snapshot has shown as well.

        Args:
            seen: the frame with its detections, which are drawn.
            present: the objects that are present and in this frame.

        """
        self._notice_clearing()
        frame = seen.frame
        if not self._switch.is_on:
            return
        if frame.source_s - self._last_s < self._settings.min_interval_s:
            return
        qualities = {key: quality(sighting.object) for key, sighting in present.items()}
        if not any(self._is_better(key, now) for key, now in qualities.items()):
            return
        if self._thread.submit(self, lambda: self._make(seen)):
            self._last_s = frame.source_s
            for key, now in qualities.items():
                best = self._best.get(key, (0.0, 0))[0]
                self._best[key] = max(best, now), frame.number

    def frame_of(self, key: _Key) -> int | None:
        """Return the frame number of the newest snapshot that shows an object; None without one."""
        self._notice_clearing()
        return self._best[key][1] if key in self._best and self._switch.is_on else None

    def forget(self, gone: Iterable[_Key]) -> None:
        """Forget objects that are gone."""
        for key in gone:
            self._best.pop(key, None)

    def reset(self) -> None:
        """Prepare for a new source, whose clock may differ."""
        self._last_s = -inf

    def _notice_clearing(self) -> None:
        """Begin again, if what was published has been taken away."""
        if self._clearings != self._switch.clearings:
            self._clearings = self._switch.clearings
            self._best.clear()
            self._last_s = -inf

    def _is_better(self, key: _Key, now: float) -> bool:
        return key not in self._best or now >= MIN_IMPROVEMENT * self._best[key][0]

    def _make(self, seen: Seen) -> None:
        settings, (frame, objects, blurred) = self._settings, seen
        listed = [list_object(detection) for detection in objects[:_MAX_OBJECTS]]
        comment = {**self._identity, "frame": frame.number, "timestamp": frame.timestamp, "objects": listed}
        drawn = objects if settings.boxes else []
        size = settings.max_width, settings.quality
        try:
            picture = encode_jpeg(frame.full_image, drawn, *size, comment, blurred=blurred)
        except Exception as error:  # noqa: BLE001  (from OpenCV; the thread must continue, for all cameras)
            self._log.warning("no snapshot of frame %d: %s", frame.number, error)
            return
        self._metrics.count_snapshot()
        self._publish(picture)
