"""Messages that wait for the broker, in lanes, and those in flight; filled by any thread, emptied by one event loop."""

import asyncio
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from math import inf
from types import MappingProxyType
from typing import NamedTuple

from edgepub.core.errors import MessageRejectedError
from edgepub.mqtt.messages import Message
from edgepub.mqtt.outbox.checkpoint import Checkpoint
from edgepub.mqtt.outbox.dispatch import Dispatch
from edgepub.mqtt.outbox.durable import DurableLane
from edgepub.mqtt.outbox.lanes import Lanes
from edgepub.mqtt.outbox.single import SingleLane
from edgepub.mqtt.outbox.state import Ledger
from edgepub.mqtt.outbox.suspects import Suspects, is_among
from edgepub.mqtt.outbox.wakeup import Wakeup

_DISK_POLL_S = 1.0


class OutboxFigures(NamedTuple):
    """How many messages are where."""

    sizes: dict[str, int]
    """Messages that wait, by lane."""
    under_way: int
    """Messages that were sent, and are neither done nor put back."""
    held_back: int
    """Topics that are held back because sessions ended over them."""


class Outbox:
    """The lanes (`edgepub.mqtt.outbox.lanes`), and the messages in flight: from `take` to `done` or `put_back`.

    A put never waits.

    Attributes:
        losses: how often the broker had no checkpoint: it may have lost all that was retained, also by earlier runs.

    Args:
        stream_size: messages that the stream lane holds.
        durable: the durable lane; None: one in memory.
        ledger: remembers which topics are retained.
        checkpoint: tells what the broker surely has of the retained messages; None: nothing does.
        disk_poll_s: how often to check whether messages have waited long enough for a disk that hangs.
        clock: the time of which only differences matter, in seconds.

    """

    def __init__(
        self,
        stream_size: int,
        durable: DurableLane | None = None,
        ledger: Ledger | None = None,
        checkpoint: Checkpoint | None = None,
        disk_poll_s: float = _DISK_POLL_S,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._lock = threading.Lock()
        self._clock = clock
        self._ledger = ledger
        self._durable = DurableLane() if durable is None else durable
        self._suspects = Suspects(clock)
        self._checkpoint = checkpoint or Checkpoint()
        self._lanes = Lanes(stream_size, self._durable, ledger, self._checkpoint, self._suspects.held, clock)
        self._dispatch = Dispatch(self._lanes, self._suspects, clock)
        self.losses = 0
        self._is_draining = False
        self._disk_poll_s = disk_poll_s
        self._wakeup = Wakeup(self._lock, self._is_ready, self._poll_s)

    def open(self, on_late_values: Callable[[set[str]], None] = lambda _names: None) -> None:
        """Open the file of the durable lane; what waits there can be taken.

        Args:
            on_late_values: called in another thread with the names of saved values, if the file cannot be opened
                before later: nobody knows these values.

        """
        self._durable.open(self._notify, on_late_values)
        if self._ledger:
            self._ledger.set_on_saved(self._release)

    def put(self, message: Message) -> None:
        """Add a message of any lane but the durable; from any thread, without waiting."""
        with self._lock:
            lost = self._lanes.put(message)
            if message.lane == "pictures" and is_among(message, self._suspects.held):
                self._durable.note_picture(message)
            self._wakeup.notify()
        if lost is not None:
            dropped, reason = lost
            dropped.count_dropped(reason)

    def put_numbered(
        self,
        messages: Iterable[tuple[str, Callable[[int], Message]]],
        values: Mapping[str, bytes | None] = MappingProxyType({}),
    ) -> None:
        """Add durable messages and save values, all or nothing; from any thread, without waiting.

        Each topic counts its messages from 1, across restarts. No two messages have the same number.

        Args:
            messages: the topic of each, and what returns the message for the topic's next number.
            values: what to save for the next start, by name; None: nothing from now on.

        """
        self._durable.put_all(messages, values)
        self._notify()

    def saved(self, prefix: str) -> dict[str, bytes]:
        """Return the saved values whose names begin with this."""
        return self._durable.saved(prefix)

    def start_session(self, window: int, first: Message) -> bool:
        """Prepare for a session; in the event loop. `resend_lost` comes next.

        Args:
            window: how many messages of QoS 1 may be in flight.
            first: a message of QoS 1 to send first while messages are suspected of ending sessions. The last will
                has replaced the value of its topic.

        Returns:
            Whether a message that ended sessions is held back from now on.

        """
        with self._lock:
            held_before = len(self._suspects.held)
            dropped = self._dispatch.start_session(window, first)
            has_held_back = len(self._suspects.held) > held_before
            self._lanes.retained.start_session()
            self._lanes.retained.state.resend_topic(first.topic)
            self._wakeup.notify()
        for message in dropped:
            if message.lane == "pictures":
                self._durable.note_picture(message)
            message.count_dropped("given_up")
        return has_held_back

    def take(self) -> Message | None:
        """Remove and return the next message, if there is one to be sent now; in the event loop.

        It is in flight then.
        """
        with self._lock:
            if self._is_draining:
                self._lanes.retained.release_all()
            return self._dispatch.take()

    def done(self, message: Message, error: MessageRejectedError | None = None) -> None:
        """Count a message that was in flight as sent, or as dropped if the broker does not take it; in the event loop.

        A message that is not in flight is ignored.
        """
        lane = self._lanes.by_name[message.lane]
        with self._lock:
            was_full = message.qos and self._dispatch.is_full
            taken_s = self._dispatch.done(message, lane, is_refused=error is not None)
            if taken_s is None:
                return
            is_picture = message.lane == "pictures"
            if is_picture:
                self._durable.note_picture(message)
            if was_full or lane or is_picture:  # an event may have waited for the picture
                self._wakeup.wake()
            if error is None and message.retain and not message.payload:  # a refused clear is tried at the next start
                self._lanes.retained.forget(message.topic)
        if error is None:
            message.count_sent(taken_s)
        else:
            message.count_dropped(error.reason)
        if message.retain and isinstance(lane, SingleLane):
            asyncio.get_running_loop().call_later(self._clock() - taken_s, self._end_pause, lane, message)

    def put_back(self, message: Message) -> None:
        """Put back a message in flight that was not sent; in the event loop."""
        with self._lock:
            dropped = self._dispatch.put_back(message)
            self._wakeup.notify()
        if dropped is not None:
            dropped.count_dropped("queue_full")

    def end_session(self, *, is_over_message: bool = False) -> None:
        """Put back all messages in flight, the last taken first; in the event loop.

        Args:
            is_over_message: whether the broker may have ended the session over one of them.

        """
        with self._lock:
            dropped = self._dispatch.end_session(is_over_message=is_over_message)
            self._wakeup.notify()
        for message in dropped:
            message.count_dropped("queue_full")

    @property
    def in_flight(self) -> int:
        """How many messages are in flight."""
        return len(self._dispatch.in_flight.entries)

    @property
    def unacknowledged(self) -> int:
        """How many messages of QoS 1 are in flight."""
        return self._dispatch.in_flight.unacknowledged

    @property
    def oldest_unacknowledged(self) -> tuple[Message, float] | None:
        """The message of QoS 1 in flight that was taken first, and when; None if there is none."""
        return self._dispatch.in_flight.oldest_unacknowledged()

    @property
    def is_skipped(self) -> bool:
        """Whether a message was taken after the oldest in flight, and is acknowledged."""
        oldest = self.oldest_unacknowledged
        return oldest is not None and self._suspects.proven_s > oldest[1]

    async def wait(self) -> None:
        """Wait until there may be something to take, after `take` had nothing."""
        await self._wakeup.wait()

    @property
    def is_drained(self) -> bool:
        """Whether `drain` was called and every message has been taken."""
        with self._lock:
            return self._is_draining and not self._lanes.is_waiting

    @property
    def has_work(self) -> bool:
        """Whether a message can be taken now."""
        with self._lock:
            return self._dispatch.can_take

    def resend(self, *lanes: str) -> None:
        """Send again all that these lanes of retained messages have sent, in the old order; all of them by default.

        For a broker or a subscriber that may have lost it.
        """
        with self._lock:
            self._lanes.retained.resend(*lanes)
            self._durable.forget_pictures(self._lanes.retained.pictures.unsent)
            self._wakeup.notify()

    @property
    def checkpoint_topic(self) -> str | None:
        """The topic of the checkpoint; None if there is none."""
        return self._checkpoint.topic

    def resend_lost(self, checkpoint: bytes) -> None:
        """Send the retained messages again that the broker acknowledged before this session and may have lost.

        Args:
            checkpoint: the payload of the checkpoint that the broker has; empty if it has none.

        """
        with self._lock:
            self.losses += not checkpoint
            self._lanes.retained.resend_lost(checkpoint)
            self._durable.forget_pictures(self._lanes.retained.pictures.unsent)
            self._wakeup.notify()

    def put_checkpoint(self) -> None:
        """Add a checkpoint for what was acknowledged since the last one, if anything was."""
        if self._checkpoint.is_due and not self._is_draining and (message := self._checkpoint.next_message()):
            self.put(message)

    def reset_failures(self) -> None:
        """Forget over which messages sessions ended: from now on it is another broker."""
        with self._lock:
            self._suspects.reset()
            self._lanes.retained.announcements.end_quiet()
            self._wakeup.notify()

    def drain(self) -> None:
        """From now on wait for no disk; `is_drained` becomes true when every message has been taken.

        A backlog on disk keeps its pace: what does not leave in time waits for the next start.
        """
        self._durable.drain()
        with self._lock:
            self._is_draining = True
            self._wakeup.notify()

    def stop(self, timeout_s: float) -> tuple[int, int]:
        """Drop the stream lane, and close the file of the durable lane within `timeout_s` seconds.

        Returns:
            How many messages were lost, and how many wait in the file for the next start.

        """
        with self._lock:
            dropped = self._lanes.stream.discard()
        for message in dropped:
            message.count_dropped("stopped")
        lost, kept = self._durable.close(timeout_s)
        return len(dropped) + lost, kept

    def age_s(self, topic: str) -> float:
        """Return how many seconds the oldest message of a topic in the stream lane has waited; 0 if there is none."""
        with self._lock:
            oldest = self._lanes.stream.oldest(topic)
        return 0.0 if oldest is None or oldest.receipt is None else time.monotonic() - oldest.receipt.queued_s

    def event_topics(self) -> set[str]:
        """Return the topics of the events that wait."""
        return self._durable.topics()

    def clearing(self) -> set[str]:
        """Return the retained topics that are cleared, but that the broker may still have."""
        with self._lock:
            return self._lanes.retained.clearing()

    def figures(self) -> OutboxFigures:
        """Return how many messages are where."""
        with self._lock:
            return OutboxFigures(self._lanes.sizes(), self.in_flight, len(self._suspects.held))

    def _release(self) -> None:
        """Release the states whose topics are in the ledger on disk by now."""
        with self._lock:
            self._lanes.retained.release_saved()
            self._wakeup.notify()

    def _end_pause(self, lane: SingleLane, after: Message) -> None:
        with self._lock:
            lane.end_pause(after)
            self._wakeup.wake()

    def _is_ready(self) -> bool:
        return self._dispatch.can_take or (self._is_draining and not self._dispatch.is_full)

    def _poll_s(self) -> float:
        """Return when there may be work without a `notify`: a pause is over, or messages have waited long enough."""
        if not self._lanes.is_waiting:
            return inf
        return self._durable.pause_s or self._disk_poll_s

    def _notify(self) -> None:
        with self._lock:
            self._wakeup.notify()
