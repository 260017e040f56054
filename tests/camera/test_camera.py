"""A camera whose model hangs or fails. Models that do so at will are fakes; `test_live` has an AI server that does."""

import asyncio
import contextlib
import threading
import time

import pytest

from edgepub.camera.frames import Frame, Result
from edgepub.camera.supervisor import CameraSupervisor
from edgepub.core.errors import ModelError, SourceError
from edgepub.telemetry.metrics import CameraMetrics
from edgepub.telemetry.status import CameraState


class Frames:
    """Frames without an end."""

    live = True

    def __init__(self):
        self.open = 0

    def frames(self, stopping):
        self.open += 1
        try:
            number = 0
            while not stopping.wait(0.001):
                number += 1
                yield Frame(None, number, time.time(), time.monotonic(), 0.0)
        finally:
            self.open -= 1


class Model:
    """Answers so many frames, and then does what it is told."""

    def __init__(self, answers, then):
        self._answers = answers
        self._then = then

    def infer(self, frames, *, live):
        assert live
        for frame in frames:
            if frame.number > self._answers:
                self._then()
            yield Result(frame, [], {}, frame.captured_s, time.monotonic())


class Told:
    """Remembers what it is told; at one time by one thread."""

    def __init__(self):
        self.statuses = []
        self.models = 0  # that are loaded now
        self.results = {}  # how many, of each thread
        self.drawn = []
        self._busy = threading.Lock()

    def report(self, _result):
        with self._alone():
            thread = threading.current_thread()
            self.results[thread] = self.results.get(thread, 0) + 1

    def set_status(self, status):
        with self._alone():
            self.statuses.append(status)

    def set_areas(self, settings):
        with self._alone():
            time.sleep(0.002)  # in which a result comes
            self.drawn.append(settings)

    @contextlib.contextmanager
    def _alone(self):
        assert self._busy.acquire(blocking=False), "two threads at once"
        yield
        self._busy.release()


@contextlib.asynccontextmanager
async def running(models, source=None, stall_timeout_s=2.0, enabled=True, pause_s=0.01):
    """Run a camera that loads one model after another, and the last again and again."""
    told, counts, loaded = Told(), CameraMetrics(), []

    @contextlib.contextmanager
    def load():
        loaded.append(models[min(len(loaded), len(models) - 1)])
        told.models += 1
        yield loaded[-1]
        told.models -= 1

    told.state = CameraState()
    its = told.camera = CameraSupervisor(
        "cam",
        source or Frames(),
        load,
        told,
        counts,
        told.state,
        stall_timeout_s,
        enabled=enabled,
        min_pause_s=pause_s,
        max_pause_s=pause_s,
    )
    task = asyncio.create_task(its.run())
    yield told, counts, loaded
    its.stop()
    await asyncio.wait_for(task, 30)
    assert told.statuses[-1:] in (["offline"], [])


async def until(condition):
    async with asyncio.timeout(30):
        while not condition():
            await asyncio.sleep(0.01)


async def test_a_model_that_hangs_is_abandoned_and_what_it_says_later_is_not_heard(caplog):
    let_go, source = threading.Event(), Frames()
    async with running([Model(3, let_go.wait), Model(10**9, None)], source) as (told, counts, _):
        await until(lambda: told.statuses[:2] == ["online", "offline"])
        await until(lambda: len(told.results) == 2 and told.statuses[-1] == "online")
        let_go.set()
        await until(lambda: source.open == 1)
        first, second = told.results.values()
        assert first == 3, "the late answer is not one of them"
        await until(lambda: list(told.results.values())[1] > second)
    assert told.statuses == ["online", "offline", "online", "offline"]
    assert counts.read().reconnects == 1
    assert any("no answer within 1.5 s; its thread is abandoned" in m for m in caplog.messages)


async def test_a_disabled_camera_closes_its_source_and_unloads_its_model():
    source = Frames()
    async with running([Model(10**9, None)], source) as (told, counts, _):
        its = told.camera
        await until(lambda: told.statuses == ["online"])
        its.set_enabled(True)
        its.set_enabled(False)
        assert told.statuses == ["online", "disabled"], "told at once"
        heard = sum(told.results.values())
        await until(lambda: source.open == 0 and told.models == 0)
        assert sum(told.results.values()) == heard, "nothing of what comes late is heard"
        its.set_enabled(True)
        assert told.statuses[2:] == ["offline"]
        await until(lambda: told.statuses[2:] == ["offline", "online"])
        assert len(told.results) == 2, "in a new thread"
        assert counts.read().reconnects == 0, "nothing was lost"


