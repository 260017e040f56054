"""The question whether another node has the name, at a real broker."""

import asyncio
import functools
import logging
import time

import pytest

from edgepub.config.mqtt import MqttSettings
from edgepub.core.errors import NameTakenError
from edgepub.mqtt import connection
from edgepub.mqtt.messages import Received, state_message
from edgepub.mqtt.name_claim import NameClaim
from edgepub.mqtt.outbox.outbox import Outbox
from edgepub.mqtt.presence import Identified
from edgepub.mqtt.topics import Topics
from edgepub.telemetry.status import BrokerStatus

TOPICS = Topics("edgepub", "garage")
pytestmark = pytest.mark.mosquitto


class Node:
    def __init__(self, broker, name, *, fast=True, **options):
        settings = MqttSettings(url=broker.url)
        self.look = lambda client_id: connection.connect(settings, client_id, None, fast=fast)
        self.connect = functools.partial(connection.connect, settings, f"edgepub-{name}", None, fast=fast)
        self.outbox, self.status = Outbox(9), BrokerStatus()
        own = Identified(name, f"boot-{name}")
        self.claim = NameClaim(TOPICS, own, list, self.outbox, self.status, lambda _: None, **options)

    def guard(self):
        return self.claim.guard(self.look, self.connect)

    async def run(self, running):
        """Run as the publisher does, as far as claims go, until cancelled."""
        async with self.guard() as session:
            await session.subscribe(TOPICS.claim)
            running.set()
            sending = asyncio.create_task(self.send(session))
            try:
                async for message in session.messages():
                    self.claim.on_message(message)
            finally:
                sending.cancel()
                await asyncio.wait([sending])

    async def send(self, session):
        while True:
            while message := self.outbox.take():
                session.send(message)
                self.outbox.done(message)
            await self.outbox.wait()


@pytest.mark.parametrize("fast", [True, False])
async def test_the_question_takes_a_few_round_trips(mosquitto, subscribe, fast):
    """After an orderly end, nothing is waited for: the broker returns the question behind the retained status."""
    subscribe(mosquitto.port).publish(TOPICS.status, "offline", retain=True)
    node, took_s = Node(mosquitto, "a", fast=fast), []
    for _ in range(5):
        began_s = time.monotonic()
        async with node.guard():
            took_s.append(time.monotonic() - began_s)
    assert min(took_s) < 0.3


async def test_a_long_wait_for_an_answer_is_reported(mosquitto, subscribe, caplog):
    """Else it looks as if the broker did not answer."""
    caplog.set_level(logging.INFO)
    subscribe(mosquitto.port).publish(TOPICS.status, "online", retain=True)
    node = Node(mosquitto, "a")
    before = node.status.problem

    async def start():
        async with node.guard():
            pass

    task = asyncio.create_task(start())
    async with asyncio.timeout(10):
        while node.status.problem == before:
            await asyncio.sleep(0.01)
    assert "garage" in node.status.problem
    assert any("garage" in line for line in caplog.messages)
    task.cancel()
    await asyncio.wait([task])
    assert node.status.problem == before


async def test_a_node_that_runs_answers_and_the_other_one_waits(mosquitto, subscribe):
    client, now_s = subscribe(mosquitto.port), 1000.0
    client.publish(TOPICS.status, "offline", retain=True)
    first, second = Node(mosquitto, "a"), Node(mosquitto, "b", clock=lambda: now_s)
    running = asyncio.Event()
    task = asyncio.create_task(first.run(running))
    await running.wait()
    client.publish(TOPICS.status, "online", retain=True)
    for _ in range(2):
        with pytest.raises(NameTakenError, match="node_id a"):
            async with second.guard():
                pass
    assert "node_id b" in first.status.notes["name"]
    task.cancel()
    await asyncio.wait([task])
    client.publish(TOPICS.status, "offline", retain=True)
    with pytest.raises(NameTakenError, match="node_id a"):  # it may only restart
        async with second.guard():
            pass
    now_s += 60
    async with second.guard():
        pass


async def test_of_two_that_run_the_later_one_gives_way(mosquitto):
    """Two with different client ids may both have a session: each hears the other's announcement."""
    first, second = Node(mosquitto, "a"), Node(mosquitto, "b")

    def announcement(sender):
        claim = Identified(sender, f"boot-{sender}").claim(TOPICS.claim, "running")
        return Received(TOPICS.claim, claim.encoded(), retained=False)

    first.claim.on_message(announcement("a"))
    first.claim.on_message(announcement("b"))
    answer = first.outbox.take()
    with pytest.raises(NameTakenError, match="node_id a"):
        second.claim.on_message(announcement("a"))
    with pytest.raises(NameTakenError, match="node_id a"):
        second.claim.on_message(Received(answer.topic, answer.encoded(), retained=False))


async def test_the_states_of_one_that_gives_way_do_not_stay(mosquitto, subscribe):
    first, second, client = Node(mosquitto, "a"), Node(mosquitto, "b"), subscribe(mosquitto.port)

    async def info_is(payload):
        await asyncio.to_thread(
            client.wait_for, lambda _: client.last(TOPICS.info) == payload, f"the info of {payload}"
        )

    with pytest.raises(NameTakenError, match="node_id a"):
        async with second.guard() as session:  # before the other one could answer
            await session.subscribe(TOPICS.claim)
            first.outbox.put(state_message(TOPICS.info, "a"))
            task = asyncio.create_task(first.run(asyncio.Event()))
            await info_is(b"a")
            await session.publish(state_message(TOPICS.info, "b"))
            await info_is(b"b")
            async for message in session.messages():
                second.claim.on_message(message)
    await info_is(b"a")
    task.cancel()
    await asyncio.wait([task])
