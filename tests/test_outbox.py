"""What waits for the broker: bounded, in order, counted, and never a burden to the threads that fill it."""

import asyncio
import threading
import time

from edgepub import messages
from edgepub import outbox as module
from edgepub.messages import DetectionsReceipt, EventReceipt, Message, state
from edgepub.metrics import CameraMetrics
from edgepub.outbox import Outbox


def stream(text, counts=None, topic="t", queued_s=0.0):
    return Message(topic, text.encode(), receipt=counts and DetectionsReceipt(counts, 0.0, queued_s))


async def taken(outbox, number):
    return [(await asyncio.wait_for(outbox.take(), 30)).encoded().decode() for _ in range(number)]


async def test_the_oldest_goes_first_and_is_counted():
    counts = CameraMetrics()
    outbox = Outbox(3)
    for text in "abcde":
        outbox.put(stream(text, counts))
    assert counts.read().dropped == {"queue_full": 2}
    assert await taken(outbox, 3) == ["c", "d", "e"]


async def test_a_busy_topic_pushes_out_its_own_messages_and_waits_its_turn():
    busy, slow = CameraMetrics(), CameraMetrics()
    outbox = Outbox(4)
    outbox.put(stream("s1", slow, "slow"))
    for n in range(100):
        outbox.put(stream(f"b{n}", busy, "busy"))
    outbox.put(stream("s2", slow, "slow"))
    assert (busy.read().dropped, slow.read().dropped) == ({"queue_full": 98}, {})
    assert await taken(outbox, 4) == ["s1", "b98", "s2", "b99"]


async def test_the_age_of_a_topic_is_that_of_its_oldest_message():
    outbox, counts = Outbox(9), CameraMetrics()
    now_s = time.monotonic()
    assert outbox.age_s("t") == 0
    outbox.put(stream("other", counts, "other", now_s - 1000))
    for ago_s in (30, 20):
        outbox.put(stream("x", counts, "t", now_s - ago_s))
    assert 30 <= outbox.age_s("t") < 1000
    assert outbox.sizes() == {"state": 0, "events": 0, "pictures": 0, "stream": 3}
    await taken(outbox, 3)
    assert outbox.age_s("t") == 0
    assert not any(outbox.sizes().values())


async def test_states_go_before_the_stream_and_only_the_newest_of_each_topic():
    outbox = Outbox(3)
    outbox.put(stream("frame"))
    for topic, value in [("a", "1"), ("b", "1"), ("a", "2")]:
        outbox.put(state(topic, value))
    messages = [await outbox.take() for _ in range(3)]
    assert [(m.topic, m.payload) for m in messages] == [("b", b"1"), ("a", b"2"), ("t", b"frame")]


async def test_every_state_is_sent_again_after_a_reconnect_and_old_values_never():
    outbox = Outbox(3)
    outbox.put(state("a", "1"))
    old = await outbox.take()
    outbox.put(state("b", "1"))
    outbox.put(state("a", "2"))
    outbox.put_back(old)
    assert await taken(outbox, 2) == ["1", "2"]
    outbox.resend_state()
    assert [(m.topic, m.payload) for m in [await outbox.take() for _ in range(2)]] == [("a", b"2"), ("b", b"1")]


async def test_what_was_not_sent_returns_to_its_place_unless_newer_ones_took_it():
    counts = CameraMetrics()
    outbox = Outbox(2)
    outbox.put(stream("a", counts))
    outbox.put(stream("b", counts))
    first = await outbox.take()
    outbox.put_back(first)
    assert await taken(outbox, 1) == ["a"]
    outbox.put(stream("c", counts))
    outbox.put_back(first)
    assert counts.read().dropped == {"queue_full": 1}
    assert await taken(outbox, 2) == ["b", "c"]


def event(text, counts):
    return messages.event("e", text.encode(), EventReceipt(counts, 0.0))


async def test_events_keep_their_order_and_go_between_states_and_the_stream():
    counts = CameraMetrics()
    outbox = Outbox(9)
    outbox.put(stream("frame"))
    for text in "123":
        outbox.put(event(text, counts))
    outbox.put(state("a", "state"))
    assert outbox.sizes() == {"state": 1, "events": 3, "pictures": 0, "stream": 1}
    assert (await outbox.take()).payload == b"state"
    first, second = await outbox.take(), await outbox.take()
    outbox.put_back(second)
    outbox.put_back(first)
    assert await taken(outbox, 4) == ["1", "2", "3", "frame"]


