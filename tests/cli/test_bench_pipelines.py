"""`edgepub bench pipelines`: each arrangement does what it says, and degirum_tools does the same work."""

import pytest

from edgepub.cli.bench.arrangements import Arrangement
from edgepub.cli.bench.pipeline_models import make_echo
from edgepub.cli.bench.pipelines import find_objects, make_frames, measure_degirum_tools

CARS = ["car"] * 5
FOUND = {
    Arrangement.ALONE: CARS,
    Arrangement.SIDE_BY_SIDE: CARS,
    Arrangement.DETECTOR: CARS + ["plate"] * 5,
    Arrangement.CLASSIFIER: CARS,
    Arrangement.CLASSIFIER_OF_TRACKS: CARS,
    Arrangement.TILES: ["car"] * 4,
}


@pytest.fixture
def case(tmp_path):
    return make_echo(tmp_path)._replace(frame_count=20)


@pytest.mark.parametrize("arrangement", Arrangement)
def test_each_arrangement_uses_its_models(case, arrangement):
    frames = make_frames(case.frames_for(arrangement), case.frame_count)
    *_, last = (one.objects for one in find_objects(arrangement, str(case.zoo), frames))
    assert [one["label"] for one in last] == FOUND[arrangement]
    if arrangement is Arrangement.DETECTOR:
        assert sorted(one["parent"] for one in last if "parent" in one) == [0, 1, 2, 3, 4]
    names = [one["attributes"]["kind"]["label"] for one in last if "attributes" in one]
    is_classified = arrangement in (Arrangement.CLASSIFIER, Arrangement.CLASSIFIER_OF_TRACKS)
    assert names == ["plate"] * (5 if is_classified else 0)
    assert all(one["attributes"]["kind"].get("settled", False) == arrangement.is_tracked for one in last if names)


@pytest.mark.process
@pytest.mark.parametrize("arrangement", Arrangement)
@pytest.mark.parametrize("method", ["predict", "predict_batch"])
def test_degirum_tools_does_the_same_work(case, arrangement, method):
    assert measure_degirum_tools(method, arrangement, case).found == len(FOUND[arrangement])
