"""Films for pipelines of echo models: each model's results are written where it looks, in the frame or in a box."""

import json

import cv2
import numpy as np

from edgepub.cli.bench.echo import SIDE

SIZE = 640, 480
"""Of the frames. A point at (x, y) in the input of a model that sees the frame is at (10 x, 7.5 y) in the frame."""


def film(path, frames, fps=10, size=SIZE, background=None):
    """Write a film, and return its path as text.

    Args:
        path: the file.
        frames: for each frame a mapping: None: the results of a model that sees the frame; `(x, y)`: those of a model
            that is given the square of 64 pixels with this upper left corner; `(x1, y1, x2, y2)`: those of a model
            that is given this part, of at least 64 x 64 pixels. Below the first rows of a part there is room for more.
        fps: frames per second.
        size: width and height.
        background: a picture of this size that the results are written on; None: a dark one.

    """
    writer = cv2.VideoWriter(str(path), cv2.CAP_FFMPEG, cv2.VideoWriter.fourcc(*"FFV1"), fps, size)
    for scene in frames:
        picture = np.full((size[1], size[0], 3), 32, np.uint8) if background is None else background.copy()
        for place, results in scene.items():
            left, top, right, bottom = _box(place, size)
            text = json.dumps(results).encode() + b"\0"  # the runtime reads up to this byte
            _write(picture[top:bottom, left:right], text)
        writer.write(picture)
    writer.release()
    return str(path)


def square(x, y):
    """Return the box of a square in pixels of the input of a model that sees the frame."""
    return [x / 10, y / 7.5, (x + SIDE) / 10, (y + SIDE) / 7.5]


def _box(place, size):
    if place is None:
        return 0, 0, *size
    return place if len(place) == len(("x1", "y1", "x2", "y2")) else (*place, place[0] + SIDE, place[1] + SIDE)


def _write(part, text):
    """Write a text into a part of a picture so that the model's reduction (the nearest pixel) gives it."""
    assert len(text) <= SIDE * SIDE * 3, "it does not fit"
    pixels = np.frombuffer(text.ljust(SIDE * SIDE * 3), np.uint8).reshape(SIDE, SIDE, 3)
    height, width = part.shape[:2]
    rows = -(-len(text) // (3 * SIDE))
    high = -(-rows * height // SIDE)
    ys, xs = (np.minimum((2 * SIDE * np.arange(n) + n) // (2 * n), SIDE - 1) for n in (height, width))
    part[:high] = pixels[ys[:high]][:, xs]
