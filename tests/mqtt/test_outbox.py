"""The outbox: bounded, in order, counted, and never slow for the threads that fill it."""

import asyncio
import threading
import time
from types import SimpleNamespace

import pytest

from edgepub.core.errors import MessageRejectedError
from edgepub.mqtt import messages
from edgepub.mqtt.messages import DetectionsReceipt, EventReceipt, Message, state_message
from edgepub.mqtt.outbox.durable import DurableLane
from edgepub.mqtt.outbox.outbox import Outbox
from edgepub.mqtt.outbox.picture_wait import MAX_WAIT_S
from edgepub.telemetry.metrics import CameraMetrics
from tests.support.waiting import take


def stream(text, counts=None, topic="t", queued_s=0.0):
    return Message(topic, text.encode(), receipt=counts and DetectionsReceipt(counts, 0.0, queued_s))


async def send(outbox, number):
    texts = []
    for _ in range(number):
        message = await take(outbox)
        texts.append(message.encoded().decode())
        outbox.done(message)
    return texts


async def test_the_oldest_goes_first_and_is_counted():
    counts = CameraMetrics()
    outbox = Outbox(3)
    for text in "abcde":
        outbox.put(stream(text, counts))
    assert counts.read().dropped == {"queue_full": 2}
    assert await send(outbox, 3) == ["c", "d", "e"]


async def test_a_busy_topic_pushes_out_its_own_messages_and_waits_its_turn():
    busy, slow = CameraMetrics(), CameraMetrics()
    outbox = Outbox(4)
    outbox.put(stream("s1", slow, "slow"))
    for n in range(100):
        outbox.put(stream(f"b{n}", busy, "busy"))
    outbox.put(stream("s2", slow, "slow"))
    assert (busy.read().dropped, slow.read().dropped) == ({"queue_full": 98}, {})
    assert await send(outbox, 4) == ["s1", "b98", "s2", "b99"]


async def test_the_age_of_a_topic_is_that_of_its_oldest_message():
    outbox, counts = Outbox(9), CameraMetrics()
    now_s = time.monotonic()
    assert outbox.age_s("t") == 0
    outbox.put(stream("other", counts, "other", now_s - 1000))
    for ago_s in (30, 20):
        outbox.put(stream("x", counts, "t", now_s - ago_s))
    assert 30 <= outbox.age_s("t") < 1000
    assert outbox.figures().sizes == {"announcements": 0, "state": 0, "durable": 0, "pictures": 0, "stream": 3}
    await send(outbox, 3)
    assert outbox.age_s("t") == 0
    assert not any(outbox.figures().sizes.values())


async def test_states_go_before_the_stream_and_only_the_newest_of_each_topic():
    outbox = Outbox(3)
    outbox.put(stream("frame"))
    for topic, value in [("a", "1"), ("b", "1"), ("a", "2")]:
        outbox.put(state_message(topic, value))
    messages = [await take(outbox) for _ in range(3)]
    assert [(m.topic, m.payload) for m in messages] == [("b", b"1"), ("a", b"2"), ("t", b"frame")]


async def test_every_state_is_sent_again_after_a_reconnect_and_old_values_never():
    outbox = Outbox(3)
    outbox.put(state_message("a", "1"))
    old = await take(outbox)
    outbox.put(state_message("b", "1"))
    outbox.put(state_message("a", "2"))
    outbox.put_back(old)
    assert await send(outbox, 2) == ["1", "2"]
    outbox.resend()
    assert [(m.topic, m.payload) for m in [await take(outbox) for _ in range(2)]] == [("a", b"2"), ("b", b"1")]


async def test_messages_put_back_return_to_their_place_unless_newer_ones_fill_it():
    counts = CameraMetrics()
    outbox = Outbox(2)
    outbox.put(stream("a", counts))
    outbox.put(stream("b", counts))
    first = await take(outbox)
    outbox.put_back(first)
    assert await send(outbox, 1) == ["a"]
    outbox.put(stream("c", counts))
    outbox.put_back(first)
    assert counts.read().dropped == {"queue_full": 1}
    assert await send(outbox, 2) == ["b", "c"]


def with_events(counts, size=9, **limits):
    receipt = EventReceipt(SimpleNamespace(of=lambda _: counts), "cam")
    return Outbox(size, DurableLane(receipt_of=lambda _: receipt, **limits))


