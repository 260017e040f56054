"""Every disturbance of the soak, once. `python -m tests.system.soak` runs for longer and checks for growth."""

import pytest

from tests.system.soak import soak

pytestmark = [pytest.mark.mosquitto, pytest.mark.faults]


@pytest.mark.usefixtures("demo_assets")
def test_every_disturbance_once_loses_no_event(tmp_path):
    curve, problems = soak(tmp_path, 0)
    assert not problems
    assert len(set(curve.faults)) == len(curve.faults)
