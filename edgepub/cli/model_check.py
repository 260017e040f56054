"""Loads a model, runs it on a picture, and says how long that takes and what edgepub would not publish."""

import time
from collections.abc import Collection, Iterator
from typing import Any, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from edgepub.camera.frames import Frame, Frames, Result
from edgepub.camera.inference.loading import load_model
from edgepub.camera.inference.model import Model
from edgepub.camera.pipeline.answers import read_answers, read_embedding_of, read_values
from edgepub.camera.results.budget import MAX_OBJECTS
from edgepub.camera.results.conversion import PUBLISHED
from edgepub.camera.results.objects import Wanted, read_objects
from edgepub.config.settings import ModelSettings, Settings
from edgepub.core.errors import EdgepubError

_USUAL_SIZE = 640, 480


class Use(NamedTuple):
    """What a model is used for."""

    cameras: Collection[str]
    """The names of the cameras that use it."""
    sees_frames: bool
    """Whether it is given frames; otherwise objects that are cut out of them."""
    stages: Collection[str]
    """What stages use it for: `detect`, `classify`, `regress`, `embed`."""
    include: Collection[str]
    """Keys of its results that cameras name."""


def find_use(name: str, settings: Settings) -> Use:
    """Return what a model is used for. One that is not used is taken for one that is given frames."""
    pipelines = {camera: settings.pipeline_of(section) for camera, section in settings.cameras.items()}
    cameras = [camera for camera, pipeline in pipelines.items() if name in pipeline.models]
    both = [*pipelines.values(), *settings.pipelines.values()]
    stages = {stage.kind for pipeline in both for stage in pipeline.then if stage.model == name}
    sees_frames = not stages or any(one.model == name for pipeline in both for one in pipeline.detect)
    include = {key for camera in cameras for key in settings.cameras[camera].include}
    return Use(cameras, sees_frames, stages, include)


def check_model(
    name: str, settings: ModelSettings, address: str, use: Use, frame: Frame | None, labels: dict[str, list[str]]
) -> str:
    """Load a model at an address, run it on a picture, and describe it.

    Args:
        name: the model's name.
        settings: the model.
        address: where it runs.
        use: what it is used for.
        frame: one of a camera that uses it; None: the picture is black.
        labels: gets the labels that the model has at each of its addresses, by the model's name.

    Raises:
        ModelError: it cannot be loaded, or fails.
        InvalidResultError: its result is none for this use.

    """
    with load_model(settings, address) as model:
        labels[name] = [label for label in labels.get(name, model.labels) if label in model.labels]
        picture = _make_picture(model, use, frame)
        for _ in model.infer(_one_frame(picture), live=False):  # some runtimes load or compile only now
            break
        began_s = time.monotonic()
        result = next(model.infer(_one_frame(picture), live=False), None)
        took_ms = 1000 * (time.monotonic() - began_s)
        if result is None:
            raise EdgepubError("gives no result")
        each = "frame" if use.sees_frames else "object"
        return "; ".join([f"{model.device}, {took_ms:.0f} ms per {each}", *_describe(result, use)])


def _make_picture(model: Model, use: Use, frame: Frame | None) -> NDArray[Any]:
    """Return a frame; for a model that is given objects, at the size of its input, as if it were one."""
    size = model.input_size or _USUAL_SIZE
    if frame is None:
        return np.zeros((size[1], size[0], 3), np.uint8)
    return frame.image if use.sees_frames else cv2.resize(frame.image, size, interpolation=cv2.INTER_AREA)


def _describe(result: Result, use: Use) -> Iterator[str]:
    """Yield what edgepub would not publish of a result.

    Raises:
        InvalidResultError: the result is none for this use.

    """
    if use.sees_frames or "detect" in use.stages:
        yield from _describe_objects(result, use.include)
    for kind, read in (("classify", read_answers), ("regress", read_values)):
        if kind in use.stages:
            read(result, kind)
    if "embed" in use.stages:
        read_embedding_of(result)


def _describe_objects(result: Result, include: Collection[str]) -> Iterator[str]:
    objects = read_objects(result, Wanted(include=[key for key in include if key not in PUBLISHED]))
    for what, number in objects.invalid.items():
        yield f"invalid objects: {number}: {what}"
    if objects.too_many:
        yield f"more than {MAX_OBJECTS} objects: the best are kept"
    if more := ", ".join(sorted(map(str, objects.not_included))):
        yield f"the model also gives {more}; name what you want in the camera's `include`"


def _one_frame(image: NDArray[Any]) -> Frames:
    yield Frame(image, 1, time.time(), time.monotonic(), 0.0)
