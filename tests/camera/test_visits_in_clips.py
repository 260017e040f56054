"""Visits of people and things in clips, found by real models; the expected events were counted by hand in the scripts.

A person walks in from one side, and is found when about half of it is in the picture: at 0.05 or 0.95 of the frame's
width. The times in the stories are seconds of the clip.
"""

import numpy as np
import pytest

from tests.support import cutouts, zoo
from tests.support.clips import Actor, Clip
from tests.support.recorder import Recorder
from tests.support.visits import check_whole

pytestmark = [pytest.mark.process, pytest.mark.slow]  # the first use downloads the models
FPS = 5
WITHIN_S = 0.9
"""An object appears in the fourth frame in which the model is sure, has moved when its averaged box is elsewhere."""
STATIONARY_S = 4
SETTLES_S = 2.7
"""How much later an object may stop: its averaged box comes to rest after it, and it is at rest when that is."""
HALVES = {"left": {"polygon": [[0, 0], [0.5, 0], [0.5, 1], [0, 1]]}}
MIDDLE = {"middle": {"from": [0.5, 1], "to": [0.5, 0]}}


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    return zoo.make(tmp_path_factory.mktemp("zoo"), "coco", "face")


@pytest.fixture(scope="module")
def recorder():
    recorder = Recorder()
    yield recorder
    recorder.close()


@pytest.fixture
def record(models, recorder, tmp_path):
    """Return a function that films a clip and records what a camera says of it."""

    def record(clip, model="coco", label="person", min_score=0.5, **camera):
        settings = {"stationary_s": STATIONARY_S, "labels": [label], "min_score": min_score, **camera}
        if clip.fps < FPS:
            source, settings["capture"] = clip.folder(tmp_path / "pictures"), {"fps": clip.fps}
        else:
            source = clip.film(tmp_path / "clip.mp4")
        recording = recorder.record(zoo.settings(models, model), source, **settings)
        assert len(recording.detections) == clip.frames
        check_whole(recording)
        return recording

    return record


def astronaut(fps=FPS):
    return Actor(cutouts.person("astronaut"), 0.6, fps).at(-0.2)


def admiral(fps=FPS):
    return Actor(cutouts.person("grace_hopper"), 0.6, fps).at(1.25)


def check_stories(recording, fps, *expected):
    """Check that there were these visits, and no others, in the order in which they began."""
    stories = recording.stories(fps)
    assert [[(what, *more) for what, _, *more in story] for story in stories] == [
        [(what, *more) for what, _, *more in story] for story in expected
    ]
    for story, by_hand in zip(stories, expected, strict=True):
        for (what, second, *_), (_, expected_s, *_) in zip(story, by_hand, strict=True):
            late_s = SETTLES_S if what == "stopped" else 0
            within_s = max(WITHIN_S, 2 / fps)
            assert expected_s - within_s <= second <= expected_s + within_s + late_s, story


def check_seen(recording, there):
    """Check that the model sees what was put into the clip, in nearly all frames.

    Args:
        recording: of the clip.
        there: for spans of the clip, in seconds: how many objects the model can see.

    """
    (label,) = {found["label"] for payload in recording.detections for found in payload["detections"]}
    seen = recording.seen(label)
    for (start_s, end_s), number in there.items():
        part = seen[round(start_s * FPS) : round(end_s * FPS)]
        assert np.mean(np.array(part) == number) > 0.95, (start_s, end_s, part)


def test_a_person_passes_while_it_becomes_dark(record):
    clip = Clip(astronaut().away(2).walk(1.2, 5).away(4), fps=FPS, light=lambda n: 1 - 0.4 * min(1, n / 40))
    recording = record(clip, zones=HALVES, lines=MIDDLE)
    check_seen(recording, {(0, 2): 0, (3.2, 5.8): 1, (7, 11): 0})
    check_stories(
        recording,
        FPS,
        [
            ("appeared", 3.4),
            ("zone_entered", 3.4, "left"),
            ("line_crossed", 4.5, "right"),
            ("zone_left", 4.5, "left"),
            ("left", 6.2),
        ],
    )
    assert recording.values("objects/person") == [0, 1, 0]
    assert recording.values("objects/person/active") == [0, 1, 0]
    assert recording.values("objects/all") == [0, 1, 0]
    assert recording.values("zones/left/objects/person") == [0, 1, 0]
    (visit,) = recording.visits
    assert visit["duration_s"] == pytest.approx(3.6, abs=0.6)
    assert visit["zones"] == {"left": pytest.approx(1.7, abs=0.5)}
    assert [(line["line"], line["direction"]) for line in visit["lines"]] == [("middle", "right")]
    assert visit["stationary_s"] == 0
    x = [point[1] for point in visit["path"]]
    assert x == sorted(x)
    assert x[0] < 0.2
    assert x[-1] > 0.8


