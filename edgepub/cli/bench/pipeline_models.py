"""Models and frames for `edgepub bench pipelines`: real models of faces, and echo models, which take no time.

Frames are square, like the models' input: degirum_tools makes tiles of that shape, edgepub those of the frame.
"""

import itertools
import json
import shutil
from pathlib import Path
from typing import NamedTuple, cast

import cv2
import numpy as np

from edgepub.camera.frames import Image
from edgepub.cli.bench import echo
from edgepub.cli.bench.arrangements import CLASSIFIER, COLUMNS, FIRST, ROWS, SECOND, Arrangement
from edgepub.cli.demo import assets

SIDE = 512
"""The width and height of a frame, in pixels."""
_PICTURES = 60
_FACE_FRAMES, _ECHO_FRAMES = 100, 1000
_BOXES_X, _BOX_Y, _BOX_SIDE = (2, 14, 26, 38, 50), 20, 8
"""The objects in a frame for the echo models, in pixels of the model's input."""
_BOX = [10, 20, 50, 60]
"""An object in each of these, and in each tile."""


class Case(NamedTuple):
    """Models and frames."""

    name: str
    zoo: Path
    frames: Path
    """The pictures, for `frame_cost.read_frames`."""
    tiles: Path
    """The pictures to cut into tiles."""
    frame_count: int
    """How many frames to measure."""

    def frames_for(self, arrangement: Arrangement) -> Path:
        """Return the pictures for an arrangement."""
        return self.tiles if arrangement is Arrangement.TILES else self.frames


def make_faces(directory: Path) -> Case:
    """Return the demo's models with its video, enlarged.

    The classifier is the second model with other results: it takes as long, and always answers.
    """
    files, zoo = assets.fetch(), directory / "faces-zoo"
    originals = {FIRST: "blazeface", SECOND: "blazeface_full_range", CLASSIFIER: "blazeface_full_range"}
    for name, original in originals.items():
        shutil.copytree(files.zoo / original, zoo / name)
        (zoo / name / f"{original}.json").rename(zoo / name / f"{name}.json")
    description = json.loads((zoo / CLASSIFIER / f"{CLASSIFIER}.json").read_text())
    description["POST_PROCESS"] = [{"OutputPostprocessType": "Classification", "PythonFile": "postprocessor.py"}]
    (zoo / CLASSIFIER / f"{CLASSIFIER}.json").write_text(json.dumps(description))
    shutil.copy(Path(__file__).with_name("face_or_not.py"), zoo / CLASSIFIER / "postprocessor.py")
    frames = directory / "faces.npy"
    np.save(frames, _read_squares(files.video))
    return Case("BlazeFace", zoo, frames, frames, _FACE_FRAMES)


def make_echo(directory: Path) -> Case:
    """Return echo models, with frames of several objects."""
    zoo = directory / "echoes-zoo"
    for name, kind in ((FIRST, "Detection"), (SECOND, "Detection"), (CLASSIFIER, "Classification")):
        echo.make_model(zoo, name, kind=kind)
    whole, tiled = (np.full((SIDE, SIDE, 3), ord(" "), np.uint8) for _ in range(2))
    boxes = [[x, _BOX_Y, x + _BOX_SIDE, _BOX_Y + _BOX_SIDE] for x in _BOXES_X]
    _write(whole, "car", *boxes)
    scale = SIDE // echo.SIDE
    for x1, y1, x2, y2 in boxes:
        _write(whole[scale * y1 : scale * y2, scale * x1 : scale * x2], "plate", _BOX)
    across, down = SIDE // COLUMNS, SIDE // ROWS
    for column, row in itertools.product(range(COLUMNS), range(ROWS)):
        _write(tiled[down * row : down * (row + 1), across * column : across * (column + 1)], "car", _BOX)
    paths = directory / "whole.npy", directory / "tiled.npy"
    for path, picture in zip(paths, (whole, tiled), strict=True):
        np.save(path, picture[None])
    return Case("no model (echo)", zoo, *paths, _ECHO_FRAMES)


def _write(part: Image, label: str, *boxes: list[int]) -> None:
    """Write objects into a part of a picture, for a model that is given this part."""
    echo.write_results(part, [{"bbox": box, "label": label, "score": 0.9, "category_id": 0} for box in boxes])


def _read_squares(video: Path) -> Image:
    """Return the first pictures of a video: the square in the middle, enlarged."""
    pictures = []
    with video.open("rb") as file:  # FFmpeg may not open files by their paths after a source was opened
        capture = cv2.VideoCapture(cast("cv2.IStreamReader", file), cv2.CAP_FFMPEG, [])
        for _ in range(_PICTURES):
            picture = capture.read()[1]
            height, width = picture.shape[:2]
            left = (width - height) // 2
            pictures.append(cv2.resize(picture[:, left : left + height], (SIDE, SIDE), interpolation=cv2.INTER_CUBIC))
        capture.release()
    return np.stack(pictures)
