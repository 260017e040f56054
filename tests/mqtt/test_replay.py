"""The pace of a backlog, and that nothing else waits for it."""

import asyncio
import time

import pytest

from edgepub.mqtt.messages import event_message, json_format, state_message, stream_message
from edgepub.mqtt.outbox.durable import DurableLane
from edgepub.mqtt.outbox.outbox import Outbox
from edgepub.mqtt.outbox.replay import ReplayPace
from edgepub.mqtt.outbox.spool import Spool
from tests.support.durable_lane import read_payloads
from tests.support.waiting import wait_until

FORMAT = json_format("edgepub.event/1")


class Clock:
    """A clock that the test sets."""

    time_ns = staticmethod(time.time_ns)

    def __init__(self):
        self.now_s = 1000.0

    def monotonic(self):
        return self.now_s


class RunningClock:
    """The clock of the computer, which the test can put forward."""

    time_ns = staticmethod(time.time_ns)

    def __init__(self):
        self.ahead_s = 0.0

    def monotonic(self):
        return time.monotonic() + self.ahead_s


def put(lane, number, topic="t"):
    for _ in range(number):
        lane.put(topic, lambda seq: event_message(topic, str(seq).encode(), FORMAT))


def take_all(lane):
    """Take and return the numbers of all events that may be taken now."""
    taken = []
    while message := lane.take():
        lane.done(message)
        taken.append(int(message.payload))
    return taken


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def running_clock():
    return RunningClock()


@pytest.fixture
def lane(clock):
    """A lane with a backlog of 3,000 events, in memory."""
    lane = DurableLane(replay_rate_hz=500, clock=clock)
    put(lane, 3000)
    clock.now_s += 60
    return lane


def run(lane, clock, seconds, step_s=0.025, per_step=0):
    """Take what may be taken, for some seconds, while new events come; return how many were taken."""
    taken = 0
    for _ in range(round(seconds / step_s)):
        taken += len(take_all(lane))
        put(lane, per_step)
        clock.now_s += step_s
    return taken


def test_a_backlog_is_sent_at_its_rate(lane, clock):
    assert run(lane, clock, 2) == pytest.approx(1000, abs=70)
    assert run(lane, clock, 2) == pytest.approx(1000, abs=20)


@pytest.mark.parametrize("per_step", [1, 5, 50])
def test_new_events_are_sent_beside_it_so_it_ends_as_soon(lane, clock, per_step):
    run(lane, clock, 5.5, per_step=per_step)
    assert len(lane) > 50
    run(lane, clock, 0.7, per_step=per_step)
    assert len(lane) == per_step, "only the newest"


def test_the_order_stays(clock):
    lane = DurableLane(replay_rate_hz=100, clock=clock)
    put(lane, 300)
    clock.now_s += 2
    taken = []
    while len(taken) < 400:
        taken += take_all(lane)
        put(lane, 1 if len(taken) < 100 else 4)
        clock.now_s += 0.02
    assert taken == list(range(1, len(taken) + 1))


def test_new_events_are_not_limited_without_a_backlog(clock):
    lane = DurableLane(replay_rate_hz=1, clock=clock)
    for _ in range(3):
        put(lane, 500)
        clock.now_s += 0.5
        assert len(take_all(lane)) == 500


def test_many_events_of_a_moment_ago_are_a_backlog(clock):
    """As a node that starts again within a second finds them."""
    lane = DurableLane(replay_rate_hz=100, clock=clock)
    put(lane, 3000)
    assert len(take_all(lane)) <= 64


def test_nothing_is_limited_with_null(clock):
    lane = DurableLane(replay_rate_hz=None, clock=clock)
    put(lane, 3000)
    clock.now_s += 60
    assert len(take_all(lane)) == 3000


def test_a_standstill_allows_no_burst(lane, clock):
    """The broker is frozen while the session lasts, and events come."""
    run(lane, clock, 1)
    for _ in range(60):
        clock.now_s += 1
        put(lane, 50)
    assert len(take_all(lane)) <= 64


