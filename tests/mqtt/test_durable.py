"""The durable lane: what is in its file, what is not, and what becomes of it when the disk does not work."""

import logging
import shutil
import sqlite3
import subprocess
import sys
import threading

import pytest

from edgepub.core.errors import SpoolError
from edgepub.mqtt.messages import event_message, json_format
from edgepub.mqtt.outbox import durable as module
from edgepub.mqtt.outbox import spool
from edgepub.mqtt.outbox.spool import Row, Spool
from tests.support.durable_lane import Lane
from tests.support.waiting import wait_until

FORM = json_format("edgepub.event/1")


@pytest.fixture
def lanes(tmp_path):
    """Return a function that opens lanes one after another, all with the same file."""
    opened = []

    def make(**limits):
        opened.append(Lane(tmp_path / "state" / "events.sqlite", **limits))
        return opened[-1]

    yield make
    for each in opened:
        each.close()


def rows(path):
    database = sqlite3.connect(path)
    try:
        return [payload.decode() for (payload,) in database.execute("SELECT payload FROM events ORDER BY id")]
    finally:
        database.close()


def test_a_message_is_in_the_file_before_it_can_be_taken_and_leaves_it_when_it_was_sent(lanes, tmp_path):
    its = lanes()
    its.put()
    path = tmp_path / "state" / "events.sqlite"
    (message,) = its.take()
    assert rows(path) == ["a1"]
    assert (message.qos, message.retain, message.payload_format) == (1, False, FORM)
    its.lane.done(message)
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
from tests.support.durable_lane import Lane
its = Lane(Path(sys.argv[1]))
its.put("a", 300)
for message in its.take(100):
    its.lane.done(message)
its.put("a", 200)
print("put", flush=True)
time.sleep(float(sys.argv[2]))
os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.parametrize("after_s", [0, 0.003, 0.02, 0.3])
def test_a_kill_leaves_neither_a_hole_nor_a_number_twice(tmp_path, after_s):
    path = tmp_path / "state" / "events.sqlite"
    subprocess.run([sys.executable, "-c", KILLED, path, str(after_s)], check=False, timeout=60, stdout=subprocess.PIPE)
    its = Lane(path)
    its.put("a")
    waiting = len(its.lane)
    numbers = [int(text[1:]) for text in its.texts(waiting)]
    its.close()
    assert numbers == list(range(numbers[0], numbers[-1] + 1)), "no hole"
    assert numbers[0] <= 101, "all that was not sent"
    assert numbers[-1] >= 100, "all that had been ready"


def test_more_than_the_memory_holds_comes_back_in_order(lanes, monkeypatch):
    monkeypatch.setattr(module, "_MOST_READY", 10)
    monkeypatch.setattr(module, "_FEW_READY", 5)
    its = lanes()
    its.put("a", 100)
    assert its.texts(60) == [f"a{n}" for n in range(1, 61)]
    its.put("a", 50)
    assert its.close() == (0, 90)
    again = lanes()
    assert again.texts(90) == [f"a{n}" for n in range(61, 151)]


def test_what_was_taken_and_not_sent_comes_first_again(lanes):
    its = lanes()
    its.put("a", 4)
    taken = its.take(3)
    for message in reversed(taken):
        its.lane.put_back(message)
    assert its.texts(4) == ["a1", "a2", "a3", "a4"]


def test_the_oldest_is_let_go_of_when_there_are_too_many(lanes, monkeypatch):
    monkeypatch.setattr(module, "_MOST_READY", 10)
    monkeypatch.setattr(module, "_FEW_READY", 5)
    its = lanes(max_messages=50)
    for _ in range(10):
        its.put("a", 4)
        its.put("b", 6)
        wait_until(lambda: not its.lane._incoming, "all of it in the file")
    its.put("a")
    assert len(its.lane) == 50
    assert its.close() == (0, 50)
    assert its.dropped() == {"a": {"event_queue_full": 21}, "b": {"event_queue_full": 30}}
    again = lanes()
    assert again.texts(50)[-1] == "a41"


def test_a_message_that_is_too_old_is_let_go_of_and_a_clock_that_jumps_makes_none_old(lanes, monkeypatch):
    its = lanes(max_age_s=100)
    its.put("a", 3)
    wait_until(lambda: not its.lane._incoming, "all of it in the file")
    real = module.time.time
    monkeypatch.setattr(module.time, "time", lambda: real() + 1000)  # a box that has got the time at last
    assert its.texts(1) == ["a1"]
    assert its.close() == (0, 2)
    again = lanes(max_age_s=100)  # 1000 seconds later
    again.put("a")
    (message,) = again.take()
    assert message.payload == b"a4"
    assert 90 <= message.expiry_s <= 100
    assert again.dropped() == {"a": {"event_expired": 2}}


