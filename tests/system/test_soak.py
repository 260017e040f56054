"""Everything that the soak disturbs, once. `python -m tests.system.soak` runs it for long and watches for growth."""

import pytest

from tests.system.soak import soak

pytestmark = [pytest.mark.mosquitto, pytest.mark.faults]


@pytest.mark.usefixtures("demo_assets")
def test_everything_is_disturbed_once_and_no_event_is_lost(tmp_path):
    curve, wrong = soak(tmp_path, 0)
    assert not wrong
    assert curve
