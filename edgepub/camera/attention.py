"""Whether something is to be seen by a camera, so that each of its frames matters."""

from math import inf

_HOLD_S = 5.0


class Attention:
    """Is set by the results of a camera's model, and read by the thread that decodes for it."""

    def __init__(self) -> None:
        self._until_s = -inf

    def extend(self, now_s: float) -> None:
        """Take note that something was found now; it counts for 5 s, on the monotonic clock."""
        self._until_s = now_s + _HOLD_S

    def is_wanted(self, now_s: float) -> bool:
        """Return whether each frame matters now."""
        return now_s < self._until_s
