"""The durable lane: each message matters, in its order, also after the end of this process."""

import logging
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

from edgepub.core.errors import SpoolDamagedError, SpoolError
from edgepub.core.threads import Worker
from edgepub.mqtt.messages import Message, Receipt, event_message, json_format
from edgepub.mqtt.outbox.spool import Row, Spool

_MOST_READY = 1000
"""Messages from the file that are in memory; the others wait in the file alone."""
_FEW_READY = _MOST_READY // 2
_MOST_IN_MEMORY = 10_000
"""Messages in memory that are not in the file yet, or cannot be written there."""
_SLOW_DISK_S = 5.0
"""A disk that takes longer is taken for one that does not work."""
_TRY_AGAIN_S = 10.0
_TICK_S = 60.0
_DEGRADED = "events are kept in memory alone, and lost if edgepub ends before the broker has them"
_log = logging.getLogger(__name__)


class DurableLane:
    """A queue in a file: a message is on the disk before it can be taken, and leaves the disk once it was sent.

    A thread of its own writes and reads. While the disk does not take messages they are taken from memory, with a loud
    complaint. For any thread.

    Args:
        spool: the file; None: memory alone.
        max_messages: that wait; the oldest is let go of first.
        max_age_s: messages older than this are let go of.
        receipts: by topic, for those that count what becomes of its messages.

    """

    def __init__(
        self,
        spool: Spool | None = None,
        max_messages: int = _MOST_IN_MEMORY,
        max_age_s: float = 86_400,
        receipts: Mapping[str, Receipt] | None = None,
    ) -> None:
        self._spool = spool
        self._max_messages = max_messages
        self._max_age_s = max_age_s
        self._receipts = receipts or {}
        # The wall clock may jump, on a box without a battery by days; how old a message of this life is may not.
        self._clock_s = time.time() - time.monotonic()
        self._lock = threading.Lock()
        # Waiting, in their order: what is ready, then what is in the file alone, then what is not in the file yet.
        self._ready: deque[Message] = deque()
        self._backlog: Counter[str] = Counter()  # by topic
        self._incoming: deque[Message] = deque()
        self._taken: dict[int, Message] = {}  # and neither sent nor put back, by row
        self._unwritten: dict[int, Message] = {}  # of all that are in memory, by row, in their order
        self._writing: frozenset[int] = frozenset()  # rows that are being written just now
        self._ahead: set[int] = set()  # rows in the file behind `_loaded` that were taken before they were there
        self._gone: list[int] = []  # rows to be removed from the file
        self._numbers: dict[str, int] = {}
        self._saved_numbers: dict[str, int] = {}
        self._newest = 0  # row that was given to a message
        self._loaded = 0  # newest row that has been ready
        self._known = False  # what is in the file
        self._writable = self._readable = spool is not None
        self._busy_since_s: float | None = None  # with the disk
        self._not_before_s = 0.0  # it is tried again
        self._damaged_s = -_TRY_AGAIN_S  # when it was last found damaged
        self._closing = False
        self._worker = Worker("events", self._work)
        self._ready_again: Callable[[], None] = lambda: None

    def open(self, ready: Callable[[], None]) -> None:
        """Open the file and begin to work.

        Args:
            ready: called in the lane's own thread when there is something new to be taken.

        """
        self._ready_again = ready
        if self._spool is None:
            return
        try:
            try:
                self._begin(self._spool)
            except SpoolDamagedError:
                self._begin(self._spool)  # a new one
        except SpoolError as error:
            self._newest = time.time_ns()  # no row that may be in the file
            self._fail(self._spool, error)
        if waiting := self._backlog.total():
            _log.info("%d events of before wait for the broker", waiting)
        self._worker.start()

    def close(self, grace_s: float) -> tuple[int, int]:
        """Write what is not written, for so many seconds at most, and end.

        Returns:
            How many messages were lost, because they are not in the file, and how many wait there for the next start.

        """
        self._closing = True
        if self._spool:
            self._worker.close(grace_s)
        with self._lock:
            lost = list(self._unwritten.values())
            kept = self._waiting() + len(self._taken) - len(lost)
            self._incoming.clear()
            self._unwritten.clear()
        for message in lost:
            message.count_dropped("stopped")
        return len(lost), kept

    def put(self, topic: str, make: Callable[[int], Message]) -> None:
        """Add the message that is made of the topic's next number, counted from 1 since the very first start."""
        with self._lock:
            number = self._numbers.get(topic, 0) + 1
            message = make(number)
            self._numbers[topic] = number
            row = self._newest = self._newest + 1
            message = message._replace(row=row, created_s=self._now_s(), receipt=self._receipts.get(topic))
            self._incoming.append(message)
            self._unwritten[row] = message
            self._let_go()
        self._worker.wake()

    def put_back(self, message: Message) -> None:
        """Return a message that was taken and not sent to the front."""
        with self._lock:
            del self._taken[message.row]
            (self._incoming if message.row in self._unwritten else self._ready).appendleft(message)

    def done(self, message: Message) -> None:
        """Let a message be removed for good."""
        with self._lock:
            del self._taken[message.row]
            self._remove(message.row)
        self._worker.wake_soon()

    def take(self) -> Message | None:
        """Remove and return the oldest message that may be sent."""
        if not (self._ready or self._incoming):
            return None  # as nearly always; for which the lock would be too much
        with self._lock:
            self._expire()
            if self._backlog and len(self._ready) <= _FEW_READY:
                self._worker.wake()
            queue = self._ready or (self._incoming if self._bypasses() else None)
            if not queue:
                return None
            if queue is self._incoming and self._writable:
                _log.error("the disk has not answered for %.0f s: %s", _SLOW_DISK_S, _DEGRADED)
            message = queue.popleft()
            left_s = self._max_age_s - (self._now_s() - message.created_s)
            message = message._replace(expiry_s=max(1, int(left_s)))
            self._taken[message.row] = message
            return message

    def __bool__(self) -> bool:
        with self._lock:
            return bool(self._ready or (self._incoming and self._bypasses()))

    def __len__(self) -> int:
        with self._lock:
            return self._waiting()

    def _waiting(self) -> int:
        return len(self._incoming) + len(self._ready) + self._backlog.total()

    def _now_s(self) -> float:
        return self._clock_s + time.monotonic()

    def _bypasses(self) -> bool:
        """Whether messages are taken that are not in the file: it does not work, and nothing there is before them."""
        if self._busy_since_s is not None and time.monotonic() - self._busy_since_s > _SLOW_DISK_S:
            return True
        return not self._writable and not (self._backlog and self._readable)

    def _let_go(self) -> None:
        """Let go of the oldest while there are too many."""
        while self._waiting() > self._max_messages and (queue := self._ready or (not self._backlog and self._incoming)):
            self._lose(queue.popleft(), "queue_full")
        if len(self._incoming) > _MOST_IN_MEMORY:
            self._lose(self._incoming.popleft(), "queue_full")

    def _expire(self) -> None:
        """Let go of those that are too old."""
        oldest_s = self._now_s() - self._max_age_s
        for queue in (self._ready, self._incoming):
            while queue and queue[0].created_s < oldest_s:
                self._lose(queue.popleft(), "expired")

    def _lose(self, message: Message, reason: str) -> None:
        self._remove(message.row)
        message.count_dropped(reason)
        if message.receipt is None:  # of a camera that is not in the configuration any more
            _log.warning("an event is let go of: %s: %s", message.topic, reason)

    def _remove(self, row: int) -> None:
        """Remove a row from the file, if it is or will be there."""
        if self._unwritten.pop(row, None) is None or row in self._writing:
            self._gone.append(row)

    def _work(self) -> float | None:
        """Bring the file and the memory together; in the worker's thread."""
        assert self._spool is not None  # noqa: S101
        pause_s = self._exchange(self._spool)
        if self._closing:
            if pause_s == 0:
                self._exchange(self._spool)  # with a new file, in the place of a damaged one
            self._spool.close()
        return pause_s

    def _exchange(self, spool: Spool) -> float | None:
        more = False
        try:
            if self._known and spool.is_open and not self._closing:
                more = self._load(spool)
            rest_s = self._not_before_s - time.monotonic()
            if rest_s > 0 and not self._closing:
                return 0.0 if more else rest_s
            if not (self._known and spool.is_open):
                self._begin(spool)
                more = True
            self._save(spool)
        except SpoolError as error:
            pause_s = self._fail(spool, error)
            self._ready_again()
            return pause_s
        if not self._writable:
            _log.info("events are written to disk again")
            self._writable = True
        if more or self._incoming:
            return 0.0
        return _TICK_S if len(self) else None

    @contextmanager
    def _busy(self) -> Iterator[None]:
        self._busy_since_s = time.monotonic()
        try:
            yield
        finally:
            self._busy_since_s = None

    def _begin(self, spool: Spool) -> None:
        """Open the file; what this life has begun goes on behind what is there."""
        with self._busy():
            found = spool.open()
        with self._lock:
            self._readable = True
            self._saved_numbers = dict(found.numbers)
            for topic, number in found.numbers.items():
                self._numbers[topic] = max(number, self._numbers.get(topic, 0))
            if not self._known:
                self._known = True
                self._newest = max(self._newest, found.newest)
                self._backlog = found.waiting
            elif found.waiting.total() < self._backlog.total() + len(self._ready):
                self._begin_anew()  # it is not the file that it was

    def _load(self, spool: Spool) -> bool:
        """Let more messages of the file be ready; return whether there may be still more to load now."""
        with self._lock:
            self._expire()
            if len(self._ready) >= _FEW_READY or not self._backlog:
                return False
            after = self._loaded
        try:
            with self._busy():
                rows = spool.read(after, _MOST_READY)
        except SpoolError:
            self._readable = False
            raise
        with self._lock:
            if not rows:
                self._give_backlog_up()
            else:
                self._loaded = rows[-1].id
            rows = [row for row in rows if row.id not in self._ahead]
            self._ahead = {row for row in self._ahead if row > self._loaded}
            self._ready += map(self._message, rows)
            self._backlog -= Counter(row.topic for row in rows)
        self._ready_again()
        return bool(rows)

    def _save(self, spool: Spool) -> None:
        """Write what came, and remove what has gone."""
        with self._lock:
            batch = list(self._unwritten.values())
            self._writing = frozenset(self._unwritten)
            gone, self._gone = self._gone, []
            numbers = {topic: n for topic, n in self._numbers.items() if n != self._saved_numbers.get(topic)}
        try:
            if batch or gone or numbers:
                with self._busy():
                    spool.write([_row(message) for message in batch], numbers, gone)
        except SpoolError:
            with self._lock:
                self._writing = frozenset()
                self._gone += gone
            raise
        with self._lock:
            ahead = self._ahead | self._writing
            self._writing = frozenset()
            self._saved_numbers |= numbers
            for message in batch:
                self._unwritten.pop(message.row, None)
            while self._incoming and self._incoming[0].row not in self._unwritten:
                message = self._incoming.popleft()
                if self._backlog or len(self._ready) >= _MOST_READY:
                    self._backlog[message.topic] += 1
                    ahead.discard(message.row)
                else:
                    self._ready.append(message)
                    self._loaded = message.row
            if batch and not self._backlog:
                self._loaded = batch[-1].row
            self._ahead = {row for row in ahead if row > self._loaded}
            is_empty = not self._waiting()
        if batch:
            self._ready_again()
        if is_empty:
            with self._busy():
                spool.shrink()

    def _message(self, row: Row) -> Message:
        message = event_message(row.topic, row.payload, json_format(row.schema))
        return message._replace(row=row.id, created_s=row.created_s, receipt=self._receipts.get(row.topic))

    def _fail(self, spool: Spool, error: SpoolError) -> float:
        """Return after how many seconds it is to be tried again."""
        now_s = time.monotonic()
        if isinstance(error, SpoolDamagedError):
            with self._lock:
                self._begin_anew()
            again_s, self._damaged_s = now_s - self._damaged_s, now_s
            if again_s >= _TRY_AGAIN_S:
                return 0.0
        self._writable = False
        self._not_before_s = now_s + _TRY_AGAIN_S
        _log.error("%s: %s", error, _DEGRADED)
        if not self._readable:
            spool.close()
        elif not spool.is_open:
            self._readable = False
        return _TRY_AGAIN_S

    def _begin_anew(self) -> None:
        """Let all that is in memory be written to a new file; what was in the old one alone is lost."""
        self._give_backlog_up()
        self._incoming = deque(sorted([*self._ready, *self._incoming], key=_row_of))
        self._ready.clear()
        in_memory = [*self._taken.values(), *self._incoming]
        self._unwritten = {message.row: message for message in sorted(in_memory, key=_row_of)}
        self._ahead.clear()
        self._gone.clear()

    def _give_backlog_up(self) -> None:
        lost, self._backlog = self._backlog, Counter()
        if lost:
            _log.error("%d events that waited for the broker cannot be read any more", lost.total())
        for topic in lost.elements():
            if receipt := self._receipts.get(topic):
                receipt.count_dropped("damaged")


def _row_of(message: Message) -> int:
    return message.row


def _row(message: Message) -> Row:
    return Row(message.row, message.topic, message.payload_format.schema or "", message.encoded(), message.created_s)
