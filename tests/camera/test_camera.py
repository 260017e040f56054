"""A camera whose model hangs or fails: fakes that do so on demand. `test_live` has a real AI server."""

import asyncio
import contextlib
import itertools
import socket
import threading
import time

import pytest

from edgepub.camera.failover import Failover
from edgepub.camera.frames import Frame, Result
from edgepub.camera.supervisor import CameraSupervisor
from edgepub.core.errors import ModelError, SourceError
from edgepub.core.fair_lock import FairLock
from edgepub.telemetry.metrics import CameraMetrics
from edgepub.telemetry.status import CameraState
from tests.support.waiting import free_port


class Frames:
    """Frames without an end."""

    live = True

    def __init__(self):
        self.open = 0

    def frames(self, stopping, _fit=None):
        self.open += 1
        try:
            number = 0
            while not stopping.wait(0.001):
                number += 1
                yield Frame(None, number, time.time(), time.monotonic(), 0.0)
        finally:
            self.open -= 1


class Model:
    """Gives a number of results, and then calls a function."""

    fit = None

    def __init__(self, answers, then):
        self._answers = answers
        self._then = then

    def infer(self, frames, *, live):
        assert live
        for frame in frames:
            if frame.number > self._answers:
                self._then()
            yield Result(frame, [], {}, frame.captured_s, time.monotonic())


class Tiles(Model):
    """Applies a model to five parts of each frame, which takes 0.6 s for each."""

    def infer(self, frames, *, live):
        for result in super().infer(frames, live=live):
            for _ in range(5):
                time.sleep(0.6)
                yield None
            yield result


class Sink:
    """Records what it gets; fails when two threads call it at the same time."""

    def __init__(self):
        self.statuses = []
        self.models = 0  # loaded now
        self.addresses = []  # where it was loaded
        self.results = {}  # the number of results of each thread
        self.drawn = []
        self.problem = None
        self.block = threading.Event()  # while it is not set, a report does not end
        self.block.set()
        self.is_blocked = False
        self._busy = threading.Lock()

    def report(self, _result):
        with self._alone():
            self.is_blocked = not self.block.is_set()
            assert self.block.wait(30)
            thread = threading.current_thread()
            self.results[thread] = self.results.get(thread, 0) + 1
        return self.problem

    def set_status(self, status):
        with self._alone():
            self.statuses.append(status)

    def set_areas(self, settings):
        with self._alone():
            time.sleep(0.002)  # in which a result comes
            self.drawn.append(settings)

    @contextlib.contextmanager
    def _alone(self):
        assert self._busy.acquire(blocking=False), "two threads at the same time"
        yield
        self._busy.release()


@contextlib.asynccontextmanager
async def running(
    models, source=None, stall_timeout_s=2.0, enabled=True, pause_s=0.01, addresses=("@local",), release=lambda: None
):
    """Run a camera that loads one model after another, and then the last one every time."""
    sink, metrics, loaded = Sink(), CameraMetrics(), []

    @contextlib.contextmanager
    def load(addresses):
        sink.addresses += addresses
        loaded.append(models[min(len(loaded), len(models) - 1)])
        sink.models += 1
        yield loaded[-1]
        release()
        sink.models -= 1

    sink.state = CameraState()
    camera = sink.camera = CameraSupervisor(
        "cam",
        source or Frames(),
        load,
        Failover([addresses], min_pause_s=pause_s, max_pause_s=pause_s),
        sink,
        FairLock(),
        metrics,
        sink.state,
        stall_timeout_s,
        enabled=enabled,
    )
    task = asyncio.create_task(camera.run())
    yield sink, metrics, loaded
    camera.stop()
    await asyncio.wait_for(task, 30)
    await until(lambda: sink.statuses[-1:] in (["offline"], []))  # a thread that reports a result publishes it


def nothing():
    pass


async def until(condition):
    async with asyncio.timeout(30):
        while not condition():
            await asyncio.sleep(0.01)


