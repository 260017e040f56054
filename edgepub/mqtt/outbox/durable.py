"""The durable lane: each message matters, in its order, also after the end of this process."""

import logging
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from types import MappingProxyType

from edgepub.core.threads import Worker
from edgepub.mqtt.messages import Message, Receipt, event_message, json_format
from edgepub.mqtt.outbox.durable_queue import DurableQueue
from edgepub.mqtt.outbox.durable_sync import Clock, SpoolSync
from edgepub.mqtt.outbox.picture_wait import PictureWait
from edgepub.mqtt.outbox.replay import ReplayPace
from edgepub.mqtt.outbox.row import Row
from edgepub.mqtt.outbox.spool import Spool

_log = logging.getLogger(__name__)


def _count_nothing(topic: str) -> None:
    """Return no receipt."""


class DurableLane:
    """A queue in a file: a message is on the disk before it can be taken, and leaves the disk when it is done.

    It composes three parts: `DurableQueue` knows where each message is, `SpoolSync` reads and writes the file, and a
    worker thread calls it. While the disk does not take messages, they are taken from memory, and an error is logged.
    Thread-safe.

    Args:
        spool: the file; None: memory only.
        max_messages: messages that may wait. A further one drops the oldest.
        max_age_s: older messages are dropped.
        receipt_of: returns what counts the messages of a topic; called when there is something to count, which may be
            before its camera is there, or after it was removed.
        replay_rate_hz: messages of a backlog per second, beside those that come meanwhile; None: no limit.
        max_ready: messages from the file that are kept in memory; the others wait in the file alone.
        max_incoming: messages in memory that are not in the file yet, or cannot be written there.
        slow_disk_s: a disk that takes longer is treated as one that does not work.
        retry_s: pause after a failure of the disk.
        clock: the clock.
        make_worker: makes the worker thread of a name and its work.

    """

    def __init__(
        self,
        spool: Spool | None = None,
        max_messages: int = 10_000,
        max_age_s: float = 86_400,
        receipt_of: Callable[[str], Receipt | None] = _count_nothing,
        replay_rate_hz: float | None = None,
        *,
        max_ready: int = 1000,
        max_incoming: int = 10_000,
        slow_disk_s: float = 5.0,
        retry_s: float = 10.0,
        clock: Clock = time,
        make_worker: Callable[[str, Callable[[], float | None]], Worker] = Worker,
    ) -> None:
        self._max_age_s = max_age_s
        self._slow_disk_s = slow_disk_s
        self._receipt_of = receipt_of
        self._clock = clock
        self._lock = threading.Lock()
        self._queue = DurableQueue(max_messages, max_ready, max_incoming, self._count_lost)
        self._pace = ReplayPace(replay_rate_hz, clock.monotonic)
        self._pictures = PictureWait()
        self._is_draining = False
        self._sync: SpoolSync | None = None
        if spool is not None:
            self._sync = SpoolSync(
                spool,
                self._queue,
                self._lock,
                self._to_message,
                self._count_damaged,
                max_rows=max_ready,
                slow_disk_s=slow_disk_s,
                retry_s=retry_s,
                clock=clock,
            )
        self._closing = False
        self._worker = make_worker("events", self._work)

    def open(
        self, on_ready: Callable[[], None], on_late_values: Callable[[set[str]], None] = lambda _names: None
    ) -> None:
        """Open the file and start the worker thread.

        Args:
            on_ready: called in the worker thread when there may be something new to take.
            on_late_values: called there with the names of saved values, if the file cannot be opened before later.

        """
        if self._sync is None:
            return
        self._sync.open(on_ready, on_late_values)
        if waiting := len(self):
            _log.info("waiting events from the last run: %d", waiting)
        self._worker.start()

    def close(self, timeout_s: float) -> tuple[int, int]:
        """Write what is not written, within `timeout_s` seconds, and stop the worker thread.

        Returns:
            How many messages were lost because they are not in the file, and how many wait there for the next start.

        """
        self._closing = True
        if self._sync is not None:
            self._worker.stop(timeout_s)
        with self._lock:
            return self._queue.close()

    def put(self, topic: str, make: Callable[[int], Message]) -> None:
        """Add the message that `make` returns for the topic's next number, counted from 1 and across restarts.

        It never waits for the disk.
        """
        self.put_all([(topic, make)])

    def put_all(
        self,
        messages: Iterable[tuple[str, Callable[[int], Message]]],
        values: Mapping[str, bytes | None] = MappingProxyType({}),
    ) -> None:
        """Add messages as `put` does, and save values: they are on the disk together, or not at all.

        Args:
            messages: the topic of each, and what makes it.
            values: what to save, by name; None: nothing from now on.

        """
        with self._lock:
            for topic, make in messages:
                self._queue.put(topic, make, self._clock.monotonic(), self._receipt_of(topic))
                self._pace.count_put()
            self._queue.values.put(values)
        self._worker.wake()

    def saved(self, prefix: str) -> dict[str, bytes]:
        """Return the saved values whose names begin with this."""
        with self._lock:
            return self._queue.values.find(prefix)

    def put_back(self, message: Message) -> None:
        """Put a message back to the front that was taken and not sent."""
        with self._lock:
            self._queue.put_back(message)

    def done(self, message: Message) -> None:
        """Remove a message that was taken, also from the file."""
        with self._lock:
            self._queue.done(message)
        self._worker.wake_soon()

    refuse = done
    """As `done`: a message that was refused is not sent again."""

    def take(self) -> Message | None:
        """Take and return the oldest message that may be sent now."""
        queue = self._queue
        if not queue.is_in_memory:
            return None  # the usual case, checked without the lock because the lock costs more
        with self._lock:
            now_s = self._clock.monotonic()
            queue.expire(now_s - self._max_age_s)
            message = self._take_next()
            if queue.needs_load:
                self._worker.wake()
        if message is None:
            return None
        left_s = self._max_age_s - (now_s - message.created_s)
        return message._replace(expiry_s=max(1, int(left_s)))

    def note_picture(self, picture: Message) -> None:
        """Note that the broker has a picture, or never will: the events that name it need not wait for it."""
        with self._lock:
            self._pictures.note(picture)

    def forget_pictures(self, topics: Iterable[str]) -> None:
        """Note that the broker may not have the pictures of these topics any more."""
        with self._lock:
            self._pictures.forget(topics)

    def topics(self) -> set[str]:
        """Return the topics of the messages that wait."""
        with self._lock:
            return self._queue.topics

    def __bool__(self) -> bool:
        with self._lock:
            queue = self._queue
            is_there = queue.has_ready or (queue.has_incoming and self._bypasses_file())
            return is_there and (self._pause_s == 0 or self._is_unlimited())

    def __len__(self) -> int:
        with self._lock:
            return len(self._queue)

    @property
    def pause_s(self) -> float:
        """For how long nothing may be taken, because it is a backlog, or its picture goes first."""
        with self._lock:
            return self._pause_s

    def drain(self) -> None:
        """From now on send without a limit what is not in the file: it is lost when edgepub stops."""
        with self._lock:
            self._is_draining = True

    @property
    def _pause_s(self) -> float:
        oldest = self._queue.oldest
        return self._pace.pause_s or (self._pictures.left_s(oldest, self._clock.monotonic()) if oldest else 0.0)

    def _take_next(self) -> Message | None:
        oldest = self._queue.oldest
        if oldest is None:
            return None
        if not self._is_unlimited() and (
            self._pictures.left_s(oldest, self._clock.monotonic()) > 0
            or not self._pace.may_take(oldest.created_s, len(self._queue))
        ):
            return None
        message = self._queue.take() or self._take_incoming()
        if message is not None:
            self._pace.count_taken(len(self._queue))
        return message

    def _is_unlimited(self) -> bool:
        return self._is_draining and self._bypasses_file()

    def _take_incoming(self) -> Message | None:
        if not self._bypasses_file():
            return None
        message = self._queue.take_incoming()
        if message is not None and self._sync is not None and self._sync.is_writable:  # it has not failed: it hangs
            text = "the disk has not answered for %.0f s; events are sent although they are not on disk yet"
            _log.error(text, self._slow_disk_s)
        return message

    def _bypasses_file(self) -> bool:
        return self._sync is None or self._sync.is_bypassed

    def _work(self) -> float | None:
        """Bring the queue and the file into step, in the worker thread."""
        assert self._sync is not None  # noqa: S101
        if not self._closing:
            with self._lock:
                self._queue.expire(self._clock.monotonic() - self._max_age_s)
            return self._sync.exchange()
        pause_s = self._sync.exchange(closing=True)
        if pause_s == 0:
            self._sync.exchange(closing=True)  # with a new file in place of a damaged one
        self._sync.close()
        return pause_s

    def _to_message(self, row: Row) -> Message:
        message = event_message(row.topic, row.payload, json_format(row.schema))
        return message._replace(row=row.id, created_s=row.created_s, receipt=self._receipt_of(row.topic))

    def _count_damaged(self, lost: Mapping[str, int], example: str) -> None:
        _log.error("%s; damaged events removed from the file: %d", example, sum(lost.values()))
        self._count(lost, "damaged")

    def _count_lost(self, lost: Mapping[str, int], reason: str) -> None:
        if reason == "damaged":
            text = "lost events, which waited for the broker and are no longer in the file: %d"
            _log.error(text, sum(lost.values()))
        self._count(lost, reason)

    def _count(self, lost: Mapping[str, int], reason: str) -> None:
        for topic, number in lost.items():
            if receipt := self._receipt_of(topic):
                receipt.count_dropped(reason, number)
