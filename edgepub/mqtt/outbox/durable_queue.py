"""The bookkeeping of the durable lane: where each event is, in memory and in the file."""

from collections import Counter, deque
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from edgepub.mqtt.messages import Message, Receipt
from edgepub.mqtt.outbox.row import DamagedRow
from edgepub.mqtt.outbox.saved_values import SavedValues
from edgepub.mqtt.outbox.spool_content import Found


class Batch(NamedTuple):
    """Changes for the file, which one transaction writes."""

    added: list[Message]
    numbers: dict[str, int]
    """The newest number of each topic that has a new one."""
    removed: list[int]
    """Rows to delete."""
    values: dict[str, bytes | None]
    """The newest value of each name that has a new one; None: it has none."""

    def __bool__(self) -> bool:
        return any(self)


class DurableQueue:
    """A queue of events in memory and in a file. It has no thread, no clock and no disk, and it is not thread-safe.

    The owner does the reading and writing: it takes a batch, writes it, and reports the result. Other methods may be
    called meanwhile. Only one batch, or one load, is in progress at a time.

    Each event has a row: its id in the file, in the order of `put`. An event that is not gone is in one of four places:

    ========  =====================================================================================
    ready     waits in memory, and is in the file
    backlog   waits in the file alone; only the number of these events is known, by topic
    incoming  waits in memory, and is not in the file yet (or is behind an event that is not)
    taken     was taken, and is neither done nor put back
    ========  =====================================================================================

    An event that is in memory is in one of three states towards the file: *unwritten* (the next batch adds it),
    *writing* (the batch in progress adds it), or written (in neither collection).

    Invariants:

    1. Events wait in this order: ready, backlog, incoming.
    2. An unwritten or writing event is incoming or taken; a ready event is written.
    3. An event that goes while it is written or writing leaves its row in `removed`, until a batch has deleted the row.
    4. Each row in the file is in memory, in `removed`, or in the backlog. The backlog's rows are behind `loaded`, the
       last row that was loaded or became ready. So the backlog is what a read behind `loaded` returns, without the rows
       that are in memory or in `removed`.
    5. Numbers of a topic have no holes. The batch that adds an event also saves its topic's number.

    Args:
        max_messages: events that may wait. A further one drops the oldest that is in memory.
        max_ready: events that are kept ready; the file keeps the rest of what is written.
        max_incoming: events that may be incoming. A further one drops the oldest of them.
        on_lost: called with the numbers of dropped events by topic, and with the reason.

    Attributes:
        values: what is saved beside the events. A batch has all values that were put up to then, as it has all events.

    """

    def __init__(
        self, max_messages: int, max_ready: int, max_incoming: int, on_lost: Callable[[Mapping[str, int], str], None]
    ) -> None:
        self._max_messages = max_messages
        self._max_ready = max_ready
        self._min_ready = max_ready // 2
        self._max_incoming = max_incoming
        self._on_lost = on_lost
        self._ready: deque[Message] = deque()
        self._backlog: Counter[str] = Counter()
        self._incoming: deque[Message] = deque()
        self._taken: dict[int, Message] = {}
        self._unwritten: dict[int, Message] = {}  # by row, ascending
        self._writing: dict[int, Message] = {}  # by row, ascending
        self._removed: list[int] = []
        self._loaded = 0
        self._last_row = 0
        self._numbers: Counter[str] = Counter()
        self._saved_numbers: dict[str, int] = {}
        self._is_file_known = False
        self.values = SavedValues()

    def put(self, topic: str, make: Callable[[int], Message], created_s: float, receipt: Receipt | None = None) -> None:
        """Add the event that `make` returns for the topic's next number."""
        number, row = self._numbers[topic] + 1, self._last_row + 1
        message = make(number)._replace(row=row, created_s=created_s, receipt=receipt)
        self._numbers[topic], self._last_row = number, row
        self._incoming.append(message)
        self._unwritten[row] = message
        while len(self) > self._max_messages and (queue := self._ready or (not self._backlog and self._incoming)):
            self._drop(queue.popleft(), "queue_full")
        if len(self._incoming) > self._max_incoming:
            self._drop(self._incoming.popleft(), "queue_full")

    def take(self) -> Message | None:
        """Take the oldest event, if it is ready."""
        return self._take_from(self._ready) if self._ready else None

    def take_incoming(self) -> Message | None:
        """Take the oldest incoming event, although it is not in the file."""
        return self._take_from(self._incoming) if self._incoming else None

    def put_back(self, message: Message) -> None:
        """Return an event that was taken to the front."""
        row = message.row
        del self._taken[row]
        is_written = row not in self._unwritten and row not in self._writing
        (self._ready if is_written else self._incoming).appendleft(message)

    def done(self, message: Message) -> None:
        """Remove an event that was taken, also from the file."""
        del self._taken[message.row]
        self._remove(message.row)

    def expire(self, oldest_s: float) -> None:
        """Drop waiting events that were created before a moment on the monotonic clock."""
        for queue in (self._ready, self._incoming):
            while queue and queue[0].created_s < oldest_s:
                self._drop(queue.popleft(), "expired")

    def __len__(self) -> int:
        """Return how many events wait."""
        backlog = self._backlog.total() if self._backlog else 0
        return len(self._ready) + backlog + len(self._incoming)

    @property
    def is_in_memory(self) -> bool:
        """Whether any event that waits is in memory."""
        return bool(self._ready or self._incoming)

    @property
    def oldest(self) -> Message | None:
        """The oldest event in memory that waits."""
        queue = self._ready or self._incoming
        return queue[0] if queue else None

    @property
    def has_ready(self) -> bool:
        """Whether `take` has an event."""
        return bool(self._ready)

    @property
    def has_backlog(self) -> bool:
        """Whether events wait in the file alone."""
        return bool(self._backlog)

    @property
    def topics(self) -> set[str]:
        """The topics of the events that wait."""
        return {*self._backlog, *(message.topic for queue in (self._ready, self._incoming) for message in queue)}

    @property
    def has_incoming(self) -> bool:
        """Whether `take_incoming` has an event."""
        return bool(self._incoming)

    @property
    def needs_load(self) -> bool:
        """Whether few events are ready, and more of them are in the file."""
        return len(self._ready) < self._min_ready and bool(self._backlog)

    def start_rows_after(self, row: int) -> None:
        """Give new events rows behind this one, because the rows in the file are not known."""
        self._last_row = row

    def set_file(self, found: Found) -> set[str]:
        """Take over what was found in the file, after each time that it was opened; return the names of new values."""
        self._saved_numbers = dict(found.numbers)
        new_values = self.values.set_file(found.values)
        for topic, number in found.numbers.items():
            self._numbers[topic] = max(number, self._numbers[topic])
        if not self._is_file_known:
            self._is_file_known = True
            self._last_row = max(self._last_row, found.newest)
            self._backlog = found.waiting
        elif found.waiting.total() < self._known_in_file():
            self.replace_file()  # it is another file than before
        return new_values

    def replace_file(self) -> None:
        """Give up the file: its backlog is lost, and everything in memory is unwritten again."""
        self._lose_backlog()
        self._incoming = deque(sorted([*self._ready, *self._incoming], key=_row_of))
        self._ready.clear()
        in_memory = sorted([*self._taken.values(), *self._incoming], key=_row_of)
        self._unwritten = {message.row: message for message in in_memory}
        self._removed.clear()
        self.values.replace_file()

    def start_load(self) -> int | None:
        """Return the row to read behind, or None if no load is needed."""
        return self._loaded if self.needs_load else None

    def finish_load(self, messages: Sequence[Message], damaged: Sequence[DamagedRow] = ()) -> Counter[str]:
        """Make these events ready, which were read from the file; if nothing was read, the backlog is lost.

        Args:
            messages: the events.
            damaged: rows that were read and are no events; they are removed from the file.

        Returns:
            How many events of each topic are lost with these rows.

        """
        if not messages and not damaged:
            self._lose_backlog()
            return Counter()
        known = {*self._removed, *self._taken, *map(_row_of, self._ready), *map(_row_of, self._incoming)}
        loaded = [message for message in messages if message.row not in known]
        self._loaded = max(*(message.row for message in messages[-1:]), *(row.id for row in damaged[-1:]), 0)
        self._ready += loaded
        lost = [row for row in damaged if row.id not in known]
        self._removed += (row.id for row in lost)
        lost_by_topic = Counter(row.topic for row in lost)
        self._backlog -= Counter(message.topic for message in loaded) + lost_by_topic
        return lost_by_topic

    def start_batch(self) -> Batch:
        """Return what is to be written to the file."""
        self._writing, self._unwritten = self._unwritten, {}
        removed, self._removed = self._removed, []
        numbers = {topic: n for topic, n in self._numbers.items() if n != self._saved_numbers.get(topic)}
        return Batch(list(self._writing.values()), numbers, removed, self.values.start_batch())

    def finish_batch(self, batch: Batch) -> None:
        """Note that a batch was written: its incoming events are ready, or in the backlog if enough are ready."""
        self._writing = {}
        self._saved_numbers |= batch.numbers
        self.values.finish_batch(batch.values)
        while self._incoming and self._incoming[0].row not in self._unwritten:
            message = self._incoming.popleft()
            is_behind = message.row > self._loaded
            if is_behind and (self._backlog or len(self._ready) >= self._max_ready):
                self._backlog[message.topic] += 1
                continue
            self._ready.append(message)
            if is_behind:
                self._loaded = message.row

    def cancel_batch(self, batch: Batch) -> None:
        """Note that a batch could not be written; the next one includes its changes."""
        self._unwritten = self._writing | self._unwritten
        self._writing = {}
        self._removed += batch.removed
        self.values.cancel_batch(batch.values)

    def close(self) -> tuple[int, int]:
        """Drop what is not in the file.

        Returns:
            How many events were lost, and how many are in the file for the next start.

        """
        lost = [*self._writing.values(), *self._unwritten.values()]
        kept = len(self) + len(self._taken) - len(lost)
        self._incoming.clear()
        self._writing, self._unwritten = {}, {}
        if lost:
            self._on_lost(Counter(message.topic for message in lost), "stopped")
        return len(lost), kept

    def _known_in_file(self) -> int:
        """Return how many events are in the file, without those whose rows are to be deleted."""
        taken = sum(row not in self._unwritten and row not in self._writing for row in self._taken)
        return len(self._ready) + self._backlog.total() + taken

    def _take_from(self, queue: deque[Message]) -> Message:
        message = queue.popleft()
        self._taken[message.row] = message
        return message

    def _drop(self, message: Message, reason: str) -> None:
        self._remove(message.row)
        self._on_lost({message.topic: 1}, reason)

    def _remove(self, row: int) -> None:
        if self._unwritten.pop(row, None) is None:
            self._writing.pop(row, None)
            self._removed.append(row)

    def _lose_backlog(self) -> None:
        lost, self._backlog = self._backlog, Counter()
        if lost:
            self._on_lost(lost, "damaged")


def _row_of(message: Message) -> int:
    return message.row
