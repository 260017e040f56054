"""The model of a stage that fails or hangs: fakes that do so on demand."""

import contextlib
import logging
import threading
import time

import numpy as np
import pytest

from edgepub.camera.failover import Failover
from edgepub.camera.frames import Frame, Result
from edgepub.camera.pipeline.stage_model import StageModel
from edgepub.core.errors import ModelError
from edgepub.telemetry.logs import camera_logger
from tests.support.waiting import wait_until

FRAME = Frame(np.zeros((64, 64, 3), np.uint8), 1, 0.0, 0.0, 0.0)


class Model:
    """Answers, and calls a function before; not for the warm-up."""

    came_s = 0.0

    def __init__(self, then, is_remote):
        self._then = then
        self.is_remote = is_remote
        self._given = []

    def predict(self, frame):
        return Result(frame, [], {}, time.monotonic(), time.monotonic())

    def predict_all(self, frames):
        self._then()
        return list(map(self.predict, frames))

    def give(self, frame):
        self._given.append(frame)

    def set_timeout(self, seconds):
        self._has_no_time = seconds == 0

    def take(self, _together):
        """Without time, give the first result only."""
        if self._has_no_time and len(self._given) == 1:
            raise TimeoutError
        self._then()
        return self.predict(self._given.pop(0))

    def close_if_idle(self):
        pass

    def cancel(self):
        pass

    def forget(self):
        self._given.clear()


class Lab:
    """A stage's model, and what it was loaded at."""

    def __init__(self, addresses, then, answer_timeout_s, is_remote):
        self.loaded = []
        self.error = None
        self.now_s = 0.0
        self._then = then
        self._is_remote = is_remote
        log = camera_logger(logging.getLogger("edgepub"), "cam")
        self.stage = StageModel("reader", self._load, Failover([addresses]), answer_timeout_s, log, lambda: self.now_s)
        self.stage.start()
        self.stage.wait_until_loaded(60)

    @contextlib.contextmanager
    def _load(self, address):
        self.loaded.append(address)
        if self.error:
            raise self.error
        yield Model(self._then, self._is_remote)

    def wait_for_load(self, number):
        wait_until(lambda: self.stage.poll() or len(self.loaded) >= number, "a load")
        self.stage.wait_until_loaded(60)
        assert len(self.loaded) == number

    def ask(self):
        """Return how many results there are for two pictures."""
        self.stage.poll()
        pending = self.stage.apply([FRAME, FRAME])
        return len(self.stage.wait(pending)) if pending else 0


@pytest.fixture
def make():
    labs = []

    def make(addresses=("@local",), then=lambda: None, answer_timeout_s=60.0, is_remote=True):
        labs.append(Lab(addresses, then, answer_timeout_s, is_remote))
        return labs[-1]

    yield make
    for lab in labs:
        lab.stage.end()
        lab.stage.join(60)


@pytest.mark.parametrize("is_remote", [True, False], ids=["AI server", "this node"])
def test_it_answers(make, is_remote):
    lab = make(is_remote=is_remote)
    assert lab.ask() == 2


def test_on_this_node_it_leaves_the_rest_of_the_objects_for_later_frames(make):
    """So a frame with many objects is not taken for a model that hangs."""
    lab = make(is_remote=False, answer_timeout_s=0.0)
    assert lab.ask() == 1
    assert lab.ask() == 1, "it has not failed"


def test_what_cannot_be_loaded_is_tried_again_also_if_there_are_no_objects(make, caplog):
    def fail():
        raise ModelError("no more")

    lab = make(then=fail)
    lab.error = ModelError("no such device")
    assert lab.ask() == 0
    assert lab.ask() == 0
    assert len(lab.loaded) == 1, "not before the pause has passed"
    lab.now_s = 100.0
    lab.stage.poll()
    lab.stage.wait_until_loaded(60)
    lab.error = None
    wait_until(lambda: lab.stage.poll() or "no such device" in caplog.text, "the error of loading")
    lab.now_s = 200.0
    lab.wait_for_load(3)
    assert "stage reader: no more; trying again in " in caplog.text


def test_a_model_that_hangs_is_loaded_at_the_next_address_and_only_a_few_times(make, caplog):
    caplog.set_level("INFO")
    release = threading.Event()
    lab = make(["one", "two"], lambda: release.wait(60), answer_timeout_s=0.05)
    for number in (1, 2, 3):
        lab.now_s += 100.0
        lab.wait_for_load(number)
        assert lab.ask() == 0
    assert lab.loaded in (["one", "two", "one"], ["two", "one", "two"])
    assert "stage reader: no answer within 0.1 s; trying the next AI server" in caplog.text
    assert "waiting until one of its hanging calls returns" in caplog.text
    lab.now_s += 100.0
    lab.stage.poll()
    assert len(lab.loaded) == 3, "three calls hang"
    release.set()
    lab.wait_for_load(4)
    assert lab.ask() == 2
    assert "stage reader: works again" in caplog.text
