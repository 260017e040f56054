"""Follows the objects of one camera: which is which, which have not moved, and what was recognized of them."""

from collections.abc import Collection, Iterator, Sequence
from math import inf
from typing import Any

from edgepub.camera.analysis.recognition import Recognition
from edgepub.camera.analysis.standing import NO_CHANGES, Changes, Standing
from edgepub.camera.analysis.tracker import Tracker
from edgepub.config.camera import CameraSettings


class Following:
    """Tracks, stationary objects and recognized texts. Without `tracking` there are none.

    Args:
        settings: the camera's settings.
        numbers: gives unused tracks.

    Attributes:
        standing: the stationary objects; there are none without `stationary_s`.

    """

    def __init__(self, settings: CameraSettings, numbers: Iterator[int]) -> None:
        self._tracker = make_tracker(settings, numbers)
        stationary_s = inf if settings.stationary_s is None else settings.stationary_s
        self.standing = Standing(stationary_s, settings.occupancy_off_s, numbers)
        self._votes = settings.text_labels is not None  # a pipeline has its own
        self._recognition = Recognition()

    @property
    def is_on(self) -> bool:
        """Whether objects are followed."""
        return self._tracker is not None

    def update(
        self, objects: Sequence[dict[str, Any]], now_s: float, tracks: Collection[int] | None, *, compares: bool
    ) -> Changes:
        """Add its `track_id`, `stationary` and what was recognized to each of the detections.

        Args:
            objects: the detections of the next frame.
            now_s: the frame's time.
            tracks: the tracks that exist, if the detections have their `track_id` already.
            compares: whether to find out who has moved; see `Standing.update`.

        """
        if self._tracker is None:
            return NO_CHANGES
        if tracks is None:
            self._tracker.track(objects, now_s)
        changes = self.standing.update(objects, now_s, compares=compares)
        if self._votes and objects:
            self._recognition.vote(objects, now_s)
            known = self._tracker.numbers if tracks is None else tracks
            self._recognition.keep({*known, *self.standing.tracks})
        return changes

    def reset(self) -> None:
        """Prepare for another opening of the source: only the places of stationary objects are remembered."""
        if self._tracker:
            self._tracker.reset()
        self.standing.suspend()
        self._recognition = Recognition()


def make_tracker(settings: CameraSettings, track_ids: Iterator[int]) -> Tracker | None:
    """Return a camera's tracker; None without tracking.

    Args:
        settings: the camera's settings.
        track_ids: unused track numbers.

    """
    lost_s = max(settings.track_lost_s, settings.occupancy_off_s)
    return Tracker(lost_s, track_ids, settings.occupancy_on_frames) if settings.tracking else None
