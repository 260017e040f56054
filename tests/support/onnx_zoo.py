"""A zoo with a small ONNX model, `square`, that finds the white rectangle in a picture; and films of rectangles."""

import sys
from pathlib import Path

import av
import numpy as np
import pytest

ZOO = Path(__file__).with_name("zoo")
"""`make_square.py` in it says how the model was made."""
MODEL = {"model_name": "square", "zoo_url": str(ZOO), "inference_host_address": "@local"}
SIDE = 128
needs_onnx = pytest.mark.skipif(
    sys.version_info >= (3, 14), reason="onnxruntime 1.20.1 is not packaged for this Python"
)


def picture(box):
    """Return a picture, 128 pixels square, with a white rectangle (x1, y1, x2, y2) in it, or none."""
    image = np.zeros((SIDE, SIDE, 3), np.uint8)
    if box:
        x1, y1, x2, y2 = box
        image[y1:y2, x1:x2] = 255
    return image


def film(path, boxes):
    """Write a film without losses, with a rectangle or none in each picture. Even coordinates stay exact."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("ffv1", rate=25, width=SIDE, height=SIDE, pix_fmt="bgr0")
        for box in boxes:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture(box), format="bgr24")))
        container.mux(stream.encode())
    return str(path)


def other_onnx_runtime(directory, version):
    """Put a package onnxruntime of another version, without its library, where it hides the installed one.

    Returns the environment variables that do this.
    """
    (directory / "onnxruntime").mkdir()
    (directory / "onnxruntime" / "__init__.py").touch()
    metadata = directory / f"onnxruntime-{version}.dist-info" / "METADATA"
    metadata.parent.mkdir()
    metadata.write_text(f"Metadata-Version: 2.1\nName: onnxruntime\nVersion: {version}\n")
    return {"PYTHONPATH": str(directory)}
