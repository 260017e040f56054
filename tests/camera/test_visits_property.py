"""Whatever objects do, and whenever a camera stops: the visits, events and counts of one camera fit together."""

import random
from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from edgepub.camera.frames import Frame, Result
from tests.support.station import Station
from tests.support.visits import check_whole

IMAGE = np.zeros((480, 640, 3), np.uint8)
LABELS = "person", "person", "car", "dog"
CAMERA = {
    "zones": {
        "left": {"polygon": [[0, 0], [0.5, 0], [0.5, 1], [0, 1]], "loitering_s": 2},
        "door": {"polygon": [[0.3, 0.3], [0.7, 0.3], [0.7, 1], [0.3, 1]], "labels": ["person"]},
    },
    "lines": {"middle": {"from": [0.5, 1], "to": [0.5, 0]}},
    "ignore": {"flag": {"polygon": [[0.7, 0], [1, 0], [1, 0.6], [0.7, 0.6]]}},
}
OTHER_ZONES = CAMERA["zones"] | {
    "left": {"polygon": [[0.1, 0], [0.7, 0], [0.7, 1], [0.1, 1]], "loitering_s": 1},
}
DOES = "walks", "stands", "flickers", "is hidden", "is away"
STOPS = None, "redraw", "offline", "disabled", "restart", "kill"


@dataclass
class Body:
    """An object of the world, in parts of the frame."""

    label: str
    x: float
    y: float
    size: float


@st.composite
def scenarios(draw):
    """Draw what each of some bodies does in each part of a film, how the camera stops after it, and for how long."""
    parts = st.tuples(
        st.integers(1, 60),
        st.sampled_from([0.1, 0.2, 0.5, 1.0, 2.0]),
        st.tuples(*[st.sampled_from(DOES)] * len(LABELS)),
        st.sampled_from(STOPS),
        st.sampled_from([0.0, 0.0, 5.0, 700.0]),
    )
    return draw(st.lists(parts, min_size=1, max_size=8)), draw(st.integers(0, 1000))


@st.composite
def cameras(draw):
    """Draw a camera's settings."""
    return CAMERA | {
        "occupancy_on_frames": draw(st.sampled_from([1, 2, 3])),
        "occupancy_off_s": draw(st.sampled_from([0, 0.5, 2])),
        "track_lost_s": draw(st.sampled_from([0, 1, 3])),
        "stationary_s": draw(st.sampled_from([None, 1, 2, 5])),
        "events": {"zones": draw(st.sampled_from([None, ["door"], ["door", "left"]]))},
    }


class World:
    """Bodies that move, and the detections of them in frame after frame.

    Args:
        seed: of the random numbers.

    """

    def __init__(self, seed):
        self._random = random.Random(seed)
        self._bodies = [
            Body(label, self._random.random(), self._random.random(), self._random.uniform(0.05, 0.3))
            for label in LABELS
        ]
        self._frame = 0
        self._source_s = 0.0
        self.clock_s = 0.0

    def reopen(self):
        """Begin again with the source's own numbers and times."""
        self._frame = 0
        self._source_s = self._random.uniform(0, 1e6)

    def frames(self, number, period_s, does):
        """Yield the next results."""
        for _ in range(number):
            self._frame += 1
            self._source_s += period_s
            self.clock_s += period_s
            found = [self._find(body, what) for body, what in zip(self._bodies, does, strict=True)]
            frame = Frame(IMAGE, self._frame, 1.8e9 + self.clock_s, self.clock_s, self._source_s)
            detections = [detection for detection in found if detection]
            yield Result(frame, detections, {}, self.clock_s, self.clock_s)

    def _find(self, body, what):
        gauss = self._random.gauss
        if what == "walks":
            body.x = (body.x + gauss(0.03, 0.02)) % 1.2
            body.y = min(max(body.y + gauss(0, 0.01), 0.2), 1)
        if what == "is away":
            body.x, body.y = self._random.random(), self._random.uniform(0.3, 1)
        if what in {"is hidden", "is away"} or self._random.random() < {"flickers": 0.5}.get(what, 0.03):
            return None
        tremble = [gauss(0, 0.01) * body.size for _ in range(4)]
        x1, y1 = body.x - body.size / 2 + tremble[0], body.y - body.size + tremble[1]
        x2, y2 = body.x + body.size / 2 + tremble[2], body.y + tremble[3]
        box = [640 * min(max(x1, 0), 1), 480 * min(max(y1, 0), 1), 640 * min(max(x2, 0), 1), 480 * min(max(y2, 0), 1)]
        if box[2] - box[0] < 2 or box[3] - box[1] < 2:
            return None
        return {"bbox": box, "label": body.label, "score": 0.9, "category_id": 0}


AWAY = ("is away",) * len(LABELS)


@pytest.mark.slow
@settings(max_examples=100, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(scenarios(), cameras())
def test_each_visit_begins_once_ends_once_and_adds_up(scenario, camera):
    recording = play(*scenario, camera)
    check_whole(recording, clock_s=0.01, is_filtered=camera["events"]["zones"] is not None)
    for event in recording.events:
        x1, _, x2, y2 = event["bbox_norm"]
        assert not ((x1 + x2) / 2 > 0.701 and y2 < 0.599), "it is in the ignore area"


def play(parts, seed, camera):
    """Return what a camera says when bodies do this."""
    world, station = World(seed), Station(camera)
    for number, period_s, does, stop, pause_s in parts:
        for result in world.frames(number, period_s, does):
            station.report(result)
        if stop == "redraw":
            station.redraw(OTHER_ZONES)
        elif stop:
            station.stop(stop)
            world.clock_s += pause_s
            world.reopen()
    for result in world.frames(round(world.clock_s) + 10, 1, AWAY):  # for as long as anything can have stood
        station.report(result)
    return station.recording
