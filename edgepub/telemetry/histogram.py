"""A streaming histogram: quantiles of any number of values in little memory, at a few hundred nanoseconds a value.

Source: C. Masson, J. E. Rim, H. K. Lee, "DDSketch: A Fast and Fully-Mergeable Quantile Sketch with Relative-Error
Guarantees", VLDB 2019. Buckets grow geometrically, so that every quantile is right to 2 % of itself. It only ever
grows: a window of time is what came between two copies, and every reader can have its own.
"""

from bisect import bisect_left
from collections.abc import Mapping, Sequence
from functools import cache
from itertools import accumulate
from math import ceil, log

_ACCURACY = 0.02
_GAMMA = (1 + _ACCURACY) / (1 - _ACCURACY)
_PER_E = 1 / log(_GAMMA)
_LEAST = 1e-3  # what is smaller is taken for this: a microsecond, where values are milliseconds

Buckets = Mapping[int, int]
"""How many values each bucket has; bucket i holds the values above gamma**(i - 1), up to gamma**i."""


class Histogram:
    """Counts values of one writing thread; any thread may copy it."""

    def __init__(self) -> None:
        self._buckets: dict[int, int] = {}

    def add(self, value: float) -> None:
        """Count a value."""
        bucket = ceil(log(max(_LEAST, value)) * _PER_E)
        self._buckets[bucket] = self._buckets.get(bucket, 0) + 1

    def copy(self) -> Buckets:
        """Return what has been counted so far."""
        return self._buckets.copy()  # in one step under the interpreter's lock, whatever is added meanwhile


def difference(earlier: Buckets, later: Buckets) -> Buckets:
    """Return what was counted between two copies."""
    return {i: number - earlier.get(i, 0) for i, number in later.items() if number > earlier.get(i, 0)}


def quantile(buckets: Buckets, part: float) -> float | None:
    """Return the value that so large a part of all values does not exceed, right to 2 %; None if there are none."""
    rank = part * (sum(buckets.values()) - 1)
    below = 0
    for bucket in sorted(buckets):
        below += buckets[bucket]
        if below > rank:
            return _middle(bucket)
    return None


def cumulative_counts(buckets: Buckets, bounds: Sequence[float]) -> tuple[list[int], float]:
    """Return how many values do not exceed each bound, then how many there are, and the sum of all.

    A value is taken for its bucket's middle, so right to 2 %; and none of these figures ever goes down.
    """
    numbers = [0] * (len(bounds) + 1)
    total = 0.0
    for bucket, number in buckets.items():
        middle = _middle(bucket)
        numbers[bisect_left(bounds, middle)] += number
        total += number * middle
    return list(accumulate(numbers)), total


@cache
def _middle(bucket: int) -> float:
    return float(2 * _GAMMA**bucket / (_GAMMA + 1))
