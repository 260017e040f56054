"""How long events have waited: within one run, over restarts and boots, and whatever the wall clock shows."""

import contextlib
import sqlite3
import time

import pytest

from edgepub.mqtt.outbox.spool import Spool
from edgepub.mqtt.outbox.spool_clock import SpoolClock
from edgepub.mqtt.outbox.spool_format import upgrade
from tests.support.durable_lane import LaneWithFile, query
from tests.support.waiting import wait_until

YEAR_S = 365 * 86_400
OF_0_1_0 = """
PRAGMA journal_mode = WAL;
CREATE TABLE events (
    id INTEGER PRIMARY KEY, topic TEXT NOT NULL, schema TEXT NOT NULL, payload BLOB NOT NULL, created_s REAL NOT NULL
);
CREATE TABLE numbers (topic TEXT PRIMARY KEY, newest INTEGER NOT NULL) WITHOUT ROWID;
INSERT INTO numbers VALUES ('a', 3);
"""


class Computer:
    """A computer that can boot. The test lets its time pass."""

    time_ns = staticmethod(time.time_ns)

    def __init__(self, uptime_s=1000.0):
        self.boot_id = "first boot"
        self.uptime_s = uptime_s

    def monotonic(self):
        return self.uptime_s

    def boot(self, uptime_s=10.0):
        self.boot_id += ", another boot"
        self.uptime_s = uptime_s


@pytest.fixture
def computer():
    return Computer()


@pytest.fixture
def path(tmp_path):
    return tmp_path / "state" / "events.sqlite"


@pytest.fixture
def start(path, computer):
    """Return a function that starts a lane on the computer, after the last one has ended."""
    lanes = []

    def make(max_age_s=100):
        for lane in lanes:
            lane.close()
        spool = Spool(path, SpoolClock(computer.monotonic, computer.boot_id))
        lanes.append(LaneWithFile(path, spool, max_age_s=max_age_s, clock=computer))
        return lanes[-1]

    yield make
    for lane in lanes:
        lane.close()


def test_an_event_that_waits_too_long_is_dropped_and_counted(start, computer):
    lane = start()
    lane.put("a", 3)
    computer.uptime_s += 60
    (message,) = lane.take()
    assert message.expiry_s == 40
    lane.done(message)
    computer.uptime_s += 41
    lane.put("a")
    (message,) = lane.take()
    assert (message.payload, message.expiry_s) == (b"a4", 100)
    assert lane.dropped() == {"a": {"event_expired": 2}}


def test_the_time_in_which_edgepub_does_not_run_counts(start, computer):
    lane = start()
    lane.put("a", 3)
    computer.uptime_s += 60
    lane.close()
    computer.uptime_s += 30
    lane = start()
    (message,) = lane.take()
    assert message.expiry_s == 10
    lane.put_back(message)
    lane.close()
    computer.uptime_s += 20
    lane = start()
    lane.put("a")
    assert lane.send(1) == ["a4"]
    assert lane.dropped() == {"a": {"event_expired": 3}}


@pytest.mark.parametrize("uptime_s", [0.0, 10.0, 900.0, 1e7])
def test_the_time_in_which_the_computer_is_off_does_not_count_and_the_rest_does(start, computer, uptime_s):
    """The new uptime is not the time since the last boot: the file may have been moved to another computer."""
    lane = start()
    lane.put("a")
    lane.wait_until_written()
    lane.put("a")
    computer.uptime_s += 31
    lane.put("a")
    lane.close()
    computer.boot(uptime_s)
    lane = start()
    expiries = [message.expiry_s for message in lane.take(3)]
    assert expiries == [69, 69, 100]
    computer.uptime_s += 60
    lane = start()
    assert [message.expiry_s for message in lane.take(3)] == [9, 9, 40]
    lane.close()
    computer.boot(uptime_s)
    computer.uptime_s += 10
    assert [message.expiry_s for message in start().take(3)] == [9, 9, 40]


def test_events_expire_in_the_end_although_the_computer_boots_again_and_again(start, computer):
    lanes = [start()]
    lanes[0].put("a", 3)
    for _ in range(3):
        computer.uptime_s += 35
        lanes[-1].close()
        computer.boot()
        lanes.append(start())
    lanes[-1].put("a")
    assert lanes[-1].send(1) == ["a4"]
    assert [lane.dropped() for lane in lanes if lane.dropped()] == [{"a": {"event_expired": 3}}]


