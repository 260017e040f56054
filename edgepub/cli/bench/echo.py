"""A model that returns what is encoded in the frame, for exact tests and for measuring everything except a model.

PySDK's runtime DUMMY/DUMMY parses the bytes of its input tensor as JSON and returns that as the results. So a lossless
video whose pixels are the JSON text of detections produces these detections, through the real PySDK.
"""

import json
from collections.abc import Iterable, Sequence
from math import ceil
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

SIDE = 64
"""The width and height of the frames and of the model's input, in pixels. As they are equal, boxes are not scaled."""
_PATCH_PX, _STEP_PX = 40, 4


def make_model(
    zoo: Path,
    name: str = "echo",
    side: int = SIDE,
    kind: str = "Detection",
    labels: Sequence[str] = (),
    **device: Any,  # noqa: ANN401  (a JSON value)
) -> None:
    """Write the model into a local zoo.

    Args:
        zoo: the zoo's directory.
        name: the model's name.
        side: the width and height of the model's input. Thousands of objects need more than `SIDE`.
        kind: PySDK's name for the kind of its results.
        labels: the names of its categories, from 0.
        device: additional keys of its DEVICE section, like `SimulateTime_ms`.

    """
    directory = zoo / name
    directory.mkdir(parents=True)
    (directory / f"{name}.bin").write_bytes(b"echo")
    description = {
        "ConfigVersion": 11,
        "Checksum": "0" * 64,
        "DEVICE": [{"RuntimeAgent": "DUMMY", "DeviceType": "DUMMY", "SupportedDeviceTypes": "DUMMY/DUMMY", **device}],
        "PRE_PROCESS": [
            {
                "InputType": "Image",
                "InputN": 1,
                "InputH": side,
                "InputW": side,
                "InputC": 3,
                "InputColorSpace": "BGR",
                "InputPadMethod": "stretch",
                "InputResizeMethod": "nearest",  # a mixture of pixels would be another text
                "InputQuantEn": True,
            }
        ],
        "MODEL_PARAMETERS": [{"ModelPath": f"{name}.bin"}],
        "POST_PROCESS": [{"OutputPostprocessType": kind}],
    }
    if labels:
        (directory / "labels.json").write_text(json.dumps(dict(enumerate(labels))))
        description["POST_PROCESS"] = [{"OutputPostprocessType": kind, "LabelsPath": "labels.json"}]
    (directory / f"{name}.json").write_text(json.dumps(description))


def make_video(
    path: Path, results: Iterable[Any], fps: float = 25.0, size: tuple[int, int] | None = None, side: int = SIDE
) -> None:
    """Write a video for which the echo model returns these results, one per frame.

    Args:
        path: the file.
        results: lists of detections as a model returns them, in pixels of its input.
        fps: the frame rate of the video.
        size: width and height of the frames; None: those of the model. Larger frames show moving colored patches
            below the text.
        side: the width and height of the model's input.

    Raises:
        OSError: OpenCV has no FFV1 encoder.
        ValueError: a result does not fit in a frame.

    """
    width, height = size or (side, side)
    writer = cv2.VideoWriter(str(path), cv2.CAP_FFMPEG, cv2.VideoWriter.fourcc(*"FFV1"), fps, (width, height))
    if not writer.isOpened():
        raise OSError("OpenCV cannot write FFV1 here")
    patches = _make_patches((width, height))
    try:
        for number, result in enumerate(results):
            text = json.dumps(result).encode()
            if (width, height) == (side, side):
                writer.write(_encode_text(text, side))
            else:
                writer.write(_draw_text(np.roll(patches, number * _STEP_PX, 1), text, side))
    finally:
        writer.release()


def write_results(picture: NDArray[Any], results: Any, side: int = SIDE) -> None:  # noqa: ANN401  (JSON)
    """Write results at the top of a picture, for a model that is given this picture.

    Args:
        picture: a picture, or a part of one, whose sides are multiples of the model's input.
        results: what a model returns, in pixels of its input.
        side: the width and height of the model's input.

    Raises:
        ValueError: they do not fit.

    """
    _draw_text(picture, json.dumps(results).encode(), side)


def _encode_text(text: bytes, side: int) -> NDArray[Any]:
    size = side * side * 3
    if len(text) > size:
        raise ValueError(f"{len(text)} bytes do not fit in a frame of {size}")
    return np.frombuffer(text.ljust(size), dtype=np.uint8).reshape(side, side, 3)


def _draw_text(picture: NDArray[Any], text: bytes, side: int) -> NDArray[Any]:
    """Draw a text that is at the start of the picture after the model's preprocessing has reduced it."""
    height, width = picture.shape[:2]
    text += b"\0"  # the runtime reads up to this byte
    top = ceil(ceil(len(text) / (3 * side)) * height / side)
    rows, columns = _nearest(height, side)[:top], _nearest(width, side)
    picture[:top] = _encode_text(text, side)[rows][:, columns]
    return picture


def _nearest(length: int, side: int) -> NDArray[np.intp]:
    """Return which pixel of the text each pixel of a side of the picture shows.

    OpenCV takes the pixels at the multiples of `length / side`; each is in the middle of those that show the same.
    """
    return np.minimum((2 * side * np.arange(length) + length) // (2 * length), side - 1)


def _make_patches(size: tuple[int, int]) -> NDArray[Any]:
    width, height = size
    colors = np.random.default_rng(1).integers(0, 255, (ceil(height / _PATCH_PX), ceil(width / _PATCH_PX), 3), np.uint8)
    return np.ascontiguousarray(colors.repeat(_PATCH_PX, 0).repeat(_PATCH_PX, 1)[:height, :width])
