"""The status of a camera, and how long it has been online."""

import time
from collections.abc import Callable

from edgepub.telemetry.logs import CameraLogger
from edgepub.telemetry.metrics import CameraMetrics
from edgepub.telemetry.status import STARTING, CameraState, CameraStatus


class CurrentStatus:
    """Keeps a camera's state up to date, passes each new status on, and counts the reconnects.

    The methods that change the status are called by one thread at a time.

    Args:
        state: the camera's state.
        on_change: called with each new status.
        metrics: the camera's metrics.
        log: the camera's log.
        enabled: whether the camera is enabled at the start.

    """

    def __init__(
        self,
        state: CameraState,
        on_change: Callable[[CameraStatus], None],
        metrics: CameraMetrics,
        log: CameraLogger,
        *,
        enabled: bool,
    ) -> None:
        self._state = state
        self._on_change = on_change
        self._metrics = metrics
        self._log = log
        state.status = "offline" if enabled else "disabled"
        state.problem = STARTING if enabled else None
        self._was_online = False
        self._changed_s = 0.0
        self._last_result_s = 0.0

    def set_result(self, ended_s: float, problem: str | None) -> None:
        """Be online if a result, which came at `ended_s` of the monotonic clock, has no problem."""
        self._last_result_s = ended_s
        if problem is not None and problem != self._state.problem:
            self._log.warning("%s; the camera is not online until there is a valid one", problem)
        self._set("online" if problem is None else "offline", problem)

    def set_offline(self, problem: str | None) -> None:
        """Be offline, with this problem; None: the source has ended."""
        self._set("offline", problem)

    def set_disabled(self) -> None:
        """Be disabled. The next time online is no reconnect."""
        self._set("disabled", None)
        self._was_online = False

    @property
    def online_s(self) -> float:
        """Seconds between the first and the last result, if the camera is online; else 0."""
        return self._last_result_s - self._changed_s if self._state.status == "online" else 0.0

    def _set(self, status: CameraStatus, problem: str | None) -> None:
        self._state.problem = problem
        if status == self._state.status:
            return
        self._state.status = status
        self._changed_s = time.monotonic()
        if status == "online":
            if self._was_online:
                self._metrics.count_reconnect()
            self._was_online = True
        self._on_change(status)
        self._log.info("%s", status)
