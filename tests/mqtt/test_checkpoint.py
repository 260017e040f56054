"""A reconnect sends again only what the broker may have lost."""

import asyncio

import pytest

from edgepub.core.errors import SubscriptionRefusedError
from edgepub.mqtt import messages
from edgepub.mqtt.confirmation import Confirmation
from edgepub.mqtt.limits import Limits
from edgepub.mqtt.messages import Received, state_message
from edgepub.mqtt.outbox.checkpoint import Checkpoint
from edgepub.mqtt.outbox.outbox import Outbox

HELLO = state_message("status", "online")


class Broker:
    """Keeps retained messages, and the copy that it saved last."""

    limits = Limits()

    def __init__(self, outbox, pause_s=0.0):
        self.outbox = outbox
        self.retained = {}
        self.saved = {}
        self.refuses = False
        self.confirmation = Confirmation(outbox, timeout_s=0.05, pause_s=pause_s)
        self.confirming = None

    async def session(self, *, answers_late=False):
        """Take all that comes; return the topics in their order."""
        self.outbox.start_session(16, HELLO)
        early = await self.drain() if answers_late else []
        self.confirming = asyncio.create_task(self.confirmation.run(self))
        await asyncio.wait([self.confirming], timeout=0.1)
        return [*early, *await self.drain()]

    def end(self):
        self.confirming.cancel()
        self.outbox.end_session()

    async def drain(self):
        topics = []
        for _ in range(5):
            while message := self.outbox.take():
                topics.append(message.topic)
                self.retained[message.topic] = message.encoded()
                self.outbox.done(message)
            await asyncio.sleep(0.002)  # pauses after pictures, and until the next checkpoint
        return topics

    async def subscribe(self, topic):
        if self.refuses:
            raise SubscriptionRefusedError("no")
        if payload := self.retained.get(topic):
            assert self.confirmation.take(Received(topic, payload, retained=True))

    async def unsubscribe(self, _topic):
        assert not self.refuses


@pytest.fixture
def outbox():
    return Outbox(9, checkpoint=Checkpoint("checkpoint", "run"))


def put_all(outbox):
    outbox.put(HELLO)
    outbox.put(messages.announcement_message("discovery", b"{}"))
    outbox.put(state_message("count", "1"))
    outbox.put(messages.picture_message("picture", b"jpeg"))


async def test_what_the_broker_has_is_not_sent_again(outbox):
    broker = Broker(outbox)
    put_all(outbox)
    assert set(await broker.session()) == {"discovery", "status", "count", "picture", "checkpoint"}
    broker.end()
    outbox.put(state_message("count", "2"))
    first, *others = await broker.session()
    assert {first, *others} - {"checkpoint"} == {"count", "status"}, "the will has replaced the status"


async def test_a_broker_that_has_lost_everything_gets_everything_in_the_old_order(outbox):
    broker = Broker(outbox)
    put_all(outbox)
    await broker.session()
    broker.end()
    broker.retained.clear()
    sent = [topic for topic in await broker.session() if topic != "checkpoint"]
    assert sent == ["discovery", "status", "count", "picture"]


async def test_a_checkpoint_of_one_session_is_not_sent_in_the_next(outbox):
    """It would say that a broker has what another one had."""
    broker = Broker(outbox)
    put_all(outbox)
    await broker.session()
    outbox.put(state_message("count", "2"))
    await broker.drain()
    outbox.put_checkpoint()
    broker.end()
    broker.retained.clear()
    assert set(await broker.session(answers_late=True)) >= {"discovery", "status", "count", "picture"}


async def test_a_broker_with_an_old_copy_gets_what_came_after_it(outbox):
    broker = Broker(outbox)
    put_all(outbox)
    await broker.session()
    broker.saved = dict(broker.retained)
    outbox.put(messages.picture_message("picture", b"newer"))
    outbox.put(state_message("count", "2"))
    await broker.drain()
    outbox.put(state_message("count", "1"))  # as in the old copy
    await broker.drain()
    broker.end()
    broker.retained = broker.saved
    assert set(await broker.session()) - {"checkpoint"} == {"status", "count", "picture"}


async def test_what_was_not_acknowledged_before_the_last_checkpoint_is_sent_again():
    outbox = Outbox(9, checkpoint=Checkpoint("checkpoint", "run"))
    broker = Broker(outbox, pause_s=60)
    put_all(outbox)
    assert "checkpoint" not in await broker.session()
    broker.end()
    assert set(await broker.session()) == {"discovery", "status", "count", "picture"}


@pytest.mark.parametrize("payload", [b"another 7", b"run", b"run -1", b"run 9.5", b"\xff", b"run \xb2"])
async def test_another_runs_checkpoint_says_nothing(outbox, payload):
    broker = Broker(outbox)
    put_all(outbox)
    await broker.session()
    broker.end()
    broker.retained["checkpoint"] = payload
    assert set(await broker.session()) >= {"discovery", "status", "count", "picture"}


async def test_a_broker_that_refuses_the_subscription_gets_everything(outbox):
    broker = Broker(outbox)
    put_all(outbox)
    await broker.session()
    broker.end()
    broker.refuses = True
    assert set(await broker.session()) >= {"discovery", "status", "count", "picture"}


async def test_without_retained_messages_everything_is_sent_in_each_session(outbox):
    broker = Broker(outbox)
    broker.limits = Limits(retain=False)
    put_all(outbox)
    await broker.session()
    broker.end()
    assert set(await broker.session()) >= {"discovery", "status", "count", "picture"}