def put_event(outbox, text):
    outbox.put_numbered([("e", lambda seq: messages.event_message("e", f"{text}{seq}".encode(), messages.TEXT))])


async def test_events_are_numbered_and_keep_their_order_and_go_between_states_and_the_stream():
    outbox = with_events(CameraMetrics())
    outbox.put(stream("frame"))
    for text in "abc":
        put_event(outbox, text)
    outbox.put(state_message("a", "state"))
    assert outbox.figures().sizes == {"announcements": 0, "state": 1, "durable": 3, "pictures": 0, "stream": 1}
    assert (await take(outbox)).payload == b"state"
    first, second = await take(outbox), await take(outbox)
    outbox.put_back(second)
    outbox.put_back(first)
    assert [text for text in await send(outbox, 4) if text != "frame"] == ["a1", "b2", "c3"]


async def test_many_events_do_not_starve_the_stream():
    outbox = with_events(CameraMetrics())
    for n in range(8):
        put_event(outbox, "e")
        outbox.put(stream(f"frame{n}"))
    order = await send(outbox, 16)
    assert order.index("frame1") < order.index("e8")
    assert [text for text in order if text.startswith("e")] == [f"e{n}" for n in range(1, 9)]


async def test_events_are_dropped_only_when_too_many_wait():
    counts = CameraMetrics()
    outbox = with_events(counts, max_messages=3)
    for text in "abcd":
        put_event(outbox, text)
    assert counts.read().dropped == {"event_queue_full": 1}
    assert await send(outbox, 3) == ["b2", "c3", "d4"]
    assert counts.read().events == 3
    put_event(outbox, "e")
    assert outbox.stop(5) == (1, 0), "in memory alone it is lost"
    assert counts.read().dropped == {"event_queue_full": 1, "event_stopped": 1}


async def test_messages_that_the_broker_rejects_are_dropped_and_counted():
    counts = CameraMetrics()
    outbox = with_events(counts)
    outbox.put(stream("frame", counts))
    put_event(outbox, "a")
    outbox.put(messages.picture_message("p", b"jpeg", messages.PictureReceipt(counts)))
    for _ in range(3):
        outbox.done(await take(outbox), MessageRejectedError("no", "too_large"))
    assert counts.read().dropped == {"too_large": 1, "event_too_large": 1, "snapshot_too_large": 1}
    assert not any(outbox.figures().sizes.values())


async def test_few_stream_messages_are_in_flight_because_they_would_be_old_on_a_slow_link():
    outbox = Outbox(100)
    for n in range(20):
        outbox.put(stream(str(n)))
    in_flight = [outbox.take() for _ in range(16)]
    assert outbox.take() is None
    outbox.put(state_message("a", "state"))
    assert outbox.take().payload == b"state"
    waiting = asyncio.create_task(take(outbox))
    await asyncio.sleep(0)
    outbox.done(in_flight[0])
    assert (await asyncio.wait_for(waiting, 30)).payload == b"16"


class Ledger:
    def __init__(self):
        self.topics = set()
        self.works = True

    def add_retained(self, topic):
        self.topics.add(topic)
        return self.works

    def set_on_saved(self, on_saved):
        self.on_saved = on_saved

    def remove_retained(self, topic):
        self.topics.remove(topic)


async def test_retained_topics_are_in_the_ledger_until_they_are_cleared():
    ledger = Ledger()
    outbox = Outbox(9, ledger=ledger)
    outbox.put(stream("frame"))
    outbox.put(state_message("a", "1"))
    outbox.put(messages.picture_message("p", b"jpeg"))
    assert ledger.topics == {"a", "p"}
    outbox.put(state_message("a", b""))
    clearing = await take(outbox)
    assert ledger.topics == {"a", "p"}, "it may not arrive"
    outbox.put_back(clearing)
    outbox.done(await take(outbox), MessageRejectedError("no", "refused"))
    assert ledger.topics == {"a", "p"}, "it is still there"
    outbox.put(state_message("a", b""))
    outbox.done(await take(outbox))
    assert ledger.topics == {"p"}
    outbox.resend()
    assert [m.topic for m in [await take(outbox), await take(outbox)]] == ["p", "t"], (
        "cleared once, not in each session"
    )


