"""The text of a time is the one that Python's datetime gives, to the millisecond."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from edgepub.mqtt.payloads.iso_time import iso_time

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
YEAR_1, YEAR_9999 = -62135596800, 253402300799


@pytest.mark.parametrize(
    ("timestamp", "text"),
    [
        (0, "1970-01-01T00:00:00.000Z"),
        (1796042096.789, "2026-11-30T12:34:56.789Z"),
        (1796042096.9996, "2026-11-30T12:34:57.000Z"),
        (-0.001, "1969-12-31T23:59:59.999Z"),
        (951782400, "2000-02-29T00:00:00.000Z"),
        (YEAR_1, "0001-01-01T00:00:00.000Z"),
        (YEAR_9999, "9999-12-31T23:59:59.000Z"),
    ],
)
def test_a_time_has_this_text(timestamp, text):
    assert iso_time(timestamp) == text


@given(st.floats(YEAR_1, YEAR_9999))
@example(1700000000.123)
@example(1e9 + 0.0005)
def test_it_is_within_half_a_millisecond_of_datetimes(timestamp):
    text = iso_time(timestamp)
    assert len(text) == len("2026-11-30T12:34:56.789Z")
    # In the year 9999, a float of milliseconds is one of 30 microseconds.
    assert abs(datetime.fromisoformat(text) - (EPOCH + timedelta(seconds=timestamp))) <= timedelta(microseconds=530)


@given(st.integers(1000 * YEAR_1, 1000 * YEAR_9999))
def test_whole_milliseconds_stay_what_they_are(ms):
    assert datetime.fromisoformat(iso_time(ms / 1000)) == EPOCH + timedelta(milliseconds=ms)


@pytest.mark.parametrize("timestamp", [-1e300, -7e10, 3e11, 1e300])
def test_years_that_have_other_than_four_digits_are_the_nearest_that_have(timestamp):
    assert iso_time(timestamp)[:19] in {"0001-01-01T00:00:00", "9999-12-31T23:59:59"}
