"""The disk side of the durable lane: keep its queue and its file in step."""

import logging
import math
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Protocol

from edgepub.core.errors import SpoolError, SpoolReplacedError
from edgepub.mqtt.messages import Message
from edgepub.mqtt.outbox.durable_queue import DurableQueue
from edgepub.mqtt.outbox.row import Row
from edgepub.mqtt.outbox.spool import Spool

_FIRST_ROWS = 2**62
_EXPIRY_CHECK_S = 60.0
_MEMORY_ONLY = "events are kept in memory only; they are lost if edgepub stops before the broker has them"
_log = logging.getLogger(__name__)


class Clock(Protocol):
    """The functions that are used of the module `time`."""

    def monotonic(self) -> float:
        """Return seconds that only go forward."""

    def time_ns(self) -> int:
        """Return Unix nanoseconds, which may jump."""


class SpoolSync:
    """Moves events between a queue and its file, and notes whether the disk works.

    `open` comes first; then one thread calls `exchange` and `close`. The properties are for any thread.

    Args:
        spool: the file.
        queue: the queue; it is used while the lock is held, and never during disk access.
        lock: protects the queue.
        to_message: makes the message of a row in the file.
        on_damaged: called with the numbers of events that are lost because their rows are damaged, by topic, and with
            an example of the damage.
        max_rows: rows that one read loads.
        slow_disk_s: after this time a disk operation counts as failed, although it may still succeed.
        retry_s: pause after a failure.
        clock: the clock.

    """

    def __init__(
        self,
        spool: Spool,
        queue: DurableQueue,
        lock: threading.Lock,
        to_message: Callable[[Row], Message],
        on_damaged: Callable[[Mapping[str, int], str], None],
        *,
        max_rows: int,
        slow_disk_s: float,
        retry_s: float,
        clock: Clock = time,
    ) -> None:
        self._spool = spool
        self._queue = queue
        self._lock = lock
        self._to_message = to_message
        self._on_damaged = on_damaged
        self._max_rows = max_rows
        self._slow_disk_s = slow_disk_s
        self._retry_s = retry_s
        self._clock = clock
        self._on_ready: Callable[[], None] = lambda: None
        self._on_late_values: Callable[[set[str]], None] = lambda _names: None
        self._is_late = False
        self._is_writable = True
        self._is_readable = True
        self._busy_since_s: float | None = None
        self._retry_at_s = -math.inf
        self._damaged_at_s = -math.inf

    @property
    def is_hanging(self) -> bool:
        """Whether the disk has not answered for a long time."""
        since_s = self._busy_since_s
        return since_s is not None and self._clock.monotonic() - since_s > self._slow_disk_s

    @property
    def is_writable(self) -> bool:
        """Whether the last write succeeded, or none has failed yet."""
        return self._is_writable

    @property
    def is_bypassed(self) -> bool:
        """Whether incoming events may be taken: the disk does not work, and no event that it can give is older.

        Hold the lock.
        """
        return self.is_hanging or (not self._is_writable and not (self._queue.has_backlog and self._is_readable))

    def open(self, on_ready: Callable[[], None], on_late_values: Callable[[set[str]], None]) -> None:
        """Open the file, or a new one in place of a damaged one; a failure is logged.

        Args:
            on_ready: called when there may be something new to take.
            on_late_values: called with the names of saved values, if this fails and the file can be opened later.

        """
        self._on_ready, self._on_late_values = on_ready, on_late_values
        try:
            try:
                self._open_file()
            except SpoolReplacedError:
                self._open_file()  # a new one
        except SpoolError as error:
            with self._lock:
                self._queue.start_rows_after(self._clock.time_ns() % _FIRST_ROWS)  # no row that may be in the file
            self._fail(error)
        self._is_late = True

    def close(self) -> None:
        """Close the file."""
        self._spool.close()

    def exchange(self, *, closing: bool = False) -> float | None:
        """Load what the queue needs, and write what it has to write.

        Args:
            closing: load nothing, and write without waiting for the end of a pause.

        Returns:
            After how many seconds to call it again, or None if only when there is a change.

        """
        has_more = False
        try:
            if self._spool.is_open and not closing:
                has_more = self._load()
            pause_s = self._retry_at_s - self._clock.monotonic()
            if pause_s > 0 and not closing:
                return 0.0 if has_more else pause_s
            if not self._spool.is_open:
                self._open_file()
                has_more = True
            self._write()
        except SpoolError as error:
            pause_s = self._fail(error)
            self._on_ready()
            return pause_s
        if not self._is_writable:
            _log.info("events are written to disk again")
            self._is_writable = True
        with self._lock:
            if has_more or self._queue.has_incoming:
                return 0.0
            return _EXPIRY_CHECK_S if len(self._queue) else None

    @contextmanager
    def _disk_access(self) -> Iterator[None]:
        self._busy_since_s = self._clock.monotonic()
        try:
            yield
        finally:
            self._busy_since_s = None

    def _open_file(self) -> None:
        with self._disk_access():
            found = self._spool.open()
        self._is_readable = True
        with self._lock:
            new_values = self._queue.set_file(found)
        if new_values and self._is_late:
            self._on_late_values(new_values)
        if found.damaged:
            self._on_damaged(found.damaged, f"{self._spool}: rows with an id that is out of range")

    def _load(self) -> bool:
        """Load events into the queue if it needs some; return whether there may be more to load now."""
        with self._lock:
            after = self._queue.start_load()
        if after is None:
            return False
        try:
            with self._disk_access():
                rows, damaged = self._spool.read(after, self._max_rows)
        except SpoolError:
            self._is_readable = False
            raise
        messages = [self._to_message(row) for row in rows]
        with self._lock:
            lost = self._queue.finish_load(messages, damaged)
        if lost:
            self._on_damaged(lost, f"{self._spool}: row {damaged[0].id}: {damaged[0].why}")
        self._on_ready()
        return bool(rows or damaged)

    def _write(self) -> None:
        """Write new events and numbers, and delete the rows of events that are gone."""
        with self._lock:
            batch = self._queue.start_batch()
        try:
            with self._disk_access():
                rows = [_row(message) for message in batch.added]
                self._spool.write(rows, batch.numbers, batch.removed, batch.values)
        except BaseException:  # also after a bug: the next batch must include this one
            with self._lock:
                self._queue.cancel_batch(batch)
            raise
        with self._lock:
            self._queue.finish_batch(batch)
            is_empty = not len(self._queue)
        if batch.added:
            self._on_ready()
        if is_empty:
            with self._disk_access():
                self._spool.shrink()

    def _fail(self, error: SpoolError) -> float:
        """Note a failure, and return after how many seconds to try again."""
        now_s = self._clock.monotonic()
        if isinstance(error, SpoolReplacedError):
            with self._lock:
                self._queue.replace_file()
            since_damage_s, self._damaged_at_s = now_s - self._damaged_at_s, now_s
            if since_damage_s >= self._retry_s:
                return 0.0
        self._is_writable = False
        self._retry_at_s = now_s + self._retry_s
        _log.error("%s: %s", error, _MEMORY_ONLY)
        if not self._is_readable:
            self._spool.close()
        elif not self._spool.is_open:
            self._is_readable = False
        return self._retry_s


def _row(message: Message) -> Row:
    return Row(message.row, message.topic, message.payload_format.schema or "", message.encoded(), message.created_s)
