"""Follows objects from frame to frame: wraps `degirum_tools.ObjectTracker`.

ByteTrack: Zhang et al., "ByteTrack: Multi-Object Tracking by Associating Every Detection Box", ECCV 2022. Larger boxes
for objects that move far between two frames: Yang et al., "Hard to Track Objects with Irregular Motions and Similar
Appearances? Make It Easier by Buffering the Matching Space", WACV 2023.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

_REACH = 2.5
"""How far an object moves in a second, in its own widths and heights: a person who walks, 2.8 widths."""
_MAX_PERIOD_S = 1.0
"""The longest frame period to which `_REACH` is applied; after a longer one an object may be anywhere."""
_DEFAULT_PERIOD_S = 0.2
"""The frame period until it is known."""
_SMOOTHING = 0.1
_MIN_STILL_IOU = 0.8
"""A frame is not given to the tracker if all its boxes overlap by more than this (intersection over union) with the
boxes given last: a call takes some tenths of a millisecond, and the tracker only needs what moves."""
_SECOND_FRAME = 2
_MAX_RETURN = 1.0
"""How far from where it was lost an object may come back, in its own widths and heights."""
_LABEL_OFFSET = 4
"""Objects of different labels are moved this many frame widths apart: the tracker knows no labels."""
_MAX_FPS = 60
"""The tracker keeps lost tracks for a number of frames; at a lower rate too long, which `_forget` corrects."""
_MIN_PIXELS = 1.0

Box = tuple[float, float, float, float]


@dataclass(slots=True)
class _Track:
    label: str
    tracker_id: int
    """The number that the tracker uses for it."""
    box: Box
    last_s: float
    last_frame: int


class Tracker:
    """Assigns a `track_id` to the objects of one camera; a number is never used twice.

    An object gets its track in the second frame with it. The tracker's own boxes are not used: what was detected is
    published.

    Args:
        lost_s: how long an object may be missing and keep its track, in seconds on the source's clock.
        numbers: gives unused numbers.

    """

    def __init__(self, lost_s: float, numbers: Iterator[int]) -> None:
        self._numbers = numbers
        self._lost_s = lost_s
        self._tracks: dict[int, _Track] = {}
        self._numbers_by_tracker_id: dict[int, int] = {}
        self._label_offsets: dict[str, int] = {}
        self._frame = 0
        self._newest_tracker_id = 0
        self._last_s: float | None = None
        self._period_s = _DEFAULT_PERIOD_S
        self._given: list[tuple[str, Box, int | None]] = []
        self._tracker: Any = None

    def reset(self) -> None:
        """Forget all objects; numbers are not used again."""
        self._tracks, self._numbers_by_tracker_id, self._given, self._tracker = {}, {}, [], None
        self._frame, self._newest_tracker_id, self._last_s, self._period_s = 0, 0, None, _DEFAULT_PERIOD_S

    def track(self, objects: Sequence[dict[str, Any]], width: int, now_s: float) -> None:
        """Add its `track_id` to each object that has one.

        Args:
            objects: the detections of the next frame, in the payload's form.
            width: the frame's width in pixels.
            now_s: the frame's time on the source's clock.

        """
        self._frame += 1
        period_s = self._period(now_s)
        self._forget(now_s)
        numbers = self._match_still(objects)
        if numbers is None:
            numbers = self._assign(objects, width, _REACH * period_s, now_s)
            self._given = [(o["label"], o["bbox"], number) for o, number in zip(objects, numbers, strict=True)]
        for detection, number in zip(objects, numbers, strict=True):
            if number is not None:
                detection["track_id"] = number
                track = self._tracks[number]
                track.box, track.last_s, track.last_frame = detection["bbox"], now_s, self._frame

    def _match_still(self, objects: Sequence[dict[str, Any]]) -> list[int | None] | None:
        """Return the track numbers if all objects are where they were in the last frame given to the tracker."""
        before = list(self._given)
        if len(objects) != len(before):
            return None
        numbers: list[int | None] = []
        for detection in objects:
            for index, (label, box, number) in enumerate(before):
                if number is not None and label == detection["label"] and _iou(box, detection["bbox"]) > _MIN_STILL_IOU:
                    numbers.append(number)
                    del before[index]
                    break
            else:
                return None
        return numbers

    def _assign(self, objects: Sequence[dict[str, Any]], width: int, buffer: float, now_s: float) -> list[int | None]:
        if self._tracker is None:
            self._tracker = self._make_tracker()
        boxes: list[dict[str, Any]] = []
        for detection in objects:
            x1, y1, x2, y2 = _grow(detection["bbox"], buffer)
            offset = self._label_offsets.setdefault(detection["label"], len(self._label_offsets))
            left = _LABEL_OFFSET * width * offset
            # The same score for all: every object here is wanted, and a low score would only make overlaps count less.
            boxes.append({"bbox": [x1 + left, y1, x2 + left, y2], "score": 1.0})
        self._tracker.analyze(SimpleNamespace(results=boxes))
        for box in boxes:  # before a new object is compared with the lost ones: these are not lost
            if number := self._numbers_by_tracker_id.get(box.get("track_id", 0)):
                self._tracks[number].last_frame = self._frame
        return [
            self._number(box["track_id"], detection["label"], detection["bbox"], now_s) if "track_id" in box else None
            for detection, box in zip(objects, boxes, strict=True)
        ]

    def _period(self, now_s: float) -> float:
        """Return the frame period, smoothed: boxes grow with it, and should not jump."""
        if self._last_s is not None:
            period_s = min(now_s - self._last_s, _MAX_PERIOD_S)
            self._period_s += (_SMOOTHING if self._frame > _SECOND_FRAME else 1) * (period_s - self._period_s)
        self._last_s = now_s
        return self._period_s

    def _make_tracker(self) -> Any:  # noqa: ANN401  (degirum_tools is untyped)
        # Imported late: it imports PySDK, for which the loading of the model has prepared the process.
        from degirum_tools.analyzers.object_tracker import ObjectTracker

        tracker = ObjectTracker(track_buffer=max(1, round(_MAX_FPS * self._lost_s)), show_overlay=False)
        # In its very first frame the tracker would confirm every object.
        tracker.analyze(SimpleNamespace(results=[]))
        return tracker

    def _forget(self, now_s: float) -> None:
        """Forget tracks that were lost for too long; one in the previous frame was not, however old that frame is."""
        last = self._frame - 1
        lost = [n for n, t in self._tracks.items() if t.last_frame < last and now_s - t.last_s > self._lost_s]
        for number in lost:
            del self._numbers_by_tracker_id[self._tracks.pop(number).tracker_id]

    def _number(self, tracker_id: int, label: str, box: Box, now_s: float) -> int:
        number = self._numbers_by_tracker_id.get(tracker_id)
        if number is None:
            # The first frame of a new tracker id was the previous one; of an id that comes back, this one.
            before = self._frame - 1 if tracker_id > self._newest_tracker_id else self._frame
            number = self._lost_near(label, box, before, now_s)
            if number is None:
                number = next(self._numbers)
            else:
                del self._numbers_by_tracker_id[self._tracks[number].tracker_id]
            self._numbers_by_tracker_id[tracker_id] = number
            self._tracks[number] = _Track(label, tracker_id, box, now_s, self._frame)
        self._newest_tracker_id = max(self._newest_tracker_id, tracker_id)
        return number

    def _lost_near(self, label: str, box: Box, before: int, now_s: float) -> int | None:
        """Return the nearest track that was lost before the frame in which a new one begins: it is the same object."""
        near = [
            (_distance(track.box, box), number)
            for number, track in self._tracks.items()
            if track.label == label
            and track.last_frame < before
            and _overlap(_grow(track.box, min(_REACH * (now_s - track.last_s), _MAX_RETURN)), box)
        ]
        return min(near)[1] if near else None


def _grow(box: Box, by: float) -> Box:
    """Return a box enlarged on each side by `by` times its width and height."""
    x1, y1, x2, y2 = box
    width, height = max(x2 - x1, _MIN_PIXELS), max(y2 - y1, _MIN_PIXELS)
    return x1 - by * width, y1 - by * height, x1 + (1 + by) * width, y1 + (1 + by) * height


def _iou(one: Box, other: Box) -> float:
    """Return the intersection over union."""
    width = min(one[2], other[2]) - max(one[0], other[0])
    height = min(one[3], other[3]) - max(one[1], other[1])
    if width <= 0 or height <= 0:
        return 0.0
    both = width * height
    return both / ((one[2] - one[0]) * (one[3] - one[1]) + (other[2] - other[0]) * (other[3] - other[1]) - both)


def _overlap(one: Box, other: Box) -> bool:
    return one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]


def _distance(one: Box, other: Box) -> float:
    """Return four times the squared distance of the centres."""
    return (one[0] + one[2] - other[0] - other[2]) ** 2 + (one[1] + one[3] - other[1] - other[3]) ** 2
