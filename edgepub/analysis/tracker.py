"""Which object of a frame is which of the frames before: `degirum_tools.ObjectTracker`, and what it needs around it.

ByteTrack: Zhang et al., "ByteTrack: Multi-Object Tracking by Associating Every Detection Box", ECCV 2022. Larger boxes
for what moves far between two frames: Yang et al., "Hard to Track Objects with Irregular Motions and Similar
Appearances? Make It Easier by Buffering the Matching Space", WACV 2023.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

_BUFFER = 0.5
"""Boxes are made larger by this part of their size at each side, so that one that moves by its own width overlaps."""
_APART = 4
"""Objects of different labels are put so many frame widths from each other: the tracker knows no labels."""
_FRAMES_A_SECOND = 60
"""The tracker keeps tracks for a number of frames; at a lower rate it keeps them too long, which is seen to here."""
_LEAST_SIDE = 1.0  # pixels
_UNSEEN_FRAMES = 2

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
    """Gives objects of one camera their `track_id`, from 1; a number is never used twice.

    The second frame with an object gives it its track. The tracker's own boxes are not used: what was detected is told.

    Args:
        lost_s: for how long an object may not be found, and keep its track, in seconds of the source.

    """

    def __init__(self, lost_s: float) -> None:
        self._lost_s = lost_s
        self._tracks: dict[int, _Track] = {}
        self._ours: dict[int, int] = {}
        self._places: dict[str, int] = {}
        self._frame = 0
        self._newest = 0
        self._tracker: Any = None

    def end(self) -> None:
        """Forget all objects, but no number."""
        self._tracks, self._ours, self._tracker = {}, {}, None

    def follow(self, objects: Sequence[dict[str, Any]], width: int, now_s: float) -> None:
        """Add the `track_id` to each object that has one.

        Args:
            objects: the detections of the next frame, in the payload's form.
            width: of the frame, in pixels.
            now_s: its moment on the source's clock.

        """
        if self._tracker is None:
            self._tracker = self._made()
        self._frame += 1
        boxes = [_buffered(each["bbox"]) for each in objects]
        shown: list[dict[str, Any]] = []
        for each, (x1, y1, x2, y2) in zip(objects, boxes, strict=True):
            left = _APART * width * self._places.setdefault(each["label"], len(self._places))
            # The same score for all: what is here is wanted, and a low one would only make overlaps count less.
            shown.append({"bbox": [x1 + left, y1, x2 + left, y2], "score": 1.0, "label": ""})
        self._tracker.analyze(SimpleNamespace(results=shown))
        self._forget(now_s)
        for each, box, its in zip(objects, boxes, shown, strict=True):
            if theirs := its.get("track_id"):
                each["track_id"] = self._number(theirs, each["label"], box, now_s)

    def _made(self) -> Any:  # noqa: ANN401  (degirum_tools is untyped)
        # Imported late: it brings PySDK with it, and the model's loading has made the process ready for that.
        from degirum_tools.analyzers.object_tracker import ObjectTracker

        tracker = ObjectTracker(track_buffer=max(1, round(_FRAMES_A_SECOND * self._lost_s)), show_overlay=False)
        # In its very first frame it would take every object for certain.
        tracker.analyze(SimpleNamespace(results=[]))
        return tracker

    def _forget(self, now_s: float) -> None:
        for number in [n for n, track in self._tracks.items() if now_s - track.last_s > self._lost_s]:
            del self._ours[self._tracks.pop(number).theirs]

    def _number(self, theirs: int, label: str, box: Box, now_s: float) -> int:
        number = self._ours.get(theirs)
        if number is None:
            number = self._lost_near(label, box)
            if number is None:
                number = self._newest = self._newest + 1
            else:
                del self._ours[self._tracks[number].theirs]
            self._ours[theirs] = number
        self._tracks[number] = _Track(label, theirs, box, now_s, self._frame)
        return number

    def _lost_near(self, label: str, box: Box) -> int | None:
        """Return the nearest track that was lost where a new one begins: it is the same object, which moved otherwise.

        It must have been lost before the new one was first seen, a frame before it got its track.
        """
        near = [
            (_distance(track.box, box), number)
            for number, track in self._tracks.items()
            if track.label == label and self._frame - track.last_frame >= _UNSEEN_FRAMES and _overlap(track.box, box)
        ]
        return min(near)[1] if near else None


def _buffered(box: Box) -> Box:
    x1, y1, x2, y2 = box
    x, y = _BUFFER * max(x2 - x1, _LEAST_SIDE), _BUFFER * max(y2 - y1, _LEAST_SIDE)
    return x1 - x, y1 - y, x2 + x, y2 + y


def _overlap(one: Box, other: Box) -> bool:
    return one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]


def _distance(one: Box, other: Box) -> float:
    """Return the square of the distance of their centres, twice."""
    return (one[0] + one[2] - other[0] - other[2]) ** 2 + (one[1] + one[3] - other[1] - other[3]) ** 2
