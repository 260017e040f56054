"""The state folder, which belongs to one edgepub at a time."""

import subprocess
import sys
import threading
from pathlib import Path

import pytest

from edgepub.core.errors import StateInUseError
from edgepub.core.state_dir import default_state_dir, lock_state_dir


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "state" / "edgepub"


HOLDER = """
import sys, time
from pathlib import Path
from edgepub.core.state_dir import lock_state_dir
with lock_state_dir(Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def holder(folder):
    """Another process in the folder."""
    command = [sys.executable, "-c", HOLDER, folder]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == "held\n"
        yield process
        process.stdin.close()


def test_a_folder_is_locked_for_one_edgepub(folder, holder):
    with (
        pytest.raises(StateInUseError, match=r"another edgepub uses this folder.*STATE_DIRECTORY"),
        lock_state_dir(folder, timeout_s=0.2),
    ):
        pass
    holder.kill()
    holder.wait()
    with lock_state_dir(folder):
        pass


def test_the_lock_waits_for_another_edgepub_to_end(folder, holder):
    threading.Timer(0.3, holder.stdin.close).start()
    with lock_state_dir(folder):
        assert folder.is_dir()


def test_default_state_dir(monkeypatch):
    monkeypatch.setenv("STATE_DIRECTORY", "/var/lib/edgepub:/var/lib/other")
    assert default_state_dir() == Path("/var/lib/edgepub")
    monkeypatch.delenv("STATE_DIRECTORY")
    monkeypatch.setenv("XDG_STATE_HOME", "/x")
    assert default_state_dir() == Path("/x/edgepub")
    monkeypatch.delenv("XDG_STATE_HOME")
    assert default_state_dir() == Path.home() / ".local/state/edgepub"
