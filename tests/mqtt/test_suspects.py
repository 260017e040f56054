"""A message over which sessions end is found, whatever its lane: named, held back and counted. All else goes on."""

import asyncio
from math import inf
from random import Random
from types import SimpleNamespace

import pytest

from edgepub.mqtt import messages
from edgepub.mqtt.messages import DetectionsReceipt, EventReceipt, Message, PictureReceipt, state_message
from edgepub.mqtt.outbox.durable import DurableLane
from edgepub.mqtt.outbox.outbox import Outbox
from edgepub.telemetry.metrics import CameraMetrics

HELLO = state_message("node/status", "online")
INNOCENT = [f"innocent/{n}" for n in range(30)]


class Clock:
    def __init__(self):
        self.now_s = 1000.0

    def __call__(self):
        self.now_s += 1e-9
        return self.now_s


class FussyBroker:
    """A broker that ends the session over some topics or sizes: before MQTT 5 it cannot refuse a message otherwise."""

    def __init__(self, outbox, *topics, max_bytes=10_000, accepts=True):
        self._outbox = outbox
        self._topics = topics
        self._max_bytes = max_bytes
        self.received = []
        self.payloads = []  # of the last session
        self.ends = []  # the numbers of the sessions that it ended
        self._sessions = 0
        self._accepts = accepts

    async def session(self, *, goes_away=False, lasts=inf):
        """Read messages until nothing waits, or the session ends, or so many; return the topics that arrived."""
        outbox, arrived, unread = self._outbox, [], []
        self._sessions += 1
        self.payloads = []
        outbox.start_session(16, HELLO)
        outbox.resend_lost(b"")
        while True:
            for _ in range(2):  # the pauses after pictures and announcements are shorter than a turn of the event loop
                await asyncio.sleep(0)
            while message := outbox.take():
                unread.append(message)
                if message.qos == 0:
                    outbox.done(message)
            if not unread:
                outbox.end_session()
                return arrived
            message = unread.pop(0)
            size = len(message.encoded())
            is_killed = len(arrived) >= lasts
            if message.topic in self._topics or size > self._max_bytes or not self._accepts or is_killed:
                self.ends.append(self._sessions)
                outbox.end_session(is_over_message=not goes_away)
                return arrived
            arrived.append(message.topic)
            self.received.append((message.topic, size))
            self.payloads.append((message.topic, message.encoded()))
            if message.qos:
                outbox.done(message)


class Sender:
    """An outbox with 30 innocent messages in all lanes, and one message of the lane under test."""

    def __init__(self):
        self.clock = Clock()
        self.metrics = CameraMetrics()
        receipt = EventReceipt(SimpleNamespace(of=lambda _: self.metrics), "cam")
        self.outbox = Outbox(99, DurableLane(receipt_of=lambda _: receipt), clock=self.clock)

    def put(self, lane, topic, payload=b"1"):
        outbox = self.outbox
        match lane:
            case "announcements":
                outbox.put(messages.announcement_message(topic, payload))
            case "state":
                outbox.put(state_message(topic, payload))
            case "durable":
                outbox.put_numbered([(topic, lambda _: messages.event_message(topic, payload, messages.TEXT))])
            case "pictures":
                outbox.put(messages.picture_message(topic, payload, PictureReceipt(self.metrics)))
            case "stream":
                outbox.put(Message(topic, payload, receipt=DetectionsReceipt(self.metrics, 0.0, 0.0)))


LANES = {
    "announcements": [],
    "state": [],
    "durable": ["event_given_up"],
    "pictures": ["snapshot_given_up"],
    "stream": ["given_up"],
}


def warnings(caplog, topic):
    return [record for record in caplog.records if record.levelname == "WARNING" and topic in record.getMessage()]