async def test_a_state_waits_until_its_topic_is_on_disk():
    """Otherwise a kill at the wrong moment would leave a topic that no later start clears."""
    ledger = Ledger()
    outbox = Outbox(9, ledger=ledger)
    outbox.open()
    outbox.put(state_message("known", "1"))
    ledger.works = False
    outbox.put(state_message("new", "1"))
    outbox.put(state_message("new", "2"))
    assert (await take(outbox)).topic == "known"
    assert outbox.take() is None
    ledger.works = True
    outbox.put(state_message("new", "3"))
    assert outbox.take() is None, "the ledger has not reported it"
    ledger.on_saved()
    assert (await take(outbox)).payload == b"3"
    assert outbox.take() is None


async def test_a_disk_that_hangs_does_not_hold_states_back():
    ledger = Ledger()
    ledger.works = False
    outbox = Outbox(9, ledger=ledger, disk_poll_s=0.05)
    outbox.put(state_message("new", "1"))
    outbox.put(messages.picture_message("picture", b"jpeg"))
    assert {(await take(outbox)).topic for _ in range(2)} == {"new", "picture"}


async def test_pictures_leave_room_for_everything_else():
    """One picture is sent at a time; then comes a pause as long as its sending took."""
    now_s = 0.0
    outbox = Outbox(9, clock=lambda: now_s)
    for camera in "ab":
        outbox.put(messages.picture_message(camera, b"old"))
        outbox.put(messages.picture_message(camera, b"picture"))
    outbox.put(stream("frame"))
    first, second = await take(outbox), await take(outbox)
    assert [(m.topic, m.payload) for m in (first, second)] == [("a", b"picture"), ("t", b"frame")]
    assert outbox.take() is None, "one is in flight"
    now_s = 0.2
    sent_s = time.monotonic()
    outbox.done(first)
    assert (await take(outbox)).topic == "b"
    assert time.monotonic() - sent_s >= 0.19


async def test_a_picture_that_was_not_sent_is_sent_unless_there_is_a_newer_one():
    outbox = Outbox(9)
    outbox.put(messages.picture_message("a", b"1"))
    outbox.put_back(await take(outbox))
    first = await take(outbox)
    outbox.put(messages.picture_message("a", b"2"))
    outbox.put_back(first)
    assert (await take(outbox)).payload == b"2"
    outbox.put(messages.picture_message("b", b"3"))
    outbox.resend()
    outbox.drain()
    assert sorted([(await take(outbox)).payload for _ in range(2)]) == [b"2", b"3"], "no pause at the end"
    assert await take(outbox) is None


async def test_a_clear_in_flight_during_a_resend_is_sent_once():
    outbox = Outbox(9)
    outbox.put(messages.announcement_message("gone", b""))
    clearing = await take(outbox)
    outbox.resend("announcements")
    outbox.done(clearing)
    assert not any(outbox.figures().sizes.values())
    outbox.drain()
    assert outbox.take() is None


async def test_a_draining_outbox_sends_what_it_has_and_then_ends():
    outbox = Outbox(3)
    waiting = asyncio.create_task(take(outbox))
    await asyncio.sleep(0)
    outbox.put(stream("a"))
    outbox.drain()
    assert (await asyncio.wait_for(waiting, 30)).payload == b"a"
    assert outbox.is_drained
    assert await take(outbox) is None


async def test_messages_discarded_at_the_end_are_counted():
    counts = CameraMetrics()
    outbox = Outbox(9)
    outbox.put(state_message("a", "1"))
    for text in "abc":
        outbox.put(stream(text, counts))
    assert outbox.stop(5) == (3, 0)
    assert counts.read().dropped == {"stopped": 3}
    assert counts.dropped_total == 3


async def test_nothing_is_lost_or_reordered_between_threads():
    outbox = Outbox(100_000)
    threads = [
        threading.Thread(target=lambda n=n: [outbox.put(stream(f"{n} {i}")) for i in range(5000)]) for n in range(3)
    ]
    for thread in threads:
        thread.start()
    received = [text.split() for text in await send(outbox, 15_000)]
    for thread in threads:
        thread.join()
    for n in range(3):
        assert [int(i) for m, i in received if int(m) == n] == list(range(5000))


async def test_a_stalled_event_loop_piles_up_no_callbacks(monkeypatch):
    """One `call_soon_threadsafe` per message would escape every bound while the loop is stalled."""
    outbox = Outbox(10)
    loop = asyncio.get_running_loop()
    crossings = []
    monkeypatch.setattr(loop, "call_soon_threadsafe", crossings.append)
    taker = asyncio.create_task(take(outbox))
    await asyncio.sleep(0.1)  # far longer than it lingers before it sleeps; nothing shows from outside that it does
    producer = threading.Thread(target=lambda: [outbox.put(stream(str(n))) for n in range(50_000)])
    producer.start()
    producer.join()  # the loop is stalled meanwhile
    assert len(crossings) == 1
    crossings[0]()
    assert (await asyncio.wait_for(taker, 30)).payload == b"49990"


