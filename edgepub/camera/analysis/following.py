"""Follows the objects of one camera: which is which, which have not moved, and what was recognized of them."""

from collections.abc import Collection, Iterable, Iterator, Sequence
from typing import Any

from edgepub.camera.analysis.recognition import Recognition
from edgepub.camera.analysis.rules import Key
from edgepub.camera.analysis.spot import Spot
from edgepub.camera.analysis.standing import NO_CHANGES, Changes, Standing
from edgepub.camera.analysis.tracker import Tracker
from edgepub.config.camera import CameraSettings


class Following:
    """Tracks, stationary objects and recognized texts. Without `tracking` there are none.

    Args:
        settings: the camera's settings.
        numbers: gives unused tracks.

    """

    def __init__(self, settings: CameraSettings, numbers: Iterator[int]) -> None:
        self._tracker = make_tracker(settings, numbers)
        self._standing = None
        if self._tracker and settings.stationary_s is not None:
            self._standing = Standing(settings.stationary_s, settings.occupancy_off_s, numbers)
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
        changes = self._standing.update(objects, now_s, compares=compares) if self._standing else NO_CHANGES
        if self._votes and objects:
            self._recognition.vote(objects, now_s)
            known = self._tracker.numbers if tracks is None else tracks
            self._recognition.keep({*known, *self._standing.tracks} if self._standing else known)
        return changes

    @property
    def stationary(self) -> Collection[Key]:
        """The stationary objects."""
        return self._standing.stationary if self._standing else ()

    def held(self) -> Collection[Key]:
        """Return the stationary objects that are not found, but are not gone."""
        return self._standing.held() if self._standing else ()

    def uncounted(self) -> Collection[Key]:
        """Return the stationary objects that do not count, because they have been hidden for too long."""
        return self._standing.uncounted() if self._standing else ()

    def spot(self, key: Key) -> Spot | None:
        """Return where an object is stationary; None if it is not."""
        return self._standing.spot(key) if self._standing else None

    def forget(self, gone: Iterable[Key]) -> None:
        """Forget objects that are gone."""
        if self._standing:
            self._standing.forget(gone)

    def release(self, key: Key) -> None:
        """Do not wait for a stationary object any longer than for others, when it is not found."""
        if self._standing:
            self._standing.release(key)

    def restore(self, key: Key, spot: Spot) -> None:
        """Add a stationary object of an earlier run; it does not count until it is found again."""
        if self._standing:
            self._standing.restore(key, spot)

    def reset(self) -> None:
        """Prepare for another opening of the source: only the places of stationary objects are remembered."""
        if self._tracker:
            self._tracker.reset()
        if self._standing:
            self._standing.suspend()
        self._recognition = Recognition()


def make_tracker(settings: CameraSettings, track_ids: Iterator[int]) -> Tracker | None:
    """Return a camera's tracker; None without tracking.

    Args:
        settings: the camera's settings.
        track_ids: unused track numbers.

    """
    lost_s = max(settings.track_lost_s, settings.occupancy_off_s)
    return Tracker(lost_s, track_ids) if settings.tracking else None
