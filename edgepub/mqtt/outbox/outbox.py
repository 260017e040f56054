"""Messages that wait for the broker, in lanes, and those in flight; filled by any thread, emptied by one event loop.

The lanes, first to last:

- **announcements**: what exists or no longer exists, for Home Assistant; one at a time.
- **state**: the newest value of each topic.
- **durable**: each message in its order, and on disk before it leaves. After three of them, one of another lane goes.
- **pictures**: the newest of each topic, one at a time and for at most half of the link's time.
- **stream**: bounded; the oldest message of the fullest topic is dropped first.
"""

import asyncio
import threading
import time
from collections.abc import Callable
from typing import Protocol

from edgepub.core.errors import MessageRejectedError
from edgepub.mqtt.messages import Message
from edgepub.mqtt.outbox.durable import DurableLane
from edgepub.mqtt.outbox.in_flight import InFlight
from edgepub.mqtt.outbox.retained_lanes import RetainedLanes
from edgepub.mqtt.outbox.single import SingleLane
from edgepub.mqtt.outbox.state import Ledger
from edgepub.mqtt.outbox.stream import StreamLane
from edgepub.mqtt.outbox.wakeup import Wakeup

_MAX_DURABLE_IN_TURN = 3
"""Durable messages before one of another lane."""
_DISK_POLL_S = 1.0
_SINGLE_LANES = {"announcements", "pictures"}


class Lane(Protocol):
    """Messages of one kind that wait. A lane is true if it has a message that can be taken now."""

    def put_back(self, message: Message) -> Message | None:
        """Put back a message that was taken and not sent; return it if it is dropped instead."""

    def take(self) -> Message | None:
        """Remove and return the next message, if there is one to be sent now."""

    def done(self, message: Message) -> None:
        """Forget a message that was taken: it will not be put back."""

    def __len__(self) -> int: ...

    def __bool__(self) -> bool: ...


