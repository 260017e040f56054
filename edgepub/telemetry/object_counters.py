"""Counts what objects did in front of one camera: by zone, by line and by label."""

import threading
from bisect import bisect_left
from collections import Counter
from collections.abc import Mapping
from itertools import accumulate
from typing import NamedTuple

DWELL_BOUNDS_S = (1.0, 5.0, 15.0, 30.0, 60.0, 300.0, 900.0, 3600.0)
OTHER = "other"
"""The label under which those are counted that come after many others."""
_MAX_LABELS = 100
Counts = Mapping[tuple[str, ...], int]


class Dwell(NamedTuple):
    """How long objects stayed in a zone."""

    counts: list[int]
    """How many stayed at most as long as each of the bounds, and then how many there were."""
    sum_s: float
    """How long they stayed together."""


class ObjectReading(NamedTuple):
    """The counts of one camera at one time, since the start of the daemon."""

    entered: Counts
    """Objects that entered a zone, by zone and label."""
    left: Counts
    """Objects that left a zone, by zone and label."""
    crossed: Counts
    """Objects that crossed a line, by line, direction and label."""
    visits: Counts
    """Visits that are over, by label."""
    dwell: dict[str, Dwell]
    """How long objects stayed, by zone."""


class ObjectCounters:
    """Counts the events and visits of one camera, since the start of the daemon. Thread-safe.

    Args:
        max_labels: how many labels are told apart, the first ones; all later ones are counted as `OTHER`.

    """

    def __init__(self, max_labels: int = _MAX_LABELS) -> None:
        self._max_labels = max_labels
        self._lock = threading.Lock()
        self._labels: set[str] = set()
        self._entered: Counter[tuple[str, ...]] = Counter()
        self._left: Counter[tuple[str, ...]] = Counter()
        self._crossed: Counter[tuple[str, ...]] = Counter()
        self._visits: Counter[tuple[str, ...]] = Counter()
        self._dwell: dict[str, tuple[list[int], float]] = {}  # each stay in one bucket only

    def count_entered(self, zone: str, label: str) -> None:
        """Count an object that entered a zone."""
        with self._lock:
            self._entered[zone, self._bounded(label)] += 1

    def count_left(self, zone: str, label: str, dwell_s: float) -> None:
        """Count an object that left a zone in which it was for this many seconds."""
        with self._lock:
            self._left[zone, self._bounded(label)] += 1
            numbers, sum_s = self._dwell.get(zone) or ([0] * (len(DWELL_BOUNDS_S) + 1), 0.0)
            numbers[bisect_left(DWELL_BOUNDS_S, dwell_s)] += 1
            self._dwell[zone] = numbers, sum_s + dwell_s

    def count_crossed(self, line: str, direction: str, label: str) -> None:
        """Count an object that crossed a line."""
        with self._lock:
            self._crossed[line, direction, self._bounded(label)] += 1

    def count_visit(self, label: str) -> None:
        """Count a visit that is over."""
        with self._lock:
            self._visits[(self._bounded(label),)] += 1

    def read(self) -> ObjectReading:
        """Return all counts as they are now."""
        with self._lock:
            dwell = {zone: Dwell([*accumulate(numbers)], sum_s) for zone, (numbers, sum_s) in self._dwell.items()}
            return ObjectReading(dict(self._entered), dict(self._left), dict(self._crossed), dict(self._visits), dwell)

    def _bounded(self, label: str) -> str:
        if label not in self._labels:
            if len(self._labels) >= self._max_labels:
                return OTHER
            self._labels.add(label)
        return label
