"""The tracker alone: what holds whatever is detected, and crowds."""

import itertools
import random
import time
import tracemalloc
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgepub.camera.analysis.tracker import Tracker

MOST = 500  # objects in a result
LABELS = st.sampled_from(["person", "car"])
SIDES = st.one_of(st.integers(0, 100).map(float), st.floats(-1e4, 1e4))
BOXES = st.one_of(
    st.tuples(SIDES, SIDES, SIDES, SIDES),  # also without a size, or inside out
    st.tuples(st.integers(0, 300), st.integers(0, 100)).map(lambda at: (at[0], at[1], at[0] + 60, at[1] + 80)),
    st.sampled_from([(0.0, 0.0, 0.0, 0.0), (10.0, 10.0, 70.0, 90.0), (-1e300, 0.0, 1e300, 1e308)]),
)
FRAMES = st.lists(
    st.tuples(
        st.sampled_from([0.0, 0.04, 0.2, 1.0, 7.0, -0.5]),
        st.lists(st.tuples(LABELS, BOXES), max_size=8),
        st.integers(1, 4),  # how many times it comes
    ),
    max_size=12,
)


def follow(frames, fps=25.0, lost_s=3.0):
    """Return the number of each object of each frame, a frame being a list of labels and boxes."""
    tracker = Tracker(lost_s, itertools.count(1))
    return [give(tracker, objects, frame / fps) for frame, objects in enumerate(frames)]


def give(tracker, objects, now_s):
    detections = [{"label": label, "bbox": box} for label, box in objects]
    tracker.track(detections, now_s)
    return [detection.get("track_id") for detection in detections]


def square(x, y, side=40.0):
    return "person", (x, y, x + side, y + side)


def moments(frames):
    now_s = 0.0
    for passed_s, objects, times in frames:
        for _ in range(times):
            now_s += passed_s
            yield now_s, objects


@settings(deadline=None)
@given(FRAMES)
def test_whatever_is_detected_a_number_is_one_object(frames):
    lost_s = 2.0
    tracker = Tracker(lost_s, itertools.count(1))
    labels, last_s, before = {}, {}, set()
    for now_s, objects in moments(frames):
        numbers = give(tracker, objects, now_s)
        given_ = [number for number in numbers if number]
        assert len(given_) == len(set(given_)), "no two objects of a frame have the same"
        for number, (label, _) in zip(numbers, objects, strict=True):
            if number:
                assert labels.setdefault(number, label) == label
                assert number in before or now_s - last_s.get(number, now_s) <= lost_s, "one lost for longer is another"
                last_s[number] = now_s
        before = set(given_)
    assert sorted(labels) == list(range(1, len(labels) + 1)), "each is used"


@settings(deadline=None)
@given(FRAMES, st.randoms(use_true_random=False))
def test_the_order_of_the_objects_makes_no_difference(frames, chance):
    one, other = Tracker(2.0, itertools.count(1)), Tracker(2.0, itertools.count(1))
    same = {}
    for now_s, objects in moments(frames):
        # Equal objects cannot be told apart: without them, the numbers are the same but for their names.
        different = list(dict.fromkeys(objects))
        shuffled = chance.sample(different, len(different))
        numbers = dict(zip(shuffled, give(other, shuffled, now_s), strict=True))
        for thing, number in zip(different, give(one, different, now_s), strict=True):
            assert same.setdefault(number, numbers[thing]) == numbers[thing]
    assert len(set(same.values())) == len(same)


def test_after_a_reset_nothing_is_known_and_no_number_used_again():
    tracker = Tracker(3.0, itertools.count(1))
    give(tracker, [square(10, 10)], 0.0)
    assert give(tracker, [square(10, 10)], 0.1) == [1]
    tracker.reset()
    assert [give(tracker, [square(10, 10)], now_s) for now_s in (0.2, 0.3)] == [[None], [2]]


