"""The durable lane: what is in its file, what is not, and what happens when the disk does not work."""

import contextlib
import logging
import sqlite3
import subprocess
import sys
import threading
import time

import pytest

from edgepub.core.errors import SpoolError
from edgepub.mqtt.messages import event_message, json_format
from edgepub.mqtt.outbox.spool import Row, Spool
from tests.support.durable_lane import LaneWithFile
from tests.support.waiting import wait_until

FORMAT = json_format("edgepub.event/1")


@pytest.fixture
def lanes(tmp_path):
    """Return a function that opens lanes one after another, all with the same file."""
    lanes = []

    def make(**limits):
        lanes.append(LaneWithFile(tmp_path / "state" / "events.sqlite", **limits))
        return lanes[-1]

    yield make
    for lane in lanes:
        lane.close()


def rows(path):
    database = sqlite3.connect(path)
    try:
        return [payload.decode() for (payload,) in database.execute("SELECT payload FROM events ORDER BY id")]
    except sqlite3.OperationalError:  # the file is being made
        return []
    finally:
        database.close()


def names_the_file(caplog):
    """Return whether an error in the log names the file of events."""
    return any(record.levelname == "ERROR" and "events.sqlite" in record.getMessage() for record in caplog.records)


def test_a_message_is_in_the_file_before_it_can_be_taken_and_leaves_it_when_it_was_sent(lanes, tmp_path):
    tested = lanes()
    tested.put()
    path = tmp_path / "state" / "events.sqlite"
    (message,) = tested.take()
    assert rows(path) == ["a1"]
    assert (message.qos, message.retain, message.payload_format) == (1, False, FORMAT)
    tested.lane.done(message)
    wait_until(lambda: not rows(path), "an empty file")
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.parent.stat().st_mode & 0o777 == 0o700


def test_what_was_not_sent_is_there_again_in_order_after_a_restart_and_numbers_go_on(lanes):
    first = lanes()
    for _ in range(5):
        first.put("a")
        first.put("b")
    assert first.texts(3) == ["a1", "b1", "a2"]
    first.take(2)  # under way at the end
    assert first.close() == (0, 7)
    again = lanes()
    again.put("a")
    assert again.texts(8) == ["b2", "a3", "b3", "a4", "b4", "a5", "b5", "a6"]
    assert again.close() == (0, 0)
    assert again.counts["a"].read().events == 0, "it is the outbox that counts what was sent"