@pytest.mark.parametrize("lane", LANES)
async def test_a_message_over_which_sessions_end_is_held_back_and_all_else_arrives(lane, caplog):
    sender = Sender()
    for number, topic in enumerate(INNOCENT):
        sender.put(list(LANES)[number % 5], topic)
        if number == 14:
            sender.put(lane, "guilty")
    broker, arrived, held_back = FussyBroker(sender.outbox, "guilty"), set(), []
    for _ in range(12):
        arrived |= set(await broker.session())
        held_back.append(sender.outbox.figures().held_back)
        sender.clock.now_s += 10
        for topic in INNOCENT[4::5]:
            sender.put("stream", topic)  # the next frame
        if lane == "stream" and not sender.outbox.figures().held_back:
            sender.put(lane, "guilty")
    assert arrived >= set(INNOCENT)
    assert max(held_back) == 1
    warning = warnings(caplog, "guilty")[0]
    assert "1 bytes" in warning.getMessage()
    assert not warnings(caplog, "innocent")
    assert list(sender.metrics.read().dropped) == LANES[lane]


@pytest.mark.parametrize("lane", LANES)
async def test_it_is_tried_again_alone_after_a_minute_and_later_after_longer(lane):
    sender = Sender()
    broker = FussyBroker(sender.outbox, "guilty")
    sessions = []
    for _ in range(400):
        sender.put(lane, "guilty")
        sender.put("state", "innocent/0")
        sessions.append("innocent/0" in await broker.session())
        sender.clock.now_s += 10
    assert sender.outbox.figures().held_back == 1
    assert sessions[4:].count(False) <= 14, "the pauses are 60 s, 120 s, 240 s, ..."
    tolerant = FussyBroker(sender.outbox)
    sender.clock.now_s += 3600
    arrived = []
    for _ in range(2):
        sender.put(lane, "guilty")
        arrived += await tolerant.session()
    assert "guilty" in arrived
    assert sender.outbox.figures().held_back == 0


@pytest.mark.parametrize("lane", ["state", "durable", "pictures", "stream"])
async def test_of_a_topic_with_small_and_large_messages_only_the_large_ones_are_held_back(lane, caplog):
    """Each small one is acknowledged before the session ends, and clears nothing that is larger."""
    sender = Sender()
    broker = FussyBroker(sender.outbox, max_bytes=1000)
    for number in range(200):
        for size in (10, 2000 + number, 30):
            sender.put(lane, "topic", bytes(size))
            sender.put("state", "innocent")
            if lane in {"state", "pictures"} or size == 30:  # of these only the newest value counts
                await broker.session()
        sender.clock.now_s += 10
    assert "bytes): held back" in caplog.text
    assert 2 < sum(number > 20 for number in broker.ends) <= 10, "the pauses are 60 s, 120 s, 240 s, ..."
    sizes = [size for topic, size in broker.received if topic == "topic"]
    assert min(sizes.count(10), sizes.count(30)) >= 180


async def test_a_size_limit_is_found_and_what_is_much_smaller_arrives():
    sender, random = Sender(), Random(18)
    broker = FussyBroker(sender.outbox, max_bytes=5000)
    sent = 0
    for _ in range(500):
        size = round(10 ** random.uniform(0, 4.5))
        sender.put("stream", "detections", bytes(size))
        sender.put("state", "innocent")
        await broker.session()
        sent += size < 2500
        sender.clock.now_s += 10
    assert 5 < len(broker.ends) <= 25
    small = [size for topic, size in broker.received if topic == "detections" and size < 2500]
    assert len(small) >= sent - 25


@pytest.mark.parametrize("seed", range(3))
async def test_a_broker_that_is_killed_at_random_blames_no_message(seed):
    """The sizes of a camera's messages differ, and the broker may be killed with any of them in flight."""
    sender, random = Sender(), Random(seed)
    broker = FussyBroker(sender.outbox)
    held_back = 0
    for _ in range(200):
        for n in range(random.randrange(40)):
            sender.put("stream", f"camera{n % 2}/detections", bytes(random.randrange(660, 700)))
            sender.put("durable", f"camera{n % 2}/events", bytes(random.randrange(300, 320)))
        sender.put("state", "camera/status")
        await broker.session(lasts=random.choice([inf, random.randrange(1, 60)]))
        sender.clock.now_s += 1
        held_back += sender.outbox.figures().held_back > 0
    assert len(broker.ends) > 50
    assert not held_back