class Outbox:
    """The lanes, and the messages in flight: from `take` to `done` or `put_back`.

    A put never waits.

    Args:
        stream_size: messages that the stream lane holds.
        durable: the durable lane; None: one in memory.
        ledger: remembers which topics are retained.
        disk_poll_s: how often to check whether messages have waited long enough for a disk that hangs.
        clock: the time of which only differences matter, in seconds.

    """

    def __init__(
        self,
        stream_size: int,
        durable: DurableLane | None = None,
        ledger: Ledger | None = None,
        disk_poll_s: float = _DISK_POLL_S,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._lock = threading.Lock()
        self._clock = clock
        self._retained = RetainedLanes(ledger, clock)
        self._durable = DurableLane() if durable is None else durable
        self._stream = StreamLane(stream_size)
        self._lanes: dict[str, Lane] = {
            "announcements": self._retained.announcements,
            "state": self._retained.state,
            "durable": self._durable,
            "pictures": self._retained.pictures,
            "stream": self._stream,
        }
        self._ledger = ledger
        self._in_flight = InFlight(clock)
        self._durable_in_turn = 0
        self._is_draining = False
        # It polls: nothing calls `notify` when messages have waited long enough for a disk that hangs.
        self._wakeup = Wakeup(self._lock, self._is_ready, self._is_waiting, disk_poll_s)

    def open(self) -> None:
        """Open the file of the durable lane; what waits there can be taken."""
        self._durable.open(self._notify)
        if self._ledger:
            self._ledger.set_on_saved(self._release)

    def put(self, message: Message) -> None:
        """Add a message of any lane but the durable; from any thread, without waiting."""
        lost = None
        with self._lock:
            if message.lane == "stream":
                lost = self._stream.put(message)
            else:
                self._retained.put(message)
            self._wakeup.notify()
        if lost is not None:
            lost.count_dropped("queue_full")

    def put_numbered(self, topic: str, make: Callable[[int], Message]) -> None:
        """Add the durable message that `make` returns for its topic's next number; from any thread, without waiting.

        Each topic counts its messages from 1, across restarts. No two messages have the same number.
        """
        self._durable.put(topic, make)
        self._notify()

    def take(self) -> Message | None:
        """Remove and return the next message, if there is one to be sent now; in the event loop.

        It is in flight then.
        """
        with self._lock:
            if self._is_draining:
                self._retained.release_all()
            message = self._take_next()
        if message is not None:
            self._in_flight.add(message)
        return message

    def done(self, message: Message, error: MessageRejectedError | None = None) -> None:
        """Count a message that was in flight as sent, or as dropped if the broker does not take it; in the event loop.

        A message that is not in flight is ignored.
        """
        taken_s = self._in_flight.remove(message)
        if taken_s is None:
            return
        if error is None:
            message.count_sent(taken_s)
        else:
            message.count_dropped(error.reason)
        lane = self._lanes[message.lane]
        with self._lock:
            lane.done(message)
            if lane:
                self._wakeup.wake()
            if error is None and message.retain and not message.payload:  # a refused clear is tried at the next start
                self._retained.forget(message.topic)
        if isinstance(lane, SingleLane):
            asyncio.get_running_loop().call_later(self._clock() - taken_s, self._end_pause, lane)

    def put_back(self, message: Message) -> None:
        """Put back a message in flight that was not sent; in the event loop."""
        lane = self._lanes[message.lane]
        with self._lock:
            if isinstance(lane, SingleLane) and self._in_flight.first(_SINGLE_LANES) is message:
                lane.add_failure(message.topic)  # the session ended over it
            self._in_flight.remove(message)
            dropped = lane.put_back(message)
            self._wakeup.notify()
        if dropped is not None:
            dropped.count_dropped("queue_full" if dropped.lane == "stream" else "given_up")

    def put_back_all(self) -> None:
        """Put back all messages in flight, the last taken first; in the event loop."""
        while message := self._in_flight.last():
            self.put_back(message)

    @property
    def in_flight(self) -> int:
        """How many messages are in flight."""
        return len(self._in_flight.entries)

    async def wait(self) -> None:
        """Wait until there may be something to take, after `take` had nothing."""
        await self._wakeup.wait()

    @property
    def is_drained(self) -> bool:
        """Whether `drain` was called and every message has been taken."""
        with self._lock:
            return self._is_draining and not self._is_waiting()

    @property
    def has_work(self) -> bool:
        """Whether a message can be taken now."""
        with self._lock:
            return any(self._lanes.values())

    def resend(self, *lanes: str) -> None:
        """Send again all that these lanes of retained messages have sent, in the old order; all of them by default.

        For a broker or a subscriber that may have lost it.
        """
        with self._lock:
            self._retained.resend(*lanes)
            self._wakeup.notify()

    def reset_failures(self) -> None:
        """Forget which messages were refused: from now on it is another broker."""
        with self._lock:
            self._retained.reset_failures()
            self._wakeup.notify()

    def drain(self) -> None:
        """From now on wait for no pause and no disk; `is_drained` becomes true when every message has been taken."""
        with self._lock:
            self._is_draining = True
            self._wakeup.notify()

    def stop(self, timeout_s: float) -> tuple[int, int]:
        """Drop the stream lane, and close the file of the durable lane within `timeout_s` seconds.

        Returns:
            How many messages were lost, and how many wait in the file for the next start.

        """
        with self._lock:
            dropped = self._stream.discard()
        for message in dropped:
            message.count_dropped("stopped")
        lost, kept = self._durable.close(timeout_s)
        return len(dropped) + lost, kept

    def age_s(self, topic: str) -> float:
        """Return how many seconds the oldest message of a topic in the stream lane has waited; 0 if there is none."""
        with self._lock:
            oldest = self._stream.oldest(topic)
        return 0.0 if oldest is None or oldest.receipt is None else time.monotonic() - oldest.receipt.queued_s

    def sizes(self) -> dict[str, int]:
        """Return how many messages wait in each lane."""
        with self._lock:
            return {name: len(lane) for name, lane in self._lanes.items()}

    def _release(self) -> None:
        """Release the states whose topics are in the ledger on disk by now."""
        with self._lock:
            self._retained.release_saved()
            self._wakeup.notify()

    def _take_next(self) -> Message | None:
        if message := self._retained.announcements.take() or self._retained.state.take():
            return message
        if self._durable_in_turn < _MAX_DURABLE_IN_TURN and (message := self._durable.take()):
            self._durable_in_turn += 1
            return message
        self._durable_in_turn = 0
        return self._retained.pictures.take() or self._stream.take() or self._durable.take()

    def _end_pause(self, lane: SingleLane) -> None:
        with self._lock:
            lane.end_pause()
            self._wakeup.wake()

    def _is_ready(self) -> bool:
        return self._is_draining or any(self._lanes.values())

    def _is_waiting(self) -> bool:
        return any(map(len, self._lanes.values()))

    def _notify(self) -> None:
        with self._lock:
            self._wakeup.notify()
