"""Which object of a frame is which of the frames before: `degirum_tools.ObjectTracker`, and what it needs around it.

ByteTrack: Zhang et al., "ByteTrack: Multi-Object Tracking by Associating Every Detection Box", ECCV 2022. Larger boxes
for what moves far between two frames: Yang et al., "Hard to Track Objects with Irregular Motions and Similar
Appearances? Make It Easier by Buffering the Matching Space", WACV 2023.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

_REACH = 2.5
"""How far a thing moves in a second, in its own widths and heights: a person who walks, 2.8 widths."""
_SLOWEST_S = 1.0
"""From one frame to the next, for that; beyond it, a thing may be anywhere."""
_USUAL_S = 0.2
"""Until that is known."""
_SMOOTHING = 0.1
_STILL = 0.8
"""Frames whose boxes all overlap so much (intersection over union) with those that the tracker was shown last are not
shown to it: that takes some tenths of a millisecond, and what it needs to know is what moves."""
_SECOND = 2
_FARTHEST = 1.0
"""How far from where it was lost a thing may come back, in its own widths and heights."""
_APART = 4
"""Objects of different labels are put so many frame widths from each other: the tracker knows no labels."""
_FRAMES_A_SECOND = 60
"""The tracker keeps tracks for a number of frames; at a lower rate it keeps them too long, which is seen to here."""
_LEAST_PIXELS = 1.0

Box = tuple[float, float, float, float]


@dataclass(slots=True)
class _Track:
    label: str
    theirs: int
    """The number that the tracker knows it by."""
    box: Box
    last_s: float
    last_frame: int


class Tracker:
    """Gives objects of one camera their `track_id`; a number is never used twice.

    The second frame with an object gives it its track. The tracker's own boxes are not used: what was detected is told.

    Args:
        lost_s: for how long an object may not be found, and keep its track, in seconds of the source.
        numbers: gives those that were never used.

    """

    def __init__(self, lost_s: float, numbers: Iterator[int]) -> None:
        self._numbers = numbers
        self._lost_s = lost_s
        self._tracks: dict[int, _Track] = {}
        self._ours: dict[int, int] = {}
        self._places: dict[str, int] = {}
        self._frame = 0
        self._their_newest = 0
        self._last_s: float | None = None
        self._period_s = _USUAL_S
        self._asked: list[tuple[str, Box, int | None]] = []
        self._tracker: Any = None

    def reset(self) -> None:
        """Forget all objects, but no number."""
        self._tracks, self._ours, self._asked, self._tracker = {}, {}, [], None
        self._frame, self._their_newest, self._last_s, self._period_s = 0, 0, None, _USUAL_S

    def follow(self, objects: Sequence[dict[str, Any]], width: int, now_s: float) -> None:
        """Add the `track_id` to each object that has one.

        Args:
            objects: the detections of the next frame, in the payload's form.
            width: of the frame, in pixels.
            now_s: its moment on the source's clock.

        """
        self._frame += 1
        period_s = self._period(now_s)
        self._forget(now_s)
        numbers = self._if_still(objects)
        if numbers is None:
            numbers = self._ask(objects, width, _REACH * period_s, now_s)
            self._asked = [(each["label"], each["bbox"], n) for each, n in zip(objects, numbers, strict=True)]
        for each, number in zip(objects, numbers, strict=True):
            if number is not None:
                each["track_id"] = number
                track = self._tracks[number]
                track.box, track.last_s, track.last_frame = each["bbox"], now_s, self._frame

    def _if_still(self, objects: Sequence[dict[str, Any]]) -> list[int | None] | None:
        """Return the tracks of objects that are all where they were when the tracker was asked last, and no others."""
        before = list(self._asked)
        if len(objects) != len(before):
            return None
        numbers: list[int | None] = []
        for each in objects:
            for place, (label, box, number) in enumerate(before):
                if number is not None and label == each["label"] and _iou(box, each["bbox"]) > _STILL:
                    numbers.append(number)
                    del before[place]
                    break
            else:
                return None
        return numbers

    def _ask(self, objects: Sequence[dict[str, Any]], width: int, buffer: float, now_s: float) -> list[int | None]:
        if self._tracker is None:
            self._tracker = self._made()
        shown: list[dict[str, Any]] = []
        for each in objects:
            x1, y1, x2, y2 = _grown(each["bbox"], buffer)
            left = _APART * width * self._places.setdefault(each["label"], len(self._places))
            # The same score for all: what is here is wanted, and a low one would only make overlaps count less.
            shown.append({"bbox": [x1 + left, y1, x2 + left, y2], "score": 1.0})
        self._tracker.analyze(SimpleNamespace(results=shown))
        for its in shown:  # before one that is new looks for who was lost: these are not
            if number := self._ours.get(its.get("track_id", 0)):
                self._tracks[number].last_frame = self._frame
        return [
            self._number(its["track_id"], each["label"], each["bbox"], now_s) if "track_id" in its else None
            for each, its in zip(objects, shown, strict=True)
        ]

    def _period(self, now_s: float) -> float:
        """Return the time from one frame to the next, smoothed: boxes grow with it, and they should not leap."""
        if self._last_s is not None:
            last_s = min(now_s - self._last_s, _SLOWEST_S)
            self._period_s += (_SMOOTHING if self._frame > _SECOND else 1) * (last_s - self._period_s)
        self._last_s = now_s
        return self._period_s

    def _made(self) -> Any:  # noqa: ANN401  (degirum_tools is untyped)
        # Imported late: it brings PySDK with it, and the model's loading has made the process ready for that.
        from degirum_tools.analyzers.object_tracker import ObjectTracker

        tracker = ObjectTracker(track_buffer=max(1, round(_FRAMES_A_SECOND * self._lost_s)), show_overlay=False)
        # In its very first frame it would take every object for certain.
        tracker.analyze(SimpleNamespace(results=[]))
        return tracker

    def _forget(self, now_s: float) -> None:
        """Forget who was lost for too long; who was there a frame ago was not lost, however long ago that is."""
        last = self._frame - 1
        lost = [n for n, its in self._tracks.items() if its.last_frame < last and now_s - its.last_s > self._lost_s]
        for number in lost:
            del self._ours[self._tracks.pop(number).theirs]

    def _number(self, theirs: int, label: str, box: Box, now_s: float) -> int:
        number = self._ours.get(theirs)
        if number is None:
            # One that the tracker begins was first seen a frame ago; one that it finds again, now.
            before = self._frame - 1 if theirs > self._their_newest else self._frame
            number = self._lost_near(label, box, before, now_s)
            if number is None:
                number = next(self._numbers)
            else:
                del self._ours[self._tracks[number].theirs]
            self._ours[theirs] = number
            self._tracks[number] = _Track(label, theirs, box, now_s, self._frame)
        self._their_newest = max(self._their_newest, theirs)
        return number

    def _lost_near(self, label: str, box: Box, before: int, now_s: float) -> int | None:
        """Return the nearest track that was lost before a frame where another begins: it is the same object."""
        near = [
            (_distance(track.box, box), number)
            for number, track in self._tracks.items()
            if track.label == label
            and track.last_frame < before
            and _overlap(_grown(track.box, min(_REACH * (now_s - track.last_s), _FARTHEST)), box)
        ]
        return min(near)[1] if near else None


def _grown(box: Box, by: float) -> Box:
    """Return a box made larger at each side by so many of its widths and heights."""
    x1, y1, x2, y2 = box
    width, height = max(x2 - x1, _LEAST_PIXELS), max(y2 - y1, _LEAST_PIXELS)
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
    """Return the square of the distance of their centres, four times."""
    return (one[0] + one[2] - other[0] - other[2]) ** 2 + (one[1] + one[3] - other[1] - other[3]) ** 2
