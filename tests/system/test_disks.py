"""Disks that are full, read-only or overwritten; with the real daemon, on real file systems."""

import contextlib
import json
import shutil
import subprocess
import time
from statistics import median

import pytest

from tests.support.brokers import Mosquitto
from tests.support.durable_lane import query
from tests.support.mill import CAMERAS, Gate, Reader, ReceivedMessages, mill, on_disk, until
from tests.support.waiting import wait_until

pytestmark = [pytest.mark.mosquitto, pytest.mark.faults]
COMPLAINT = "events are kept in memory only; they are lost if edgepub stops before the broker has them"


@pytest.fixture
def broker(tmp_path):
    broker = Mosquitto(tmp_path)
    yield broker
    broker.stop()


@pytest.fixture
def gate(broker):
    gate = Gate(broker.port)
    yield gate
    gate.close()


def rates(received, camera):
    """Return the camera's frames per second in each interval after that in which its first result came."""
    cameras = [stats["cameras"][camera] for stats in received.stats]
    return [stats["fps_inferred"] for stats in cameras if stats["inferred"]][1:]


def all_arrive(broker, daemon, gate):
    """Start the broker; check that every event of this run arrives."""
    received = ReceivedMessages()
    broker.start()
    with contextlib.closing(Reader(broker.port, received)):
        gate.open()
        received.wait_for(lambda: len(received.events) > 100, "events")
        received.wait_for(lambda: all(len(rates(received, camera)) > 2 for camera in CAMERAS), "stats")
        received.wait_until_all_is_sent()
        for camera in CAMERAS:
            assert median(rates(received, camera)) > 5, "inference continued, at nearly 25 on an idle machine"
        assert daemon.terminate() == 0
        received.wait_for(lambda: received.statuses[-1] == "offline", "the goodbye")
    received.check()
    assert [received.numbers(camera)[0] for camera in CAMERAS] == [1, 1]
    return received


def test_a_disk_that_is_full(small_disk, broker, gate, run_daemon, studio):
    """The disk fills while the broker is away. Nothing is lost, and it is logged once."""
    daemon = run_daemon(mill(studio, f"mqtt://127.0.0.1:{gate.port}"), STATE_DIRECTORY=str(small_disk))
    daemon.wait_for_log("database or disk is full: " + COMPLAINT)
    until(time.monotonic() + 10)
    received = all_arrive(broker, daemon, gate)
    assert len(received.events) > 500
    assert daemon.log.count(COMPLAINT) == 1


def test_a_disk_that_has_room_again(small_disk, broker, gate, run_daemon, studio):
    """Events in memory are soon on the disk, and a kill then loses nothing."""
    settings = mill(studio, f"mqtt://127.0.0.1:{gate.port}")
    daemon = run_daemon(settings, STATE_DIRECTORY=str(small_disk))
    daemon.wait_for_log(COMPLAINT)
    subprocess.run(["mount", "-o", "remount,size=50m", small_disk], check=True)
    daemon.wait_for_log("events are written to disk again")
    daemon.process.kill()
    daemon.wait()
    rows = len(query(small_disk / "events.sqlite", "SELECT 1 FROM events"))  # events and visits
    again = run_daemon(settings, STATE_DIRECTORY=str(small_disk))
    again.wait_for_log(f"from the last run: {rows}\n")
    all_arrive(broker, again, gate)


def test_a_state_directory_that_is_read_only_from_the_start(small_disk, broker, gate, run_daemon, studio):
    subprocess.run(["mount", "-o", "remount,ro", small_disk], check=True)
    daemon = run_daemon(mill(studio, f"mqtt://127.0.0.1:{gate.port}"), STATE_DIRECTORY=str(small_disk))
    daemon.wait_for_log("Read-only file system: " + COMPLAINT)
    daemon.wait_for_log("state.json: Read-only file system")
    until(time.monotonic() + 12)  # it is tried again meanwhile
    all_arrive(broker, daemon, gate)
    assert daemon.log.count(COMPLAINT) == 1


def test_a_file_with_garbage_in_it(broker, gate, run_daemon, studio, tmp_path):
    """The file is renamed and reported once, and the daemon does not crash in a loop."""
    settings = mill(studio, f"mqtt://127.0.0.1:{gate.port}")
    state = tmp_path / "state"
    first = run_daemon(settings)
    wait_until(lambda: (state / "events.sqlite").exists() and on_disk(state / "events.sqlite"), "events on disk")
    assert first.terminate() == 0
    rows = len(query(state / "events.sqlite", "SELECT 1 FROM events"))
    assert f"next start: {rows}\n" in first.log, "a warning at the stop"
    shutil.copy(state / "events.sqlite", tmp_path / "good.sqlite")
    (state / "events.sqlite").write_bytes(b"noise" * 100_000)
    (state / "state.json").write_bytes(b"noise")
    second = run_daemon(settings)
    second.wait_for_log("events.sqlite.damaged-")
    second.wait_for_log("state.json.damaged-")
    assert len([*state.glob("events.sqlite.damaged-*"), *state.glob("state.json.damaged-*")]) == 2
    all_arrive(broker, second, gate)
    third = run_daemon(settings)
    third.wait_for_log("connected")
    assert third.terminate() == 0
    assert "damaged" not in third.log
    assert json.loads((state / "state.json").read_text())["retained"]