@pytest.mark.parametrize("boots", [False, True])
@pytest.mark.parametrize("jump_s", [-YEAR_S, -100, 100, 3 * 86_400, 174 * YEAR_S, -60 * YEAR_S, 3000 * YEAR_S])
def test_the_wall_clock_makes_no_difference(start, computer, monkeypatch, jump_s, boots):
    lane = start()
    lane.put("a")
    real = time.time
    monkeypatch.setattr(time, "time", lambda: real() + jump_s)
    computer.uptime_s += 60
    lane.put("a")
    assert [message.expiry_s for message in lane.take(2)] == [40, 100]
    if boots:
        lane.wait_until_written()
        computer.boot()
    lane = start()
    lane.put("a")
    assert len(lane.take(3)) == 3
    assert not lane.dropped()
    monkeypatch.setattr(time, "time", real)
    assert len(start().take(3)) == 3


@pytest.mark.parametrize("jump_s", [0, -YEAR_S, 3 * 86_400, 174 * YEAR_S, -60 * YEAR_S, 3000 * YEAR_S])
def test_a_file_that_begins_under_a_wrong_clock(start, computer, monkeypatch, jump_s):
    real = time.time
    monkeypatch.setattr(time, "time", lambda: max(5.0, real() + jump_s))
    computer.uptime_s = 10 * YEAR_S
    lane = start()
    lane.put("a", 2)
    lane.wait_until_written()
    monkeypatch.setattr(time, "time", real)
    computer.uptime_s += 50
    lane = start()
    assert [message.expiry_s for message in lane.take(2)] == [50, 50]
    computer.uptime_s += 31
    lane.close()
    computer.boot()
    assert [message.expiry_s for message in start().take(2)] == [19, 19]


def test_the_time_that_the_disk_takes_to_save_the_clock_counts(computer):
    clock = SpoolClock(computer.monotonic, computer.boot_id)
    with contextlib.closing(sqlite3.connect(":memory:")) as database:
        upgrade(database, 0)
        clock.start(database)
        saved_at_s = clock.save(database)
        computer.uptime_s += 31
        clock.set_saved(saved_at_s)
    assert clock.is_save_due


@pytest.mark.parametrize("age_s", [0, 10 * YEAR_S, -174 * YEAR_S])
def test_events_of_0_1_0_count_as_created_when_they_are_found(start, computer, path, age_s):
    """It wrote the time of the wall clock, which may have been wrong."""
    path.parent.mkdir()
    with contextlib.closing(sqlite3.connect(path)) as database:
        database.executescript(OF_0_1_0)
        rows = [(number, f"a{number}".encode(), time.time() - age_s) for number in (1, 2, 3)]
        database.executemany("INSERT INTO events VALUES (?, 'a', 'edgepub.event/1', ?, ?)", rows)
        database.commit()
    lane = start()
    assert [message.expiry_s for message in lane.take(3)] == [100, 100, 100]
    wait_until(lambda: query(path, "SELECT * FROM clock"), "a saved clock")
    computer.uptime_s += 60
    assert [message.expiry_s for message in start().take(3)] == [40, 40, 40]
    computer.uptime_s += 41
    lane = start()
    lane.put("a")
    assert lane.send(1) == ["a4"]
    assert lane.dropped() == {"a": {"event_expired": 3}}


@pytest.mark.parametrize(
    "change",
    [
        "DELETE FROM clock",
        "UPDATE clock SET boot_id = x'ff00'",
        "UPDATE clock SET boot_id = ''",
        "UPDATE clock SET ahead_s = 'noise'",
        "UPDATE clock SET ahead_s = 1e300",
        "UPDATE clock SET ahead_s = ahead_s + 86400",
        "UPDATE clock SET ahead_s = ahead_s - 86400",
        "UPDATE clock SET newest_s = 9e999",
        "UPDATE clock SET newest_s = -9e999",
        "UPDATE clock SET newest_s = x'00'",
        "UPDATE clock SET newest_s = newest_s + 86400, ahead_s = 0",
        "UPDATE clock SET newest_s = 0",
    ],
)
def test_a_damaged_clock_does_not_stop_the_lane_and_events_still_expire(start, computer, path, change):
    lane = start()
    lane.put("a", 3)
    lane.close()
    with contextlib.closing(sqlite3.connect(path)) as database:
        database.execute(change)
        database.commit()
    lane = start()
    lane.put("a")
    lane.wait_until_written()
    computer.uptime_s += 101
    lane = start()
    lane.put("a")
    assert lane.send(1) == ["a5"]
    assert lane.dropped()["a"]["event_expired"] in {1, 4}