@pytest.mark.parametrize("seed", range(3))
async def test_each_topic_keeps_its_order_also_while_some_of_its_messages_are_sent_alone(seed):
    sender, random = Sender(), Random(seed)
    broker, number = FussyBroker(sender.outbox), 0
    for _ in range(200):
        for _ in range(random.randrange(40)):
            number += 1
            for lane, topic in (("stream", "camera/detections"), ("durable", "camera/events")):
                sender.put(lane, topic, str(number).encode().rjust(random.randrange(600, 700)))
        await broker.session(lasts=random.choice([inf, random.randrange(1, 60)]))
        sender.clock.now_s += 1
        for topic in ("camera/detections", "camera/events"):
            numbers = [int(payload) for other, payload in broker.payloads if other == topic]
            assert numbers == sorted(set(numbers))
    assert len(broker.ends) > 50


async def test_a_topic_is_found_in_five_sessions_if_the_broker_has_accepted_others_of_about_its_size(caplog):
    sender = Sender()
    broker = FussyBroker(sender.outbox, max_bytes=1000)
    while not sender.outbox.figures().held_back:
        sender.put("stream", "camera/detections", bytes(900))
        sender.put("stream", "camera/detections", bytes(1100))
        sender.put("state", "innocent")
        await broker.session()
        sender.clock.now_s += 1
    assert len(broker.ends) == 5
    assert "because 5 sessions ended over it" in caplog.text


async def test_sizes_that_are_known_only_at_the_sending():
    """As those of detections, which contain their age."""
    sender, random = Sender(), Random(18)
    broker = FussyBroker(sender.outbox, max_bytes=1000)
    for _ in range(300):
        for n in range(5):
            sender.put("stream", f"camera{n % 2}/detections", lambda: bytes(random.randrange(2000)))
        await broker.session()
        sender.clock.now_s += 1
    await FussyBroker(sender.outbox).session()
    await FussyBroker(sender.outbox).session()
    assert sender.outbox.figures().sizes["stream"] == 0
    assert broker.received


async def test_several_such_messages_are_found_one_after_another():
    sender = Sender()
    guilty = [f"guilty/{n}" for n in range(5)]
    for number, topic in enumerate(INNOCENT):
        sender.put("state", topic)
        if number % 6 == 0:
            sender.put("state", guilty[number // 6])
    broker = FussyBroker(sender.outbox, *guilty)
    arrived = {topic for _ in range(3 * len(guilty)) for topic in await broker.session()}
    assert arrived >= set(INNOCENT)
    assert sender.outbox.figures().held_back == 5


async def test_no_message_is_to_blame_if_the_broker_accepts_none():
    sender = Sender()
    for number, topic in enumerate(INNOCENT):
        sender.put(list(LANES)[number % 4], topic)
    for _ in range(20):
        await FussyBroker(sender.outbox, accepts=False).session()
    assert sender.outbox.figures().held_back == 0
    arrived = [topic for _ in range(2) for topic in await FussyBroker(sender.outbox).session()]
    assert set(arrived) >= set(INNOCENT), "nothing is lost"
    assert not sender.metrics.read().dropped


async def test_a_broker_that_goes_away_is_no_reason():
    sender = Sender()
    sender.put("durable", "guilty")
    for _ in range(9):
        await FussyBroker(sender.outbox, "guilty").session(goes_away=True)
    assert await FussyBroker(sender.outbox).session() == ["guilty"]
    assert sender.outbox.figures().held_back == 0


async def test_another_broker_gets_everything_immediately():
    sender = Sender()
    sender.put("state", "guilty")
    for _ in range(4):
        await FussyBroker(sender.outbox, "guilty").session()
    assert sender.outbox.figures().held_back == 1
    sender.outbox.reset_failures()
    assert await FussyBroker(sender.outbox).session() == ["guilty"]


@pytest.mark.parametrize("lane", ["announcements", "state", "pictures", "stream"])
async def test_at_the_end_what_is_held_back_delays_nothing(lane):
    sender = Sender()
    sender.put(lane, "guilty")
    for _ in range(4):
        await FussyBroker(sender.outbox, "guilty").session()
        sender.put(lane, "guilty")
    sender.outbox.drain()
    sender.put(lane, "guilty")
    assert sender.outbox.take() is None
    assert sender.outbox.is_drained
