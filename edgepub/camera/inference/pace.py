"""How many live frames to keep in flight in a model. Pure."""

from collections.abc import Sequence
from typing import NamedTuple

_MIN_STEP_S = 0.001  # a shorter step is never the limit: Python takes as long for each frame


class Pace(NamedTuple):
    """How fast a runtime is."""

    there_s: float
    """How long a frame is there."""
    step_s: float
    """How long the longest step takes, which works on one frame at a time."""

    def in_flight(self, busy_s: float = 0.0) -> int:
        """Return how many frames to keep in flight.

        That is how often the longest step fits into the time that a frame takes in all. With fewer frames that step
        would idle; with more they would wait for it and get old (Little's law: J. D. C. Little, "A Proof for the
        Queuing Formula L = λW", Operations Research 9, 1961).

        Args:
            busy_s: how long the caller works on a result before it takes the next one: one more step.

        """
        longest_s = max(self.step_s, busy_s, _MIN_STEP_S)
        return max(1, round((self.there_s + busy_s) / longest_s))


def find_pace(measured: Sequence[Pace]) -> Pace:
    """Return the pace of a runtime from that of some frames."""
    # Not the median: while many cameras start, threads also wait for each other: that looks like a network.
    return sorted(measured, key=lambda pace: pace.there_s / max(pace.step_s, _MIN_STEP_S))[len(measured) // 4]