@pytest.mark.parametrize("content", ["noise", "a database of somebody else"])
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
    its = lanes()
    its.put("a")
    assert its.texts(1) == ["a1"]
    assert "events.sqlite is damaged" in caplog.text
    assert len(list(path.parent.glob("events.sqlite.damaged-*"))) == 1
    its.close()
    again = lanes()
    again.put("a")
    assert again.texts(1) == ["a2"]


def test_a_file_that_is_damaged_while_it_is_used_is_set_aside_too(lanes, tmp_path, caplog, monkeypatch):
    monkeypatch.setattr(module, "_MOST_READY", 10)
    monkeypatch.setattr(module, "_FEW_READY", 5)
    its = lanes()
    its.put("a", 200)
    wait_until(lambda: not its.lane._incoming, "all of it in the file")
    its.spool._database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    path = tmp_path / "state" / "events.sqlite"
    its.spool._database.execute("PRAGMA cache_size = 0")
    with path.open("r+b") as file:
        file.seek(4096)
        file.write(b"noise" * 4000)
    ready = its.texts(10)
    assert ready == [f"a{n}" for n in range(1, 11)]
    wait_until(lambda: "is damaged" in caplog.text, "the report")
    its.put("a")
    assert its.texts(1) == ["a201"]
    lost = its.dropped()["a"]["event_damaged"]
    assert lost == 190
    assert f"{lost} events that waited for the broker cannot be read any more" in caplog.text


class FullDisk(Spool):
    """A disk that takes nothing while it is told to."""

    full = False

    def write(self, rows, numbers, gone):
        if self.full:
            raise SpoolError("database or disk is full")
        super().write(rows, numbers, gone)


def test_while_the_disk_takes_nothing_messages_go_from_memory_and_nothing_is_lost(tmp_path, caplog, monkeypatch):
    caplog.set_level(logging.INFO)
    monkeypatch.setattr(module, "_TRY_AGAIN_S", 0.05)
    path = tmp_path / "events.sqlite"
    its = Lane(path)
    its.lane._spool.__class__ = FullDisk
    its.put("a", 2)
    assert its.texts(1) == ["a1"]
    its.spool.full = True
    its.put("a", 4)
    assert its.texts(3) == ["a2", "a3", "a4"], "in order, first from the file"
    assert "events are kept in memory alone" in caplog.text
    its.spool.full = False
    wait_until(lambda: rows(path) == ["a5", "a6"], "what was in memory in the file")
    assert "events are written to disk again" in caplog.text
    its.put("a")
    assert its.texts(3) == ["a5", "a6", "a7"]
    assert its.close() == (0, 0)
    assert not its.dropped()
    again = Lane(path)
    again.put("a")
    assert again.texts(1) == ["a8"]
    again.close()


def test_a_disk_that_hangs_keeps_messages_back_for_a_moment_only(tmp_path, monkeypatch, caplog):
    monkeypatch.setattr(module, "_SLOW_DISK_S", 0.1)
    its = Lane(tmp_path / "events.sqlite")
    hangs = threading.Event()
    write = its.spool.write
    monkeypatch.setattr(its.spool, "write", lambda *of: (hangs.wait(), write(*of)))
    its.put("a", 3)
    assert its.texts(2) == ["a1", "a2"]
    assert "the disk has not answered for 0 s: events are kept in memory alone" in caplog.text
    hangs.set()
    assert its.texts(1) == ["a3"]
    assert its.close() == (0, 0)
    assert rows(tmp_path / "events.sqlite") == []


@pytest.fixture
def full_disk(tmp_path, monkeypatch):
    """A lane whose disk can be full, and is tried again soon."""
    monkeypatch.setattr(module, "_TRY_AGAIN_S", 0.05)
    its = Lane(tmp_path / "events.sqlite")
    its.spool.__class__ = FullDisk
    yield its
    its.close()


def test_what_was_under_way_from_memory_is_written_too_when_the_disk_works_again(full_disk, tmp_path):
    full_disk.spool.full = True
    full_disk.put("a")
    (first,) = full_disk.take()
    full_disk.put("a")
    full_disk.spool.full = False
    wait_until(lambda: rows(tmp_path / "events.sqlite") == ["a1", "a2"], "both in the file")
    full_disk.lane.put_back(first)
    assert full_disk.close() == (0, 2)
    again = Lane(tmp_path / "events.sqlite")
    assert again.texts(2) == ["a1", "a2"]
    again.close()


def test_what_is_not_in_the_file_at_the_end_is_told_as_lost(full_disk, tmp_path):
    full_disk.put("a")
    wait_until(lambda: rows(tmp_path / "events.sqlite") == ["a1"], "the first in the file")
    full_disk.spool.full = True
    full_disk.put("a", 2)
    full_disk.lane.put_back(*full_disk.take())
    assert full_disk.close() == (2, 1)
    assert full_disk.dropped() == {"a": {"event_stopped": 2}}


