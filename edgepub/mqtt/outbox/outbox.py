"""What waits for the broker: lanes behind one face, filled by any thread, emptied by one event loop.

**announcements**, what others are told that there is and is no more, go first, one at a time; **state**, the newest
value of each topic; then **durable**, each message in its order and on the disk before it goes, but of four messages
one of the stream if there is one; **pictures**, the newest of each topic, one at a time and for at most half of the
time of the link; **stream**, bounded, the oldest of the fullest topic dropped first.
"""

import asyncio
import threading
import time
from collections.abc import Callable
from typing import Protocol

from edgepub.mqtt.messages import Message
from edgepub.mqtt.outbox.durable import DurableLane
from edgepub.mqtt.outbox.single import AnnouncementLane, SingleLane
from edgepub.mqtt.outbox.state import Ledger, StateLane
from edgepub.mqtt.outbox.stream import StreamLane

__all__ = ["Outbox"]

_LINGER_S = 0.005
"""For so long after the outbox was emptied nobody is woken: to be woken by another thread costs more than to publish,
and at high rates several messages then share one wake-up. A camera's next frame comes later anyway."""
_DURABLE_IN_TURN = 3
"""So many durable messages go before one of the stream."""
_LOOK_S = 1.0
"""How often it is looked whether messages wait for a disk that hangs."""


class Lane(Protocol):
    """Messages of one kind, which wait. One that is true has a message that can be taken now."""

    def put_back(self, message: Message) -> Message | None:
        """Return a message that was taken and not sent to its place; return it again if there is none any more."""

    def take(self) -> Message | None:
        """Remove and return the next message, if there is one to be sent now."""

    def done(self, message: Message) -> None:
        """Take note that a message which was taken will not come back."""

    def __len__(self) -> int: ...

    def __bool__(self) -> bool: ...


