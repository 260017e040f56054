"""The session loop, with sessions that break in ways that a real broker cannot be made to."""

import asyncio
import logging
import re
from contextlib import asynccontextmanager

import pytest

from edgepub.core.backoff import Backoff
from edgepub.core.errors import (
    BrokerError,
    BrokerRefusedError,
    ConnectionLostError,
    MessageRejectedError,
    SubscriptionRefusedError,
)
from edgepub.mqtt.limits import Limits
from edgepub.mqtt.messages import DetectionsReceipt, Message, Received, state_message
from edgepub.mqtt.outbox.outbox import Outbox
from edgepub.mqtt.publisher import Publisher
from edgepub.mqtt.reconnect import ReconnectPauses
from edgepub.mqtt.subscriptions import Subscriptions
from edgepub.telemetry.metrics import CameraMetrics
from edgepub.telemetry.status import BrokerStatus

HELLO = state_message("status", "online")
GOODBYE = state_message("status", "offline")


class FakeBroker:
    """A broker whose sessions keep every message, or break after a number of them."""

    def __init__(self, *breaks_after, refused=0, refuses_subscriptions=False, acknowledges=True, pings=True):
        self.acknowledges = acknowledges
        self.pings = pings
        self.pinged = asyncio.Event()
        self.refuses_subscriptions = refuses_subscriptions
        self.breaks_after = list(breaks_after)
        self.refused = refused
        self.rejected = set()
        self.sessions = []
        self.subscribed = []
        self.commands = []
        self.changed = asyncio.Condition()

    @asynccontextmanager
    async def connect(self, on_done):
        if self.refused:
            self.refused -= 1
            raise BrokerError("refused")
        session = FakeSession(self, self.breaks_after.pop(0) if self.breaks_after else None, on_done)
        self.sessions.append(session)
        try:
            yield session
        finally:
            for task in session.tasks:
                task.cancel()

    @property
    def received(self):
        return [m.encoded() for session in self.sessions for m in session.sent]

    async def wait_for(self, condition):
        async with self.changed:
            await asyncio.wait_for(self.changed.wait_for(condition), 30)


class FakeSession:
    version = "5"
    window = 16
    limits = Limits()

    def __init__(self, broker, breaks_after, on_done):
        self.broker = broker
        self.on_done = on_done
        self.tasks = set()
        self.breaks_after = breaks_after
        self.sent = []
        self.broken = asyncio.Event()

    def send(self, message):
        async def work():
            await self.publish(message)
            if self.broker.acknowledges or message.qos == 0:
                self.on_done(message, None)

        if message.topic in self.broker.rejected:
            raise MessageRejectedError("it is too large", "too_large")
        message.encoded()
        self.tasks.add(asyncio.create_task(work()))

    async def ping(self):
        self.broker.pinged.set()
        if not self.broker.pings:
            await asyncio.Event().wait()

    async def publish(self, message):
        await asyncio.sleep(0)
        if self.breaks_after is not None and len(self.sent) >= self.breaks_after:
            self.broken.set()
            await asyncio.Event().wait()  # as with a real connection: this call hangs, and `messages` raises the error
        self.sent.append(message)
        async with self.broker.changed:
            self.broker.changed.notify_all()

    async def subscribe(self, topic):
        self.broker.subscribed.append(topic)
        if self.broker.refuses_subscriptions:
            raise SubscriptionRefusedError("no")

    async def unsubscribe(self, topic):
        pass

    async def messages(self):
        for message in self.broker.commands:
            yield message
        await self.broken.wait()
        raise BrokerError("lost")


def make_publisher(outbox, connect, on_message=None, **options):
    status = options.pop("status", BrokerStatus())
    subscriptions = Subscriptions(["n/+/a/set", "n/+/b/set"], "b", status, lambda: Backoff(0.01, 0.02))
    options.setdefault("pauses", ReconnectPauses(0.01, 0.02))
    return Publisher(outbox, connect, "b", "edgepub-b", HELLO, GOODBYE, subscriptions, on_message, status, **options)


