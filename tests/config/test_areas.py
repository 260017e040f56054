"""The zones, lines and ignore areas of a camera, which can be replaced together."""

import pytest

from edgepub.config.areas import Areas
from edgepub.config.camera import CameraSettings

SQUARE = [[0, 0], [1, 0], [1, 1], [0, 1]]
GATE = {"gate": {"from": [0.5, 0], "to": [0.5, 1]}}


def areas(**content):
    return Areas.model_validate({"ignore": {}, **content})


def test_replacing_areas_keeps_all_other_settings(tmp_path):
    (tmp_path / "url").write_text("rtsp://somewhere/1\n")
    old = {"yard": {"polygon": SQUARE}}
    camera = CameraSettings(source_file=tmp_path / "url", model="m", labels=["person"], zones=old)
    drawn = areas(
        zones={"door": {"polygon": SQUARE, "labels": ["person"]}}, lines=GATE, ignore={"flag": {"polygon": SQUARE}}
    )
    other = camera.with_areas(drawn)
    assert other.areas == drawn
    assert other.resolved_source == "rtsp://somewhere/1", "the secret file is not read again"
    assert camera.areas == areas(zones=old), "the original is unchanged"
    assert other.with_areas(camera.areas) == camera
    assert Areas.model_validate(other.areas.model_dump(mode="json", by_alias=True)) == drawn


@pytest.mark.parametrize(
    ("camera", "drawn", "why"),
    [
        (
            {"labels": ["person"]},
            areas(zones={"yard": {"polygon": SQUARE, "labels": ["persn"]}}),
            "zones.yard.labels: 'persn' is not one of the camera's labels",
        ),
        (
            {"labels": {"person": {"min_score": 0.6}}},
            areas(ignore={"flag": {"polygon": SQUARE, "labels": ["flag"]}}),
            "ignore.flag.labels: 'flag' is not one of the camera's labels",
        ),
        ({"tracking": False}, areas(lines=GATE), "lines need tracking: set it to true, or remove lines"),
    ],
)
def test_areas_that_do_not_fit_get_the_error_of_the_configuration(camera, drawn, why):
    settings = {"source": 0, "model": "m", **camera}
    with pytest.raises(ValueError, match=why):
        CameraSettings(**settings).with_areas(drawn)
    with pytest.raises(ValueError, match=why):
        CameraSettings(**settings, **drawn.model_dump(by_alias=True))
