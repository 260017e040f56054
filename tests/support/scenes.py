"""Films for pipelines of echo models: each model's results are written where it looks, in the frame or in a box."""

import json

import cv2
import numpy as np

from edgepub.cli.bench.echo import SIDE

SIZE = 640, 480
"""Of the frames. A point at (x, y) in the input of a model that sees the frame is at (10 x, 7.5 y) in the frame."""
_BYTES = SIDE * SIDE * 3


def film(path, frames, fps=10, size=SIZE):
    """Write a film, and return its path as text.

    Args:
        path: the file.
        frames: for each frame a mapping: None: the results of a model that sees the frame; `(x, y)`: those of a model
            that is given the square of 64 pixels with this upper left corner.
        fps: frames per second.
        size: width and height.

    """
    writer = cv2.VideoWriter(str(path), cv2.CAP_FFMPEG, cv2.VideoWriter.fourcc(*"FFV1"), fps, size)
    for scene in frames:
        picture = np.full((size[1], size[0], 3), 32, np.uint8)  # spaces
        for corner, results in scene.items():
            text = json.dumps(results).encode() + b"\0"  # the runtime reads up to this byte
            if corner is None:
                _write_for_the_frame(picture, text)
            else:
                _write_square(picture, text, *corner)
        writer.write(picture)
    writer.release()
    return str(path)


def square(x, y):
    """Return the box of a square in pixels of the input of a model that sees the frame."""
    return [x / 10, y / 7.5, (x + SIDE) / 10, (y + SIDE) / 7.5]


def _as_pixels(text):
    assert len(text) <= _BYTES, "it does not fit"
    return np.frombuffer(text.ljust(_BYTES), np.uint8).reshape(SIDE, SIDE, 3)


def _write_square(picture, text, x, y):
    picture[y : y + SIDE, x : x + SIDE] = _as_pixels(text)


def _write_for_the_frame(picture, text):
    """Write a text so that the model's reduction (the nearest pixel) gives it; below it is room for squares."""
    height, width = picture.shape[:2]
    rows = -(-len(text) // (3 * SIDE))
    high = -(-rows * height // SIDE)
    ys, xs = (np.minimum((2 * SIDE * np.arange(n) + n) // (2 * n), SIDE - 1) for n in (height, width))
    picture[:high] = _as_pixels(text)[ys[:high]][:, xs]