def test_an_object_behind_a_pillar_comes_out_where_its_motion_leads_as_the_same():
    frames = [[square(8 * n, 50)] if not 25 < n < 48 else [] for n in range(70)]
    assert {number for numbers in follow(frames)[2:] for number in numbers} == {1}


def test_two_that_cross_keep_their_numbers():
    frames = [[("person", (x, 50, x + 40, 150)) for x in (4 * n, 400 - 4 * n)] for n in range(100)]
    assert set(map(tuple, follow(frames)[1:])) == {(1, 2)}


def test_one_who_stays_where_a_crowd_was_keeps_the_number():
    one = square(100, 100)
    numbers = follow([*[[one] * 260] * 3, *[[one]] * 30], fps=10)
    assert len({numbers for (numbers,) in numbers[3:]}) == 1


@pytest.mark.parametrize("step", [10, 30, 50])
def test_two_who_walk_one_behind_the_other_at_a_low_rate_keep_their_numbers(step):
    """With 50, each comes nearer to where the other was than to where it was itself."""
    frames = [[("person", (x, 50, x + 60, 200)) for x in (step * n, step * n + 80)] for n in range(20)]
    assert set(map(tuple, follow(frames, fps=2.0)[1:])) == {(1, 2)}


def test_a_jump_of_the_same_length_in_each_frame_is_followed():
    """Twice as far as a new object may move: its velocity is known by then."""
    x, step, frames = 0.0, 5.0, []
    while x < 3000:
        frames.append([square(x, 50)])
        x, step = x + step, min(step + 2.5, 80)
    assert {number for numbers in follow(frames)[1:] for number in numbers} == {1}


def crowd(frame, step=0.0, side=40.0):
    places = random.Random(1)  # the same in each frame
    return [square(places.uniform(0, 1900) + step * frame, places.uniform(0, 1000), side) for _ in range(MOST)]


def anywhere(frame):
    places = random.Random(frame)
    return [square(places.uniform(0, 600), places.uniform(0, 400)) for _ in range(MOST)]


CROWDS = {
    "standing": crowd,
    "walking": lambda frame: crowd(frame, 3.0),
    "large boxes": lambda frame: crowd(frame, 0.5, 600.0),
    "all in one place": lambda _: [square(50, 50)] * MOST,
    "together, moving": lambda frame: [square(50 + 5 * frame, 50)] * MOST,
    "each its own label": lambda _: [(str(n), square(50, 50)[1]) for n in range(MOST)],
}


@pytest.mark.parametrize("name", CROWDS)
def test_a_crowd_keeps_its_numbers(name):
    numbers = follow([CROWDS[name](frame) for frame in range(12)])
    assert {frozenset(of_frame) for of_frame in numbers[1:]} == {frozenset(range(1, MOST + 1))}


@pytest.mark.parametrize("name", [*CROWDS, "anywhere"])
def test_a_crowd_costs_a_bounded_time(name):
    """Much more than it takes, and less than a search among all pairs takes."""
    frames = [{**CROWDS, "anywhere": anywhere}[name](frame) for frame in range(20)]
    began_s = time.thread_time()
    follow(frames)
    assert (time.thread_time() - began_s) / len(frames) < 0.25


def test_objects_that_never_come_back_do_not_fill_the_memory():
    """Each place has objects in two frames, so all of them get a number, and are lost: for an hour."""
    tracker = Tracker(3600.0, itertools.count(1))
    places = random.Random(1)
    sizes = Counter()
    tracemalloc.start()
    try:
        for frame in range(100):
            if frame % 2 == 0:
                left = places.uniform(0, 1e6)
                objects = [square(left + 200 * n, 100 * frame) for n in range(50)]
            give(tracker, objects, frame / 25)
            if frame in {29, 99}:
                sizes[frame] = tracemalloc.get_traced_memory()[0]
    finally:
        tracemalloc.stop()
    assert sizes[99] < 1.3 * sizes[29]
