"""What waits for the broker: lanes behind one face, filled by any thread, emptied by one event loop.

They are taken in this order: **state**, the newest value of each topic; **events**, each of them, in their order;
**pictures**, the newest of each topic, for at most half of the time of the link; **stream**, bounded, the oldest of the
fullest topic dropped first.
"""

import asyncio
import threading
import time
from typing import Protocol

from edgepub.messages import Message
from edgepub.outbox.events import EventLane
from edgepub.outbox.pictures import PictureLane
from edgepub.outbox.state import StateLane
from edgepub.outbox.stream import StreamLane

__all__ = ["Outbox"]

_LINGER_S = 0.005
"""For so long after the outbox was emptied nobody is woken: to be woken by another thread costs more than to publish,
and at high rates several messages then share one wake-up. A camera's next frame comes later anyway."""
_MOST_EVENTS = 10_000


class Lane(Protocol):
    """Messages of one kind, which wait."""

    def put(self, message: Message) -> Message | None:
        """Add a message; return one that is lost for it."""

    def put_back(self, message: Message) -> Message | None:
        """Return a message that was taken and not sent to its place; return it again if there is none any more."""

    def take(self) -> Message | None:
        """Remove and return the next message, if there is one to be sent now."""

    def __len__(self) -> int: ...


class Outbox:
    """The lanes, and the one crossing from threads into the event loop.

    A put never waits and schedules at most one callback: the loop is woken only when it has gone to sleep, so no stall
    of it can pile callbacks up.

    Args:
        stream_size: messages that the stream lane holds.

    """

    def __init__(self, stream_size: int) -> None:
        self._lock = threading.Lock()
        self._state = StateLane()
        self._events = EventLane(_MOST_EVENTS)
        self._pictures = PictureLane()
        self._stream = StreamLane(stream_size)
        self._lanes: dict[str, Lane] = {
            "state": self._state,
            "events": self._events,
            "pictures": self._pictures,
            "stream": self._stream,
        }
        self._awake = asyncio.Event()
        self._sleeper: asyncio.AbstractEventLoop | None = None  # to be woken by the next put
        self._lingering = False
        self._closed = False

    def put(self, message: Message) -> None:
        """Add a message; from any thread, at once."""
        with self._lock:
            lost = self._lanes[message.lane].put(message)
            self._wake()
        if lost is not None:
            lost.count_lost("queue_full")

    def put_back(self, message: Message) -> None:
        """Return a message that was taken and not sent, to its old place."""
        with self._lock:
            lost = self._lanes[message.lane].put_back(message)
            self._wake()
        if lost is not None:
            lost.count_lost("queue_full")

    def sent(self, message: Message, taken_s: float) -> None:
        """Count a message that has left, having been taken at this moment; in the event loop."""
        message.count_sent(taken_s)
        if message.lane == "pictures":
            asyncio.get_running_loop().call_later(time.monotonic() - taken_s, self._let_pictures_go_on)

    async def take(self) -> Message | None:
        """Return the next message, when there is one; None when the outbox is closed and empty."""
        while True:
            with self._lock:
                if self._closed:
                    self._pictures.rested()  # nothing is waited for any more
                message = self._next()
                if message is not None or self._closed:
                    return message
                self._awake.clear()
            if not self._lingering:
                self._lingering = True
                asyncio.get_running_loop().call_later(_LINGER_S, self._listen)
            await self._awake.wait()

    def resend_state(self) -> None:
        """Let every state be sent again, for a broker that may have forgotten it."""
        with self._lock:
            self._state.renew()
            self._pictures.renew()
            self._wake()

    def close(self) -> None:
        """Let `take` come to an end once what is here has been taken; nothing is lost."""
        with self._lock:
            self._closed = True
            self._wake()

    def discard(self, reason: str) -> int:
        """Drop the events and the stream, counted with this reason; return how many messages that were."""
        number = 0
        while True:
            with self._lock:
                message = self._events.take() or self._stream.take()
            if message is None:
                return number
            message.count_lost(reason)
            number += 1

    def age_s(self, topic: str) -> float:
        """Return for how long the oldest message of a topic in the stream lane has been waiting; 0 if there is none."""
        with self._lock:
            oldest = self._stream.oldest(topic)
        return 0.0 if oldest is None or oldest.receipt is None else time.monotonic() - oldest.receipt.queued_s

    def sizes(self) -> dict[str, int]:
        """Return how many messages wait in each lane."""
        with self._lock:
            return {name: len(lane) for name, lane in self._lanes.items()}

    def _next(self) -> Message | None:
        return next((message for lane in self._lanes.values() if (message := lane.take())), None)

    def _let_pictures_go_on(self) -> None:
        with self._lock:
            self._pictures.rested()
            self._wake()

    def _listen(self) -> None:
        """Wake the takers if something has come meanwhile, else let the next put do it."""
        with self._lock:
            self._lingering = False
            if self._closed or any(self._lanes.values()):
                self._awake.set()
            else:
                self._sleeper = asyncio.get_running_loop()

    def _wake(self) -> None:
        sleeper, self._sleeper = self._sleeper, None
        if sleeper is not None:
            sleeper.call_soon_threadsafe(self._awake.set)
