"""When a cut-out of an object is made: of each label, that of the newest visit."""

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from math import ceil, floor, inf
from typing import NamedTuple

from edgepub.camera.analysis.presence import Sighting
from edgepub.camera.analysis.quality import MIN_IMPROVEMENT, quality
from edgepub.camera.analysis.rules import Key
from edgepub.camera.analysis.visits import Visit, Visits
from edgepub.camera.drawing import blur_objects
from edgepub.camera.jpeg import encode_jpeg, list_object
from edgepub.camera.picture_switch import PictureSwitch
from edgepub.camera.snapshot_thread import SnapshotThread
from edgepub.camera.viewfinder import Seen
from edgepub.config.publishing import SnapshotSettings
from edgepub.mqtt.label_levels import topic_level
from edgepub.telemetry.logs import camera_logger

_MARGIN = 0.15  # of the box's width and height, at each side
_MIN_PIXELS = 300  # of a cut-out, across and down; of a smaller object it shows more of the surroundings
_EARLIER_RUN_S = -inf
_log = logging.getLogger(__name__)


class Cutout(NamedTuple):
    """A picture of one object."""

    level: str
    """The topic level of its label."""
    visit_id: str
    frame: int
    jpeg: bytes
    created_s: float
    """When it was decided to make it, on the monotonic clock."""


class _Work(NamedTuple):
    level: str
    visit_id: str
    sighting: Sighting