async def test_a_model_that_hangs_is_abandoned_and_its_late_results_are_ignored(caplog):
    release, source = threading.Event(), Frames()
    async with running([Model(3, release.wait), Model(10**9, None)], source) as (sink, metrics, _):
        await until(lambda: sink.statuses[:2] == ["online", "offline"])
        await until(lambda: len(sink.results) == 2 and sink.statuses[-1] == "online")
        release.set()
        await until(lambda: source.open == 1)
        first, second = sink.results.values()
        assert first == 3, "the late answer is not one of them"
        await until(lambda: list(sink.results.values())[1] > second)
    assert sink.statuses == ["online", "offline", "online", "offline"]
    assert metrics.read().reconnects == 1
    assert [r.camera for r in caplog.records if r.levelname == "WARNING"] == ["cam"]


@pytest.mark.slow
async def test_a_frame_may_take_longer_than_an_answer_if_its_parts_do_not():
    async with running([Tiles(10**9, None)], stall_timeout_s=3) as (sink, _, loaded):
        await until(lambda: sum(sink.results.values()) == 2)
        assert sink.statuses == ["online"]
    assert len(loaded) == 1


async def test_a_disabled_camera_closes_its_source_and_unloads_its_model():
    source = Frames()
    async with running([Model(10**9, None)], source) as (sink, metrics, _):
        camera = sink.camera
        await until(lambda: sink.statuses == ["online"])
        camera.set_enabled(True)
        camera.set_enabled(False)
        assert sink.statuses == ["online", "disabled"], "immediately"
        reported = sum(sink.results.values())
        await until(lambda: source.open == 0 and sink.models == 0)
        assert sum(sink.results.values()) == reported, "late results are ignored"
        camera.set_enabled(True)
        assert sink.statuses[2:] == ["offline"]
        await until(lambda: sink.statuses[2:] == ["offline", "online"])
        assert len(sink.results) == 2, "in a new thread"
        assert metrics.read().reconnects == 0, "nothing was lost"


async def test_areas_change_between_two_results_and_in_every_state(caplog):
    release = threading.Event()
    async with running([Model(200, release.wait), Model(10**9, None)]) as (sink, _, loaded):
        camera = sink.camera
        await until(lambda: sink.statuses == ["online"])
        for number in range(20):
            camera.set_areas(number, nothing)
            await asyncio.sleep(0)
        await until(lambda: sum(sink.results.values()) == 200)
        camera.set_areas("while the model hangs", nothing)
        assert len(loaded) == 1, "immediately"
        await until(lambda: len(sink.results) == 2)
        release.set()
        camera.set_enabled(False)
        camera.set_areas("while it is disabled", nothing)
        await until(lambda: sink.drawn[-1] == "while it is disabled")
        assert sink.statuses == ["online", "offline", "online", "disabled"], "and nothing else is published"
        camera.set_enabled(True)
    camera.set_areas("after its end", nothing)
    await until(lambda: sink.drawn[-1] == "after its end")
    assert sink.drawn == [*range(20), "while the model hangs", "while it is disabled", "after its end"]
    assert not any(r.exc_info for r in caplog.records), "two threads at the same time"


async def test_a_camera_that_starts_disabled_waits():
    source = Frames()
    async with (
        running([Model(10**9, None)], source, enabled=False) as (sink, _, loaded),
        running([Model(10**9, None)]) as (other, _, _),
    ):
        await until(lambda: other.statuses == ["online"])
        assert (sink.statuses, loaded, source.open) == ([], [], 0)
        sink.camera.set_enabled(True)
        await until(lambda: sink.statuses == ["offline", "online"])
        for _ in range(5):  # faster than a thread ends
            sink.camera.set_enabled(False)
            sink.camera.set_enabled(True)
        await until(lambda: sink.statuses[-1] == "online" and source.open == 1)
        assert sink.statuses == ["offline", "online"] + ["disabled", "offline"] * 5 + ["online"]


async def test_a_disabled_camera_ends_when_it_is_stopped():
    async with running([Model(10**9, None)], enabled=False) as (sink, _, _):
        pass
    assert sink.statuses == []


@pytest.mark.slow
async def test_the_number_of_hung_calls_is_limited():
    hangs, the_end = [], threading.Event()

    def hang():
        hangs.append(threading.Event())
        while not (hangs[-1].is_set() or the_end.is_set()):
            the_end.wait(0.01)

    async with running([Model(1, hang)]) as (sink, _, loaded):
        await until(lambda: sink.camera.is_stuck)
        assert len(loaded) == len(hangs) == 3, "and no other call until one returns"
        hangs[-1].set()
        await until(lambda: len(hangs) == 4)
        await until(lambda: not sink.camera.is_stuck)
        the_end.set()


