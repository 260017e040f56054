"""The durable lane: what its file holds, and what happens when the disk fails."""

import contextlib
import logging
import queue
import sqlite3
import subprocess
import sys
import threading
import time

import pytest

from edgepub.core.errors import SpoolError
from edgepub.mqtt.messages import event_message, json_format
from edgepub.mqtt.outbox.durable import DurableLane
from edgepub.mqtt.outbox.row import Row, find_event_damage
from edgepub.mqtt.outbox.spool import Spool
from tests.support.durable_lane import LaneWithFile, an_event, query, read_payloads
from tests.support.odd_files import KINDS, put_in_place
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


def names_the_file(caplog):
    """Return whether an error in the log names the file of events."""
    return any(record.levelname == "ERROR" and "events.sqlite" in record.getMessage() for record in caplog.records)


def test_a_message_is_in_the_file_before_it_can_be_taken_and_leaves_it_when_it_was_sent(lanes, tmp_path):
    lane = lanes()
    lane.put()
    path = tmp_path / "state" / "events.sqlite"
    (message,) = lane.take()
    assert read_payloads(path) == ["a1"]
    assert (message.qos, message.retain, message.payload_format) == (1, False, FORMAT)
    lane.done(message)
    wait_until(lambda: not read_payloads(path), "an empty file")
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.parent.stat().st_mode & 0o777 == 0o700


def test_after_a_restart_unsent_messages_come_in_order_and_numbers_continue(lanes):
    first = lanes()
    for _ in range(5):
        first.put("a")
        first.put("b")
    assert first.send(3) == ["a1", "b1", "a2"]
    first.take(2)  # in flight at the end
    assert first.close() == (0, 7)
    restarted = lanes()
    restarted.put("a")
    assert restarted.send(8) == ["b2", "a3", "b3", "a4", "b4", "a5", "b5", "a6"]
    assert restarted.close() == (0, 0)
    assert restarted.metrics.of("a").read().events == 0, "the outbox counts what was sent"


