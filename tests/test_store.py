"""What is kept over restarts, and what happens when it cannot be."""

import sqlite3
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from edgepub import store


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "state" / "edgepub"


def test_everything_is_there_again_after_a_restart(folder):
    with store.opened(folder, "garage") as its:
        assert [its.next_event("porch"), its.next_event("porch"), its.next_event("yard")] == [1, 2, 1]
        its.keep_setting("porch", "min_score", "0.7")
        its.keep_setting("porch", "max_fps", "5")
        its.keep_setting("porch", "max_fps", None)
        its.add_count("b")
        its.add_count("a")
        its.add_count("a")
    with store.opened(folder, "garage") as its:
        assert [its.next_event("porch"), its.next_event("yard")] == [3, 2]
        assert its.setting("porch", "min_score") == "0.7"
        assert its.setting("porch", "max_fps") is None
        assert its.counts() == ["a", "b"]
    assert folder.stat().st_mode & 0o777 == 0o700
    with store.opened(folder, "another") as its:
        assert its.next_event("porch") == 1, "each node has its own"


KILLED = """
import os, signal, sys
from pathlib import Path
from edgepub import store
with store.opened(Path(sys.argv[1]), "garage") as its:
    for _ in range(50):
        its.next_event("porch")
    os.kill(os.getpid(), signal.SIGKILL)
"""


def test_a_kill_loses_nothing(folder):
    subprocess.run([sys.executable, "-c", KILLED, folder], check=False, timeout=60)
    with store.opened(folder, "garage") as its:
        assert its.next_event("porch") == 51


def test_cameras_number_their_events_at_the_same_time(folder):
    with store.opened(folder, "garage") as its:
        numbers = []
        threads = [
            threading.Thread(target=lambda: numbers.extend(its.next_event("porch") for _ in range(100)))
            for _ in range(4)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert sorted(numbers) == list(range(1, 401))


@pytest.mark.parametrize("content", [b"noise" * 1000, None])
def test_a_damaged_file_is_set_aside(folder, caplog, content):
    with store.opened(folder, "garage") as its:
        its.next_event("porch")
    path = folder / "garage.sqlite"
    if content is None:  # good by its form, but not ours
        path.unlink()
        with sqlite3.connect(path) as other:
            other.execute("CREATE TABLE counts (something_else TEXT)")
        other.close()
    else:
        path.write_bytes(content)
    with store.opened(folder, "garage") as its:
        assert its.next_event("porch") == 1
    assert "garage.sqlite is damaged" in caplog.text
    assert len(list(folder.glob("garage.sqlite.damaged-*"))) == 1
    with store.opened(folder, "garage") as its:
        assert its.next_event("porch") == 2


def test_without_a_folder_it_goes_on_in_memory(tmp_path, caplog):
    (tmp_path / "file").write_text("no folder")
    with store.opened(tmp_path / "file" / "state", "garage") as its:
        assert [its.next_event("porch"), its.next_event("porch")] == [1, 2]
        its.keep_setting("porch", "enabled", "OFF")
        assert its.setting("porch", "enabled") == "OFF"
    assert caplog.text.count("cannot be used") == 1


def test_a_disk_that_takes_no_more_is_complained_of_once(folder, caplog):
    with store.opened(folder, "garage") as its:
        its.next_event("porch")
        its._database.execute("PRAGMA max_page_count = 1")
        for n in range(200):
            its.add_count(f"{n}" * 100)
        assert len(its.counts()) == 200
    assert caplog.text.count("the state folder cannot be written") == 1


def test_a_file_that_another_holds_for_a_moment_is_waited_for(folder):
    with store.opened(folder, "garage") as its:
        its.next_event("porch")
    other = sqlite3.connect(folder / "garage.sqlite", isolation_level=None, check_same_thread=False)
    other.execute("PRAGMA locking_mode = EXCLUSIVE")
    other.execute("BEGIN EXCLUSIVE")
    threading.Timer(0.5, other.close).start()
    with store.opened(folder, "garage") as its:
        assert its.next_event("porch") == 2


def test_a_failure_to_read_is_no_damage(folder, caplog, monkeypatch):
    with store.opened(folder, "garage") as its:
        its.next_event("porch")

    def fail(_self, _query):
        monkeypatch.undo()
        raise sqlite3.OperationalError("disk I/O error")

    monkeypatch.setattr(store.Store, "_rows", fail)
    with store.opened(folder, "garage") as its:
        assert its.next_event("porch") == 1, "in memory"
    assert "cannot be used" in caplog.text
    with store.opened(folder, "garage") as its:
        assert its.next_event("porch") == 2, "the file is as it was"


def test_where_it_is(monkeypatch):
    monkeypatch.setenv("STATE_DIRECTORY", "/var/lib/edgepub:/var/lib/other")
    assert store.default_folder() == Path("/var/lib/edgepub")
    monkeypatch.delenv("STATE_DIRECTORY")
    monkeypatch.setenv("XDG_STATE_HOME", "/x")
    assert store.default_folder() == Path("/x/edgepub")
    monkeypatch.delenv("XDG_STATE_HOME")
    assert store.default_folder() == Path.home() / ".local/state/edgepub"
