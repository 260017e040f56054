"""Batches of a real model of PySDK: the echo runtime, which says what is written in the picture."""

import json
import time
from contextlib import ExitStack, suppress
from types import SimpleNamespace

import numpy as np
import pytest

from edgepub.camera.frames import Frame
from edgepub.camera.inference.loading import load_model
from edgepub.camera.inference.model import Model
from edgepub.camera.pipeline.model_thread import ModelThread
from edgepub.config.settings import ModelSettings
from edgepub.core.errors import ModelError
from tests.support.studio import BOX

GARBAGE = Frame(np.full((64, 64, 4), 7, np.uint8), 2, 0.0, 0.0, 0.0)


def picture(number, category=None):
    """Return a frame with one object whose category is the frame's number."""
    text = json.dumps([{**BOX, "category_id": number if category is None else category}]).encode()
    image = np.frombuffer(text.ljust(64 * 64 * 3), np.uint8).reshape(64, 64, 3)
    return Frame(image, number, 0.0, 0.0, 0.0)


def category(result):
    (found,) = result.objects
    return found["category_id"]


@pytest.fixture
def load(studio):
    """Return a function that loads a model of this name, which takes that long and fails as asked."""
    with ExitStack() as stack:

        def load(name, **device):
            return stack.enter_context(load_model(ModelSettings(**studio.model(name, **device))))

        yield load


def test_two_models_in_one_thread_have_frames_at_the_same_time(load):
    one, other = load("one"), load("other")
    for number in range(1, 31):  # more than PySDK takes at once
        one.give(picture(number))
        other.give(picture(number, category=number + 100))
    for number in range(1, 31):
        assert category(one.take()) == number
        result = other.take()
        assert (category(result), result.frame.number) == (number + 100, number)


@pytest.mark.parametrize("count", [1, 3, 20])
def test_all_pictures_of_a_frame_have_their_results_in_order(load, count):
    model = load("one")
    for first in (1, 100):
        results = model.predict_all([picture(number) for number in range(first, first + count)])
        assert [category(result) for result in results] == list(range(first, first + count))


def test_a_result_that_does_not_come_in_time_is_not_taken_for_that_of_a_later_frame(load):
    slow = load("slow", SimulateTime_ms=800)
    slow.set_timeout(0.05)
    for number in (1, 2):
        slow.give(picture(number))
    with pytest.raises(TimeoutError):
        slow.take()
    slow.forget()
    slow.set_timeout(60)
    slow.give(picture(3))
    assert category(slow.take()) == 3


def test_a_failure_loses_no_result_that_was_there_and_no_later_frame(load):
    slow = load("slow", SimulateTime_ms=100)
    slow.give(picture(1))
    slow.give(GARBAGE)
    assert category(slow.take()) == 1
    with pytest.raises(ModelError):
        slow.take()
    slow.give(picture(3))
    assert category(slow.take()) == 3


class Failing:
    """PySDK with a model that fails on its second frame of four: it gives the other results before it says so. A fake:
    the echo model fails on all frames or on none.

    Args:
        at_once: it does not take the fourth frame, as if it failed on that one itself.

    """

    frame_queue_depth = 8

    def __init__(self, *, at_once=False):
        self.at_once = at_once

    def predict_batch(self, feed):
        waiting = []
        try:
            for item in feed:
                if item is not None:
                    waiting.append(item[1])
                if len(waiting) == 4:
                    _ = 1 / 0  # in the loop, as PySDK itself
                yield None
        except ZeroDivisionError:
            pass
        good = waiting[:3] if self.at_once else [waiting[0], *waiting[2:]]
        for info in good:
            yield SimpleNamespace(info=info, results=[])
        raise RuntimeError("inference failed")


def test_the_result_of_a_later_frame_is_not_taken_for_that_of_one_that_failed():
    model = Model(Failing(), overlaps=True)
    for number in (1, 2, 3, 4):
        model.give(picture(number))
    assert model.take().frame.number == 1
    with pytest.raises(ModelError, match="inference failed"):
        model.take()


def test_a_failure_is_known_as_soon_as_all_earlier_results_are_taken():
    model = Model(Failing(at_once=True), overlaps=True, quiet_timeout_s=100.0)
    for number in (1, 2, 3, 4):
        model.give(picture(number))
    assert [model.take().frame.number for _ in range(3)] == [1, 2, 3]
    before_s = time.monotonic()
    with pytest.raises(ModelError, match="inference failed"):
        model.take()
    assert time.monotonic() - before_s < 50


def test_a_forgotten_frame_that_fails_is_not_charged_to_a_later_one():
    model = Model(Failing(), overlaps=True, quiet_timeout_s=0.1)
    for number in (1, 2, 3, 4):
        model.give(picture(number))
    model.forget()
    model.give(picture(5))
    assert model.take().frame.number == 5


