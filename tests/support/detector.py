"""What a detector would say of actors, for long scripts: boxes that tremble, scores that flicker, misses and ghosts.

The amounts are about those of a detector with 300 to 600 pixels of input on the noisy picture of a fixed camera.
"""

from typing import NamedTuple

import numpy as np

from edgepub.cli.bench.echo import SIDE

_TREMBLE = 0.015
"""How much each side of a box differs from frame to frame, in parts of the box."""
_DRIFT = 0.015
"""How much it differs for longer."""
_SCORE = 0.04
_MISSES = 0.02
"""Part of the frames in which an object begins to be missed."""
_MAX_MISSED_S = 0.8
_HALVES = 0.01
"""Part of the boxes with the upper half of the object only."""
_GHOSTS = 0.01
"""Part of the frames with something that is not there."""
_MEMORY_S = 2.0
"""Over about this time, what differs for longer changes."""


class Thing(NamedTuple):
    """Something that a detector finds."""

    actor: object
    """Where it is; see `tests.support.clips.Actor`."""
    label: str
    width: float
    """In parts of the frame's width."""
    score: float = 0.8
    """Its mean score."""


def detect(things, fps, seed, wind=lambda _: (0, 0)):
    """Yield the detections of each frame, in pixels of the echo model's input.

    Args:
        things: what there is.
        fps: frames per second.
        seed: of the random numbers.
        wind: returns how far the camera is turned, in parts of the frame to the right and down, by the frame's index.

    """
    random = np.random.default_rng(seed)
    keep = np.exp(-1 / fps / _MEMORY_S)
    drift = np.zeros((len(things), 5))
    missed = np.zeros(len(things))
    for index in range(max(len(thing.actor.places) for thing in things)):
        drift = keep * drift + np.sqrt(1 - keep**2) * random.normal(size=drift.shape)
        missed = np.maximum(missed - 1, 0)
        missed += (random.random(len(things)) < _MISSES) * random.uniform(0, _MAX_MISSED_S * fps, len(things)).round()
        found = []
        for thing, slow, missing in zip(things, drift, missed, strict=True):
            tremble = _TREMBLE * random.normal(size=4) + _DRIFT * slow[:4]
            is_half = random.random() < _HALVES
            places = thing.actor.places
            if missing or index >= len(places) or not places[index]:
                continue
            x, y, height = places[index]
            turn_x, turn_y = wind(index)
            half = [1, 1, 1, 0.5 if is_half else 1]
            box = np.array([x - thing.width / 2, y - height, x + thing.width / 2, y])
            box[3] = box[1] + half[3] * (box[3] - box[1])
            box += tremble * [thing.width, height, thing.width, height] - [turn_x, turn_y, turn_x, turn_y]
            found.append(_detection(thing.label, box, thing.score + _SCORE * slow[4] + _SCORE / 2 * random.normal()))
        if random.random() < _GHOSTS:
            x, y = random.uniform(0, 0.8, 2)
            found.append(_detection(things[0].label, np.array([x, y, x + 0.1, y + 0.2]), 0.55))
        yield [detection for detection in found if detection]


def _detection(label, box, score):
    """Return a detection; None if nothing of it is in the frame, or the detector is not sure enough to tell it."""
    x1, y1, x2, y2 = SIDE * np.clip(box, 0, 1)
    if x2 - x1 < 1 or y2 - y1 < 1 or score < 0.25:
        return None
    bbox = [round(float(part), 3) for part in (x1, y1, x2, y2)]
    return {"bbox": bbox, "label": label, "score": round(min(float(score), 0.99), 3), "category_id": 0}
