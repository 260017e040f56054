"""Short cases of visits, box by box."""

from itertools import groupby

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from edgepub.camera.frames import Frame, Result
from tests.support.station import Station
from tests.support.visits import check_whole

IMAGE = np.zeros((100, 100, 3), np.uint8)
HOME = 0.3, 0.3, 0.5, 0.6
STOPS = "offline", "disabled", "restart", "kill"
MARGIN_S = 10
MAX_FORGOTTEN_S = 60


class Film:
    """A camera that sees one object; the picture has 100 x 100 pixels."""

    def __init__(self, fps=5, label="person", **camera):
        self.station = Station(camera)
        self._fps = fps
        self._label = label
        self._frame = 0

    def show(self, *boxes):
        """Show a frame for each box, in parts of the frame; None: there is nothing."""
        for box in boxes:
            self._frame += 1
            at_s = self._frame / self._fps
            found = [] if box is None else [{"bbox": [100 * part for part in box], "label": self._label, "score": 0.9}]
            frame = Frame(IMAGE, self._frame, 1.8e9 + at_s, at_s, at_s)
            self.station.report(Result(frame, found, {}, at_s, at_s))
        return self

    @property
    def events(self):
        return [event["event_type"] for event in self.station.recording.events]

    @property
    def visits(self):
        return self.station.recording.visits


def slide(start, end, frames):
    """Return the boxes of an object that moves, as far as they are in the picture."""
    return [tuple(np.clip(box, 0, 1)) for box in np.linspace(start, end, frames)]


def test_what_stands_before_it_counts_stops_when_it_appears():
    """At a frame every four seconds it has stood for 16 s when it is found often enough."""
    film = Film(fps=0.25, occupancy_on_frames=5, stationary_s=10)
    film.show(*[HOME] * 8, *slide(HOME, (0.8, 0.3, 1, 0.6), 6), *[None] * 10)
    assert film.events == ["appeared", "stopped", "moved", "left"]
    check_whole(film.station.recording)


def test_what_moves_on_in_the_frame_in_which_it_appears_never_stopped():
    film = Film(fps=1, occupancy_on_frames=4, stationary_s=1)
    film.show(*[HOME] * 3, *[(0.45, 0.3, 0.65, 0.6)] * 2, *[None] * 10)
    assert film.events == ["appeared", "left"]


def test_a_box_that_jumps_and_is_missed_once_has_not_moved():
    """For 0.4 s the box is that of somebody beside it; then it is not found, and then it is as before."""
    beside = 0.42, 0.3, 0.62, 0.6
    film = Film(stationary_s=2, occupancy_off_s=1)
    film.show(*[HOME] * 20, beside, beside, None, *[HOME] * 20, *[None] * 60)
    assert film.events == ["appeared", "stopped", "left"]
    check_whole(film.station.recording)


def test_no_time_is_stationary_twice():
    film = Film(stationary_s=1, occupancy_off_s=1)
    beside = 0.42, 0.3, 0.62, 0.6
    for _ in range(5):
        film.show(*[HOME] * 20, beside, beside, None)
    film.show(*[None] * 200)
    assert [visit["stationary_s"] <= visit["duration_s"] for visit in film.visits] == [True]


@pytest.mark.parametrize("speed", [0.1, 0.2, 0.4])
def test_who_stood_at_the_edge_and_walks_out_of_the_picture_is_gone(speed):
    """By that part of the width a second. The box loses its right part at the edge, until nothing is found."""
    place, outside = (0.5, 0.3, 0.97, 0.98), (0.93, 0.3, 1.4, 0.98)
    film = Film(stationary_s=5)
    walk = slide(place, outside, round(0.43 / speed * 5))
    film.show(*[place] * 100, *walk, *[None] * 20)
    assert film.events == ["appeared", "stopped", "moved", "left"]
    assert film.station.recording.values("objects/person")[-1] == 0


def test_who_comes_slowly_into_the_picture_has_not_stopped():
    """A truck takes 14 s until all of it is in the picture: three sides of its box stay where they are."""
    film = Film(fps=2, stationary_s=10)
    film.show(
        *slide((-0.7, 0.2, 0, 0.9), (0, 0.2, 0.7, 0.9), 29)[2:], *slide((0, 0.2, 0.7, 0.9), (0.9, 0.2, 1.6, 0.9), 20)
    )
    film.show(*[None] * 10)
    assert film.events == ["appeared", "left"]


def test_active_are_never_more_than_there_are_message_by_message():
    film = Film(stationary_s=5)
    film.show(*[HOME] * 10, *[None] * 20)
    values = {"objects/person": 0, "objects/person/active": 0, "objects/all": 0, "objects/all/active": 0}
    for topic, value in film.station.recording.states():
        if topic in values:
            values[topic] = value
            assert values["objects/person/active"] <= values["objects/person"], (topic, value)
            assert values["objects/all/active"] <= values["objects/all"], (topic, value)


@pytest.mark.parametrize("stop", ["offline", "disabled", "restart", "kill"])
def test_a_plate_is_recognized_once_in_a_visit(stop):
    """Also if it is read again after a restart."""
    film = Film(label="B-AB 123", stationary_s=5, text_labels={"as": "plate", "label": "car"})
    film.show(*[HOME] * 100)
    film.station.stop(stop)
    film.show(*[HOME] * 100)
    assert film.events == ["appeared", "recognized", "stopped"]


@pytest.mark.parametrize("change", [{"stationary_s": None}, {"tracking": False}])
def test_visits_that_cannot_go_on_after_a_change_of_the_settings_end(change):
    film = Film(stationary_s=5).show(*[HOME] * 100)
    film.station.restart(**change)
    film.show(*[None] * 20)
    assert film.events == ["appeared", "stopped", "left"]
    check_whole(film.station.recording)


@settings(max_examples=40)
@given(
    st.integers(20, 1000), st.integers(3, 1200), st.sampled_from([0.5, 2]), st.sampled_from([None, *STOPS])
)  # fmt: skip
def test_what_stood_is_waited_for_as_long_as_it_had_stood(stood_s, hidden_s, fps, stop):
    """And counted for ten minutes of that, if the camera did not stop meanwhile."""
    known_s = MAX_FORGOTTEN_S if stop == "kill" else 0  # how long it had stood is saved now and then
    assume(not stood_s - known_s - MARGIN_S < hidden_s < stood_s + MARGIN_S)
    assume(abs(hidden_s - 600) > MARGIN_S)
    film = Film(fps, stationary_s=5).show(*[HOME] * round(stood_s * fps))
    if stop:
        film.station.stop(stop)
    film.show(*[None] * round(hidden_s * fps), *[HOME] * round(20 * fps))
    is_waited_for = hidden_s < stood_s
    expected = ["appeared", "stopped"] if is_waited_for else ["appeared", "stopped", "left"]
    assert film.events[:3] == expected
    counts = [count for count, _ in groupby(film.station.recording.values("objects/person"))]
    assert counts == ([1] if is_waited_for and hidden_s < 600 and not stop else [1, 0, 1])
    assert len({event["visit_id"] for event in film.station.recording.events}) == (1 if is_waited_for else 2)