def warnings(caplog):
    return [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]


def numbers(count, counts):
    return [Message("t", str(n).encode(), receipt=DetectionsReceipt(counts, 0.0, 0.0)) for n in range(count)]


async def test_messages_in_flight_when_the_session_breaks_are_resent_in_order():
    counts = CameraMetrics()
    outbox = Outbox(1000)
    for message in numbers(100, counts):
        outbox.put(message)
    broker = FakeBroker(30, 20, 0)
    outbox.drain()
    await asyncio.wait_for(make_publisher(outbox, broker.connect).run(), 30)
    assert broker.received == [str(n).encode() for n in range(100)] + [b"offline"]
    assert counts.published == 100
    assert counts.dropped_total == 0
    assert len(broker.sessions) == 4


async def test_it_connects_again_until_the_broker_is_there():
    outbox = Outbox(10)
    outbox.put(state_message("status", "online"))
    broker = FakeBroker(refused=5)
    task = asyncio.create_task(make_publisher(outbox, broker.connect).run())
    await broker.wait_for(lambda: broker.received == [b"online"])
    outbox.drain()
    await asyncio.wait_for(task, 30)
    assert broker.received == [b"online", b"offline"]


async def test_the_goodbye_is_sent_after_a_cancel_too():
    outbox = Outbox(10)
    broker = FakeBroker()
    outbox.put(state_message("status", "online"))
    task = asyncio.create_task(make_publisher(outbox, broker.connect).run())
    await broker.wait_for(lambda: broker.received)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert broker.received == [b"online", b"offline"]


@pytest.mark.parametrize("turns", range(6))
async def test_a_cancel_at_the_end_of_a_session_is_not_lost(turns):
    """Before Python 3.13 a TaskGroup drops it for the errors of its tasks."""
    outbox = Outbox(10)
    outbox.put(state_message("status", "online"))
    broker = FakeBroker()
    task = asyncio.create_task(make_publisher(outbox, broker.connect).run())
    await broker.wait_for(lambda: broker.received)
    broker.sessions[0].broken.set()
    for _ in range(turns):
        await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asyncio.wait_for(task, 30)


async def test_commands_are_subscribed_to_in_each_session_and_handled():
    outbox, handled = Outbox(10), []
    outbox.put(state_message("status", "online"))
    broker = FakeBroker()
    broker.commands = [Received("n/cam/enabled/set", b"OFF", retained=False)]
    task = asyncio.create_task(make_publisher(outbox, broker.connect, on_message=handled.append).run())
    await broker.wait_for(lambda: broker.received)
    broker.sessions[0].broken.set()
    await broker.wait_for(lambda: len(broker.received) == 2)
    outbox.drain()
    await asyncio.wait_for(task, 30)
    assert broker.subscribed == ["n/+/a/set", "n/+/b/set"] * 2
    assert handled == broker.commands * 2


async def test_a_broker_that_refuses_subscriptions_still_gets_everything(caplog):
    outbox = Outbox(10)
    outbox.put(state_message("status", "online"))
    broker = FakeBroker(refuses_subscriptions=True)
    task = asyncio.create_task(make_publisher(outbox, broker.connect).run())
    await broker.wait_for(lambda: broker.received)
    outbox.drain()
    await asyncio.wait_for(task, 30)
    assert broker.received == [b"online", b"offline"]
    assert len(broker.sessions) == 1
    (warning,) = warnings(caplog)
    assert "no" in warning, "the broker's reason"


