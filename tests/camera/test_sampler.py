"""Which results are published: by rule, evenly, and without losing a change. All on simulated clocks."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgepub.camera.rates import AdaptiveRateLimiter, RateLimiter
from edgepub.camera.sampler import MIN_MOVE, MIN_SCORE_CHANGE, Sampler, differ
from edgepub.config.publishing import PublishSettings


def thing(label="person", at=0.5, score=0.9, **more):
    return {"label": label, "score": score, "bbox_norm": (at, at, at + 0.1, at + 0.1), **more}


EMPTY, PERSON, CAR = [], [thing()], [thing("car")]


def aged(value, *, settled):
    return thing(attributes={"age": {"value": value, "settled": settled}})


def run(settings, results, fps=25.0):
    """Offer results at an even rate; return (moment, result) of each published one, and the reasons for the others."""
    sampler = Sampler(PublishSettings(**settings))
    verdicts = [sampler.offer(number, objects, number / fps) for number, objects in enumerate(results)]
    published = [(moment, v.publish) for moment, v in enumerate(verdicts) if v.publish is not None]
    return published, [reason for v in verdicts for reason in v.left_out], sampler


def test_by_default_every_result_is_published():
    published, left_out, _ = run({}, [EMPTY] * 5)
    assert published == [(n, n) for n in range(5)]
    assert left_out == []


def test_every_nth():
    published, left_out, _ = run({"every": 3}, [PERSON, EMPTY, CAR] * 3)
    assert published == [(0, 0), (3, 3), (6, 6)]
    assert left_out == ["every"] * 6


@pytest.mark.parametrize(("rate_hz", "expected"), [(1, 10), (10, 100), (7, 70), (24, 240), (25, 250), (100, 250)])
def test_a_limited_rate_is_reached_and_even(rate_hz, expected):
    """Also when the camera's rate is no multiple of it."""
    published, left_out, _ = run({"max_rate_hz": rate_hz}, [PERSON] * 250)
    assert len(published) == pytest.approx(expected, rel=0.04, abs=2)
    gaps = [b - a for (a, _), (b, _) in pairwise(published)]
    assert max(gaps) - min(gaps) <= 1
    assert left_out.count("max_rate_hz") == 250 - len(published)


@pytest.mark.parametrize("more", [{"max_rate_hz": 1000}, {"adaptive": True}])
def test_every_nth_is_exact_with_limits_that_do_not_apply(more):
    published, left_out, _ = run({"every": 3, **more}, [PERSON, EMPTY, CAR] * 3)
    assert published == [(0, 0), (3, 3), (6, 6)]
    assert left_out == ["every"] * 6


def test_only_changes():
    published, left_out, _ = run({"mode": "changes"}, [EMPTY] * 3 + [PERSON] * 3 + [CAR] + [EMPTY] * 2)
    assert published == [(0, 0), (3, 3), (6, 6), (7, 7)]
    assert left_out == ["unchanged"] * 5


def test_a_heartbeat_when_nothing_changes():
    published, _, _ = run({"mode": "changes", "heartbeat_s": 1}, [PERSON] * 101)
    assert published == [(n, n) for n in (0, 25, 50, 75, 100)]


def test_no_heartbeat():
    assert run({"mode": "changes", "heartbeat_s": None}, [PERSON] * 10_000)[0] == [(0, 0)]


def test_an_early_change_is_published_at_the_next_allowed_moment():
    results = [EMPTY] * 5 + [PERSON] * 50
    published, left_out, _ = run({"mode": "changes", "max_rate_hz": 1}, results)
    assert published == [(0, 0), (25, 25)]
    assert left_out.count("max_rate_hz") == 20, "the newest is published, not the first"


@pytest.mark.parametrize("mode", ["always", "changes"])
def test_a_change_over_before_the_next_allowed_moment_is_published_and_then_its_end(mode):
    """An object for a single frame, between two allowed moments."""
    results = [EMPTY] * 5 + [PERSON] + [EMPTY] * 60
    published, _, _ = run({"mode": mode, "max_rate_hz": 1}, results)
    last_scene = [results[number] for _, number in published]
    assert published[1] == (25, 5)
    assert last_scene[:3] == [EMPTY, PERSON, EMPTY]


