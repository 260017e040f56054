"""Where one object is, and since when; whether it has moved. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import inf

from edgepub.camera.analysis.places import is_at

_SMOOTHING_S = 0.5
"""Boxes are averaged over about this time: cameras shake, and boxes flicker."""
_STILL_IOU = 0.65
"""An object whose box overlaps less with where it was moves on."""
_STAYED_IOU = 0.5
"""One that is stationary has moved if its box overlaps less."""

Box = Sequence[float]


@dataclass(slots=True)
class Spot:
    """Where a tracked object is, and since when."""

    label: str
    home: Box
    """Where it has been since `since_s`."""
    since_s: float
    seen_s: float
    """When it was found last."""
    box: Box
    """Where it was found last."""
    last_box: Box
    """Where it was found before that."""
    smooth_box: Box
    """Where it is, averaged."""
    compared_s: float
    """When that was compared with where it was."""
    back_s: float
    """Since when it has been found in each frame."""
    was_lost: bool = False
    """Whether it was not found in a frame since the first one."""
    is_stationary: bool = False
    away_s: float | None = None
    """Since when it has been elsewhere; it may be a flicker."""
    is_released: bool = False
    """Whether it is not waited for."""
    is_leaving: bool = False
    """Whether it was on its way when it was found last."""
    hold_s: float = 0.0
    """For how long to wait for it while it is not found."""
    left_s: float = -inf
    """When it left the place before."""
    missed_s: float = 0.0
    """For how long it has not been found, without the time when there were no frames."""
    is_suspended: bool = False
    """Whether it does not count until it is found again: there were no frames meanwhile."""
    has_moved: bool = False
    """Whether it was ever anywhere else."""

    @classmethod
    def at(cls, label: str, box: Box, now_s: float) -> "Spot":
        """Return the spot of an object that is found for the first time."""
        return cls(label, box, now_s, now_s, box, box, box, now_s, now_s)

    @property
    def stood_s(self) -> float:
        """How long it was found at its place."""
        return self.seen_s - self.since_s

    def compare(self, box: Box, now_s: float) -> bool:
        """Return whether it is where it was; if not, `move` is called.

        It must be elsewhere twice in a row. Not to be called for each frame: objects do not stop 30 times a second.

        Args:
            box: where it is found.
            now_s: the frame's time.

        """
        self.last_box, self.box = self.box, box
        passed_s, self.compared_s = now_s - self.compared_s, now_s
        gain = passed_s / (passed_s + _SMOOTHING_S)
        left, top, right, bottom = self.smooth_box
        to_left, to_top, to_right, to_bottom = box
        self.smooth_box = (
            left + gain * (to_left - left),
            top + gain * (to_top - top),
            right + gain * (to_right - right),
            bottom + gain * (to_bottom - bottom),
        )
        if is_at(self.smooth_box, self.home, _STAYED_IOU if self.is_stationary else _STILL_IOU):
            self.away_s = None
            return True
        if self.away_s is None:
            self.away_s = now_s
            return True
        return False

    def move(self, now_s: float) -> None:
        """Note that it is where it was found last, from now on."""
        self.left_s, self.away_s = now_s if self.away_s is None else self.away_s, None
        self.home = self.smooth_box = self.box
        self.since_s, self.has_moved = now_s, True

    def stay(self, box: Box) -> None:
        """Note that it is at its place after all, and that this is its box."""
        self.box = self.last_box = self.smooth_box = box
        self.away_s = None

    def start_hold(self) -> None:
        """Wait for it from now on: for as long as it was there, unless it was on its way."""
        self.missed_s, self.away_s = 0.0, None
        self.is_leaving = not any(is_at(box, self.home, _STILL_IOU) for box in (self.box, self.last_box))
        self.hold_s = 0.0 if self.is_leaving or self.is_released else self.stood_s
