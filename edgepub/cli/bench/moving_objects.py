"""Objects that move, for measurements."""

from collections.abc import Iterator
from typing import Any

import numpy as np

from edgepub.cli.bench import echo


def frames(number: int, step: float = 0.002) -> Iterator[list[dict[str, Any]]]:
    """Yield the objects of each frame, endlessly: all of them move, and one in ten is missing in each frame.

    Args:
        number: how many objects.
        step: how far they move from frame to frame, in parts of the frame (standard deviation); each is 0.1 wide.

    """
    random = np.random.default_rng(1)
    places = random.uniform((0.0, 0.0), (0.9, 0.7), (number, 2))
    steps = random.normal(0, step, (number, 2))
    while True:
        places += steps
        steps = np.where(places < 0, abs(steps), np.where(places > (0.9, 0.7), -abs(steps), steps))
        yield [_make_object(float(x), float(y)) for x, y in places if random.random() > 0.1]  # noqa: PLR2004


def _make_object(x: float, y: float) -> dict[str, Any]:
    x, y = min(max(x, 0.0), 0.9), min(max(y, 0.0), 0.7)
    box = (x, y, x + 0.1, y + 0.3)
    pixels = (640 * box[0], 480 * box[1], 640 * box[2], 480 * box[3])
    return {"label": "person", "score": 0.9, "category_id": 0, "bbox": pixels, "bbox_norm": box}


def to_model_results(frame: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return objects in the format of a model's results, in pixels of the echo model."""
    boxes = [[round(echo.SIDE * side, 2) for side in thing["bbox_norm"]] for thing in frame]
    return [{"label": "person", "score": 0.9, "category_id": 0, "bbox": box} for box in boxes]
