"""Leaves out packets when decoding is behind, up to a key frame that is recent enough."""

from math import inf

from edgepub.telemetry.logs import CameraLogger

_MAX_BEHIND_S = 1.0
_MAX_BEHIND_PERIODS = 3
_RESUME_S = 0.5
_MAX_SKIPPED_S = 10.0
"""After this time without a key frame decoding goes on anywhere: some streams have none, and repair themselves."""
_LOG_INTERVAL_S = 60.0


class Lateness:
    """Decides which packets of a live stream are decoded.

    Args:
        log: the camera's log.

    """

    def __init__(self, log: CameraLogger) -> None:
        self._log = log
        self._since_s: float | None = None  # when packets began to be left out; None: they are not
        self._logged_s = -inf
        self._skipped = 0  # since the last line

    @property
    def is_skipping(self) -> bool:
        """Whether the last packet was left out."""
        return self._since_s is not None

    def skips(self, behind_s: float, now_s: float, period_s: float, *, is_key: bool) -> bool:
        """Return whether to leave out a packet.

        Args:
            behind_s: how long ago the packet came.
            now_s: the time, on the monotonic clock.
            period_s: the time between two packets: a camera that sends few frames is not behind with three of them.
            is_key: whether decoding can begin with it.

        """
        if self._since_s is None:
            if behind_s <= max(_MAX_BEHIND_S, _MAX_BEHIND_PERIODS * period_s):
                return False
            self._since_s = now_s
            self._say(behind_s, now_s)
        elif (is_key and behind_s < _RESUME_S) or now_s - self._since_s > _MAX_SKIPPED_S:
            self._since_s = None
            return False
        self._skipped += 1
        return True

    def _say(self, behind_s: float, now_s: float) -> None:
        if now_s - self._logged_s < _LOG_INTERVAL_S:
            return
        before = f" ({self._skipped} since the last such line)" if self._skipped else ""
        self._log.warning(
            "decoding is behind by %.1f s: frames are left out up to the next key frame%s; use the camera's second "
            "stream, a lower frame rate in the camera, or fewer cameras",
            behind_s,
            before,
        )
        self._logged_s, self._skipped = now_s, 0
