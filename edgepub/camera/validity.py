"""When invalid results are a problem of the camera, and not only of a frame. Pure: results and their times in."""

from edgepub.telemetry.status import CameraStatus


class Validity:
    """Follows whether the results of one camera are valid.

    A camera that is not online needs a valid result to be. One that is online may have invalid results for a time.

    Args:
        timeout_s: for how long all results may be invalid.

    """

    def __init__(self, timeout_s: float) -> None:
        self._timeout_s = timeout_s
        self._is_online = False
        self._invalid_since_s: float | None = None

    def set_status(self, status: CameraStatus) -> None:
        """Take the camera's new status."""
        self._is_online = status == "online"

    def update(self, fault: str | None, now_s: float) -> str | None:
        """Return the camera's problem, if there is one.

        Args:
            fault: why the newest result is invalid; None if it is valid.
            now_s: when it came, on the monotonic clock.

        """
        if fault is None:
            self._invalid_since_s = None
            return None
        if self._invalid_since_s is None:
            self._invalid_since_s = now_s
        if self._is_online and now_s - self._invalid_since_s < self._timeout_s:
            return None
        return f"model: no valid result: {fault}"