def test_while_the_disk_is_full_what_is_in_the_file_still_comes_first(full_disk, monkeypatch):
    monkeypatch.setattr(module, "_MOST_READY", 10)
    monkeypatch.setattr(module, "_FEW_READY", 5)
    full_disk.put("a", 30)
    wait_until(lambda: not full_disk.lane._incoming, "all of it in the file")
    full_disk.spool.full = True
    full_disk.put("a", 3)
    assert full_disk.texts(33) == [f"a{n}" for n in range(1, 34)]


def test_a_full_disk_is_tried_now_and_then_and_nothing_grows(full_disk, monkeypatch):
    monkeypatch.setattr(module, "_TRY_AGAIN_S", 60)
    tries = []
    monkeypatch.setattr(full_disk.spool, "write", lambda *of: tries.append(FullDisk.write(full_disk.spool, *of)))
    full_disk.spool.full = True
    for _ in range(50):
        full_disk.put("a", 10)
        full_disk.texts(10)
    assert len(tries) <= 2
    assert not any(map(len, (full_disk.lane._gone, full_disk.lane._unwritten, full_disk.lane._taken)))


def test_a_start_on_a_disk_that_fails_half_way_goes_on_when_it_works(lanes, caplog, monkeypatch):
    caplog.set_level(logging.INFO)
    monkeypatch.setattr(module, "_TRY_AGAIN_S", 0.05)
    before = lanes()
    before.put("a", 20)
    before.close()
    real, fails = spool._prepare, [True]

    error = sqlite3.OperationalError("disk I/O error")
    error.sqlite_errorcode = sqlite3.SQLITE_IOERR

    def failing(database):
        if fails:
            raise error
        return real(database)

    monkeypatch.setattr(spool, "_prepare", failing)
    its = lanes()
    its.put("a", 3)
    assert its.texts(3) == ["a1", "a2", "a3"], "nobody can know of those before"
    fails.clear()
    wait_until(lambda: "written to disk again" in caplog.text, "the disk")
    its.put("a")
    assert its.texts(21) == [*(f"a{n}" for n in range(1, 21)), "a21"]


def test_after_damage_what_is_in_memory_is_written_to_the_new_file(lanes, tmp_path):
    its = lanes()
    its.put("a", 5)
    its.take(2)
    its.spool._database.execute("DROP TABLE events")
    its.put("a")
    path = tmp_path / "state" / "events.sqlite"
    wait_until(lambda: [*path.parent.glob("*.damaged-*")] and rows(path) == [f"a{n}" for n in range(1, 7)], "all of it")
    assert its.texts(4) == ["a3", "a4", "a5", "a6"]


def test_a_row_that_is_no_text_is_damage_and_not_the_end(lanes, tmp_path, caplog):
    before = lanes()
    before.put("a", 3)
    before.close()
    database = sqlite3.connect(tmp_path / "state" / "events.sqlite")
    database.execute("UPDATE events SET topic = CAST(x'ff61' AS TEXT) WHERE id = 2")
    database.commit()
    database.close()
    its = lanes()
    its.put("a")
    assert its.texts(1) == ["a1"]
    assert "is damaged" in caplog.text


def test_without_a_folder_it_works_in_memory_and_with_one_again_on_the_disk(tmp_path, caplog, monkeypatch):
    caplog.set_level(logging.INFO)
    monkeypatch.setattr(module, "_TRY_AGAIN_S", 0.05)
    folder = tmp_path / "state"
    before = Lane(folder / "events.sqlite")
    before.put("a", 3)
    before.close()
    folder.rename(tmp_path / "away")
    folder.write_text("in the way")
    its = Lane(folder / "events.sqlite")
    its.put("a", 2)
    assert its.texts(1) == ["a1"], "nobody can know of those before"
    folder.unlink()
    (tmp_path / "away").rename(folder)
    wait_until(lambda: "written to disk again" in caplog.text, "the disk")
    its.put("a")
    assert its.texts(5) == ["a1", "a2", "a3", "a2", "a4"], "those of before, then those of this life"
    assert its.close() == (0, 0)


def test_the_disk_gets_back_what_a_long_outage_took(lanes, tmp_path):
    its = lanes()
    for _ in range(20):
        its.lane.put("a", lambda _: event_message("a", b"x" * 200_000, FORM))
    wait_until(lambda: not its.lane._incoming, "all of it in the file")
    its.texts(20)
    its.close()
    assert sum(each.stat().st_size for each in (tmp_path / "state").iterdir()) < 200_000


def test_a_row_written_twice_is_there_once(tmp_path):
    """A commit may have gone well and say otherwise."""
    spool = Spool(tmp_path / "events.sqlite")
    spool.open()
    row = Row(1, "a", "s", b"x", 0.0)
    spool.write([row], {"a": 1}, [])
    spool.write([row, Row(2, "a", "s", b"y", 0.0)], {"a": 2}, [])
    assert [each.payload for each in spool.read(0, 10)] == [b"x", b"y"]
    spool.close()
    shutil.rmtree(tmp_path)
