"""A pipeline of real models, without a daemon."""

import logging

import numpy as np
import pytest

from edgepub.camera.frames import Frame
from edgepub.camera.pipeline.loading import load_pipeline
from edgepub.camera.results.objects import Wanted
from edgepub.config.pipelines import PipelineSettings
from edgepub.config.settings import ModelSettings
from edgepub.core.fair_lock import FairLock
from edgepub.telemetry.logs import camera_logger


@pytest.fixture
def load(demo_assets):
    """Return a function that loads a pipeline of the demo's models, without tracking."""
    local = {"zoo_url": str(demo_assets.zoo), "inference_host_address": "@local"}
    models = {name: ModelSettings(model_name=name, **local) for name in ("blazeface", "blazeface_full_range")}

    def make(pipeline, region=None):
        log = camera_logger(logging.getLogger("edgepub"), "cam")
        wanted = Wanted(min_score=0.5)
        settings = PipelineSettings.model_validate(pipeline)
        return load_pipeline(
            settings,
            models,
            region,
            lambda: wanted,
            lambda: None,
            FairLock(),
            10.0,
            log,
            ["@local"] * len(settings.detect),
            lambda _name, _model: None,
            with_embeddings=False,
        )

    return make


def infer(model, pictures):
    frames = (Frame(picture, number, 0.0, 0.0, 0.0) for number, picture in enumerate(pictures, 1))
    return list(model.infer(frames, live=False))


BLACK = np.zeros((240, 320, 3), np.uint8)


def test_each_part_of_a_frame_shows_that_the_models_work(load):
    """So none of them is taken for one that hangs; see `CameraSupervisor`."""
    with load({"detect": ["blazeface", "blazeface_full_range"], "tiles": {"columns": 2, "rows": 1}}) as pipeline:
        yielded = infer(pipeline, [BLACK, BLACK])
    results = [result for result in yielded if result is not None]
    assert [result.frame.number for result in results] == [1, 2]
    assert yielded.count(None) == 2 * (2 + 3), "the first model's three tiles, and three of the other one"