def test_what_is_put_back_is_a_backlog_too(lane, clock):
    run(lane, clock, 10)
    assert not len(lane)
    put(lane, 200)
    taken = [lane.take() for _ in range(64)]
    clock.now_s += 5
    for message in reversed(taken):
        lane.put_back(message)
    assert len(take_all(lane)) <= 64
    assert run(lane, clock, 0.1) <= 64


def test_while_it_pauses_the_lane_has_nothing_to_take(lane, clock):
    while lane.take():
        pass
    assert not lane
    assert len(lane) > 2000
    pause_s = lane.pause_s
    assert 0 < pause_s <= 0.02
    clock.now_s += pause_s / 2
    assert not lane
    clock.now_s += pause_s / 2 + 0.001
    assert lane.pause_s == 0
    assert lane
    assert len(take_all(lane)) == 10


def test_low_and_high_rates_are_kept():
    for rate_hz in (1, 3, 49, 500, 100_000):
        clock = Clock()
        pace = ReplayPace(rate_hz, clock.monotonic)
        taken = 0
        for _ in range(20_000):
            while pace.may_take(0.0, 1000):
                pace.count_taken(1)
                taken += 1
            clock.now_s += 0.001
        assert taken == pytest.approx(20 * rate_hz, rel=0.02, abs=2)


async def test_the_event_loop_wakes_for_it_and_other_lanes_do_not_wait(running_clock):
    lane = DurableLane(replay_rate_hz=200, clock=running_clock)
    put(lane, 100)
    running_clock.ahead_s = 1.1
    outbox = Outbox(256, lane)
    outbox.open()
    taken, began_s = [], time.monotonic()
    async with asyncio.timeout(30):
        while len(taken) < 110:
            if message := outbox.take():
                taken.append(message.topic)
                outbox.done(message)
            else:
                assert not outbox.has_work, "so the publisher is not stuck"
                await outbox.wait()
            if len(taken) == 30:
                for number in range(5):
                    outbox.put(state_message(f"state {number}", "on"))
                    outbox.put(stream_message("detections", b"", FORMAT))
    others = [index for index, topic in enumerate(taken) if topic != "t"]
    assert others[:5] == [30, 31, 32, 33, 34]
    assert others[-1] < 60, "one after three events at the latest"
    assert 0.3 < time.monotonic() - began_s < 10, "96 events at 200 a second"


async def test_a_drain_keeps_the_pace_of_what_is_on_disk(tmp_path, running_clock):
    path = tmp_path / "events.sqlite"
    lane = DurableLane(Spool(path), replay_rate_hz=1, clock=running_clock)
    outbox = Outbox(256, lane)
    outbox.open()
    put(lane, 50)
    wait_until(lambda: len(read_payloads(path)) == 50, "all events in the file")
    running_clock.ahead_s = 1.1
    outbox.drain()
    taken = [message async for message in take_for(outbox, 0.5)]
    assert 0 < len(taken) <= 3
    assert not outbox.is_drained
    for message in reversed(taken):
        outbox.put_back(message)
    assert outbox.stop(30) == (0, 50)


async def test_a_drain_sends_what_is_in_memory_alone_without_a_limit(running_clock):
    lane = DurableLane(replay_rate_hz=1, clock=running_clock)
    put(lane, 50)
    running_clock.ahead_s = 1.1
    outbox = Outbox(256, lane)
    outbox.drain()
    assert len([message async for message in take_for(outbox, 0.5)]) == 50
    assert outbox.is_drained


async def take_for(outbox, seconds):
    """Yield what may be taken within some seconds, or until the outbox is drained."""
    end_s = time.monotonic() + seconds
    while time.monotonic() < end_s and not outbox.is_drained:
        if message := outbox.take():
            yield message
        else:
            await asyncio.wait({asyncio.create_task(outbox.wait())}, timeout=end_s - time.monotonic())


def test_a_pause_does_not_outlast_its_events(clock):
    """They expire during a pause; the next one is new."""
    lane = DurableLane(replay_rate_hz=1, max_age_s=30, clock=clock)
    put(lane, 10)
    clock.now_s += 20
    assert len(take_all(lane)) == 1
    clock.now_s += 20
    put(lane, 3)
    assert wait_until(lane.take, "a new event").payload == b"11"
