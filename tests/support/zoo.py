"""Real models for tests, as a zoo of PySDK, and pictures for them.

The heads of `zoo_files` and of pictures/README.md say where they come from, and under which licences.
"""

import json
import shutil
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import cv2

from edgepub.camera.frames import Frame
from edgepub.camera.inference.loading import load_model
from edgepub.config.settings import ModelSettings
from tests.support import tfjs, zoo_files
from tests.support.zoo_models import MODELS, describe

_HERE = Path(__file__).parent


def make(directory, *names):
    """Write models into a directory, and return it: a `zoo_url` for `@local`.

    The first use on a machine downloads them. Those of texts and those from npm run on ONNX/CPU, the others on
    TFLITE/CPU.

    Args:
        directory: the zoo.
        names: `face`, `person`, `palm`, `coco` (detectors); `pose`, `face_mesh`, `hand` (landmarks, of one);
            `person_mask` (an instance mask, of one); `ocr_det` (rotated boxes of texts), `ocr_rec` (the text of a
            line), `ocr_cls` (whether it is upside down); `face_age` (a regression), `face_attributes` (multi-label),
            `face_embedding` (a raw tensor), `face_emotion` (a classification), of one face.

    """
    for name in names:
        model, folder = MODELS[name], Path(directory, name)
        folder.mkdir(parents=True)
        weights = _write_weights(model, folder)
        labels = {str(number): label for number, label in enumerate(model.labels or ("",))}
        (folder / "labels.json").write_text(json.dumps(labels))
        if model.python:
            shutil.copy(_HERE / "zoo_postprocessors" / model.python, folder)
        (folder / f"{name}.json").write_text(json.dumps(describe(model, weights), indent=2))
    return Path(directory)


def settings(directory, name):
    """Return the settings of a model in a zoo, as a configuration has them."""
    return {"model_name": name, "zoo_url": str(directory), "inference_host_address": "@local"}


def picture(name):
    """Return a picture as BGR, (height, width, 3): `astronaut`, `coffee`, `grace_hopper` or `index_finger`."""
    return cv2.imread(str(_HERE / "pictures" / f"{name}.jpg"))


class Viewer:
    """Shows images to the models of a zoo, in its own process: ONNX Runtime must be loaded before the first model."""

    def __init__(self, directory):
        self._zoo = str(directory)
        self._pool = ProcessPoolExecutor(1, get_context("spawn"))

    def predict(self, name, image):
        """Return a model's results for an image, as PySDK's core gives them, but with points in the image's pixels."""
        return self._pool.submit(_predict, self._zoo, name, image).result()

    def close(self):
        """End the process."""
        self._pool.shutdown()


def _predict(zoo, name, image):
    with load_model(ModelSettings(**settings(zoo, name))) as model:
        (result,) = model.infer(iter([Frame(image, 1, 0.0, 0.0, 0.0)]), live=False)
    if isinstance(result.objects, Exception):
        raise result.objects
    height, width = image.shape[:2]

    def place(x, y):
        x, y = result.to_frame.point(x, y)
        return min(max(x, 0), width), min(max(y, 0), height)

    for thing in result.objects if result.to_frame else []:
        if "bbox" in thing:
            box = thing["bbox"]
            thing["bbox"] = [*place(*box[:2]), *place(*box[2:])]
        for landmark in thing.get("landmarks", ()):
            landmark["landmark"][:2] = place(*landmark["landmark"][:2])
    return result.objects


def _write_weights(model, folder):
    if not model.outputs:
        return Path(shutil.copy(zoo_files.fetch(model.weights), folder))
    topology, weights = (zoo_files.fetch(model.weights + suffix).read_bytes() for suffix in (".json", ".bin"))
    path = folder / f"{model.weights}.onnx"
    path.write_bytes(tfjs.convert(topology, weights, model.outputs))
    return path