def test_a_device_that_is_too_slow_for_all_objects_gives_some_in_each_frame(studio):
    """What it has not finished in one frame delays the next one."""
    settings = ModelSettings(**studio.model("slow", SimulateTime_ms=100))
    thread = ModelThread("slow", lambda: load_model(settings))
    thread.loaded.result(60)
    found = []
    while sum(found) < 8 and len(found) < 60:
        found.append(0)
        with suppress(TimeoutError):  # with much else to do on this machine
            found[-1] = len(thread.apply([picture(1)] * 20, 0.4).get(0.4))
    thread.end()
    thread.join(60)
    assert sum(found) >= 8, f"{found}: about four each"
    assert max(found) < 20, "not all"


def test_who_waits_after_a_failure_leaves_the_processor_to_the_others(load):
    """A result that was lost with its frame is no reason to look for it again and again."""
    slow = load("slow", SimulateTime_ms=400)
    slow.give(picture(1))
    slow.give(GARBAGE)
    with pytest.raises(ModelError):
        for _ in range(2):
            slow.take()
    slow.give(picture(2))
    before_s = time.thread_time()
    assert category(slow.take()) == 2
    assert time.thread_time() - before_s < 0.2, "of 0.4 s"


class Forgetful:
    """PySDK with a server that closes an idle connection. A fake: a server takes minutes for that."""

    frame_queue_depth = 4

    def predict_batch(self, feed):
        idle_since_s = time.monotonic()
        for item in feed:
            if time.monotonic() - idle_since_s > 0.3:
                raise ConnectionError("closed")
            idle_since_s = time.monotonic()
            yield None if item is None else SimpleNamespace(info=item[1], results=[])
        if time.monotonic() - idle_since_s > 0.3:
            raise ConnectionError("closed")


@pytest.mark.parametrize("overlaps", [True, False])
def test_a_connection_that_is_closed_because_frames_are_rare_loses_no_frame(overlaps):
    model = Model(Forgetful(), overlaps=overlaps, quiet_timeout_s=0.1)
    for number in (1, 2, 3):
        assert model.predict(picture(number)).frame.number == number
        time.sleep(0.4)  # the fault itself


def test_results_come_one_by_one_while_a_slow_batch_ends(load):
    """So each one shows that the model works, also if it takes longer than the time after which a batch ends."""
    slow = load("slow", SimulateTime_ms=300)
    model = Model(slow.pysdk, overlaps=True, quiet_timeout_s=0.1)
    for number in (1, 2, 3):
        model.give(picture(number))
    assert category(model.take()) == 1
    before_s = time.monotonic()
    assert [category(model.take()) for _ in range(2)] == [2, 3]
    assert time.monotonic() - before_s > 0.2, "600 ms; nothing if all come at the end"
    model.cancel()


def test_pictures_of_an_earlier_frame_are_no_reason_to_call_a_slow_model_hung(load):
    slow = load("slow", SimulateTime_ms=800)
    slow.set_timeout(0.0)
    slow.give(picture(1))
    with pytest.raises(TimeoutError):
        slow.take()
    slow.forget()
    slow.set_timeout(60)
    slow.give(picture(2))
    began_s = time.monotonic()
    assert slow.came_s < began_s
    assert category(slow.take()) == 2
    assert slow.came_s > began_s


def test_a_model_that_is_cancelled_with_pictures_is_ready_for_others(load):
    model = load("one")
    for number in range(20):
        model.give(picture(number))
    model.cancel()
    assert category(model.predict(picture(50))) == 50


class Broken:
    """PySDK that fails when a batch ends, as with a server that is gone. A fake, so that it fails just then."""

    frame_queue_depth = 4

    def predict_batch(self, feed):
        try:
            for item in feed:
                yield None if item is None else SimpleNamespace(info=item[1], results=[])
        finally:
            raise ConnectionError("gone")


def test_nothing_is_printed_or_raised_if_leaving_the_runtime_fails():
    model = Model(Broken(), overlaps=True)
    assert model.predict(picture(1)).frame.number == 1
    model.cancel()
    assert model.predict(picture(2)).frame.number == 2
    model.cancel()


def test_a_model_with_a_time_limit_says_that_a_forgotten_frame_has_failed():
    """PySDK would load it again with the next frame, however long that takes; see `StageModel`."""
    model = Model(Failing(), overlaps=True, quiet_timeout_s=0.1)
    for number in (1, 2, 3, 4):
        model.give(picture(number))
    model.forget()
    model.set_timeout(60)
    model.give(picture(5))
    with pytest.raises(ModelError, match="inference failed"):
        model.take()
