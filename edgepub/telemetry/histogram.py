"""A streaming histogram: quantiles of any number of values in little memory, in a few hundred nanoseconds per value.

Source: C. Masson, J. E. Rim, H. K. Lee, "DDSketch: A Fast and Fully-Mergeable Quantile Sketch with Relative-Error
Guarantees", VLDB 2019. Buckets grow geometrically, so every quantile is accurate to 2 % of its value. Counts never
decrease: the difference of two copies is the histogram of the time between them, and each reader can keep its own copy.
"""

from bisect import bisect_left
from collections.abc import Mapping, Sequence
from functools import cache
from itertools import accumulate
from math import ceil, log

_ACCURACY = 0.02
_GAMMA = (1 + _ACCURACY) / (1 - _ACCURACY)
_PER_E = 1 / log(_GAMMA)
_MIN_VALUE = 1e-3  # smaller values count as this one: a microsecond, if values are milliseconds

Buckets = Mapping[int, int]
"""The number of values in each bucket. Bucket i holds the values above gamma**(i - 1), up to gamma**i."""


class Histogram:
    """Counts values. One thread may add values; any thread may copy the counts."""

    def __init__(self) -> None:
        self._buckets: dict[int, int] = {}

    def add(self, value: float) -> None:
        """Count a value."""
        bucket = ceil(log(max(_MIN_VALUE, value)) * _PER_E)
        self._buckets[bucket] = self._buckets.get(bucket, 0) + 1

    def copy(self) -> Buckets:
        """Return the counts so far."""
        return self._buckets.copy()  # atomic under the interpreter's lock, also while values are added


def difference(earlier: Buckets, later: Buckets) -> Buckets:
    """Return the counts between two copies."""
    return {i: number - earlier.get(i, 0) for i, number in later.items() if number > earlier.get(i, 0)}


def quantile(buckets: Buckets, part: float) -> float | None:
    """Return the value that the given part (0 to 1) of all values does not exceed, accurate to 2 %; None if empty."""
    rank = part * (sum(buckets.values()) - 1)
    below = 0
    for bucket in sorted(buckets):
        below += buckets[bucket]
        if below > rank:
            return _middle(bucket)
    return None


def cumulative_counts(buckets: Buckets, bounds: Sequence[float]) -> tuple[list[int], float]:
    """Return how many values do not exceed each bound, followed by the number of all values; and the sum of all values.

    Each value counts as the middle of its bucket, accurate to 2 %. None of these numbers ever decreases.
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