async def test_a_refused_subscription_is_asked_for_again_until_it_is_granted(caplog):
    outbox, status = Outbox(10), BrokerStatus()
    broker = FakeBroker(refuses_subscriptions=True)
    task = asyncio.create_task(make_publisher(outbox, broker.connect, status=status).run())
    async with asyncio.timeout(30):
        while len(broker.subscribed) < 10:
            await asyncio.sleep(0.001)
        assert len(warnings(caplog)) == 1
        assert "no" in status.notes["subscriptions"]
        assert status.problem is None, "everything else works"
        broker.refuses_subscriptions = False
        while status.notes:
            await asyncio.sleep(0.001)
    outbox.drain()
    await asyncio.wait_for(task, 30)
    assert len(broker.sessions) == 1


async def test_a_broker_that_acknowledges_nothing_is_left_and_gets_the_messages_without_acknowledgement(caplog):
    outbox, status = Outbox(10), BrokerStatus()
    for n in range(20):
        outbox.put(state_message(f"state/{n}", "x"))
    broker = FakeBroker(acknowledges=False)
    publisher = make_publisher(outbox, broker.connect, status=status, acknowledge_timeout_s=0.2)
    task = asyncio.create_task(publisher.run())
    while len(broker.sessions) < 3:
        outbox.put(Message("frame", b"1"))
        await asyncio.sleep(0.01)
    assert all(b"1" in [m.encoded() for m in session.sent] for session in broker.sessions[:2])
    assert len(warnings(caplog)) >= 2
    assert all("state/0" in warning for warning in warnings(caplog)), "the oldest is named"
    assert status.problem is not None, "a new session alone does not make it good"
    broker.acknowledges = True
    broker.sessions[-1].broken.set()
    async with asyncio.timeout(30):
        while status.problem is not None:
            await asyncio.sleep(0.01)
    outbox.drain()
    await asyncio.wait_for(task, 30)


async def test_a_message_that_is_still_on_its_way_is_waited_for():
    """On a slow link the broker has not read it yet, which the answer to a ping tells."""
    outbox = Outbox(10)
    outbox.put(state_message("picture", "x"))
    broker = FakeBroker(acknowledges=False, pings=False)
    task = asyncio.create_task(make_publisher(outbox, broker.connect, acknowledge_timeout_s=0.02).run())
    await asyncio.wait_for(broker.pinged.wait(), 30)  # the time for the acknowledgement is over
    assert len(broker.sessions) == 1
    task.cancel()
    await asyncio.wait([task])


async def test_a_bug_ends_the_publisher():
    def fail():
        raise ZeroDivisionError

    outbox = Outbox(10)
    outbox.put(Message("t", fail))
    with pytest.raises(ExceptionGroup) as caught:
        await asyncio.wait_for(make_publisher(outbox, FakeBroker().connect).run(), 30)
    assert caught.group_contains(ZeroDivisionError)


async def test_a_message_that_the_broker_rejects_is_dropped_and_counted(caplog):
    counts = CameraMetrics()
    outbox = Outbox(10)
    for topic in ("large", "small"):
        outbox.put(Message(topic, topic.encode(), receipt=DetectionsReceipt(counts, 0.0, 0.0)))
    broker = FakeBroker()
    broker.rejected.add("large")
    outbox.drain()
    await asyncio.wait_for(make_publisher(outbox, broker.connect).run(), 30)
    assert broker.received == [b"small", b"offline"]
    assert (counts.published, counts.read().dropped) == (1, {"too_large": 1})
    (warning,) = warnings(caplog)
    assert "large" in warning


async def test_after_a_refusal_the_next_connect_comes_late(caplog):
    tries = []

    def connect(_on_done):
        tries.append(1)
        raise BrokerRefusedError("wrong password")

    task = asyncio.create_task(make_publisher(Outbox(10), connect).run())
    async with asyncio.timeout(30):
        while not warnings(caplog):
            await asyncio.sleep(0)
    task.cancel()
    await asyncio.wait([task])
    assert len(tries) == 1
    (warning,) = warnings(caplog)
    assert "wrong password" in warning
    assert float(re.search(r"trying again in ([\d.]+) s", warning)[1]) > 1, "other pauses are shorter here"