class Outbox:
    """The lanes, and the one crossing from threads into the event loop.

    A put never waits and schedules at most one callback: the loop is woken only when it has gone to sleep, so no stall
    of it can pile callbacks up.

    Args:
        stream_size: messages that the stream lane holds.
        durable: the durable lane; None: one in memory.
        ledger: is told where something is retained.

    """

    def __init__(self, stream_size: int, durable: DurableLane | None = None, ledger: Ledger | None = None) -> None:
        self._lock = threading.Lock()
        singles: list[Message] = []
        self._announcements = AnnouncementLane(singles, ledger)
        self._state = StateLane(ledger)
        self._durable = DurableLane() if durable is None else durable
        self._pictures = SingleLane(singles, ledger)
        self._stream = StreamLane(stream_size)
        self._lanes: dict[str, Lane] = {
            "announcements": self._announcements,
            "state": self._state,
            "durable": self._durable,
            "pictures": self._pictures,
            "stream": self._stream,
        }
        self._retained: dict[str, StateLane] = {
            name: lane for name, lane in self._lanes.items() if isinstance(lane, StateLane)
        }
        self._ledger = ledger
        self._look: asyncio.TimerHandle | None = None
        self._durable_in_turn = 0
        self._awake = asyncio.Event()
        self._sleeper: asyncio.AbstractEventLoop | None = None  # to be woken by the next put
        self._lingering = False
        self._closed = False

    def open(self) -> None:
        """Open the file of the durable lane, and let what waits there be taken."""
        self._durable.open(self._wake_from_outside)
        if self._ledger:
            self._ledger.set_on_saved(self._release)

    def put(self, message: Message) -> None:
        """Add a message of any lane but the durable; from any thread, at once."""
        lost = None
        with self._lock:
            if message.lane == "stream":
                lost = self._stream.put(message)
            else:
                self._put_retained(message)
            self._wake()
        if lost is not None:
            lost.count_dropped("queue_full")

    def put_numbered(self, topic: str, make: Callable[[int], Message]) -> None:
        """Add the durable message that is made of its topic's next number; from any thread, at once.

        The numbers of a topic count from 1, over restarts, and each is that of one message.
        """
        self._durable.put(topic, make)
        self._wake_from_outside()

    def put_back(self, message: Message) -> None:
        """Return a message that was taken and not sent, to its old place."""
        with self._lock:
            lost = self._lanes[message.lane].put_back(message)
            self._wake()
        if lost is not None:
            lost.count_dropped("queue_full" if lost.lane == "stream" else "given_up")

    def sent(self, message: Message, taken_s: float) -> None:
        """Count a message that has left, having been taken at this moment; in the event loop."""
        message.count_sent(taken_s)
        self._over(message, taken_s)
        if self._ledger and message.retain and not message.payload:  # one that is refused is tried at the next start
            with self._lock:
                if not any(message.topic in lane for lane in self._retained.values()):
                    self._ledger.remove_retained(message.topic)

    def refused(self, message: Message, taken_s: float, reason: str) -> None:
        """Count a message that was taken and that the broker never will; in the event loop."""
        message.count_dropped(reason)
        self._over(message, taken_s)

    def take(self) -> Message | None:
        """Remove and return the next message, if there is one to be sent now; in the event loop."""
        with self._lock:
            if self._closed:  # nothing is waited for any more
                for single in (self._announcements, self._pictures):
                    single.end_pause()
                for lane in self._retained.values():
                    lane.release_all()
            return self._next()

    async def wait(self) -> None:
        """Wait until there may be something to take, after `take` had nothing."""
        with self._lock:
            self._awake.clear()
        if not self._lingering:
            self._lingering = True
            asyncio.get_running_loop().call_later(_LINGER_S, self._listen)
        await self._awake.wait()

    @property
    def is_drained(self) -> bool:
        """Whether it is closed and empty."""
        with self._lock:
            return self._closed and not any(map(len, self._lanes.values()))

    @property
    def has_work(self) -> bool:
        """Whether there is something to be taken now."""
        with self._lock:
            return any(self._lanes.values())

    def resend(self, *lanes: str) -> None:
        """Let all that these lanes of retained messages have sent be sent again; all of them, if none is named.

        For whoever may have forgotten it; in the order of their first time.
        """
        with self._lock:
            for name in lanes or self._retained:
                self._retained[name].resend()
            self._wake()

    def reset_failures(self) -> None:
        """Forget what was not wanted: it is another broker that is asked from now on."""
        with self._lock:
            for single in (self._announcements, self._pictures):
                single.reset_failures()
            self._wake()

    def drain(self) -> None:
        """Let it be over once what is here has been taken; nothing is lost."""
        with self._lock:
            self._closed = True
            self._wake()

    def stop(self, grace_s: float) -> tuple[int, int]:
        """Drop the stream, and close the file of the durable lane within so many seconds.

        Returns:
            How many messages were lost, and how many wait in the file for the next start.

        """
        with self._lock:
            lost = self._stream.discard()
        for message in lost:
            message.count_dropped("stopped")
        lost_durable, kept = self._durable.close(grace_s)
        return len(lost) + lost_durable, kept

    def age_s(self, topic: str) -> float:
        """Return for how long the oldest message of a topic in the stream lane has been waiting; 0 if there is none."""
        with self._lock:
            oldest = self._stream.oldest(topic)
        return 0.0 if oldest is None or oldest.receipt is None else time.monotonic() - oldest.receipt.queued_s

    def sizes(self) -> dict[str, int]:
        """Return how many messages wait in each lane."""
        with self._lock:
            return {name: len(lane) for name, lane in self._lanes.items()}

    def _put_retained(self, message: Message) -> None:
        """Add a value, and let no other lane send an older one of its topic, which might be later."""
        for name, lane in self._retained.items():
            if name == message.lane:
                lane.put(message)
            else:
                lane.remove(message.topic)

    def _release(self) -> None:
        """Let states be taken of which it is on the disk by now that their topics are retained."""
        with self._lock:
            for lane in self._retained.values():
                lane.release_saved()
            self._wake()

    def _next(self) -> Message | None:
        if message := self._announcements.take() or self._state.take():
            return message
        if self._durable_in_turn < _DURABLE_IN_TURN and (message := self._durable.take()):
            self._durable_in_turn += 1
            return message
        self._durable_in_turn = 0
        return self._pictures.take() or self._stream.take() or self._durable.take()

    def _over(self, message: Message, taken_s: float) -> None:
        lane = self._lanes[message.lane]
        with self._lock:
            lane.done(message)
            if lane:
                self._awake.set()
        if isinstance(lane, SingleLane):
            asyncio.get_running_loop().call_later(time.monotonic() - taken_s, self._go_on, lane)

    def _go_on(self, lane: SingleLane) -> None:
        with self._lock:
            lane.end_pause()
            self._awake.set()

    def _listen(self) -> None:
        """Wake the taker if something has come meanwhile, else let the next put do it."""
        with self._lock:
            self._lingering = False
            if self._closed or any(self._lanes.values()):
                self._awake.set()
            else:
                self._sleeper = loop = asyncio.get_running_loop()
                if self._look is None and any(map(len, self._lanes.values())):
                    self._look = loop.call_later(_LOOK_S, self._look_again)

    def _look_again(self) -> None:
        """Let nothing wait for a disk that hangs, about which nobody calls."""
        self._look = None
        self._listen()

    def _wake_from_outside(self) -> None:
        with self._lock:
            self._wake()

    def _wake(self) -> None:
        sleeper, self._sleeper = self._sleeper, None
        if sleeper is not None:
            sleeper.call_soon_threadsafe(self._awake.set)
