"""Visits on fixed cameras for up to half an hour of the film's own time, with the errors that detectors make."""

import pytest

from tests.support.clips import Actor
from tests.support.detector import Thing, detect
from tests.support.recorder import Recorder
from tests.support.visits import check_whole

pytestmark = [pytest.mark.process, pytest.mark.slow]
MIN = 60


@pytest.fixture(scope="module")
def recorder():
    recorder = Recorder()
    yield recorder
    recorder.close()


@pytest.fixture
def record(recorder, studio):
    """Return a function that records what a camera says of things."""

    def record(things, fps, seed=0, wind=lambda _: (0, 0), **camera):
        film = studio.video(detect(things, fps, seed, wind), fps=fps)
        recording = recorder.record(studio.model(), film, labels=["person", "car"], **camera)
        assert len(recording.detections) == max(len(thing.actor.places) for thing in things)
        check_whole(recording)
        return recording

    return record


def check_stories(recording, fps, *expected, within_s=3.0):
    """Check that there were these visits, and no others, in the order in which they began.

    Args:
        recording: what was recorded.
        fps: frames per second.
        expected: for each visit the label, and the events with their seconds.
        within_s: how far from there they may be.

    """
    stories, labels = recording.stories(fps), {event["visit_id"]: event["label"] for event in recording.events}
    told = zip(labels.values(), stories, strict=True)
    assert [(label, *(what for what, *_ in story)) for label, story in told] == [
        (label, *(what for what, _ in story)) for label, *story in expected
    ]
    for story, (_, *by_hand) in zip(stories, expected, strict=True):
        assert [second for _, second, *_ in story] == [pytest.approx(second, abs=within_s) for _, second in by_hand]


def walker(fps, height=0.4):
    return Actor(None, height, fps).at(-0.1, 0.9)


@pytest.mark.parametrize("seed", range(3))
def test_twenty_minutes_with_a_statue_a_parked_car_and_people_who_pass(record, seed):
    """The statue's score is soon about the threshold: it is found in half of the frames. The car stays all the time."""
    fps = 5
    sunny = Actor(None, 0.3, fps).at(0.3, 0.6).away(10).stay(30)
    dim = Actor(None, 0.3, fps).at(0.3, 0.6).away(40).stay(20 * MIN - 40)
    statue = [Thing(sunny, "person", 0.08, score=0.7), Thing(dim, "person", 0.08, score=0.5)]
    parked = Thing(Actor(None, 0.2, fps).at(0.7, 0.55).stay(20 * MIN), "car", 0.3)
    passing = walker(fps).away(5 * MIN).walk(1.1, 12).away(3 * MIN).walk(-0.1, 9).away(MIN)
    waiting = walker(fps).away(12 * MIN).walk(0.5, 8).stay(2 * MIN).walk(1.1, 8).away(4 * MIN)
    things = [*statue, parked, Thing(passing, "person", 0.12), Thing(waiting, "person", 0.12)]
    recording = record(things, fps, seed)
    check_stories(
        recording,
        fps,
        ("car", ("appeared", 1), ("stopped", 11), ("left", 1200)),
        ("person", ("appeared", 12), ("stopped", 22), ("left", 1200)),
        ("person", ("appeared", 301.5), ("left", 311)),
        ("person", ("appeared", 493.5), ("left", 501)),
        ("person", ("appeared", 721.5), ("stopped", 738), ("moved", 848.5), ("left", 855)),
    )
    assert recording.values("objects/person/active") == [0, 1, 0, 1, 0, 1, 0, 1, 0, 1, 0]
    assert recording.values("objects/person") == [0, 1, 2, 1, 2, 1, 2, 1, 0]
    assert recording.values("objects/car/active") == [0, 1, 0]
    assert recording.values("objects/all") == [0, 1, 2, 3, 2, 3, 2, 3, 2, 0]


