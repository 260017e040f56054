"""A model that says exactly what it is shown, for exact tests and for measuring everything but a model.

PySDK's runtime DUMMY/DUMMY reads the bytes of its input tensor as JSON and gives that as its results. A lossless video
whose pixels are the text of detections is so turned into those detections, through the real PySDK.
"""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import cv2
import numpy as np

SIDE = 64
"""The frames are squares of so many pixels, as is the model's input: boxes come out as they went in."""


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


def make_video(path: Path, results: Iterable[Any], fps: float = 25.0) -> None:
    """Write a video of which the echo model gives these results, one a frame.

    Raises:
        OSError: OpenCV has no FFV1 encoder.
        ValueError: a result is longer than a frame has bytes.

    """
    writer = cv2.VideoWriter(str(path), cv2.CAP_FFMPEG, cv2.VideoWriter.fourcc(*"FFV1"), fps, (SIDE, SIDE))
    if not writer.isOpened():
        raise OSError("OpenCV cannot write FFV1 here")
    size = SIDE * SIDE * 3
    try:
        for result in results:
            text = json.dumps(result).encode()
            if len(text) > size:
                raise ValueError(f"{len(text)} bytes do not fit in a frame of {size}")
            writer.write(np.frombuffer(text.ljust(size), dtype=np.uint8).reshape(SIDE, SIDE, 3))
    finally:
        writer.release()
