"""The bookkeeping of the durable lane, with operations in any order: its invariants hold."""

from collections import Counter

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from edgepub.mqtt.messages import TEXT, event_message
from edgepub.mqtt.outbox.durable_queue import DurableQueue
from edgepub.mqtt.outbox.spool_content import Found

MAX_MESSAGES, MAX_READY, MAX_INCOMING, MAX_IN_FLIGHT = 14, 4, 8, 6


class Machine(RuleBasedStateMachine):
    """A queue, its file, and a publisher.

    Each event that was ever put is in exactly one of: waiting, taken, done, or lost. The machine knows the first three
    by row, the queue reports the last.
    """

    def __init__(self):
        super().__init__()
        self.lost = Counter()
        self.queue = DurableQueue(MAX_MESSAGES, MAX_READY, MAX_INCOMING, self.count_lost)
        self.file = {}  # message by row
        self.saved_numbers = {}
        self.numbers = Counter()
        self.total = 0
        self.taken = {}  # message by row
        self.done = set()
        self.batch = None
        self.read = None  # rows that were read and are not in the queue yet
        self.is_open = False
        self.numbers_are_known = True
        self.is_in_order = True
        self.newest_taken = 0
        self.now_s = 0

    def count_lost(self, lost, reason):
        assert reason in {"queue_full", "expired", "damaged", "stopped"}
        self.lost.update(lost)

    @initialize(before=st.integers(0, 9), opens=st.booleans())
    def start(self, before, opens):
        """Start with a file that has some events, which can be opened or not."""
        for row in range(1, before + 1):
            self.file[row] = event_message("ab"[row % 2], b"", TEXT)._replace(row=row)
            self.numbers["ab"[row % 2]] += 1
        self.saved_numbers = dict(self.numbers)
        self.total = before
        if opens:
            self.open_file()
        else:
            self.queue.start_rows_after(1000)
            self.numbers.clear()
            self.numbers_are_known = self.is_in_order = not before  # those of this run may be taken first

    @property
    def is_idle(self):
        """Whether neither a batch nor a load is in progress."""
        return self.batch is None and self.read is None

    @rule(topic=st.sampled_from("ab"), number=st.integers(1, 6))
    def put(self, topic, number):
        for _ in range(number):
            self.numbers[topic] += 1
            self.now_s += 1
            self.queue.put(topic, self.make(topic), self.now_s)
            self.total += 1

    def make(self, topic):
        def make(number):
            assert number == self.numbers[topic], "no hole"
            return event_message(topic, b"", TEXT)

        return make

    @rule(number=st.integers(1, 6))
    def take(self, number):
        for _ in range(min(number, MAX_IN_FLIGHT - len(self.taken))):
            if (message := self.queue.take()) is None:
                return
            assert message.row in self.file, "an event that is ready is in the file"
            self.note_taken(message)

    @precondition(lambda self: len(self.taken) < MAX_IN_FLIGHT)
    @rule()
    def take_incoming(self):
        overtakes = self.queue.has_ready or self.queue.has_backlog
        if message := self.queue.take_incoming():
            self.is_in_order &= not overtakes
            self.note_taken(message)

    def note_taken(self, message):
        assert message.row not in self.taken, "taken twice"
        assert message.row not in self.done, "taken again after it was done"
        if self.is_in_order:
            assert message.row > self.newest_taken, "not in order"
        self.newest_taken = message.row
        self.taken[message.row] = message

    @precondition(lambda self: self.taken)
    @rule(data=st.data())
    def finish_one(self, data):
        row = data.draw(st.sampled_from(sorted(self.taken)))
        self.queue.done(self.taken.pop(row))
        self.done.add(row)

    @precondition(lambda self: self.taken)
    @rule(in_order=st.booleans())
    def put_all_back(self, in_order):
        """As at the end of a session: the newest first. In another order only the order may differ."""
        self.is_in_order &= in_order or len(self.taken) == 1
        for row in sorted(self.taken, reverse=in_order):
            self.queue.put_back(self.taken.pop(row))
        self.newest_taken = 0

    @rule(age_s=st.integers(0, 20))
    def expire(self, age_s):
        self.queue.expire(self.now_s - age_s)

    @precondition(lambda self: self.is_open and self.is_idle)
    @rule()
    def start_batch(self):
        self.batch = self.queue.start_batch()

    @precondition(lambda self: self.batch is not None)
    @rule()
    def finish_batch(self):
        batch, self.batch = self.batch, None
        for message in batch.added:
            assert message.row not in self.file, "written twice"
            self.file[message.row] = message
        self.saved_numbers |= batch.numbers
        for row in batch.removed:
            self.file.pop(row, None)
        self.queue.finish_batch(batch)

    @precondition(lambda self: self.batch is not None)
    @rule()
    def cancel_batch(self):
        batch, self.batch = self.batch, None
        self.queue.cancel_batch(batch)

    @precondition(lambda self: self.is_open and self.is_idle)
    @rule()
    def write(self):
        self.start_batch()
        self.finish_batch()

    @precondition(lambda self: self.is_open and self.is_idle)
    @rule()
    def load(self):
        self.start_load()
        if self.read is not None:
            self.finish_load()

    @precondition(lambda self: self.is_open and self.is_idle)
    @rule()
    def start_load(self):
        after = self.queue.start_load()
        if after is not None:
            self.read = [self.file[row] for row in sorted(self.file) if row > after][:MAX_READY]

    @precondition(lambda self: self.read is not None)
    @rule()
    def finish_load(self):
        lost = self.lost["damaged"]
        messages, self.read = self.read, None
        self.queue.finish_load(messages)
        assert self.lost["damaged"] == lost

    @precondition(lambda self: self.is_idle)
    @rule()
    def open_file(self):
        waiting = Counter(message.topic for message in self.file.values())
        if not self.is_open:
            for topic, number in self.saved_numbers.items():
                self.numbers[topic] = max(number, self.numbers[topic])
        self.queue.set_file(Found(dict(self.saved_numbers), waiting, max(self.file, default=0)))
        self.is_open = True

    @precondition(lambda self: self.is_idle and self.is_open)
    @rule(is_reported=st.booleans())
    def damage_file(self, is_reported):
        self.file, self.saved_numbers = {}, {}
        if is_reported:
            self.queue.replace_file()
        self.open_file()

    @invariant()
    def every_event_is_somewhere(self):
        in_unknown_file = 0 if self.is_open else len(self.file)
        known = len(self.queue) + len(self.taken) + len(self.done) + self.lost.total()
        assert known + in_unknown_file == self.total

    @invariant()
    def memory_is_bounded(self):
        in_file = len(self.file) if self.is_open else 0
        assert len(self.queue) <= in_file + MAX_INCOMING + 2 * MAX_READY + MAX_IN_FLIGHT

    @invariant()
    def numbers_are_saved_with_their_events(self):
        if self.is_open and self.batch is None and self.numbers_are_known:
            counts = Counter(message.topic for message in self.file.values())
            assert all(self.saved_numbers.get(topic, 0) >= counts[topic] for topic in counts)

    def teardown(self):
        """Finish everything: nothing is left in the queue or in the file."""
        if self.batch is not None:
            self.cancel_batch()
        if self.read is not None:
            self.finish_load()
        if not self.is_open:
            self.open_file()
        for _ in range(2 * self.total + 3):
            self.write()
            self.load()
            self.take(MAX_READY)
            for row in sorted(self.taken):
                self.queue.done(self.taken.pop(row))
                self.done.add(row)
        self.every_event_is_somewhere()
        assert (len(self.queue), self.file, self.queue.close()) == (0, {}, (0, 0))


