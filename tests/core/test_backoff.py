"""Pauses between attempts."""

from hypothesis import given
from hypothesis import strategies as st

from edgepub.core.backoff import Backoff


@given(st.floats(0.01, 10), st.floats(1, 100), st.integers(1, 30))
def test_pauses_grow_to_a_limit_and_are_never_zero(min_s, factor, tries):
    backoff = Backoff(min_s, min_s * factor)
    ceiling = min_s
    for _ in range(tries):
        assert ceiling / 10 <= backoff.next_s() <= ceiling
        ceiling = min(2 * ceiling, min_s * factor)
    backoff.reset()
    assert backoff.next_s() <= min_s