async def test_areas_are_drawn_between_two_results_and_whatever_the_camera_does(caplog):
    let_go = threading.Event()
    async with running([Model(200, let_go.wait), Model(10**9, None)]) as (told, _, loaded):
        its = told.camera
        await until(lambda: told.statuses == ["online"])
        for number in range(20):
            its.set_areas(number)
            await asyncio.sleep(0)
        await until(lambda: sum(told.results.values()) == 200)
        its.set_areas("while the model hangs")
        assert len(loaded) == 1, "at once"
        await until(lambda: len(told.results) == 2)
        let_go.set()
        its.set_enabled(False)
        its.set_areas("while it is disabled")
        assert told.statuses == ["online", "offline", "online", "disabled"], "and nobody else is told"
        its.set_enabled(True)
    its.set_areas("after its end")
    assert told.drawn == [*range(20), "while the model hangs", "while it is disabled", "after its end"]
    assert "internal error" not in caplog.text, "two threads at once"


async def test_a_camera_that_begins_disabled_waits():
    source = Frames()
    async with running([Model(10**9, None)], source, enabled=False) as (told, _, loaded):
        await asyncio.sleep(0.1)
        assert (told.statuses, loaded, source.open) == ([], [], 0)
        told.camera.set_enabled(True)
        await until(lambda: told.statuses == ["offline", "online"])
        for _ in range(5):  # faster than a thread ends
            told.camera.set_enabled(False)
            told.camera.set_enabled(True)
        await until(lambda: told.statuses[-1] == "online" and source.open == 1)
        assert told.statuses == ["offline", "online"] + ["disabled", "offline"] * 5 + ["online"]


async def test_a_disabled_camera_ends_when_it_is_stopped():
    async with running([Model(10**9, None)], enabled=False) as (told, _, _):
        pass
    assert told.statuses == []


@pytest.mark.slow
async def test_only_so_many_calls_that_hang(caplog):
    hangs, the_end = [], threading.Event()

    def hang():
        hangs.append(threading.Event())
        while not (hangs[-1].is_set() or the_end.is_set()):
            the_end.wait(0.01)

    async with running([Model(1, hang)]) as (told, _, loaded):
        await until(lambda: any("3 calls of the model hang" in m for m in caplog.messages))
        assert len(loaded) == len(hangs) == 3
        assert told.camera.is_stuck, "nothing goes on until one comes back"
        hangs[-1].set()
        await until(lambda: len(hangs) == 4)
        await until(lambda: not told.camera.is_stuck)
        the_end.set()


@pytest.mark.slow
async def test_a_stop_does_not_wait_for_room_among_the_hung(caplog):
    let_go = threading.Event()
    async with running([Model(1, let_go.wait)]):
        await until(lambda: any("3 calls of the model hang" in m for m in caplog.messages))
    let_go.set()


async def test_a_model_that_fails_lets_go_of_the_source_before_the_pause():
    """A webcam can be opened only once."""

    def fail():
        raise ModelError("the device is gone")

    source = Frames()
    async with running([Model(2, fail)], source, pause_s=1000) as (told, _, _):
        await until(lambda: told.statuses == ["online", "offline"])
        await until(lambda: source.open == 0)


async def test_a_source_that_fails_does_not_cost_the_model():
    class Lost(Frames):
        def frames(self, stopping):
            for frame in super().frames(stopping):
                if frame.number == 3:
                    raise SourceError("the camera is gone")
                yield frame

    async with running([Model(10**9, None)], Lost()) as (told, counts, loaded):
        await until(lambda: counts.read().reconnects >= 3)
    assert len(loaded) == 1
    assert told.statuses == ["online", "offline"] * (len(told.statuses) // 2)


async def test_an_error_of_our_own_is_logged_and_tried_again(caplog):
    def wrong():
        raise KeyError("a mistake of ours")

    async with running([Model(2, wrong), Model(10**9, None)]) as (told, _, _):
        await until(lambda: told.statuses == ["online", "offline", "online"])
    assert any("please report it" in m for m in caplog.messages)


async def test_a_camera_that_is_disabled_while_its_model_hangs_is_not_wrong_for_ever():
    hangs, let_go = threading.Event(), threading.Event()

    def hang():
        hangs.set()
        let_go.wait()

    async with running([Model(1, hang)]) as (told, _, _):
        await until(hangs.is_set)
        told.camera.set_enabled(False)
        await until(lambda: told.statuses == ["online", "disabled"])
        its = told.state
        await asyncio.sleep(2.5)  # longer than a model has: that nothing is said cannot be waited for
        assert (its.status, its.problem) == ("disabled", None)
        let_go.set()
        told.camera.set_enabled(True)
        its = told.state
        await until(lambda: its.status == "online" or its.problem == "is starting")


async def test_a_film_that_has_ended_is_not_wrong_for_ever_when_it_is_switched_off_and_on():
    class Film(Frames):
        def frames(self, stopping):
            for frame in super().frames(stopping):
                if frame.number == 3:
                    return
                yield frame

    async with running([Model(10**9, None)], Film()) as (told, _, _):
        await until(lambda: told.statuses == ["online", "offline"])
        assert told.state.problem is None
        told.camera.set_enabled(False)
        told.camera.set_enabled(True)
        assert (told.state.status, told.state.problem) == ("offline", None)