TestDurableQueue = Machine.TestCase
TestDurableQueue.settings = settings(max_examples=150, stateful_step_count=60, deadline=None)


def queue_with(**options):
    lost = []
    options = {"max_messages": 100, "max_ready": 10, "max_incoming": 100, **options}
    queue = DurableQueue(**options, on_lost=lambda counts, reason: lost.append((dict(counts), reason)))
    queue.set_file(Found({}, Counter(), 0))
    return queue, lost


def put(queue, number=1):
    for _ in range(number):
        queue.put("t", lambda _: event_message("t", b"", TEXT), created_s=0.0)


def test_a_batch_that_was_cancelled_is_part_of_the_next_one():
    queue, _ = queue_with()
    put(queue, 2)
    queue.cancel_batch(queue.start_batch())
    put(queue)
    batch = queue.start_batch()
    assert [message.row for message in batch.added] == [1, 2, 3]
    assert batch.numbers == {"t": 3}
    queue.finish_batch(batch)
    assert not queue.start_batch()


def test_an_event_that_goes_while_it_is_written_is_deleted_by_the_next_batch():
    queue, _ = queue_with()
    put(queue)
    batch = queue.start_batch()
    queue.done(queue.take_incoming())
    queue.finish_batch(batch)
    assert queue.start_batch().removed == [1]


