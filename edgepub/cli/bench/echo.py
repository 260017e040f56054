"""A model that says exactly what it is shown, for exact tests and for measuring everything but a model.

PySDK's runtime DUMMY/DUMMY reads the bytes of its input tensor as JSON and gives that as its results. A lossless video
whose pixels are the text of detections is so turned into those detections, through the real PySDK.
"""

import json
from collections.abc import Iterable
from math import ceil
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

SIDE = 64
"""The frames are squares of so many pixels, as is the model's input: boxes come out as they went in."""
_SQUARE = SIDE, SIDE
_PATCH, _STEP = 40, 4  # pixels


def make_model(zoo: Path, name: str = "echo", **device: Any) -> None:  # noqa: ANN401  (a JSON value)
    """Write the model into a local zoo.

    Args:
        zoo: the zoo's folder.
        name: the model's name.
        device: more keys of its DEVICE section, like `SimulateTime_ms`.

    """
    folder = zoo / name
    folder.mkdir(parents=True)
    (folder / f"{name}.bin").write_bytes(b"echo")
    description = {
        "ConfigVersion": 11,
        "Checksum": "0" * 64,
        "DEVICE": [{"RuntimeAgent": "DUMMY", "DeviceType": "DUMMY", "SupportedDeviceTypes": "DUMMY/DUMMY", **device}],
        "PRE_PROCESS": [
            {
                "InputType": "Image",
                "InputN": 1,
                "InputH": SIDE,
                "InputW": SIDE,
                "InputC": 3,
                "InputColorSpace": "BGR",
                "InputPadMethod": "stretch",
                "InputQuantEn": True,
            }
        ],
        "MODEL_PARAMETERS": [{"ModelPath": f"{name}.bin"}],
        "POST_PROCESS": [{"OutputPostprocessType": "Detection"}],
    }
    (folder / f"{name}.json").write_text(json.dumps(description))


def make_video(path: Path, results: Iterable[Any], fps: float = 25.0, size: tuple[int, int] = _SQUARE) -> None:
    """Write a video of which the echo model gives these results, one a frame.

    Args:
        path: the file.
        results: lists of detections as a model gives them, in the pixels of its input.
        fps: the video's.
        size: of the frames; below the text, larger ones show coloured patches that move.

    Raises:
        OSError: OpenCV has no FFV1 encoder.
        ValueError: a result is longer than a frame has bytes.

    """
    writer = cv2.VideoWriter(str(path), cv2.CAP_FFMPEG, cv2.VideoWriter.fourcc(*"FFV1"), fps, size)
    if not writer.isOpened():
        raise OSError("OpenCV cannot write FFV1 here")
    patches = _patches(size)
    try:
        for number, result in enumerate(results):
            text = json.dumps(result).encode()
            writer.write(_letters(text) if size == _SQUARE else _over(np.roll(patches, number * _STEP, 1), text))
    finally:
        writer.release()


def _letters(text: bytes) -> NDArray[Any]:
    size = SIDE * SIDE * 3
    if len(text) > size:
        raise ValueError(f"{len(text)} bytes do not fit in a frame of {size}")
    return np.frombuffer(text.ljust(size), dtype=np.uint8).reshape(SIDE, SIDE, 3)


def _over(picture: NDArray[Any], text: bytes) -> NDArray[Any]:
    """Return a picture that begins with a text when it is as small as the model wants it."""
    height, width = picture.shape[:2]
    text += b"\0"  # what comes behind it is not read
    top = ceil(ceil(len(text) / (3 * SIDE)) * height / SIDE)
    picture[:top] = cv2.resize(_letters(text), (width, height), interpolation=cv2.INTER_NEAREST)[:top]
    return picture


def _patches(size: tuple[int, int]) -> NDArray[Any]:
    width, height = size
    colours = np.random.default_rng(1).integers(0, 255, (ceil(height / _PATCH), ceil(width / _PATCH), 3), np.uint8)
    return np.ascontiguousarray(colours.repeat(_PATCH, 0).repeat(_PATCH, 1)[:height, :width])