KILLED = """
import os, signal, sys, time
from pathlib import Path
from tests.support.durable_lane import LaneWithFile
tested = LaneWithFile(Path(sys.argv[1]))
tested.put("a", 300)
for message in tested.take(100):
    tested.lane.done(message)
tested.put("a", 200)
print("put", flush=True)
time.sleep(float(sys.argv[2]))
os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.parametrize("after_s", [0, 0.003, 0.02, 0.3])
def test_a_kill_leaves_neither_a_hole_nor_a_number_twice(tmp_path, after_s):
    path = tmp_path / "state" / "events.sqlite"
    subprocess.run([sys.executable, "-c", KILLED, path, str(after_s)], check=False, timeout=60, stdout=subprocess.PIPE)
    tested = LaneWithFile(path)
    tested.put("a")
    waiting = len(tested.lane)
    numbers = [int(text[1:]) for text in tested.texts(waiting)]
    tested.close()
    assert numbers == list(range(numbers[0], numbers[-1] + 1)), "no hole"
    assert numbers[0] <= 101, "all that was not sent"
    assert numbers[-1] >= 100, "all that had been ready"


def test_more_than_the_memory_holds_comes_back_in_order(lanes):
    tested = lanes(max_ready=10)
    tested.put("a", 100)
    assert tested.texts(60) == [f"a{n}" for n in range(1, 61)]
    tested.put("a", 50)
    assert tested.close() == (0, 90)
    again = lanes()
    assert again.texts(90) == [f"a{n}" for n in range(61, 151)]


def test_what_was_taken_and_not_sent_comes_first_again(lanes):
    tested = lanes()
    tested.put("a", 4)
    taken = tested.take(3)
    for message in reversed(taken):
        tested.lane.put_back(message)
    assert tested.texts(4) == ["a1", "a2", "a3", "a4"]


def test_the_oldest_is_dropped_when_there_are_too_many(lanes):
    tested = lanes(max_messages=50, max_ready=10)
    for _ in range(10):
        tested.put("a", 4)
        tested.put("b", 6)
        tested.wait_until_written()
    tested.put("a")
    assert len(tested.lane) == 50
    assert tested.close() == (0, 50)
    assert tested.dropped() == {"a": {"event_queue_full": 21}, "b": {"event_queue_full": 30}}
    again = lanes()
    assert again.texts(50)[-1] == "a41"


def test_a_message_that_is_too_old_is_dropped_and_a_clock_that_jumps_makes_none_old(lanes, monkeypatch):
    tested = lanes(max_age_s=100)
    tested.put("a", 3)
    tested.wait_until_written()
    real = time.time
    monkeypatch.setattr(time, "time", lambda: real() + 1000)  # a computer without a battery has got the time at last
    assert tested.texts(1) == ["a1"]
    assert tested.close() == (0, 2)
    again = lanes(max_age_s=100)  # 1000 seconds later
    again.put("a")
    (message,) = again.take()
    assert message.payload == b"a4"
    assert 90 <= message.expiry_s <= 100
    assert again.dropped() == {"a": {"event_expired": 2}}


@pytest.mark.parametrize("content", ["noise", "another program's database"])
def test_a_damaged_file_is_set_aside_and_reported(lanes, tmp_path, caplog, content):
    first = lanes()
    first.put("a", 3)
    first.close()
    path = tmp_path / "state" / "events.sqlite"
    if content == "noise":
        path.write_bytes(b"noise" * 10_000)
    else:
        path.unlink()
        other = sqlite3.connect(path)
        other.execute("CREATE TABLE events (something TEXT)")
        other.close()
    tested = lanes()
    tested.put("a")
    assert tested.texts(1) == ["a1"]
    assert names_the_file(caplog)
    assert len(list(path.parent.glob("events.sqlite.damaged-*"))) == 1
    tested.close()
    again = lanes()
    again.put("a")
    assert again.texts(1) == ["a2"]


def test_a_file_that_is_damaged_while_it_is_used_is_set_aside_too(lanes, tmp_path, caplog):
    tested = lanes(max_ready=10)
    tested.put("a", 200)
    tested.wait_until_written()
    tested.spool._database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    path = tmp_path / "state" / "events.sqlite"
    tested.spool._database.execute("PRAGMA cache_size = 0")
    with path.open("r+b") as file:
        file.seek(4096)
        file.write(b"noise" * 4000)
    ready = tested.texts(10)
    assert ready == [f"a{n}" for n in range(1, 11)]
    wait_until(lambda: [*path.parent.glob("*.damaged-*")], "the damaged file, set aside")
    tested.put("a")
    assert tested.texts(1) == ["a201"]
    lost = tested.dropped()["a"]["event_damaged"]
    assert lost == 190
    assert any(record.levelname == "ERROR" and str(lost) in record.getMessage() for record in caplog.records)


class FullDisk(Spool):
    """A disk that takes nothing while `full` is set."""

    full = False
    tries = 0

    def write(self, rows, numbers, removed):
        if self.full:
            self.tries += 1
            raise SpoolError("events.sqlite: database or disk is full")
        super().write(rows, numbers, removed)


def test_while_the_disk_takes_nothing_messages_go_from_memory_and_nothing_is_lost(tmp_path, caplog):
    caplog.set_level(logging.INFO)
    path = tmp_path / "events.sqlite"
    tested = LaneWithFile(path, FullDisk(path), retry_s=0.05)
    tested.put("a", 2)
    assert tested.texts(1) == ["a1"]
    tested.spool.full = True
    tested.put("a", 4)
    assert tested.texts(3) == ["a2", "a3", "a4"], "in order, first from the file"
    assert names_the_file(caplog)
    tested.spool.full = False
    wait_until(lambda: rows(path) == ["a5", "a6"], "what was in memory in the file")
    wait_until(lambda: caplog.records[-1].levelname == "INFO", "the log line that the disk works again")
    tested.put("a")
    assert tested.texts(3) == ["a5", "a6", "a7"]
    assert tested.close() == (0, 0)
    assert not tested.dropped()
    again = LaneWithFile(path)
    again.put("a")
    assert again.texts(1) == ["a8"]
    again.close()


class HangingDisk(Spool):
    """A disk that does not answer until `released` is set."""

    def __init__(self, path):
        super().__init__(path)
        self.released = threading.Event()

    def write(self, rows, numbers, removed):
        self.released.wait()
        super().write(rows, numbers, removed)


def test_a_disk_that_hangs_keeps_messages_back_for_a_moment_only(tmp_path, caplog):
    path = tmp_path / "events.sqlite"
    tested = LaneWithFile(path, HangingDisk(path), slow_disk_s=0.1)
    tested.put("a", 3)
    assert tested.texts(2) == ["a1", "a2"]
    assert {record.levelname for record in caplog.records} == {"ERROR"}, "it says that the disk hangs"
    tested.spool.released.set()
    assert tested.texts(1) == ["a3"]
    assert tested.close() == (0, 0)
    assert rows(tmp_path / "events.sqlite") == []


@pytest.fixture
def full_disk(tmp_path, request):
    """A lane whose disk can be full, and is tried again soon."""
    path = tmp_path / "events.sqlite"
    tested = LaneWithFile(path, FullDisk(path), **{"retry_s": 0.05, **getattr(request, "param", {})})
    yield tested
    tested.close()


def test_what_was_under_way_from_memory_is_written_too_when_the_disk_works_again(full_disk, tmp_path):
    full_disk.spool.full = True
    full_disk.put("a")
    (first,) = full_disk.take()
    full_disk.put("a")
    full_disk.spool.full = False
    wait_until(lambda: rows(tmp_path / "events.sqlite") == ["a1", "a2"], "both in the file")
    full_disk.lane.put_back(first)
    assert full_disk.close() == (0, 2)
    again = LaneWithFile(tmp_path / "events.sqlite")
    assert again.texts(2) == ["a1", "a2"]
    again.close()


def test_what_is_not_in_the_file_at_the_end_is_counted_as_lost(full_disk, tmp_path):
    full_disk.put("a")
    wait_until(lambda: rows(tmp_path / "events.sqlite") == ["a1"], "the first in the file")
    full_disk.spool.full = True
    full_disk.put("a", 2)
    full_disk.lane.put_back(*full_disk.take())
    assert full_disk.close() == (2, 1)
    assert full_disk.dropped() == {"a": {"event_stopped": 2}}


@pytest.mark.parametrize("full_disk", [{"max_ready": 10}], indirect=True)
def test_while_the_disk_is_full_what_is_in_the_file_still_comes_first(full_disk):
    full_disk.put("a", 30)
    full_disk.wait_until_written()
    full_disk.spool.full = True
    full_disk.put("a", 3)
    assert full_disk.texts(33) == [f"a{n}" for n in range(1, 34)]


@pytest.mark.parametrize("full_disk", [{"retry_s": 60}], indirect=True)
def test_a_full_disk_is_tried_now_and_then_and_nothing_grows(full_disk):
    full_disk.spool.full = True
    for _ in range(50):
        full_disk.put("a", 10)
        full_disk.texts(10)
    assert full_disk.spool.tries <= 2
    batch = full_disk.lane._queue.start_batch()
    assert (batch.added, batch.removed) == ([], [])
    assert full_disk.close() == (0, 0)


def test_a_start_on_a_disk_that_fails_half_way_goes_on_when_it_works(lanes, tmp_path):
    before = lanes()
    before.put("a", 20)
    before.close()
    other = sqlite3.connect(tmp_path / "state" / "events.sqlite")  # which makes the opening fail after its first steps
    other.execute("PRAGMA locking_mode = EXCLUSIVE")
    other.execute("BEGIN EXCLUSIVE")
    tested = lanes(retry_s=0.05)
    tested.put("a", 3)
    assert tested.texts(3) == ["a1", "a2", "a3"], "those in the file are not known yet"
    other.close()
    wait_until(lambda: len(tested.lane) == 20, "those in the file")
    tested.put("a")
    assert tested.texts(21) == [*(f"a{n}" for n in range(1, 21)), "a21"]


def test_after_damage_what_is_in_memory_is_written_to_the_new_file(lanes, tmp_path):
    tested = lanes()
    tested.put("a", 5)
    tested.take(2)
    tested.spool._database.execute("DROP TABLE events")
    tested.put("a")
    path = tmp_path / "state" / "events.sqlite"

    def has_all_rows():
        with contextlib.suppress(sqlite3.OperationalError):  # the new file has no table yet
            return [*path.parent.glob("*.damaged-*")] and rows(path) == [f"a{n}" for n in range(1, 7)]

    wait_until(has_all_rows, "all rows in the new file")
    assert tested.texts(4) == ["a3", "a4", "a5", "a6"]


def test_a_row_that_is_not_text_is_damage_and_does_not_stop_the_lane(lanes, tmp_path, caplog):
    before = lanes()
    before.put("a", 3)
    before.close()
    database = sqlite3.connect(tmp_path / "state" / "events.sqlite")
    database.execute("UPDATE events SET topic = CAST(x'ff61' AS TEXT) WHERE id = 2")
    database.commit()
    database.close()
    tested = lanes()
    tested.put("a")
    assert tested.texts(1) == ["a1"]
    assert names_the_file(caplog)


def test_without_a_folder_it_works_in_memory_and_with_one_again_on_the_disk(tmp_path):
    folder = tmp_path / "state"
    before = LaneWithFile(folder / "events.sqlite")
    before.put("a", 3)
    before.close()
    folder.rename(tmp_path / "away")
    folder.write_text("in the way")
    tested = LaneWithFile(folder / "events.sqlite", retry_s=0.05)
    tested.put("a", 2)
    assert tested.texts(1) == ["a1"], "those in the file are not known yet"
    folder.unlink()
    (tmp_path / "away").rename(folder)
    wait_until(lambda: len(tested.lane) == 4, "those in the file")
    tested.put("a")
    assert tested.texts(5) == ["a1", "a2", "a3", "a2", "a4"], "those in the file, then those of this run"
    assert tested.close() == (0, 0)


def test_the_disk_gets_back_what_a_long_outage_took(lanes, tmp_path):
    tested = lanes()
    for _ in range(20):
        tested.lane.put("a", lambda _: event_message("a", b"x" * 200_000, FORMAT))
    tested.wait_until_written()
    tested.texts(20)
    tested.close()
    assert sum(file.stat().st_size for file in (tmp_path / "state").iterdir()) < 200_000


def test_a_row_written_twice_is_there_once(tmp_path):
    """A commit may succeed and yet report an error."""
    spool = Spool(tmp_path / "events.sqlite")
    spool.open()
    row = Row(1, "a", "s", b"x", 0.0)
    spool.write([row], {"a": 1}, [])
    spool.write([row, Row(2, "a", "s", b"y", 0.0)], {"a": 2}, [])
    assert [row.payload for row in spool.read(0, 10)] == [b"x", b"y"]
    spool.close()