def test_a_person_stops_and_walks_on(record):
    fps = 10
    actor = Actor(cutouts.person("grace_hopper"), 0.9, fps).at(1.3).away(1)
    recording = record(Clip(actor.walk(0.55, 3).stay(9).walk(-0.3, 4).away(3), fps=fps), "face", "face")
    check_stories(recording, fps, [("appeared", 2.4), ("stopped", 8), ("moved", 14), ("left", 15.6)])
    assert recording.values("objects/face") == [0, 1, 0]
    assert recording.values("objects/face/active") == [0, 1, 0, 1, 0]
    (visit,) = recording.visits
    assert 9 - SETTLES_S <= visit["stationary_s"] <= 9 + WITHIN_S
    assert visit["duration_s"] == pytest.approx(13.5, abs=1.2)
    still = [found.get("stationary", False) for payload in recording.detections for found in payload["detections"]]
    ((_, (_, stopped_s), (_, moved_s), _),) = recording.stories(fps)
    assert sum(still) / fps == pytest.approx(moved_s - stopped_s, abs=0.3)


def test_a_person_comes_back(record):
    """After five seconds that is another visit."""
    clip = Clip(astronaut().away(1).walk(0.9, 4).stay(0.4).walk(1.25, 1).away(5).walk(-0.2, 5).away(4), fps=FPS)
    recording = record(clip)
    check_stories(recording, FPS, [("appeared", 2), ("left", 5.9)], [("appeared", 12.6), ("left", 16)])
    assert recording.values("objects/person") == [0, 1, 0, 1, 0]


def test_a_person_who_comes_nearer_has_not_stopped(record):
    clip = Clip(astronaut().at(0.5, 0.75, height=0.35).away(1).walk(0.5, 6, y=1.0, height=0.9).away(4), fps=FPS)
    recording = record(clip)
    check_stories(recording, FPS, [("appeared", 1.8), ("left", 7)])
    assert recording.visits[0]["stationary_s"] == 0


def test_two_people_cross(record):
    clip = Clip(admiral().away(1).walk(-0.25, 6).away(4), astronaut().away(1.4).walk(1.2, 6), fps=FPS)
    recording = record(clip, lines=MIDDLE)
    check_seen(recording, {(0, 1.4): 0, (2.6, 3.4): 2, (8, 11): 0})
    check_stories(
        recording,
        FPS,
        [("appeared", 2.5), ("line_crossed", 4.3, "left"), ("left", 6.5)],
        [("appeared", 2.7), ("line_crossed", 4.5, "right"), ("left", 6.8)],
    )
    assert recording.values("objects/person") == [0, 1, 2, 1, 0]
    assert recording.values("objects/person/active") == [0, 1, 2, 1, 0]


def test_two_people_meet_and_part(record):
    admiral_ = admiral().away(2).walk(0.67, 2.4).stay(8).walk(1.25, 2.4).away(7)
    clip = Clip(admiral_, astronaut().away(1).walk(0.33, 2.4).stay(14).walk(-0.2, 2.4), fps=FPS)
    recording = record(clip)
    check_seen(recording, {(0, 1.4): 0, (4, 12.8): 2, (14.4, 18.8): 1, (19.8, 21.8): 0})
    check_stories(
        recording,
        FPS,
        [("appeared", 2.2), ("stopped", 7.4), ("moved", 18.8), ("left", 19.2)],
        [("appeared", 3.5), ("stopped", 8.4), ("moved", 14), ("left", 14.2)],
    )
    assert recording.values("objects/person") == [0, 1, 2, 1, 0]
    assert recording.values("objects/person/active") == [0, 1, 2, 1, 0, 1, 0, 1, 0]
    assert len({visit["track_id"] for visit in recording.visits}) == 2


def test_a_person_who_stands_is_hidden_by_one_who_passes(record):
    stands = astronaut().at(0.5).away(1).stay(16).walk(-0.2, 3).away(3)
    passes = Actor(cutouts.person("grace_hopper"), 0.75, FPS).at(1.25).away(8).walk(-0.25, 6)
    recording = record(Clip(stands, passes, fps=FPS))
    check_stories(
        recording,
        FPS,
        [("appeared", 1.8), ("stopped", 5.2), ("moved", 18.2), ("left", 19.2)],
        [("appeared", 9.4), ("left", 13.6)],
    )
    assert recording.values("objects/person") == [0, 1, 2, 1, 0]
    assert recording.values("objects/person/active") == [0, 1, 0, 1, 0, 1, 0]


def lights(index):
    """Return the brightness of people who stand from the 4th to the 20th second: a lamp flickers, then it gets dark."""
    return 1 + 0.15 * (index % 2) if index < 12 * FPS else max(0.45, 1 - (index - 12 * FPS) / 20)


def test_flickering_light_dusk_and_a_camera_that_shakes_are_no_events(record):
    shake = np.random.default_rng(5).normal(0, 2, (500, 2))
    admiral_ = admiral().away(1).walk(0.67, 2.4).stay(16).walk(1.25, 2.4).away(2)
    clip = Clip(
        admiral_,
        astronaut().at(0.3).away(2).stay(20),
        fps=FPS,
        light=lights,
        shake=lambda index: shake[index] if 6 <= index / FPS < 14 else (0, 0),
    )
    recording = record(clip)
    check_seen(recording, {(3, 20): 2})
    check_stories(
        recording,
        FPS,
        [("appeared", 2.4), ("stopped", 7.4), ("moved", 20.8), ("left", 21)],
        [("appeared", 2.8), ("stopped", 6.4), ("left", 22)],
    )
    assert recording.values("objects/person/active") == [0, 1, 2, 1, 0, 1, 0]