class Cutouts:
    """Has a cut-out made of an object that appears, and when it is seen better than in all its cut-outs before.

    Args:
        identity: the `node`, the `camera` and the `boot_id`, for the comment of every picture.
        settings: the camera's `snapshot` settings.
        thread: makes the pictures.
        switch: tells whether pictures may leave the node.
        has_topics: tells whether the label with this topic level has topics.
        publish: takes the pictures, in that thread.
        is_retained: tells whether the broker has a picture of the label with this topic level, from an earlier run.

    """

    def __init__(
        self,
        identity: Mapping[str, str],
        settings: SnapshotSettings,
        thread: SnapshotThread,
        switch: PictureSwitch,
        has_topics: Callable[[str], bool],
        publish: Callable[[Cutout], None],
        is_retained: Callable[[str], bool] = lambda _level: False,
    ) -> None:
        self._identity = identity
        self._settings = settings
        self._thread = thread
        self._switch = switch
        self._has_topics = has_topics
        self._publish = publish
        self._is_retained = is_retained
        self._log = camera_logger(_log, identity["camera"])
        self._shown: dict[str, tuple[str, float]] = {}  # by level, the visit that its picture shows, and since when
        self._clearings, self._losses = switch.clearings, switch.losses

    def update(
        self,
        seen: Seen,
        present: Mapping[Key, Sighting],
        visits: Visits,
    ) -> None:
        """Have cut-outs made of a frame, of the objects that are there for the first time or seen better.

        Args:
            seen: the frame.
            present: the objects that are present and in this frame.
            visits: the visits that are not over.

        """
        if not self._settings.crop:
            return
        self._notice_clearing()
        if not self._switch.is_on:
            return
        due = {key for key, sighting in present.items() if self._is_due(sighting, visits.get(key))}
        if not due:
            return
        newest = {topic_level(visit.key[0]): visit for visit in visits if visit.key in due}  # the last one of each
        works = [_Work(level, visit.visit_id, present[visit.key]) for level, visit in newest.items()]
        now_s = time.monotonic()
        if self._thread.submit(self, lambda: self._make(seen, works, now_s)):
            self._shown = {level: shown for level, shown in self._shown.items() if self._has_topics(level)}
            for level, visit in newest.items():
                if not self._shows(level, visit.visit_id):
                    self._shown[level] = visit.visit_id, now_s
                visit.cutout, visit.is_saved = present[visit.key], False
                _supersede(visits, visit, level)

    def restore(self, visits: Visits) -> None:
        """Continue with the pictures of visits of an earlier run: another one must be better, too."""
        for visit in visits:
            level = topic_level(visit.key[0])
            if visit.cutout and visit.is_newest and self._switch.is_on and self._is_retained(level):
                self._shown[level] = visit.visit_id, _EARLIER_RUN_S

    def shown_s(self, label: str, visit_id: str | None) -> float | None:
        """Return the `created_s` of the first picture of a label that shows the object of a visit; None: none does."""
        self._notice_clearing()
        level = topic_level(label)
        if visit_id is None or not self._switch.is_on or not self._shows(level, visit_id):
            return None
        return self._shown[level][1]

    def _shows(self, level: str, visit_id: str) -> bool:
        return level in self._shown and self._shown[level][0] == visit_id

    def _notice_clearing(self) -> None:
        """Forget what was shown, if it has been taken away or lost."""
        if self._clearings != self._switch.clearings:
            self._clearings = self._switch.clearings
            self._shown.clear()
        if self._losses != self._switch.losses:
            self._losses = self._switch.losses
            self._shown = {level: shown for level, shown in self._shown.items() if shown[1] != _EARLIER_RUN_S}

    def _is_due(self, sighting: Sighting, visit: Visit | None) -> bool:
        """Return whether a cut-out of an object is due."""
        if visit is None or not (visit.is_reported and visit.is_newest):
            return False
        cutout, level = visit.cutout, topic_level(visit.key[0])
        if cutout is None or not self._shows(level, visit.visit_id):
            return self._has_topics(level)
        if sighting.moment.source_s - cutout.moment.source_s < self._settings.min_interval_s:
            return False
        return quality(sighting.object) >= MIN_IMPROVEMENT * quality(cutout.object)

    def _make(self, seen: Seen, works: Sequence[_Work], created_s: float) -> None:
        frame = seen.frame
        try:
            image = frame.full_image
            if seen.blurred:
                image = image.copy()
                blur_objects(image, seen.blurred)  # before it is cut, as an object may be in it only in part
        except Exception as error:  # noqa: BLE001  (as below)
            self._log.warning("no cut-out of frame %d: %s", frame.number, error)
            return
        height, width = image.shape[:2]
        for level, visit_id, (_, detection) in works:
            left, top, right, bottom = find_cut(detection["bbox"], width, height)
            comment = {
                **self._identity,
                "frame": frame.number,
                "timestamp": frame.timestamp,
                "visit_id": visit_id,
                "crop": [left, top, right, bottom],
                **list_object(detection),
                "objects": [list_object(detection)],
            }
            settings = self._settings
            try:
                part = image[top:bottom, left:right]
                jpeg = encode_jpeg(part, [], settings.max_width, settings.quality, comment)
            except Exception as error:  # noqa: BLE001  (from OpenCV; the thread must continue, for all cameras)
                self._log.warning("no cut-out of frame %d: %s", frame.number, error)
                continue
            self._publish(Cutout(level, visit_id, frame.number, jpeg, created_s))


def find_cut(box: Sequence[float], width: int, height: int) -> tuple[int, int, int, int]:
    """Return what to cut out of a frame to show an object with its surroundings, in whole pixels.

    Args:
        box: `[x1, y1, x2, y2]` in pixels.
        width: of the frame, in pixels.
        height: of the frame, in pixels.

    """
    x1, y1, x2, y2 = box
    (left, right), (top, bottom) = _find_span(x1, x2, width), _find_span(y1, y2, height)
    return left, top, right, bottom


def _find_span(low: float, high: float, size: int) -> tuple[int, int]:
    """Return the first pixel, and the one after the last, of one side of the frame, which is `size` pixels long."""
    length = min(size, max((1 + 2 * _MARGIN) * (high - low), _MIN_PIXELS))
    first = min(max(0.0, (low + high - length) / 2), size - length)
    return floor(first), min(size, ceil(first + length))


def _supersede(visits: Visits, newest: Visit, level: str) -> None:
    """Note of the visits of a label that are older than this one that they are not shown any more."""
    for visit in visits:
        if visit is newest:
            break
        if visit.is_reported and topic_level(visit.key[0]) == level:
            visit.is_newest = visit.is_saved = False