@pytest.mark.slow
async def test_a_stop_does_not_wait_for_hung_calls():
    release = threading.Event()
    async with running([Model(1, release.wait)]) as (sink, _, _):
        await until(lambda: sink.camera.is_stuck)
    release.set()


async def test_a_model_that_fails_closes_the_source_before_the_pause():
    """A webcam can be opened only once."""

    def fail():
        raise ModelError("the device is gone")

    source = Frames()
    async with running([Model(2, fail)], source, pause_s=1000) as (sink, _, _):
        await until(lambda: sink.statuses == ["online", "offline"])
        await until(lambda: source.open == 0)


async def test_each_ai_server_is_tried_before_a_pause():
    def fail():
        raise ModelError("the server is gone")

    failing = [Model(1, fail) for _ in range(3)]
    async with running(failing, pause_s=1000, addresses="abc") as (sink, _, _):
        await until(lambda: sink.statuses == ["online", "offline"] * 3)
    assert "".join(sink.addresses) in {"abc", "bca", "cab"}


async def test_the_first_ai_server_is_random():
    assert {"".join(Failover(["abc", "x"]).addresses) for _ in range(200)} == {"ax", "bx", "cx"}


def test_models_with_the_same_ai_servers_change_together_and_then_all_combinations_are_tried():
    failover = Failover(["ab", "ab"])
    tried = []
    for _ in range(4):
        tried.append("".join(failover.addresses))
        pause_s = failover.on_failure(is_of_model=True)
        assert (pause_s > 0) == (len(tried) == 4), "after all"
    assert set(tried) == {"aa", "bb", "ab", "ba"}
    assert {"".join(Failover(["ab", "ab"]).addresses) for _ in range(100)} == {"aa", "bb"}


async def test_an_ai_server_that_hangs_is_replaced_by_the_next_one(caplog):
    release = threading.Event()
    async with running([Model(3, release.wait), Model(10**9, None)], pause_s=1000, addresses="ab") as (sink, _, _):
        await until(lambda: sink.statuses == ["online", "offline", "online"])
        release.set()
    assert sorted(sink.addresses) == ["a", "b"]
    assert "its thread is abandoned; trying the next AI server" in caplog.text


@pytest.mark.slow
async def test_an_ai_server_that_is_gone_is_left_before_the_stall_timeout(caplog):
    release, gone = threading.Event(), [f"127.0.0.1:{free_port()}" for _ in range(2)]
    models = [Model(3, release.wait), Model(10**9, None)]
    async with running(models, stall_timeout_s=300, pause_s=1000, addresses=gone) as (sink, _, _):
        await until(lambda: sink.statuses == ["online", "offline", "online"])
        release.set()
    problem = f"model: the AI server {sink.addresses[0]} does not answer: Connection refused"
    assert f"{problem}; its thread is abandoned; trying the next AI server" in caplog.text


@pytest.mark.slow
async def test_a_busy_ai_server_is_kept():
    busy = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(30)
        address = f"127.0.0.1:{server.getsockname()[1]}"
        models = [Model(3, busy.wait)]
        async with running(models, stall_timeout_s=300, addresses=(address,)) as (sink, _, _):
            for _ in range(2):
                (await asyncio.to_thread(server.accept))[0].close()
            assert (sink.statuses, len(sink.addresses)) == (["online"], 1)
            busy.set()
            await until(lambda: max(sink.results.values()) > 100)
        assert (sink.statuses, len(sink.addresses)) == (["online", "offline"], 1)


async def test_a_source_that_fails_changes_no_ai_server():
    class Lost(Frames):
        def frames(self, stopping, _fit=None):
            yield from itertools.islice(super().frames(stopping), 3)
            raise SourceError("the camera is gone")

    async with running([Model(10**9, None)], Lost(), addresses="ab") as (sink, metrics, _):
        await until(lambda: metrics.read().reconnects >= 3)
    assert len(sink.addresses) == 1


