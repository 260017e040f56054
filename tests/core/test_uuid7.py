"""UUIDs of version 7."""

import time
import uuid
from itertools import pairwise

import pytest

from edgepub.core.uuid7 import uuid7

YEAR_S = 365 * 86_400


def test_it_is_of_version_7_and_has_the_time():
    before_ms = time.time_ns() // 10**6
    made = uuid7()
    assert (made.version, made.variant) == (7, uuid.RFC_4122)
    assert before_ms <= made.int >> 80 <= time.time_ns() // 10**6


def test_those_made_one_after_the_other_are_sorted_and_different():
    made = [uuid7() for _ in range(10_000)]
    in_order = sum(one.bytes[:8] <= other.bytes[:8] for one, other in pairwise(made))
    assert in_order >= 9_990, "unless the clock was adjusted meanwhile"
    assert len(set(made)) == len(made)


@pytest.mark.parametrize("ahead_s", [174 * YEAR_S, 3 * 86_400, -3 * 86_400, -56 * YEAR_S])
def test_it_follows_a_clock_that_is_set(monkeypatch, ahead_s):
    real = time.time_ns
    monkeypatch.setattr(time, "time_ns", lambda: max(0, real() + ahead_s * 10**9))
    assert uuid7().int >> 80 == pytest.approx(time.time_ns() / 1e6, abs=1000)
    monkeypatch.setattr(time, "time_ns", real)
    assert uuid7().int >> 80 == pytest.approx(time.time_ns() / 1e6, abs=1000)