@pytest.mark.parametrize("gust", [0.006, 0.02])
def test_a_pole_that_sways_moves_nothing(record, gust):
    """A camera on a pole: every half minute, the wind turns it to and fro for 8 s, by that part of the frame."""
    fps = 5

    def wind(index):
        return (gust * (-1) ** (index // 3), gust / 2 * (-1) ** (index // 2)) if index % 150 >= 110 else (0, 0)

    parked = [Thing(Actor(None, 0.2, fps).at(x, 0.8).stay(10 * MIN), "car", 0.2) for x in (0.2, 0.5, 0.8)]
    recording = record(parked, fps, wind=wind)
    check_stories(recording, fps, *[("car", ("appeared", 1), ("stopped", 11), ("left", 600))] * 3)
    assert recording.values("objects/car") == [0, 3, 0]
    assert recording.values("objects/car/active") == [0, 3, 0]


def test_a_car_that_had_stood_for_long_is_missed_for_long(record):
    """Parked for 15 minutes, hidden for 12, and still there: counted for 10 of them, and one visit in the end."""
    fps = 1
    hidden = Actor(None, 0.2, fps).at(-0.2, 0.7).away(10).walk(0.5, 20).stay(15 * MIN).away(12 * MIN).stay(5 * MIN)
    recording = record([Thing(hidden.walk(1.3, 20).away(30), "car", 0.3)], fps)
    check_stories(
        recording,
        fps,
        ("car", ("appeared", 16), ("stopped", 40), ("moved", 1952), ("left", 1966)),
        within_s=5,
    )
    assert recording.values("objects/car") == [0, 1, 0, 1, 0]
    (visit,) = recording.visits
    assert visit["duration_s"] == pytest.approx(1954, abs=6)


def test_another_car_in_the_same_place_is_another_visit(record):
    fps = 5
    first = Actor(None, 0.2, fps).at(-0.2, 0.7).away(5).walk(0.5, 6).stay(60).walk(1.2, 6)
    second = Actor(None, 0.2, fps).at(1.2, 0.7).away(100).walk(0.5, 6).stay(60).walk(-0.2, 6).away(10)
    recording = record([Thing(first, "car", 0.3), Thing(second, "car", 0.3)], fps)
    check_stories(
        recording,
        fps,
        ("car", ("appeared", 7), ("stopped", 20), ("moved", 72), ("left", 76.5)),
        ("car", ("appeared", 102), ("stopped", 115), ("moved", 167), ("left", 171.5)),
    )


def test_a_car_that_is_towed_has_left_when_it_was_seen_last(record):
    """It had stood for 40 s, so it is missed for as long; then it has left, and somebody else can park there."""
    fps = 5
    first = Actor(None, 0.2, fps).at(0.5, 0.7).away(5).stay(40).away(120)
    second = Actor(None, 0.2, fps).at(0.5, 0.7).away(125).stay(20).away(50)
    recording = record([Thing(first, "car", 0.3), Thing(second, "car", 0.3)], fps)
    check_stories(
        recording,
        fps,
        ("car", ("appeared", 6), ("stopped", 15.5), ("left", 45)),
        ("car", ("appeared", 126), ("stopped", 135.5), ("left", 145)),
    )
    assert recording.values("objects/car") == [0, 1, 0, 1, 0]


def test_who_stays_too_long_in_a_zone_loiters_once(record):
    fps = 5
    zone = {"polygon": [[0.3, 0], [0.7, 0], [0.7, 1], [0.3, 1]], "loitering_s": 20}
    waiting = walker(fps).away(5).walk(0.5, 6).stay(40).walk(1.1, 6).away(10)
    passing = walker(fps).away(70).walk(1.1, 12).away(10)
    recording = record([Thing(waiting, "person", 0.12), Thing(passing, "person", 0.12)], fps, zones={"door": zone})
    (loitering,) = (event for event in recording.events if event["event_type"] == "loitering")
    assert (loitering["zone"], loitering["label"]) == ("door", "person")
    assert loitering["frame"] / fps == pytest.approx(29, abs=1.5)
    assert loitering["dwell_s"] == pytest.approx(20, abs=0.5)
    (left,) = (event for event in recording.events if event["event_type"] == "zone_left" and event["dwell_s"] > 20)
    assert left["visit_id"] == loitering["visit_id"]
    for label in ("person", "all"):
        assert recording.values(f"zones/door/objects/{label}/loitering") in (["OFF", "ON", "OFF"], ["ON", "OFF"])
    assert [visit["zones"]["door"] for visit in recording.visits] == [
        pytest.approx(44, abs=1.5), pytest.approx(4, abs=1.5)
    ]  # fmt: skip


def test_only_those_who_enter_the_driveway_have_events(record):
    """They appear when they enter it; all are counted."""
    fps = 5
    driveway = {"polygon": [[0.5, 0.7], [1, 0.7], [1, 1], [0.5, 1]]}
    enters = walker(fps).away(5).walk(1.1, 12).away(10)
    stays_out = Actor(None, 0.3, fps).at(-0.1, 0.5).away(30).walk(1.1, 12).away(10)
    things = [Thing(enters, "person", 0.12), Thing(stays_out, "person", 0.12)]
    recording = record(things, fps, zones={"driveway": driveway}, events={"zones": ["driveway"]})
    check_stories(
        recording,
        fps,
        ("person", ("appeared", 11.5), ("zone_entered", 11.5), ("zone_left", 16), ("left", 16.5)),
        within_s=1,
    )
    assert recording.values("objects/person") == [0, 1, 0, 1, 0]
    (visit,) = recording.visits
    assert visit["label"] == "person"


def test_what_is_in_an_ignore_area_does_not_exist(record):
    """Who walks into it has left; who stands there never appeared."""
    fps = 5
    flag = {"polygon": [[0.5, 0], [1, 0], [1, 0.5], [0.5, 0.5]]}
    statue = Actor(None, 0.3, fps).at(0.75, 0.4).stay(2 * MIN)
    enters = Actor(None, 0.3, fps).at(-0.1, 0.46).away(5).walk(0.8, 9).stay(60)
    passes = walker(fps).away(80).walk(1.1, 12)
    things = [Thing(statue, "car", 0.2), Thing(enters, "person", 0.12), Thing(passes, "person", 0.12)]
    recording = record(things, fps, ignore={"flag": flag})
    check_stories(
        recording,
        fps,
        ("person", ("appeared", 6.5), ("left", 11)),
        ("person", ("appeared", 81.5), ("left", 91)),
        within_s=1,
    )
    assert recording.values("objects/car") == [0]
    assert recording.values("objects/all") == [0, 1, 0, 1, 0]