def sign():
    """Return a stop sign that is driven to its place, from the fourth second on: a thing that models surely find."""
    return Actor(cutouts.stop_sign(), 0.25, FPS).at(-0.1, 0.9).away(1).walk(0.4, 3)


def van(hidden_s):
    """Return a van that stands in front of the sign, from the eleventh second on."""
    van = Actor(cutouts.board(260, 300), 0.95, FPS).at(-0.4)
    return van.away(10).walk(0.4, 1.6).stay(hidden_s).walk(1.4, 1.6)


def test_what_parks_and_is_hidden_stays(record):
    recording = record(Clip(sign().stay(14).walk(1.1, 3).away(3), van(3), fps=FPS), label="stop sign")
    check_seen(recording, {(2, 10.6): 1, (11.4, 14.8): 0, (16.2, 20): 1})
    check_stories(recording, FPS, [("appeared", 2), ("stopped", 8), ("moved", 19.4), ("left", 20.6)])
    assert recording.values("objects/stop_sign") == [0, 1, 0], "counted as well while it is hidden"
    assert recording.values("objects/stop_sign/active") == [0, 1, 0, 1, 0]
    (visit,) = recording.visits
    assert visit["stationary_s"] == pytest.approx(14, abs=WITHIN_S)
    assert visit["duration_s"] == pytest.approx(19.2, abs=WITHIN_S)


def test_what_leaves_behind_a_van_has_left_when_it_was_seen_last(record):
    """It had stood for 7 s, so it is missed for as long, and then it is known to be gone."""
    recording = record(Clip(sign().stay(9).away(7), van(3), fps=FPS), label="stop sign")
    check_seen(recording, {(2, 10.6): 1, (11.4, 20): 0})
    check_stories(recording, FPS, [("appeared", 2), ("stopped", 8), ("left", 11)])
    assert recording.values("objects/stop_sign") == [0, 1, 0]
    (visit,) = recording.visits
    assert visit["duration_s"] == pytest.approx(9.6, abs=WITHIN_S)


def test_a_parked_car_of_which_the_model_is_unsure_is_one_visit(record):
    """Its score is about the threshold: it is found in about half of the frames."""
    car = Actor(cutouts.car(), 0.35, FPS).at(0.5, 0.95).away(1)
    recording = record(Clip(car.stay(20).away(1), fps=FPS), label="car", min_score=0.48)
    assert 0.2 < np.mean(recording.seen("car")[FPS : 21 * FPS]) < 0.85
    (story,) = recording.stories(FPS)
    assert [what for what, *_ in story] == ["appeared", "stopped", "left"]
    assert recording.values("objects/car") == [0, 1, 0]
    assert recording.values("objects/car/active") == [0, 1, 0]


@pytest.mark.parametrize("fps", [1, 0.5])
def test_a_slow_walk_at_a_low_rate_is_one_visit(record, fps):
    """In the picture in about ten frames."""
    walk = astronaut(fps).away(3 / fps).walk(1.2, 14 / fps).away(4 / fps)
    recording = record(Clip(walk, fps=fps), stationary_s=10)
    assert 8 <= sum(recording.seen("person")) <= 12
    check_stories(recording, fps, [("appeared", 8.5 / fps), ("left", 14.5 / fps)])
    assert recording.values("objects/person") == [0, 1, 0]


def test_twenty_minutes_of_a_fixed_camera(record):
    """Two people stand still, clouds pass, it gets dark, the wind shakes the camera; two others pass and hide them."""
    fps, minute = 1, 60
    shake = np.random.default_rng(7).normal(0, 1, (20 * minute, 2))

    def person(name):
        return Actor(cutouts.person(name), 0.8, fps)

    clip = Clip(
        person("grace_hopper").at(0.25).stay(20 * minute),
        person("astronaut").at(0.7).stay(20 * minute),
        person("grace_hopper").at(1.3).away(5 * minute).walk(-0.3, 14),
        person("grace_hopper").at(1.3).away(13 * minute).walk(-0.3, 20),
        fps=fps,
        light=lambda index: (1 + 0.15 * np.sin(index / 40)) * min(1, (25 * minute - index) / (10 * minute)),
        shake=lambda index: shake[index],
    )
    recording = record(clip, "face", "face", stationary_s=10)
    check_stories(
        recording,
        fps,
        [("appeared", 3), ("stopped", 11), ("left", 1200)],
        [("appeared", 3), ("stopped", 11), ("left", 1200)],
        [("appeared", 5 * minute + 5), ("left", 5 * minute + 11)],
        [("appeared", 13 * minute + 7), ("left", 13 * minute + 16)],
    )
    assert recording.values("objects/face/active") == [0, 2, 0, 1, 0, 1, 0], "of the two who pass, too"