def picture(topic, created_s, text="picture"):
    return messages.picture_message(topic, text.encode(), created_s=created_s)


def put_event_with_picture(outbox, text, topic, created_s):
    def make(seq):
        return messages.event_message("e", f"{text}{seq}".encode(), messages.TEXT, (topic, created_s))

    outbox.put_numbered([("e", make)])


async def test_an_event_waits_for_its_picture_and_the_next_events_for_it():
    outbox = with_events(CameraMetrics())
    put_event_with_picture(outbox, "a", "p", 7.0)
    put_event(outbox, "b")
    outbox.put(stream("frame"))
    assert await send(outbox, 1) == ["frame"], "detections do not wait"
    assert not outbox.has_work
    outbox.put(picture("p", 7.0))
    sent = await take(outbox)
    assert sent.topic == "p"
    assert outbox.take() is None, "until the broker has it"
    outbox.done(sent)
    assert await send(outbox, 2) == ["a1", "b2"]
    put_event_with_picture(outbox, "c", "p", 7.0)
    assert outbox.take().payload == b"c3", "the broker has it"


@pytest.mark.parametrize("end", ["refused", "newer", "cleared", "held back"])
async def test_an_event_does_not_wait_for_a_picture_that_will_not_come(end):
    outbox = with_events(CameraMetrics())
    if end == "held back":
        for _ in range(3):
            outbox.start_session(9, state_message("first", "1"))
            outbox.put(picture("p", 5.0))
            while message := outbox.take():
                if message.topic != "p":
                    outbox.done(message)
            outbox.end_session(is_over_message=True)
        assert outbox.start_session(9, state_message("first", "1"))
        while message := outbox.take():
            outbox.done(message)
    put_event_with_picture(outbox, "a", "p", 7.0)
    if end == "held back":
        outbox.put(picture("p", 7.0))
    elif end == "refused":
        outbox.put(picture("p", 7.0))
        outbox.done(await take(outbox), MessageRejectedError("too large", "refused"))
    else:
        outbox.put(picture("p", 8.0, "" if end == "cleared" else "of another visit"))
        outbox.done(await take(outbox))
    assert outbox.take().payload == b"a1"


@pytest.mark.parametrize("comes", [None, "older", "lost"])
async def test_an_event_goes_without_its_picture_after_half_a_second(comes):
    outbox = with_events(CameraMetrics())
    if comes is not None:
        outbox.put(picture("p", 6.0 if comes == "older" else 7.0))
        outbox.done(await take(outbox))
    if comes == "lost":  # by the broker, and on its way again
        outbox.resend()
        await take(outbox)
    began_s = time.monotonic()
    put_event_with_picture(outbox, "a", "p", 7.0)
    assert await send(outbox, 1) == ["a1"]
    assert time.monotonic() - began_s >= MAX_WAIT_S


async def test_events_that_have_waited_do_not_wait_for_pictures_too():
    clock = SimpleNamespace(monotonic=lambda: clock.now_s, now_s=1000.0)
    outbox = with_events(CameraMetrics(), clock=clock)
    for text in "abc":
        put_event_with_picture(outbox, text, "p", clock.now_s)
    assert outbox.take() is None
    clock.now_s += MAX_WAIT_S
    assert [outbox.take().payload for _ in "abc"] == [b"a1", b"b2", b"c3"]


async def test_what_takes_a_picture_away_waits_for_no_other_picture():
    outbox = Outbox(9)
    for name in "abc":
        outbox.put(picture(name, 1.0))
    on_its_way = await take(outbox)
    assert outbox.take() is None, "one at a time"
    for name in "ac":
        outbox.put(picture(name, 2.0, ""))
    cleared = [outbox.take(), outbox.take()]
    assert {(message.topic, message.payload) for message in cleared} == {("a", b""), ("c", b"")}
    for message in cleared:
        outbox.done(message)
    assert outbox.take() is None, "the first one is on its way"
    outbox.done(on_its_way)
    assert [await take(outbox)] == [picture("b", 1.0)]