def test_what_is_not_in_the_file_at_the_end_is_lost():
    queue, lost = queue_with()
    put(queue, 3)
    queue.finish_batch(queue.start_batch())
    queue.take()
    put(queue, 2)
    queue.start_batch()
    put(queue)
    assert queue.close() == (3, 3)
    assert lost == [({"t": 3}, "stopped")]


def test_an_empty_read_gives_up_the_backlog():
    queue, lost = queue_with(max_ready=2)
    put(queue, 5)
    queue.finish_batch(queue.start_batch())
    queue.take()
    queue.take()
    assert queue.start_load() == 2
    queue.finish_load([])
    assert (len(queue), lost) == (0, [({"t": 3}, "damaged")])


def overtaken_by_one(queue):
    """Return an event that was taken before others, and is in the file behind the last row that was loaded."""
    put(queue, 5)
    queue.finish_batch(queue.start_batch())
    put(queue)
    message = queue.take_incoming()
    queue.finish_batch(queue.start_batch())
    for _ in range(2):
        queue.done(queue.take())
    assert (message.row, queue.start_load()) == (6, 2)
    return message


def test_an_event_that_is_taken_is_not_loaded_again():
    queue, _ = queue_with(max_ready=2)
    message = overtaken_by_one(queue)
    queue.finish_load([event_message("t", b"", TEXT)._replace(row=row) for row in (3, 4, 5, 6)])
    assert [queue.take().row for _ in range(3)] == [3, 4, 5]
    assert queue.take() is None
    queue.put_back(message)
    assert queue.take().row == message.row


def test_an_event_that_is_done_is_not_loaded_again_before_its_row_is_deleted():
    queue, _ = queue_with(max_ready=2)
    queue.done(overtaken_by_one(queue))
    queue.finish_load([event_message("t", b"", TEXT)._replace(row=row) for row in (3, 4, 5, 6)])
    assert [queue.take().row for _ in range(3)] == [3, 4, 5]
    assert not queue


def test_events_put_back_in_another_order_are_all_sent():
    queue, lost = queue_with(max_ready=1)
    put(queue, 2)
    for message in [queue.take_incoming(), queue.take_incoming()]:
        queue.put_back(message)
    queue.finish_batch(queue.start_batch())
    assert {queue.take().row, queue.take().row} == {1, 2}
    assert not lost


def test_events_that_were_loaded_before_the_file_was_replaced_stay_ready():
    queue, lost = queue_with(max_ready=2)
    put(queue, 4)
    queue.finish_batch(queue.start_batch())
    taken = [queue.take(), queue.take()]
    loaded = [event_message("t", b"", TEXT)._replace(row=row) for row in (3, 4)]
    queue.finish_load(loaded)
    queue.replace_file()
    for message in reversed(taken):
        queue.put_back(message)
    queue.finish_batch(queue.start_batch())
    assert [queue.take().row for _ in range(4)] == [1, 2, 3, 4]
    assert not lost


def test_an_event_put_back_while_it_is_written_is_not_ready_before_it_is_in_the_file():
    queue, _ = queue_with()
    put(queue)
    batch = queue.start_batch()
    queue.put_back(queue.take_incoming())
    assert queue.take() is None
    queue.cancel_batch(batch)
    assert queue.take() is None
    queue.finish_batch(queue.start_batch())
    assert queue.take().row == 1
