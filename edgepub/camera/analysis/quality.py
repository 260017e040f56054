"""How well an object is seen: for its snapshot, and for models that are asked about it."""

from collections.abc import Mapping
from typing import Any

MIN_IMPROVEMENT = 1.2
"""The factor by which an object must be seen better than before to matter."""


def quality(detection: Mapping[str, Any]) -> float:
    """Return how well an object is seen: its score times the part of the frame that it covers."""
    x1, y1, x2, y2 = detection["bbox_norm"]
    return float(detection["score"] * (x2 - x1) * (y2 - y1))