async def test_no_more_messages_are_in_flight_than_the_session_allows():
    outbox = Outbox(100)
    for n in range(40):
        outbox.put(state_message(f"topic{n}", "x"))
    broker, max_in_flight = FakeBroker(), 0
    publish = FakeSession.publish
    outbox.drain()

    async def count(session, message):
        nonlocal max_in_flight
        max_in_flight = max(max_in_flight, sum(not task.done() for task in session.tasks))
        await publish(session, message)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(FakeSession, "publish", count)
        await asyncio.wait_for(make_publisher(outbox, broker.connect).run(), 30)
    assert max_in_flight == FakeSession.window
    assert len(broker.received) == 41


async def test_a_publisher_that_misses_its_wake_up_is_stuck():
    class NeverWakes(Outbox):
        async def wait(self):
            self.sleeps.set()
            await asyncio.Event().wait()

    async def run():
        outbox = NeverWakes(10)
        outbox.sleeps = asyncio.Event()
        publisher = make_publisher(outbox, FakeBroker().connect, wake_timeout_s=0.1)
        tasks.append(asyncio.create_task(publisher.run()))
        await outbox.sleeps.wait()
        return publisher, outbox

    tasks = []
    async with asyncio.timeout(30):
        idle, no_messages = await run()
        late, messages = await run()
        messages.put(Message("t", b"1"))
        while not late.is_stuck:
            await asyncio.sleep(0.01)
        assert not idle.is_stuck, "there is nothing to do"
        no_messages.put(Message("t", b"1"))
        assert idle.is_stuck
    for task in tasks:
        task.cancel()
    await asyncio.wait(tasks)


async def test_a_publisher_that_is_always_busy_is_not_stuck():
    """At each check it has just begun to wait, and there is something to send."""
    outbox, broker = Outbox(100), FakeBroker()
    publisher = make_publisher(outbox, broker.connect)
    task = asyncio.create_task(publisher.run())
    while len(broker.received) < 500:
        outbox.put(Message("t", b"1"))
        await asyncio.sleep(0.001)
        assert not publisher.is_stuck
    task.cancel()
    await asyncio.wait([task])


async def test_a_publisher_that_takes_too_long_to_connect_is_stuck():
    @asynccontextmanager
    async def never(_on_done):
        await asyncio.Event().wait()
        yield

    publisher = make_publisher(Outbox(10), never, connect_timeout_s=0.1)
    assert not publisher.is_stuck
    task = asyncio.create_task(publisher.run())
    async with asyncio.timeout(30):
        while not publisher.is_stuck:
            await asyncio.sleep(0.01)
    task.cancel()
    await asyncio.wait([task])


def test_pauses_are_bounded_and_longer_after_a_refusal():
    pauses = ReconnectPauses()
    lost, refused = BrokerError("lost"), BrokerRefusedError("wrong password")
    assert [pauses.next_s(lost, None) <= 30 for _ in range(9)] == [True] * 9
    assert 3 <= pauses.next_s(refused, None) <= 30


def test_after_several_short_sessions_another_client_is_suspected():
    lost, known = ConnectionLostError("connection lost"), BrokerError("Protocol error")

    def hints(*sessions):
        """Return after which of these sessions another client is suspected."""
        pauses, suspected = ReconnectPauses(), []
        for error, lasted_s in sessions:
            pauses.next_s(error, lasted_s)
            suspected.append("edgepub-b" in pauses.hint(error, "edgepub-b"))
        return suspected

    assert hints((lost, 1), (lost, 1), (lost, 1), (lost, 20)) == [False, False, True, False]
    assert not any(hints(*[(known, 1)] * 9))  # a protocol error, a keep-alive, any reason code: the reason is known
    assert not any(hints(*[(BrokerRefusedError("not authorized"), 1)] * 9))
    assert not any(hints(*[(lost, 1), (lost, 1), (known, 1)] * 3))
    assert not any(hints(*[(lost, 1), (lost, 1), (known, None)] * 3))  # the broker itself was away
