"""Which resource is the limit, from two readings of a node."""

from dataclasses import replace

import pytest

from edgepub.telemetry.histogram import Histogram
from edgepub.telemetry.limits import NodeReading, ThreadReading, find_limits
from edgepub.telemetry.metrics import CameraMetrics

SECONDS = 10.0
FRAMES = 100
NAMES = ("porch", "yard")


def histogram(*values):
    counts = Histogram()
    for value in values:
        counts.add(value)
    return counts.copy()


def camera(*, busy=0, inference_ms=20.0, device_ms=None, queue_ms=2.0, lost=0, too_fast=0, number=1):
    """Return the metrics of a camera after an interval with `FRAMES` frames, of which `busy` were skipped."""
    metrics = CameraMetrics()
    metrics.start_capture(number)
    for _ in range(FRAMES):
        metrics.count_captured()
    for reason, count in (("busy", busy), ("max_fps", too_fast)):
        for _ in range(count):
            metrics.count_sampled(reason)
    metrics.count_dropped("queue_full", lost)
    reading = metrics.read()
    stages = {
        **reading.stages_ms,
        "inference": histogram(*[inference_ms] * (FRAMES - busy - too_fast)),
        "queue": histogram(*[queue_ms] * 50),
    }
    inferred = FRAMES - busy - too_fast
    model_ms = {} if device_ms is None else {"inference": histogram(*[device_ms] * inferred)}
    return replace(reading, inferred=inferred, stages_ms=stages, model_ms=model_ms)


def idle(number=1):
    metrics = CameraMetrics()
    metrics.start_capture(number)
    return metrics.read()


BEFORE = NodeReading(
    at_s=100.0,
    cameras={name: idle(number) for number, name in enumerate(NAMES, 1)},
    devices=dict.fromkeys(NAMES, "HAILORT/HAILO8"),
    remote=(),
    threads={1: ThreadReading(5.0, 1.0, False), 2: ThreadReading(5.0, 1.0, False), 3: ThreadReading(5.0, 1.0, True)},
    turns_held_s=50.0,
    loop_late_ms={},
    session=1,
)


def after(*, porch=None, yard=None, turns=0.3, late_ms=1.0, session=1, ran=(0.5, 0.5, 0.5), waited=(0, 0, 0)):
    """Return a reading of ten seconds later; `turns`, `ran` and `waited` are shares of these."""
    threads = {
        number: ThreadReading(5.0 + SECONDS * ran[number - 1], 1.0 + SECONDS * waited[number - 1], number == 3)
        for number in (1, 2, 3)
    }
    return replace(
        BEFORE,
        at_s=BEFORE.at_s + SECONDS,
        cameras={"porch": porch or camera(), "yard": yard or camera(number=2)},
        threads=threads,
        turns_held_s=BEFORE.turns_held_s + SECONDS * turns,
        loop_late_ms=histogram(*[late_ms] * 40),
        session=session,
    )


def test_a_node_that_keeps_up_has_no_limit():
    assert find_limits(BEFORE, after()) == []
    few = camera(busy=4, inference_ms=95.0)
    assert find_limits(BEFORE, after(porch=few, turns=0.99)) == [], "a frame that comes early finds the model busy"
    bursts = camera(busy=80)
    assert find_limits(BEFORE, after(porch=bursts)) == [], "its frames come all at once"
    limited = camera(too_fast=90, inference_ms=95.0)
    assert find_limits(BEFORE, after(porch=limited)) == [], "`max_fps` is on purpose"


def test_the_model_is_the_limit():
    (limit,) = find_limits(BEFORE, after(porch=camera(busy=41, inference_ms=160.0)))
    assert (limit.resource, limit.cameras) == ("model", ["porch"])
    assert "HAILORT/HAILO8 is the limit for porch: 41 %" in limit.text
    assert "`max_fps`" in limit.text
    both = after(porch=camera(busy=41, inference_ms=160.0), yard=camera(busy=50, inference_ms=190.0, number=2))
    assert [(limit.resource, limit.cameras) for limit in find_limits(BEFORE, both)] == [("model", ["porch", "yard"])]


def test_python_is_the_limit_when_a_thread_always_works_on_a_result():
    slow = after(porch=camera(busy=41, inference_ms=160.0), turns=0.98)
    (limit,) = find_limits(BEFORE, slow)
    assert (limit.resource, limit.cameras) == ("python", ["porch"])
    assert "98 % of the time, 1 of 2 cameras skip frames or are late" in limit.text
    assert find_limits(BEFORE, after(turns=0.98)) == [], "it keeps up"


def test_python_is_the_limit_when_a_device_has_nothing_to_do_but_frames_wait_there():
    waits = {"busy": 41, "inference_ms": 160.0, "device_ms": 0.1}
    now = after(porch=camera(**waits))
    (limit,) = find_limits(BEFORE, now)
    assert (limit.resource, limit.cameras) == ("python", ["porch"])
    (limit,) = find_limits(BEFORE, replace(now, remote={"porch"}))
    assert limit.resource == "model", "a network takes the time, perhaps"
    porch, yard = camera(**{**waits, "device_ms": 30.0}), camera(inference_ms=160.0, device_ms=30.0, number=2)
    (limit,) = find_limits(BEFORE, after(porch=porch, yard=yard))
    assert (limit.resource, limit.cameras) == ("model", ["porch"]), "together they keep the device busy"