def test_a_held_change_is_published_at_the_end():
    _, _, sampler = run({"mode": "changes", "max_rate_hz": 1}, [EMPTY, PERSON])
    assert sampler.flush() == [1]
    assert sampler.flush() == []
    _, _, sampler = run({"mode": "changes", "max_rate_hz": 1}, [EMPTY, PERSON, EMPTY, EMPTY])
    assert sampler.flush() == [1, 3], "the change and its end"
    assert sampler.offer(2, PERSON, 10.0).publish == 2, "after a flush everything is new"


def test_every_delays_a_change_in_mode_changes():
    published, _, _ = run({"mode": "changes", "every": 10}, [EMPTY] * 3 + [PERSON] + [EMPTY] * 30)
    assert published == [(0, 0), (10, 3), (20, 20)]


@pytest.mark.parametrize(
    ("before", "now", "changed"),
    [
        ([], [], False),
        (PERSON, PERSON, False),
        ([], PERSON, True),
        (PERSON, CAR, True),
        (PERSON, PERSON * 2, True),
        (PERSON + CAR, CAR + PERSON, False),
        (PERSON, [thing(at=0.5 + 0.9 * MIN_MOVE)], False),
        (PERSON, [thing(at=0.5 + 1.1 * MIN_MOVE)], True),
        (PERSON, [thing(score=0.9 - 0.9 * MIN_SCORE_CHANGE)], False),
        (PERSON, [thing(score=0.9 - 1.1 * MIN_SCORE_CHANGE)], True),
        ([thing(at=0.1), thing(at=0.8)], [thing(at=0.8), thing(at=0.1)], False),
        ([thing(at=0.1), thing(at=0.8)], [thing(at=0.1), thing(at=0.1)], True),
        ([thing(at=0.5), thing(at=0.515)], [thing(at=0.51), thing(at=0.49)], False),
        ([thing(at=0.5), thing(at=0.515)], [thing(at=0.49), thing(at=0.51)], False),
        ([thing(track_id=1)], [thing(track_id=2)], True),
        ([thing(track_id=1), thing("car", track_id=2)], [thing("car", track_id=2), thing(track_id=1)], False),
        ([thing(zones=["a", "b"])], [thing(zones=["b", "a"])], False),
        ([thing(zones=["a"])], [thing(zones=[])], True),
        ([thing(zones=["a"])], [thing()], True),
        ([aged(34, settled=False)], [aged(35, settled=False)], False),  # of each frame another
        ([aged(34, settled=False)], [aged(34, settled=True)], True),
        ([aged(34, settled=True)], [aged(35, settled=True)], True),
        ([thing()], [aged(34, settled=False)], True),
    ],
)
def test_what_a_change_is(before, now, changed):
    assert differ(before, now) is changed


def test_many_small_steps_add_up_to_a_change():
    published, _, _ = run({"mode": "changes"}, [[thing(at=0.003 * n)] for n in range(30)])
    assert [number for _, number in published] == [0, 7, 14, 21, 28], "measured from what was published last"


# On random clocks.

gaps = st.lists(st.floats(0, 3, allow_nan=False), min_size=1, max_size=150)
rates_hz = st.floats(0.2, 50)
scenes = st.sampled_from([EMPTY, PERSON, CAR, PERSON + CAR])


def clock(gaps):
    now_s = 0.0
    for gap in gaps:
        now_s += gap
        yield now_s


@given(gaps, rates_hz)
def test_the_rate_limiter_on_a_random_clock(gaps, rate_hz):
    spacing, period_s = RateLimiter(rate_hz), 1 / rate_hz
    admitted = []
    for now_s in clock(gaps):
        if spacing.admit(now_s):
            admitted.append(now_s)
        else:
            assert now_s - admitted[-1] < period_s, "after a whole period the next is always let through"
    for a, b in pairwise(admitted):
        assert b - a >= period_s / 2 - 2e-6, "never nearer than half a period"
    for first in range(len(admitted)):
        for last in range(first, len(admitted)):
            most = 1.5 + (admitted[last] - admitted[first]) * rate_hz
            assert last - first + 1 <= most + 1e-3, "never more than the rate, except for the first"


