"""Shows the frames of a camera: in snapshots, in cut-outs and on its page. The one place that decides which."""

from collections.abc import Iterable, Mapping
from math import inf
from typing import Any

from edgepub.camera.analysis.presence import Sighting
from edgepub.camera.analysis.rules import Key
from edgepub.camera.analysis.visits import Visits
from edgepub.camera.cutouts import Cutouts
from edgepub.camera.frames import Box, Frame
from edgepub.camera.results.objects import Objects
from edgepub.camera.snapshots import Snapshots
from edgepub.camera.viewfinder import Seen, Viewfinder
from edgepub.config.camera import CameraSettings
from edgepub.telemetry.logs import CameraLogger
from edgepub.telemetry.status import CameraState

_PATIENCE_S = 10.0
_WARN_EVERY_S = 600.0
_NOTE = "pictures"
_WHOLE: Box = (0.0, 0.0, 1.0, 1.0)


class Pictures:
    """Shows frames, if everything that must be blurred in them was looked for.

    Args:
        snapshots: has snapshots made.
        cutouts: has cut-outs of objects made.
        viewfinder: shows frames on the pages.
        settings: the camera's settings.
        state: tells whether the models look for it at all; its notes get a line while no frame can be shown for longer.
        log: the camera's log, which gets it once in a while.

    """

    def __init__(
        self,
        snapshots: Snapshots,
        cutouts: Cutouts,
        viewfinder: Viewfinder,
        settings: CameraSettings,
        state: CameraState,
        log: CameraLogger,
    ) -> None:
        self._snapshots = snapshots
        self._cutouts = cutouts
        self._viewfinder = viewfinder
        self._must_blur = bool(settings.snapshot.blur)
        # Nothing was looked for there.
        self._unseen = [_blur_exactly(box) for box in _outside(settings.region)] if settings.region else []
        self._state = state
        self._log = log
        self._since_s: float | None = None
        self._warned_s = -inf

    def show(self, frame: Frame, found: Objects, now_s: float, present: Mapping[Key, Sighting], visits: Visits) -> None:
        """Show a frame, or wait for one that is complete.

        Args:
            frame: the frame.
            found: what was found in it.
            now_s: the time, on the monotonic clock.
            present: the objects that are present and in this frame.
            visits: the visits that are not over.

        """
        blurred = found.blurred
        if self._must_blur and not self._viewfinder.shows_pixels:
            blurred = [_blur_exactly(_WHOLE)]  # it must not be shown later either
            self._stop_waiting()
        elif self._must_blur:
            if not found.is_complete or self._state.unfindable:
                self._wait(self._state.unfindable or found.missing, now_s)
                return
            if self._stop_waiting():
                self._log.info("new pictures again")
            blurred = [*blurred, *self._unseen]
        seen = Seen(frame, found.objects, blurred)
        self._viewfinder.show(seen)
        self._snapshots.update(seen, present)
        self._cutouts.update(seen, present, visits)

    def restore(self, visits: Visits) -> None:
        """Continue with the pictures of visits of an earlier run."""
        self._cutouts.restore(visits)

    def snapshot_of(self, key: Key) -> int | None:
        """Return the frame number of the newest snapshot that shows an object; None without one."""
        return self._snapshots.frame_of(key)

    def cutout_s(self, label: str, visit_id: str | None) -> float | None:
        """Return since when the cut-outs of a label show the object of a visit; see `Cutouts.shown_s`."""
        return self._cutouts.shown_s(label, visit_id)

    def forget(self, gone: Iterable[Key]) -> None:
        """Forget objects that are gone."""
        self._snapshots.forget(gone)

    def reset(self) -> None:
        """Show nothing until there is a new frame, perhaps of a new source."""
        self._stop_waiting()
        self._snapshots.reset()
        self._viewfinder.reset()

    def _wait(self, why: str, now_s: float) -> None:
        if self._since_s is None:
            self._since_s = now_s
        if now_s - self._since_s < _PATIENCE_S:
            return
        notes = self._state.notes
        notes[_NOTE] = f"no new pictures, because not all that must be blurred is looked for: {why}"
        if now_s - self._warned_s >= _WARN_EVERY_S:
            self._warned_s = now_s
            self._log.warning("%s", notes[_NOTE])

    def _stop_waiting(self) -> bool:
        """Wait for a complete frame no longer; return whether a note said so."""
        self._since_s = None
        return self._state.notes.pop(_NOTE, None) is not None


def _blur_exactly(box: Box) -> dict[str, Any]:
    return {"bbox_norm": box, "blur_margin": 0.0}


def _outside(region: Box) -> list[Box]:
    """Return the boxes around a region, all in fractions of the frame."""
    x1, y1, x2, y2 = region
    boxes = (0.0, 0.0, 1.0, y1), (0.0, y2, 1.0, 1.0), (0.0, y1, x1, y2), (x2, y1, 1.0, y2)
    return [(left, top, right, bottom) for left, top, right, bottom in boxes if left < right and top < bottom]
