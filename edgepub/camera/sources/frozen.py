"""Notices a camera that goes on sending, but always the same picture."""

import av
import numpy as np
from numpy.typing import NDArray

from edgepub.telemetry.logs import CameraLogger

_NOTE = "frozen"
_MIN_INTERVAL_S = 1.0
_STEP = 16  # of the rows that are compared first


class FrozenPicture:
    """Compares the key frames of a camera: the noise of a sensor makes each of them different.

    Args:
        timeout_s: after this time of equal pictures the camera counts as frozen.
        notes: gets a line while it does.
        log: the camera's log.

    """

    def __init__(self, timeout_s: float, notes: dict[str, str], log: CameraLogger) -> None:
        self._timeout_s = timeout_s
        self._notes = notes
        self._log = log
        self._brightness: NDArray[np.uint8] | None = None
        self._since_s = 0.0
        self._compared_s = 0.0

    def update(self, picture: av.VideoFrame, now_s: float) -> None:
        """Compare a decoded key frame to the last one."""
        if now_s - self._compared_s < _MIN_INTERVAL_S:
            return
        self._compared_s = now_s
        plane = picture.planes[0]
        rows = np.frombuffer(memoryview(plane), np.uint8).reshape(-1, plane.line_size)[:, : plane.width]
        if self._brightness is None or not _are_equal(self._brightness, rows):
            self._brightness, self._since_s = rows, now_s
            self._notes.pop(_NOTE, None)
        elif now_s - self._since_s >= self._timeout_s and _NOTE not in self._notes:
            seconds = f"{self._timeout_s:.0f}"
            self._notes[_NOTE] = f"the picture is frozen: it has not changed for {seconds} s; restart the camera"
            self._log.warning("%s", self._notes[_NOTE])


def _are_equal(one: NDArray[np.uint8], other: NDArray[np.uint8]) -> bool:
    return one.shape == other.shape and np.array_equal(one[::_STEP], other[::_STEP]) and np.array_equal(one, other)
