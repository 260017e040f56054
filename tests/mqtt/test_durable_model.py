"""The durable lane keeps its guarantees while its disk fails, hangs and loses its file at random."""

import random
from collections import Counter

import pytest

from edgepub.core.errors import SpoolError, SpoolReplacedError
from edgepub.mqtt.messages import EventReceipt, event_message, json_format
from edgepub.mqtt.outbox.durable import DurableLane
from edgepub.mqtt.outbox.row import Row
from edgepub.mqtt.outbox.spool_content import Found
from edgepub.telemetry.metrics import MetricsByCamera

FORMAT = json_format("edgepub.event/1")
SEEDS = 100


class Clock:
    """The time, as the lane sees it."""

    def __init__(self):
        self.now_s = 1000.0

    def monotonic(self):
        return self.now_s

    def time_ns(self):
        return 10**18


class FakeSpool:
    """A file in memory. During each operation other threads work (`meanwhile`), and then it may fail."""

    def __init__(self, dice, clock, kinds, rows):
        self.dice = dice
        self.clock = clock
        self.kinds = kinds
        self.rows = {
            number: Row(number, "t", "s", str(number).encode(), clock.monotonic()) for number in range(1, rows + 1)
        }
        self.numbers = {"t": rows} if rows else {}
        self.values = {}
        self.is_open = False
        self.state = "works"
        self.meanwhile = None

    def _run_others(self):
        if self.meanwhile:
            if "hangs" in self.kinds and self.dice.random() < 0.3:
                self.clock.now_s += 6
            for _ in range(self.dice.randrange(6)):
                self.meanwhile()

    def _may_fail(self, operation):
        if self.meanwhile and "damage" in self.kinds and self.dice.random() < 0.03:
            self.rows, self.numbers, self.values, self.is_open = {}, {}, {}, False
            raise SpoolReplacedError("noise")
        if self.state == "dead" or (self.state == "full" and operation == "write"):
            if self.state == "dead" and self.dice.random() < 0.3:
                self.is_open = False
            raise SpoolError(self.state)

    def open(self):
        self._may_fail("open")
        self.is_open = True
        waiting = Counter(row.topic for row in self.rows.values())
        return Found(dict(self.numbers), waiting, max(self.rows, default=0), values=dict(self.values))

    def read(self, after, limit):
        self._run_others()
        self._may_fail("read")
        rows = [self.rows[number] for number in sorted(self.rows) if number > after][:limit]
        self._run_others()
        return rows, []

    def write(self, rows, numbers, removed, values):
        self._run_others()
        self._may_fail("write")
        for row in rows:
            self.rows.setdefault(row.id, row)
        self.numbers |= {topic: max(number, self.numbers.get(topic, 0)) for topic, number in numbers.items()}
        for number in removed:
            self.rows.pop(number, None)
        self.values |= values
        newest = max((int(row.payload) for row in rows), default=0)
        assert int(self.values.get("newest") or 0) >= newest, "the value that was put with an event is written with it"
        self._run_others()

    def shrink(self):
        pass

    def close(self):
        self.is_open = False


class ManualWorker:
    """A worker without a thread: the test does its work."""

    def __init__(self, _name, work):
        self.work = work

    def start(self):
        pass

    def wake(self):
        pass

    def wake_soon(self):
        pass

    def stop(self, _timeout_s):
        self.work()


class World:
    """A lane, its file, and a publisher whose sessions break."""

    def __init__(self, seed, kinds):
        self.dice = random.Random(seed)
        self.clock = Clock()
        self.before = 0 if {"damage", "bad start"} <= kinds else self.dice.randrange(12)
        self.spool = FakeSpool(self.dice, self.clock, kinds, self.before)
        if "bad start" in kinds:
            self.spool.state = "dead"
        self.metrics = MetricsByCamera()
        self.lane = DurableLane(
            self.spool,
            40,
            receipt_of=lambda topic: EventReceipt(self.metrics, topic),
            max_ready=4,
            max_incoming=50,
            clock=self.clock,
            make_worker=self.make_worker,
        )
        self.lane.open(lambda: None)
        self.put = 0
        self.in_flight = []
        self.sent = []  # (row, number), in order

    def make_worker(self, name, work):
        self.worker = ManualWorker(name, work)
        return self.worker

    def do_anything(self):
        chance = self.dice.random()
        if chance < 0.35:
            self.put += 1
            number = str(self.before + self.put).encode()
            values = {"newest": number, "odd": b"" if self.put % 2 else None}
            self.lane.put_all([("t", lambda seq: event_message("t", str(seq).encode(), FORMAT))], values)
        elif chance < 0.7:
            self.take()
        elif chance < 0.93:
            self.send()
        else:
            while self.in_flight:
                self.lane.put_back(self.in_flight.pop())

    def take(self):
        if len(self.in_flight) < 8 and (message := self.lane.take()):
            assert message.row not in [other.row for other in self.in_flight], "in flight twice"
            assert message.row not in [row for row, _ in self.sent], "sent again"
            self.in_flight.append(message)

    def send(self):
        if self.in_flight:
            message = self.in_flight.pop(0)
            self.lane.done(message)
            self.sent.append((message.row, int(message.payload)))

    def run(self, failures):
        for _ in range(120):
            if self.dice.random() < 0.1:
                self.spool.state = self.dice.choice(["works", "works", *failures])
            for _ in range(self.dice.randrange(4)):
                self.do_anything()
            self.spool.meanwhile = self.do_anything
            if self.dice.random() < 0.5:
                self.worker.work()
            self.spool.meanwhile = None
            self.clock.now_s += self.dice.choice([0, 1, 3, 11])

    def finish(self):
        self.spool.state = "works"
        self.clock.now_s += 20
        for _ in range(400):
            self.worker.work()
            self.clock.now_s += 0.1
            self.take()
            while self.in_flight:
                self.send()
        self.worker.work()
        self.worker.work()


@pytest.mark.parametrize(
    ("kinds", "failures"),
    [
        (set(), ["full"]),
        (set(), ["full", "dead"]),
        ({"hangs"}, ["full", "dead"]),
        ({"damage"}, ["full", "dead"]),
        ({"bad start"}, ["full", "dead"]),
        ({"hangs", "damage", "bad start"}, ["full", "dead"]),
    ],
    ids=lambda value: " and ".join(sorted(value)) or "nothing else",
)
def test_every_event_is_sent_once_or_counted_as_lost_and_nothing_is_left_behind(kinds, failures):
    for seed in range(SEEDS):
        world = World(seed, kinds)
        world.run(failures)
        world.finish()
        lost = sum(world.metrics.of("t").read().dropped.values())
        assert len(world.sent) + lost == world.before + world.put, f"seed {seed}"
        assert (world.spool.rows, len(world.lane), world.lane.close(0)) == ({}, 0, (0, 0)), f"seed {seed}"
        if world.put:
            values = {name: value for name, value in world.spool.values.items() if value is not None}
            odd = {"odd": b""} if world.put % 2 else {}
            assert values == {"newest": str(world.before + world.put).encode(), **odd} == world.lane.saved("")
        numbers = [number for _, number in world.sent]
        if not kinds and failures == ["full"]:
            assert numbers == sorted(set(numbers)), f"seed {seed}: in order, each number once"