async def test_events_are_let_go_only_when_very_many_wait(monkeypatch):
    monkeypatch.setattr(module, "_MOST_EVENTS", 3)
    counts, lost = CameraMetrics(), CameraMetrics()
    outbox = Outbox(1)
    outbox.put(event("0", lost))
    first = await outbox.take()
    for text in "123":
        outbox.put(event(text, counts))
    outbox.put_back(first)
    assert lost.read().dropped == {"event_queue_full": 1}
    outbox.put(event("4", counts))
    assert counts.read().dropped == {"event_queue_full": 1}
    assert await taken(outbox, 3) == ["2", "3", "4"]
    outbox.put(event("5", counts))
    assert outbox.discard("stopped") == 1
    assert counts.read().dropped == {"event_queue_full": 1, "event_stopped": 1}


async def test_pictures_leave_room_for_everything_else():
    """One at a time; and then the link has as long a rest as the picture took."""
    outbox = Outbox(9)
    for camera in "ab":
        outbox.put(messages.picture(camera, b"old"))
        outbox.put(messages.picture(camera, b"picture"))
    outbox.put(stream("frame"))
    taken_s = time.monotonic()
    first, second = await outbox.take(), await outbox.take()
    assert [(m.topic, m.payload) for m in (first, second)] == [("a", b"picture"), ("t", b"frame")]
    next_one = asyncio.create_task(outbox.take())
    await asyncio.sleep(0.2)
    assert not next_one.done(), "one is under way"
    outbox.sent(first, taken_s)
    sent_s = time.monotonic()
    assert (await asyncio.wait_for(next_one, 30)).topic == "b"
    assert time.monotonic() - sent_s >= 0.9 * (sent_s - taken_s)


async def test_a_picture_that_was_not_sent_is_sent_unless_there_is_a_newer_one():
    outbox = Outbox(9)
    outbox.put(messages.picture("a", b"1"))
    outbox.put_back(await outbox.take())
    first = await outbox.take()
    outbox.put(messages.picture("a", b"2"))
    outbox.put_back(first)
    assert (await outbox.take()).payload == b"2"
    outbox.put(messages.picture("b", b"3"))
    outbox.resend_state()
    outbox.close()
    assert sorted([(await outbox.take()).payload for _ in range(2)]) == [b"2", b"3"], "no rest at the end"
    assert await outbox.take() is None


async def test_a_closed_outbox_gives_what_it_has_and_then_ends():
    outbox = Outbox(3)
    waiting = [asyncio.create_task(outbox.take()) for _ in range(3)]
    await asyncio.sleep(0)
    outbox.put(stream("a"))
    outbox.close()
    assert sorted(m.payload if m else b"" for m in await asyncio.wait_for(asyncio.gather(*waiting), 30)) == [
        b"",
        b"",
        b"a",
    ]


async def test_what_is_discarded_is_counted():
    counts = CameraMetrics()
    outbox = Outbox(9)
    outbox.put(state("a", "1"))
    for text in "abc":
        outbox.put(stream(text, counts))
    assert outbox.discard("stopped") == 3
    assert counts.read().dropped == {"stopped": 3}
    assert counts.dropped_total == 3


async def test_nothing_is_lost_or_turned_round_between_threads():
    outbox = Outbox(100_000)
    threads = [
        threading.Thread(target=lambda n=n: [outbox.put(stream(f"{n} {i}")) for i in range(5000)]) for n in range(3)
    ]
    for thread in threads:
        thread.start()
    got = [text.split() for text in await taken(outbox, 15_000)]
    for thread in threads:
        thread.join()
    for n in range(3):
        assert [int(i) for m, i in got if int(m) == n] == list(range(5000))


async def test_a_stalled_event_loop_piles_up_no_callbacks(monkeypatch):
    """The trap: one `call_soon_threadsafe` a message escapes every bound while the loop stands still."""
    outbox = Outbox(10)
    loop = asyncio.get_running_loop()
    crossings = []
    monkeypatch.setattr(loop, "call_soon_threadsafe", crossings.append)
    taker = asyncio.create_task(outbox.take())
    await asyncio.sleep(0.1)  # it has gone to sleep
    producer = threading.Thread(target=lambda: [outbox.put(stream(str(n))) for n in range(50_000)])
    producer.start()
    producer.join()  # the loop stands still meanwhile
    assert len(crossings) == 1
    crossings[0]()
    assert (await asyncio.wait_for(taker, 30)).payload == b"49990"