async def test_a_source_that_fails_keeps_the_model_loaded():
    class Lost(Frames):
        def frames(self, stopping, _fit=None):
            for frame in super().frames(stopping):
                if frame.number == 3:
                    raise SourceError("the camera is gone")
                yield frame

    async with running([Model(10**9, None)], Lost()) as (sink, metrics, loaded):
        await until(lambda: metrics.read().reconnects >= 3)
    assert len(loaded) == 1
    assert sink.statuses == ["online", "offline"] * (len(sink.statuses) // 2)


async def test_an_internal_error_is_logged_and_the_camera_retries(caplog):
    def wrong():
        raise KeyError("a mistake of ours")

    async with running([Model(2, wrong), Model(10**9, None)]) as (sink, _, _):
        await until(lambda: sink.statuses == ["online", "offline", "online"])
    assert [r.camera for r in caplog.records if r.exc_info] == ["cam"]


async def test_results_of_no_use_make_a_camera_offline_until_they_are_over(caplog):
    model = Model(10**9, None)
    async with running([model]) as (sink, metrics, loaded):
        await until(lambda: sink.statuses == ["online"])
        sink.problem = "model: no valid result: a text"
        await until(lambda: sink.statuses == ["online", "offline"])
        assert sink.state.problem == "model: no valid result: a text"
        await until(lambda: max(sink.results.values()) > 100)
        sink.problem = None
        await until(lambda: sink.statuses == ["online", "offline", "online"])
        assert sink.state.problem is None
        assert metrics.read().reconnects == 1
    assert loaded == [model], "neither model nor source is opened again"
    assert len([r for r in caplog.records if r.levelname == "WARNING"]) == 1


async def test_a_camera_disabled_while_its_model_hangs_has_no_problem():
    hangs, release = threading.Event(), threading.Event()

    def hang():
        hangs.set()
        release.wait()

    async with (
        running([Model(1, hang)], stall_timeout_s=1.5) as (sink, _, _),
        running([Model(1, release.wait), Model(10**9, None)], stall_timeout_s=2.5) as (other, _, _),
    ):
        await until(hangs.is_set)
        sink.camera.set_enabled(False)
        await until(lambda: sink.statuses == ["online", "disabled"])
        state = sink.state
        await until(lambda: other.statuses[:2] == ["online", "offline"])  # longer than the first one's time limit
        assert (state.status, state.problem) == ("disabled", None)
        release.set()
        sink.camera.set_enabled(True)
        state = sink.state
        await until(lambda: state.status == "online" or state.problem == "is starting")


async def test_a_camera_whose_model_hangs_as_it_is_released_starts_again():
    released, end = [], threading.Event()

    def hang():
        released.append(None)
        if len(released) == 1:
            end.wait(30)

    async with running([Model(10**9, None)], stall_timeout_s=1.0, release=hang) as (sink, _, loaded):
        await until(lambda: sink.statuses == ["online"])
        sink.camera.set_enabled(False)
        await until(lambda: released)
        sink.camera.set_enabled(True)
        await until(lambda: len(loaded) == 2)
        assert not end.is_set()
        end.set()


async def test_a_file_that_has_ended_has_no_problem_after_it_is_disabled_and_enabled():
    class File(Frames):
        def frames(self, stopping, _fit=None):
            for frame in super().frames(stopping):
                if frame.number == 3:
                    return
                yield frame

    async with running([Model(10**9, None)], File()) as (sink, _, _):
        await until(lambda: sink.statuses == ["online", "offline"])
        assert sink.state.problem is None
        sink.camera.set_enabled(False)
        sink.camera.set_enabled(True)
        assert (sink.state.status, sink.state.problem) == ("offline", None)


async def test_the_event_loop_waits_for_no_report():
    """A result may take long to process, from a mad model for example."""
    async with running([Model(10**9, None)]) as (sink, _, _):
        await until(lambda: sink.statuses == ["online"])
        sink.block.clear()
        await until(lambda: sink.is_blocked)
        done = []
        sink.camera.set_areas("areas", lambda: done.append(list(sink.drawn)))
        sink.camera.set_enabled(False)
        assert done == sink.drawn == []
        assert sink.statuses == ["online"], "the report is not over"
        sink.block.set()
        await until(lambda: sink.statuses == ["online", "disabled"])
        assert done == [["areas"]], "once it is done"
        sink.camera.set_enabled(True)
        await until(lambda: sink.statuses[-1] == "online")