def test_python_is_the_limit_when_the_event_loop_is_late():
    (limit,) = find_limits(BEFORE, after(porch=camera(queue_ms=2000, lost=5), late_ms=400))
    assert (limit.resource, limit.cameras) == ("python", ["porch"])
    assert "the event loop is 396 ms late" in limit.text


@pytest.mark.parametrize("slow", [camera(queue_ms=1300), camera(lost=120)])
def test_the_broker_is_the_limit(slow):
    (limit,) = find_limits(BEFORE, after(porch=slow))
    assert (limit.resource, limit.cameras) == ("broker", ["porch"])
    assert ("1.3 s" in limit.text) != ("120 were dropped as `queue_full`" in limit.text)


@pytest.mark.parametrize("session", [None, 2])
def test_a_broker_that_was_away_is_not_a_slow_one(session):
    assert find_limits(BEFORE, after(porch=camera(lost=120), session=session)) == []


def test_decoding_is_the_limit():
    (limit,) = find_limits(BEFORE, after(ran=(0.97, 0.5, 0.5)))
    assert (limit.resource, limit.cameras) == ("decoding", ["porch"])
    assert "97 % of a core" in limit.text
    assert "second stream" in limit.text


def test_decoding_that_waits_for_a_processor():
    (limit,) = find_limits(BEFORE, after(ran=(0.25, 0.2, 0.1), waited=(0.74, 0.78, 0.1)))
    assert (limit.resource, limit.cameras) == ("decoding", ["porch", "yard"])
    assert "waits for a free one 76 % of the time" in limit.text


def test_a_decoder_with_threads_of_its_own():
    (limit,) = find_limits(BEFORE, after(ran=(0.1, 0.1, 0.95)))
    assert (limit.resource, limit.cameras) == ("decoding", []), "which camera cannot be seen"
    one = replace(after(ran=(0.1, 0.1, 0.95)), cameras={"porch": camera()})
    (limit,) = find_limits(BEFORE, one)
    assert limit.cameras == ["porch"]


def test_a_file_that_is_read_as_fast_as_possible_does_not_make_decoding_the_limit():
    file = replace(camera(), capture_thread=None)
    before = replace(BEFORE, cameras={"porch": idle(), "file": replace(idle(), capture_thread=None)})
    now = replace(after(ran=(0.1, 0.1, 0.99)), cameras={"porch": camera(), "file": file})
    assert find_limits(before, now) == []
    (limit,) = find_limits(before, replace(now, threads=after(ran=(0.97, 0.1, 0.99)).threads))
    assert limit.cameras == ["porch"], "it has a thread of its own"
    lost = replace(after(ran=(0.1, 0.1, 0.95)), cameras={"porch": replace(camera(), capture_thread=None)})
    assert [limit.resource for limit in find_limits(BEFORE, lost)] == ["decoding"], "its source was just lost"


def test_several_limits_at_the_same_time():
    slow = after(porch=camera(lost=7), yard=camera(busy=50, inference_ms=190.0, number=2), ran=(0.97, 0.5, 0.5))
    assert [limit.resource for limit in find_limits(BEFORE, slow)] == ["decoding", "model", "broker"]


def test_a_limit_stays_until_it_is_clearly_over():
    (current,) = find_limits(BEFORE, after(porch=camera(busy=41, inference_ms=160.0)))
    slightly = camera(busy=4, inference_ms=50.0)
    assert find_limits(BEFORE, after(porch=slightly)) == []
    assert find_limits(BEFORE, after(porch=slightly), [current])[0].cameras == ["porch"]
    assert find_limits(BEFORE, after(yard=slightly), [current]) == [], "another camera"
    assert find_limits(BEFORE, after(porch=camera(busy=1, inference_ms=50.0)), [current]) == []


def test_a_model_that_gave_no_result_all_the_time_is_the_limit():
    (limit,) = find_limits(BEFORE, after(porch=camera(busy=FRAMES)))
    assert (limit.resource, limit.cameras) == ("model", ["porch"])


def test_many_cameras_are_one_line():
    names = [f"camera{number}" for number in range(64)]
    before = replace(BEFORE, cameras={name: idle() for name in names})
    now = replace(after(), cameras={name: camera(busy=60, inference_ms=200.0) for name in names})
    (limit,) = find_limits(before, now)
    assert limit.cameras == names
    assert "and 59 more: 60 %" in limit.text
    assert len(limit.text) < 250
    assert "device is the limit" in limit.text, "of which no model was loaded yet"


def test_what_is_new_has_no_past():
    now = after(porch=camera(busy=50, inference_ms=190.0), ran=(0.97, 0.5, 0.5))
    assert find_limits(replace(BEFORE, cameras={}, threads={}), now) == []
    assert find_limits(now, now) == []
