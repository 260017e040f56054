"""Does the soak work: everything once. `python tests/soak.py` does it for long, and looks whether anything grows."""

import pytest
from soak import soak

pytestmark = [pytest.mark.mosquitto, pytest.mark.faults]


@pytest.mark.usefixtures("demo_assets")
def test_everything_is_disturbed_once_and_no_event_is_lost(tmp_path):
    curve, wrong = soak(tmp_path, 0)
    assert not wrong
    assert curve
