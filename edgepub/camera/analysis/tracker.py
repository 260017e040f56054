"""Follows objects from frame to frame.

The motion: a velocity per object, as in SORT (Bewley et al., ICIP 2016), from what was detected and not from a filter's
state (Cao et al., "Observation-Centric SORT", CVPR 2023). Larger boxes for objects that move far between two frames:
Yang et al., "Hard to Track Objects with Irregular Motions and Similar Appearances? Make It Easier by Buffering the
Matching Space", WACV 2023.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from edgepub.camera.analysis.matching import Place, match

_REACH = 2.5
"""How far an object moves in a second, in its own widths and heights: a person who walks, 2.8 widths."""
_MAX_MOTION_S = 1.0
"""The longest time for which motion is assumed, unless frames are further apart; after it an object may be anywhere."""
_MAX_PERIOD_S = 4.0
"""With frames further apart than this, objects are matched as if they were this far apart."""
_DEFAULT_PERIOD_S = 0.2
"""The frame period until it is known."""
_SMOOTHING = 0.1
_PLACE_S = 0.02
"""The place of an object is averaged over about this time: boxes tremble."""
_VELOCITY_S = 0.3
"""Its velocity is averaged over about this time."""
_MIN_IOU = 0.3
"""The least overlap (intersection over union) of the box of an object, made larger, with where it is expected."""
_STILL = 0.2
"""An object stands still if it moves less in a second, in its own widths and heights."""
_MAX_RETURN = 1.0
"""How far from where it was lost an object may come back, in its own widths and heights."""
MAX_LOST = 500
"""The number of lost objects that are remembered."""
_MIN_PIXELS = 1.0
_SECOND_FRAME = 2


@dataclass(slots=True)
class _Track:
    label: str
    x: float
    y: float
    width: float
    height: float
    last_s: float
    last_frame: int
    velocity_x: float = 0.0
    """In pixels per second."""
    velocity_y: float = 0.0
    number: int = 0
    """Zero until the second frame with it."""
    is_double: bool = False
    """Whether it was found where another one was, too, in its first frame: it may be a second box of that."""

    def update(self, place: Place, now_s: float, frame: int, max_motion_s: float) -> None:
        """Move it towards the place where it was found."""
        _, x, y, width, height, _, _ = place
        passed_s = now_s - self.last_s
        if passed_s > 0:
            motion_s = min(passed_s, max_motion_s)
            expected_x, expected_y = self.x + self.velocity_x * motion_s, self.y + self.velocity_y * motion_s
            error_x, error_y = x - expected_x, y - expected_y
            gain = 1 / (passed_s + _VELOCITY_S)
            self.velocity_x += gain * error_x
            self.velocity_y += gain * error_y
            gain = passed_s / (passed_s + _PLACE_S)
            x, y = expected_x + gain * error_x, expected_y + gain * error_y
            width, height = self.width + gain * (width - self.width), self.height + gain * (height - self.height)
        self.x, self.y, self.width, self.height, self.last_s, self.last_frame = x, y, width, height, now_s, frame

    @property
    def is_still(self) -> bool:
        """Whether it stands still."""
        return abs(self.velocity_x) < _STILL * self.width and abs(self.velocity_y) < _STILL * self.height

    def expected(self, number: int, now_s: float, scale: float, max_motion_s: float) -> Place:
        """Return where it is if it goes on as before."""
        passed_s = min(now_s - self.last_s, max_motion_s)
        x, y = self.x + self.velocity_x * passed_s, self.y + self.velocity_y * passed_s
        return self.label, x, y, self.width, self.height, number, scale

    def last(self, number: int, now_s: float) -> Place:
        """Return where it was found last; it may come back from there in any direction."""
        scale = 1 + max(0.0, min(_REACH * (now_s - self.last_s), _MAX_RETURN))
        return self.label, self.x, self.y, self.width, self.height, number, scale


class Tracker:
    """Assigns a `track_id` to the objects of one camera; a number is never used twice.

    An object gets its track in the second frame with it.

    Args:
        lost_s: how long an object may be missing and keep its track, in seconds on the source's clock.
        numbers: gives unused numbers.
        lost_frames: in how many frames it may be missing and keep its track, even if they take longer.

    """

    def __init__(self, lost_s: float, numbers: Iterator[int], lost_frames: int = 0) -> None:
        self._numbers = numbers
        self._lost_s = lost_s
        self._lost_frames = lost_frames
        self._found: list[_Track] = []  # in the last frame
        self._new: list[_Track] = []  # found in the last frame only, so without a number
        self._lost: list[_Track] = []  # not found in the last frame; the first of them was lost last
        self._frame = 0
        self._last_s: float | None = None
        self._period_s = _DEFAULT_PERIOD_S

    def reset(self) -> None:
        """Forget all objects; numbers are not used again."""
        self._found, self._new, self._lost = [], [], []
        self._frame, self._last_s, self._period_s = 0, None, _DEFAULT_PERIOD_S

    @property
    def numbers(self) -> set[int]:
        """The tracks that it follows, and those that may come back."""
        return {track.number for tracks in (self._found, self._lost) for track in tracks}

    def track(self, objects: Sequence[dict[str, Any]], now_s: float) -> None:
        """Add its `track_id` to each object that has one.

        Args:
            objects: the detections of the next frame, in the payload's form.
            now_s: the frame's time on the source's clock.

        """
        self._frame += 1
        period_s = self._period(now_s)
        scale, max_motion_s = 1 + 2 * _REACH * period_s, max(_MAX_MOTION_S, period_s)
        oldest_frame = self._frame - 1 - self._lost_frames
        lost = [
            track for track in self._lost if now_s - track.last_s <= self._lost_s or track.last_frame >= oldest_frame
        ]
        known = self._found + lost  # of two at one place, the first gets the object
        places = [_place(detection, index) for index, detection in enumerate(objects)]
        # One that stands still is expected where it is: what passes in front of it is another one.
        scales = [1.0 if track.is_still else scale for track in known]
        expected = [track.expected(n, now_s, scales[n], max_motion_s) for n, track in enumerate(known)]
        tracks = {index: known[n] for n, index in match(expected, places, _MIN_IOU)}
        if rest := [place for place in places if place[5] not in tracks]:
            self._match_rest(rest, known, tracks, now_s, scale, max_motion_s)
        new = [place for place in rest if place[5] not in tracks]
        doubles = {index for _, index in match([places[index] for index in tracks], new, _MIN_IOU)}
        self._new = [_Track(*place[:5], now_s, self._frame, is_double=place[5] in doubles) for place in new]
        for index, detection in enumerate(objects):
            if track := tracks.get(index):
                track.update(places[index], now_s, self._frame, max_motion_s)
                track.number = track.number or next(self._numbers)
                detection["track_id"] = track.number
        numbers = {track.number for track in tracks.values()}
        self._lost = [track for track in known if track.number not in numbers][:MAX_LOST]
        self._found = list(tracks.values())

    def _match_rest(
        self,
        rest: Sequence[Place],
        known: Sequence[_Track],
        tracks: dict[int, _Track],
        now_s: float,
        scale: float,
        max_motion_s: float,
    ) -> None:
        """Find the tracks of objects that are not where a known one is expected.

        Args:
            rest: these objects.
            known: all tracks with a number.
            tracks: the track of each object that has been found, by its index; gets more.
            now_s: the frame's time.
            scale: how many times larger boxes become.
            max_motion_s: the longest time for which motion is assumed.

        """

        def find(candidates: Sequence[_Track]) -> None:
            expected = [track.expected(n, now_s, scale, max_motion_s) for n, track in enumerate(candidates)]
            left = [place for place in rest if place[5] not in tracks]
            tracks.update((index, candidates[n]) for n, index in match(expected, left, _MIN_IOU))

        find([track for track in self._new if not track.is_double])
        numbers = {track.number for track in tracks.values()}
        find([track for track in known if track.number not in numbers])  # those that stood still, and move now
        find([track for track in self._new if track.is_double])
        # One that was lost before the first frame of a new one, near it, is the same.
        numbers = {track.number for track in tracks.values()}
        gone = [track for track in known[len(self._found) :] if track.number not in numbers]
        seconds = [place for place in rest if place[5] in tracks and not tracks[place[5]].number]
        back = match([track.last(n, now_s) for n, track in enumerate(gone)], seconds, 0.0)
        tracks.update((index, gone[n]) for n, index in back)

    def _period(self, now_s: float) -> float:
        """Return the frame period, smoothed: boxes grow with it, and should not jump."""
        if self._last_s is not None:
            period_s = max(0.0, min(now_s - self._last_s, _MAX_PERIOD_S))
            self._period_s += (_SMOOTHING if self._frame > _SECOND_FRAME else 1) * (period_s - self._period_s)
        self._last_s = now_s
        return self._period_s


def _place(detection: dict[str, Any], index: int) -> Place:
    left, top, right, bottom = detection["bbox"]
    width, height = max(right - left, _MIN_PIXELS), max(bottom - top, _MIN_PIXELS)
    return detection["label"], (left + right) / 2, (top + bottom) / 2, width, height, index, 1.0