KILLED = """
import os, signal, sys, time
from pathlib import Path
from tests.support.durable_lane import LaneWithFile
lane = LaneWithFile(Path(sys.argv[1]))
lane.put("a", 300)
for message in lane.take(100):
    lane.done(message)
lane.put("a", 200)
print("put", flush=True)
time.sleep(float(sys.argv[2]))
os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.parametrize("after_s", [0, 0.003, 0.02, 0.3])
def test_a_kill_leaves_neither_a_hole_nor_a_number_twice(tmp_path, after_s):
    path = tmp_path / "state" / "events.sqlite"
    subprocess.run([sys.executable, "-c", KILLED, path, str(after_s)], check=False, timeout=60, stdout=subprocess.PIPE)
    lane = LaneWithFile(path)
    lane.put("a")
    waiting = len(lane)
    numbers = [int(text[1:]) for text in lane.send(waiting)]
    lane.close()
    assert numbers == list(range(numbers[0], numbers[-1] + 1)), "no hole"
    assert numbers[0] <= 101, "all that was not sent"
    assert numbers[-1] >= 100, "all that had been ready"


def test_messages_beyond_the_memory_limit_are_sent_in_order(lanes):
    lane = lanes(max_ready=10)
    lane.put("a", 100)
    assert lane.send(60) == [f"a{n}" for n in range(1, 61)]
    lane.put("a", 50)
    assert lane.close() == (0, 90)
    restarted = lanes()
    assert restarted.send(90) == [f"a{n}" for n in range(61, 151)]


def test_messages_put_back_are_taken_first(lanes):
    lane = lanes()
    lane.put("a", 4)
    taken = lane.take(3)
    for message in reversed(taken):
        lane.put_back(message)
    assert lane.send(4) == ["a1", "a2", "a3", "a4"]


def test_the_oldest_is_dropped_when_there_are_too_many(lanes):
    lane = lanes(max_messages=50, max_ready=10)
    for _ in range(10):
        lane.put("a", 4)
        lane.put("b", 6)
        lane.wait_until_written()
    lane.put("a")
    assert len(lane) == 50
    assert lane.close() == (0, 50)
    assert lane.dropped() == {"a": {"event_queue_full": 21}, "b": {"event_queue_full": 30}}
    restarted = lanes()
    assert restarted.send(50)[-1] == "a41"


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
    lane = lanes()
    lane.put("a")
    assert lane.send(1) == ["a1"]
    assert names_the_file(caplog)
    assert len(list(path.parent.glob("events.sqlite.damaged-*"))) == 1
    lane.close()
    restarted = lanes()
    restarted.put("a")
    assert restarted.send(1) == ["a2"]


OTHER_TABLES = {
    "a column more": ["ALTER TABLE events ADD COLUMN more NOT NULL DEFAULT 7"],
    "a column less": ["ALTER TABLE events DROP COLUMN schema"],
    "a view": ["ALTER TABLE events RENAME TO others", "CREATE VIEW events AS SELECT * FROM others"],
    "a trigger": ["CREATE TRIGGER t BEFORE INSERT ON events BEGIN SELECT raise(IGNORE); END"],
    "a unique index": ["CREATE UNIQUE INDEX i ON events (payload)"],
    "a check": [
        "DROP TABLE numbers",
        "CREATE TABLE numbers (topic TEXT PRIMARY KEY, newest INTEGER CHECK (newest < 3))",
    ],
    "numbers with a column more": ["ALTER TABLE numbers ADD COLUMN more"],
    "no numbers": ["DROP TABLE numbers"],
    "another clock": ["DROP TABLE clock", "CREATE TABLE clock (id INTEGER PRIMARY KEY, ahead_s REAL)"],
    "an old version with an index of the name": [
        "PRAGMA user_version = 1",
        "DROP TABLE clock",
        "CREATE INDEX clock ON events (topic)",
    ],
    "an old version with a view of the name": [
        "PRAGMA user_version = 0",
        "DROP TABLE clock",
        "CREATE VIEW clock AS SELECT 1",
    ],
}


def run_statements(path, statements):
    with contextlib.closing(sqlite3.connect(path)) as database:
        for statement in statements:
            database.execute(statement)
        database.commit()


@pytest.mark.parametrize("statements", OTHER_TABLES.values(), ids=OTHER_TABLES)
def test_a_file_whose_tables_are_others_is_set_aside_once(lanes, tmp_path, caplog, statements):
    first = lanes()
    first.put("a", 3)
    first.close()
    path = tmp_path / "state" / "events.sqlite"
    run_statements(path, statements)
    lane = lanes()
    lane.put("a", 2)
    assert lane.send(1) == ["a1"]
    assert lane.close() == (0, 1), "the other one is on disk"
    assert names_the_file(caplog)
    (aside,) = path.parent.glob("events.sqlite.damaged-*")
    assert query(aside, "SELECT count(*) FROM events") == [(3,)]
    assert lanes().send(1) == ["a2"]
    assert [*path.parent.glob("events.sqlite.damaged-*")] == [aside]


@pytest.mark.parametrize("statements", [OTHER_TABLES["a column more"], OTHER_TABLES["a view"]], ids=["column", "view"])
def test_a_file_whose_tables_are_changed_while_in_use_is_set_aside(lanes, tmp_path, statements):
    lane = lanes()
    lane.put("a", 3)
    lane.wait_until_written()
    path = tmp_path / "state" / "events.sqlite"
    run_statements(path, statements)
    lane.put("a")
    wait_until(lambda: [*path.parent.glob("events.sqlite.damaged-*")], "the changed file, set aside")
    assert lane.send(4) == ["a1", "a2", "a3", "a4"]


def test_tables_of_others_beside_those_of_edgepub_do_not_matter(lanes, tmp_path):
    first = lanes()
    first.put("a", 3)
    first.close()
    path = tmp_path / "state" / "events.sqlite"
    run_statements(path, ["ANALYZE", "CREATE TABLE notes (id, topic)", "CREATE INDEX i ON notes (topic)", "VACUUM"])
    assert lanes().send(3) == ["a1", "a2", "a3"]


def set_version(path, version):
    with contextlib.closing(sqlite3.connect(path)) as database:
        database.execute(f"PRAGMA user_version = {version}")


def test_a_file_from_a_newer_edgepub_is_renamed_with_all_its_events(lanes, tmp_path, caplog):
    first = lanes()
    first.put("a", 3)
    first.close()
    path = tmp_path / "state" / "events.sqlite"
    set_version(path, 1000)
    lane = lanes()
    lane.put("a")
    assert lane.send(1) == ["a1"]
    assert names_the_file(caplog)
    assert not lane.dropped(), "nothing is lost"
    lane.close()
    (aside,) = path.parent.glob("events.sqlite.newer-*")
    assert read_payloads(aside) == ["a1", "a2", "a3"]
    assert query(aside, "PRAGMA user_version") == [(1000,)]
    aside.rename(path)  # as somebody does who goes back to the newer one; it knows the version
    set_version(path, 1)
    assert lanes().send(3) == ["a1", "a2", "a3"]


def test_a_file_of_0_1_0_is_taken_over_in_place(lanes, tmp_path):
    path = tmp_path / "state" / "events.sqlite"
    path.parent.mkdir()
    with contextlib.closing(sqlite3.connect(path)) as database:
        database.executescript(OF_0_1_0)
        database.executemany("INSERT INTO events VALUES (?, 'a', 'edgepub.event/1', ?, ?)", rows_of_0_1_0())
        database.execute("INSERT INTO numbers VALUES ('a', 7)")
        database.commit()
    lane = lanes()
    lane.put("a")
    assert lane.send(4) == ["a5", "a6", "a7", "a8"]
    lane.close()
    assert [file.name for file in path.parent.iterdir()] == ["events.sqlite"]
    assert query(path, "PRAGMA user_version") > [(0,)]
    with contextlib.closing(sqlite3.connect(path)) as database:  # as 0.1.0 writes, after a way back
        database.executemany("INSERT OR IGNORE INTO events VALUES (?, ?, ?, ?, ?)", [(9, "a", "s", b"a9", time.time())])
        database.commit()
    assert lanes().send(1) == ["a9"]


OF_0_1_0 = """
PRAGMA auto_vacuum = INCREMENTAL;
PRAGMA journal_mode = WAL;
CREATE TABLE IF NOT EXISTS events (
    id INTEGER PRIMARY KEY, topic TEXT NOT NULL, schema TEXT NOT NULL, payload BLOB NOT NULL, created_s REAL NOT NULL
);
CREATE TABLE IF NOT EXISTS numbers (topic TEXT PRIMARY KEY, newest INTEGER NOT NULL) WITHOUT ROWID;
"""


def rows_of_0_1_0():
    return [(n, f"a{n}".encode(), time.time() - 10) for n in (5, 6, 7)]


def test_a_file_damaged_while_in_use_is_set_aside_too(lanes, tmp_path, caplog):
    lane = lanes(max_ready=10)
    lane.put("a", 200)
    lane.wait_until_written()
    path = tmp_path / "state" / "events.sqlite"
    with contextlib.closing(sqlite3.connect(path)) as database:
        database.execute("PRAGMA user_version = 1")  # a change by another connection empties the cache of the lane's
        database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    with path.open("r+b") as file:
        file.seek(4096)
        file.write(b"noise" * 4000)
    ready = lane.send(10)
    assert ready == [f"a{n}" for n in range(1, 11)]
    wait_until(lambda: [*path.parent.glob("*.damaged-*")], "the damaged file, set aside")
    lane.put("a")
    assert lane.send(1) == ["a201"]
    lost = lane.dropped()["a"]["event_damaged"]
    assert lost == 190
    assert any(record.levelname == "ERROR" and str(lost) in record.getMessage() for record in caplog.records)


class FullDisk(Spool):
    """A disk that is full while `full` is set."""

    full = False
    tries = 0
    written = None
    """The rows that the last write added, and the ids of those that it deleted."""

    def write(self, rows, numbers, removed, values):
        if self.full:
            self.tries += 1
            raise SpoolError("events.sqlite: database or disk is full")
        super().write(rows, numbers, removed, values)
        self.written = (list(rows), list(removed))


def test_while_the_disk_is_full_messages_are_sent_from_memory_and_none_is_lost(tmp_path, caplog):
    caplog.set_level(logging.INFO)
    path = tmp_path / "events.sqlite"
    lane = LaneWithFile(path, FullDisk(path), retry_s=0.05)
    lane.put("a", 2)
    assert lane.send(1) == ["a1"]
    lane.spool.full = True
    lane.put("a", 4)
    assert lane.send(3) == ["a2", "a3", "a4"], "in order, first from the file"
    assert names_the_file(caplog)
    lane.spool.full = False
    wait_until(lambda: read_payloads(path) == ["a5", "a6"], "what was in memory in the file")
    wait_until(lambda: caplog.records[-1].levelname == "INFO", "the log line that the disk works again")
    lane.put("a")
    assert lane.send(3) == ["a5", "a6", "a7"]
    assert lane.close() == (0, 0)
    assert not lane.dropped()
    restarted = LaneWithFile(path)
    restarted.put("a")
    assert restarted.send(1) == ["a8"]
    restarted.close()


class HangingDisk(Spool):
    """A disk that does not answer until `released` is set."""

    def __init__(self, path):
        super().__init__(path)
        self.released = threading.Event()

    def write(self, rows, numbers, removed, values):
        self.released.wait()
        super().write(rows, numbers, removed, values)


def test_a_disk_that_hangs_delays_messages_only_briefly(tmp_path, caplog):
    path = tmp_path / "events.sqlite"
    lane = LaneWithFile(path, HangingDisk(path), slow_disk_s=0.1)
    lane.put("a", 3)
    assert lane.send(2) == ["a1", "a2"]
    assert {record.levelname for record in caplog.records} == {"ERROR"}, "it says that the disk hangs"
    lane.spool.released.set()
    assert lane.send(1) == ["a3"]
    assert lane.close() == (0, 0)
    assert read_payloads(tmp_path / "events.sqlite") == []


@pytest.fixture
def full_disk_lane(tmp_path, request):
    """A lane whose disk can be full; it tries again soon."""
    path = tmp_path / "events.sqlite"
    lane = LaneWithFile(path, FullDisk(path), **{"retry_s": 0.05, **getattr(request, "param", {})})
    yield lane
    lane.close()


def test_messages_in_flight_from_memory_are_written_when_the_disk_works_again(full_disk_lane, tmp_path):
    full_disk_lane.spool.full = True
    full_disk_lane.put("a")
    (first,) = full_disk_lane.take()
    full_disk_lane.put("a")
    full_disk_lane.spool.full = False
    wait_until(lambda: read_payloads(tmp_path / "events.sqlite") == ["a1", "a2"], "both in the file")
    full_disk_lane.put_back(first)
    assert full_disk_lane.close() == (0, 2)
    restarted = LaneWithFile(tmp_path / "events.sqlite")
    assert restarted.send(2) == ["a1", "a2"]
    restarted.close()


def test_messages_not_in_the_file_at_the_end_are_counted_as_lost(full_disk_lane, tmp_path):
    full_disk_lane.put("a")
    wait_until(lambda: read_payloads(tmp_path / "events.sqlite") == ["a1"], "the first in the file")
    full_disk_lane.spool.full = True
    full_disk_lane.put("a", 2)
    full_disk_lane.put_back(*full_disk_lane.take())
    assert full_disk_lane.close() == (2, 1)
    assert full_disk_lane.dropped() == {"a": {"event_stopped": 2}}


@pytest.mark.parametrize("full_disk_lane", [{"max_ready": 10}], indirect=True)
def test_while_the_disk_is_full_messages_in_the_file_are_sent_first(full_disk_lane):
    full_disk_lane.put("a", 30)
    full_disk_lane.wait_until_written()
    full_disk_lane.spool.full = True
    full_disk_lane.put("a", 3)
    assert full_disk_lane.send(33) == [f"a{n}" for n in range(1, 34)]


@pytest.mark.parametrize("full_disk_lane", [{"retry_s": 60}], indirect=True)
def test_a_full_disk_is_tried_rarely_and_memory_does_not_grow(full_disk_lane):
    full_disk_lane.spool.full = True
    for _ in range(50):
        full_disk_lane.put("a", 10)
        full_disk_lane.send(10)
    assert full_disk_lane.spool.tries <= 2
    full_disk_lane.spool.full = False
    assert full_disk_lane.close() == (0, 0)
    assert full_disk_lane.spool.written == ([], []), "nothing is left of what was sent meanwhile"


def test_a_start_that_fails_half_way_completes_when_the_disk_works(lanes, tmp_path):
    before = lanes()
    before.put("a", 20)
    before.close()
    other = sqlite3.connect(tmp_path / "state" / "events.sqlite")  # which makes the opening fail after its first steps
    other.execute("PRAGMA locking_mode = EXCLUSIVE")
    other.execute("BEGIN EXCLUSIVE")
    lane = lanes(retry_s=0.05)
    lane.put("a", 3)
    assert lane.send(3) == ["a1", "a2", "a3"], "those in the file are not known yet"
    other.close()
    wait_until(lambda: len(lane) == 20, "those in the file")
    lane.put("a")
    assert lane.send(21) == [*(f"a{n}" for n in range(1, 21)), "a21"]


def test_after_damage_messages_in_memory_are_written_to_the_new_file(lanes, tmp_path):
    path = tmp_path / "state" / "events.sqlite"
    lane = lanes()
    lane.put("a", 5)
    lane.take(2)
    with contextlib.closing(sqlite3.connect(path)) as database:
        database.execute("DROP TABLE events")
    lane.put("a")

    def has_all_rows():
        with contextlib.suppress(sqlite3.OperationalError):  # the new file has no table yet
            return [*path.parent.glob("*.damaged-*")] and read_payloads(path) == [f"a{n}" for n in range(1, 7)]

    wait_until(has_all_rows, "all rows in the new file")
    assert lane.send(4) == ["a3", "a4", "a5", "a6"]


def test_without_a_directory_it_works_in_memory_until_the_directory_is_back(tmp_path):
    directory = tmp_path / "state"
    before = LaneWithFile(directory / "events.sqlite")
    before.put("a", 3)
    before.close()
    directory.rename(tmp_path / "away")
    directory.write_text("in the way")
    lane = LaneWithFile(directory / "events.sqlite", retry_s=0.05)
    lane.put("a", 2)
    assert lane.send(1) == ["a1"], "those in the file are not known yet"
    directory.unlink()
    (tmp_path / "away").rename(directory)
    wait_until(lambda: len(lane) == 4, "those in the file")
    lane.put("a")
    assert lane.send(5) == ["a1", "a2", "a3", "a2", "a4"], "those in the file, then those of this run"
    assert lane.close() == (0, 0)


def test_the_file_shrinks_after_a_long_outage(lanes, tmp_path):
    lane = lanes()
    lane.put("a", 20, padding=b"x" * 200_000)
    lane.wait_until_written()
    lane.send(20)
    lane.close()
    assert sum(file.stat().st_size for file in (tmp_path / "state").iterdir()) < 200_000


def test_a_row_written_twice_is_stored_once(tmp_path):
    """A commit may succeed and yet report an error."""
    spool = Spool(tmp_path / "events.sqlite")
    spool.open()
    row = Row(1, "a", "s", b"x", 0.0)
    spool.write([row], {"a": 1}, [])
    spool.write([row, Row(2, "a", "s", b"y", 0.0)], {"a": 2}, [])
    assert [row.payload for row in spool.read(0, 10)[0]] == [b"x", b"y"]
    spool.close()


DAMAGE = [
    *("created_s = NULL", "created_s = 1e20", "created_s = -1e20", "created_s = 9e999", "created_s = 'yesterday'"),
    *("created_s = zeroblob(8)", "topic = CAST(topic AS BLOB)", "topic = CAST(x'ff61' AS TEXT)", "topic = ''"),
    *("topic = NULL", "topic = 'edgepub/+/a/events'", "topic = char(0) || topic", "payload = 17", "payload = 'text'"),
    *("payload = NULL", "schema = zeroblob(20)", "schema = char(233)", "id = 9223372036854775807", "id = -5", "id = 0"),
]


def damage(path, changes):
    """Change the second row of a file, also in ways that its constraints forbid, as a failing disk does."""
    with contextlib.closing(sqlite3.connect(path)) as database:
        ((statement,),) = database.execute("SELECT sql FROM sqlite_schema WHERE name = 'events'")
        set_statement(database, statement.replace("NOT NULL", ""))
        database.execute(f"UPDATE events SET {changes} WHERE id = 2")
        database.commit()
        set_statement(database, statement)


def set_statement(database, statement):
    database.execute("PRAGMA writable_schema = ON")
    database.execute("UPDATE sqlite_schema SET sql = ? WHERE name = 'events'", (statement,))
    database.execute("PRAGMA writable_schema = RESET")
    database.commit()


@pytest.mark.parametrize("changes", DAMAGE)
def test_a_damaged_row_is_removed_and_counted_and_the_others_are_sent(lanes, tmp_path, caplog, changes):
    before = lanes()
    before.put("a", 3)
    before.close()
    path = tmp_path / "state" / "events.sqlite"
    damage(path, changes)
    lane = lanes()
    lane.put("a")
    assert lane.send(3) == ["a1", "a3", "a4"]
    lane.wait_until_written()
    assert lane.close() == (0, 0)
    topic = "" if changes.startswith("topic") else "a"
    assert lane.dropped() == {topic: {"event_damaged": 1}}
    assert [record.levelname for record in caplog.records if "events.sqlite" in record.getMessage()] == ["ERROR"]
    assert read_payloads(path) == []
    assert not [*path.parent.glob("*.damaged-*")], "the file stays in use"


@pytest.mark.parametrize("suffix", ["", "-wal", "-shm"])
@pytest.mark.parametrize("kind", KINDS)
def test_what_is_no_file_is_set_aside_and_events_are_on_disk(lanes, tmp_path, caplog, kind, suffix):
    before = lanes()
    before.put("a", 3)
    before.close()
    path = tmp_path / "state" / "events.sqlite"
    put_in_place(kind, path.with_name(path.name + suffix))
    lane = lanes()
    lane.put("a")
    lane.wait_until_written()
    assert lane.send(1) == ["a1"]
    assert names_the_file(caplog)
    assert lane.close() == ((0, 3) if suffix else (0, 0)), "what was in the file is still there"


def test_an_event_has_a_topic_and_a_payload_of_events():
    row = Row(1, "site/edgepub/garage/porch/events", "edgepub.event/1", an_event("e", 1), 1.8e9)
    assert find_event_damage(row) is None
    for topic in (
        "17",
        "edgepub/garage/porch/event",
        "garage/porch/events",
        "edgepub/garage/Porch/events",
        "a\n" + row.topic,
    ):
        assert "topic" in find_event_damage(row._replace(topic=topic))
    for changed in (b"", b"\0" * 9, b"17", b'["seq"]', row.payload[:-1], row.payload.replace(b"label", b"labem")):
        assert "payload" in find_event_damage(row._replace(payload=changed))
    assert "schema" in find_event_damage(row._replace(schema="edgepub.evenu/1"))


@pytest.mark.parametrize("newest", ["9223372036854775807", "'many'", "-1", "0", "1.5", "zeroblob(3)"])
def test_a_damaged_number_is_replaced(lanes, tmp_path, caplog, newest):
    before = lanes()
    before.put("a", 3)
    before.close()
    path = tmp_path / "state" / "events.sqlite"
    with contextlib.closing(sqlite3.connect(path)) as database:
        database.execute(f"UPDATE numbers SET newest = {newest}")
        database.execute("""UPDATE events SET payload = CAST('{"seq": 3}' AS BLOB) WHERE id = 3""")
        database.commit()
    lane = lanes()
    lane.put("a")
    assert lane.send(4)[-1] == "a4", "no number is used twice"
    assert lane.close() == (0, 0)
    assert query(path, "SELECT newest FROM numbers") == [(4,)]
    assert any("damaged" in record.getMessage() for record in caplog.records if record.levelname == "ERROR")


def open_with_values(path, on_late_values=lambda _names: None, spool=None):
    lane = DurableLane(spool or Spool(path), retry_s=0.05)
    lane.open(threading.Event().set, on_late_values)
    return lane


def test_values_are_in_the_file_with_their_events_until_they_are_removed(tmp_path):
    path = tmp_path / "events.sqlite"
    lane = open_with_values(path)
    event = ("a", lambda seq: event_message("a", str(seq).encode(), FORMAT))
    lane.put_all([event], {"visit/cam/1": b"one", "visit/cam/2": b"two"})
    lane.put_all([event], {"visit/cam/1": None})
    assert lane.saved("visit/") == {"visit/cam/2": b"two"}
    lane.close(10)
    assert query(path, "SELECT name, content FROM saved") == [("visit/cam/2", b"two")]
    again = open_with_values(path)
    assert again.saved("visit/cam/") == {"visit/cam/2": b"two"}
    assert again.saved("visit/camera/") == {}
    again.close(10)


def test_damaged_values_are_removed_and_cost_nothing_else(tmp_path, caplog):
    path = tmp_path / "events.sqlite"
    lane = open_with_values(path)
    lane.put_all([("a", lambda seq: event_message("a", str(seq).encode(), FORMAT))], {"visit/cam/1": b"one"})
    lane.close(10)
    with contextlib.closing(sqlite3.connect(path)) as database, database:
        database.execute("INSERT INTO saved VALUES (CAST(x'76697369742f70ff2f31' AS TEXT), x'00')")
        database.execute("INSERT INTO saved VALUES ('visit/po+ch/1', x'00'), ('visit/cam/2', 7)")
    again = open_with_values(path)
    assert again.saved("") == {"visit/cam/1": b"one"}
    assert "table saved: 3 of 4" in caplog.text
    assert wait_until(again.take, "the event").payload == b"1"
    again.close(10)
    assert query(path, "SELECT name FROM saved") == [("visit/cam/1",)]


def test_values_that_can_be_read_only_later_are_told(tmp_path):
    path = tmp_path / "events.sqlite"
    before = open_with_values(path)
    before.put_all([], {"visit/cam/1": b"one", "visit/cam/2": b"two"})
    before.close(10)

    class Late(Spool):
        is_there = False

        def open(self):
            if not self.is_there:
                raise SpoolError("events.sqlite: disk I/O error")
            return super().open()

    spool, told = Late(path), queue.SimpleQueue()
    lane = open_with_values(path, told.put, spool)
    assert lane.saved("") == {}
    lane.put_all([], {"visit/cam/3": b"three", "visit/cam/2": b"newer"})
    spool.is_there = True
    assert told.get(timeout=10) == {"visit/cam/1"}
    assert lane.saved("") == {"visit/cam/1": b"one", "visit/cam/2": b"newer", "visit/cam/3": b"three"}
    lane.close(10)
    assert dict(query(path, "SELECT name, content FROM saved")) == lane.saved("")