@given(gaps, st.floats(0.5, 20))
def test_the_heartbeat_on_a_random_clock(gaps, heartbeat_s):
    sampler = Sampler(PublishSettings(mode="changes", heartbeat_s=heartbeat_s))
    last_s = None
    for now_s in clock(gaps):
        published = sampler.offer(now_s, PERSON, now_s).publish is not None
        assert published is (last_s is None or now_s - last_s >= heartbeat_s)
        if published:
            last_s = now_s


@given(st.lists(st.tuples(st.floats(0, 2), scenes), min_size=1, max_size=150), st.integers(1, 5), rates_hz | st.none())
def test_no_change_is_lost_on_a_random_clock(steps, every, rate_hz):
    settings = PublishSettings(mode="changes", every=every, max_rate_hz=rate_hz, heartbeat_s=None)
    sampler, last_scene, waiting_since = Sampler(settings), None, None
    now_s = last_s = 0.0
    since = published = left_out = 0
    for number, (gap, scene) in enumerate(steps):
        now_s += gap
        since += 1
        verdict = sampler.offer(number, scene, now_s)
        left_out += len(verdict.left_out)
        if waiting_since is None and scene != last_scene:
            waiting_since = number
        allowed = last_scene is None or (since >= every and (rate_hz is None or now_s - last_s >= 1 / rate_hz))
        if verdict.publish is not None:
            assert waiting_since is not None, "nothing is published twice"
            assert verdict.publish >= waiting_since, "nor anything older than the change"
            assert steps[verdict.publish][1] != last_scene
            last_scene, last_s, since = steps[verdict.publish][1], now_s, 0
            published += 1
            waiting_since = number if scene != last_scene else None
        else:
            assert waiting_since is None or not allowed, "a change is published at the first allowed moment"
    for held in sampler.flush():
        last_scene = steps[held][1]
        published += 1
    assert last_scene == steps[-1][1], "the last state is published in the end"
    assert published + left_out == len(steps), "each result is published or left out, and counted once"


@given(st.lists(st.tuples(st.floats(0, 2), scenes, st.floats(0, 5)), min_size=1, max_size=150), st.booleans())
def test_no_change_is_lost_while_the_rate_adapts(steps, only_changes):
    sampler = Sampler(PublishSettings(mode="changes" if only_changes else "always", adaptive=True))
    now_s, last_scene, counted = 0.0, None, 0
    for number, (gap, scene, age_s) in enumerate(steps):
        now_s += gap
        verdict = sampler.offer(number, scene, now_s, age_s)
        counted += (verdict.publish is not None) + len(verdict.left_out)
        if verdict.publish is not None:
            last_scene = steps[verdict.publish][1]
    for held in sampler.flush():
        last_scene, counted = steps[held][1], counted + 1
    assert last_scene == steps[-1][1]
    assert counted == len(steps)


# The adaptive rate.


def admitted(adaptive, from_s, seconds, age_s, fps=20):
    """Return how many results of a period are admitted."""
    number = 0
    for n in range(int(seconds * fps)):
        if adaptive.allows(from_s + n / fps, age_s):
            adaptive.spend(from_s + n / fps)
            number += 1
    return number


def test_all_pass_while_the_queue_is_young():
    assert admitted(AdaptiveRateLimiter(), 0, 60, 0.1) == 1200


def test_the_rate_is_halved_every_second_while_the_queue_ages_and_comes_back_by_steps():
    adaptive = AdaptiveRateLimiter()
    assert admitted(adaptive, 0, 1, 0.0) == 20
    falling = [admitted(adaptive, second, 1, 2.0) for second in range(1, 6)]
    assert falling == pytest.approx([10, 5, 2.5, 1.25, 0.6], abs=1)
    assert admitted(adaptive, 6, 120, 60.0) <= 20, "almost nothing while the queue stays old"
    rising = [admitted(adaptive, 126 + second, 1, 0.0) for second in range(12)]
    assert all(b - a <= 3 for a, b in pairwise(rising)), "by a tenth of what comes"
    assert rising[-1] == 20, "all again"
