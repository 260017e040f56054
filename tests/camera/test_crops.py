"""Parts of frames: with a real model, which must be able to take them."""

import numpy as np
import pytest

from edgepub.camera.frames import Frame
from edgepub.camera.inference.loading import load_model
from edgepub.camera.pipeline.crops import find_crop
from edgepub.config.settings import ModelSettings

FRAME = Frame(np.zeros((1080, 1920, 3), np.uint8), 1, 0.0, 0.0, 0.0)


@pytest.mark.parametrize(
    ("box", "size"),
    [
        ((100, 200, 102, 1000), (50, 800)),
        ((100, 200, 1000, 202), (900, 57)),
        ((0, 0, 2, 1080), (35, 1080)),
        ((100, 200, 200, 300), (100, 100)),
    ],
    ids=["narrow", "low", "at the border", "usual"],
)
def test_a_model_can_take_every_object(demo_assets, box, size):
    part = find_crop(box, 0, 1920, 1080)
    cut = part.cut(FRAME, FRAME.image)
    assert cut.size == pytest.approx(size, abs=2)
    settings = ModelSettings(model_name="blazeface", zoo_url=str(demo_assets.zoo), inference_host_address="@local")
    with load_model(settings) as model:
        assert model.predict(cut).objects == []


def test_an_object_without_pixels_is_left_out():
    assert find_crop((100, 200, 101, 300), 0, 1920, 1080) is None
