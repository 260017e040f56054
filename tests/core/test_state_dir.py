"""The state directory, which belongs to one edgepub at a time."""

import subprocess
import sys
import threading
from pathlib import Path

import pytest

from edgepub.core.errors import StateInUseError
from edgepub.core.state_dir import default_state_dir, lock_state_dir


@pytest.fixture
def directory(tmp_path):
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
def holder(directory):
    """Another process in the directory."""
    command = [sys.executable, "-c", HOLDER, directory]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == "held\n"
        yield process
        process.stdin.close()


def test_a_directory_is_locked_for_one_edgepub(directory, holder):
    with (
        pytest.raises(StateInUseError, match=r"another edgepub uses this directory.*STATE_DIRECTORY"),
        lock_state_dir(directory, timeout_s=0.2),
    ):
        pass
    holder.kill()
    holder.wait()
    with lock_state_dir(directory):
        pass


def test_the_lock_waits_for_another_edgepub_to_end(directory, holder):
    threading.Timer(0.3, holder.stdin.close).start()
    with lock_state_dir(directory):
        assert directory.is_dir()


def test_default_state_dir(monkeypatch):
    monkeypatch.setenv("STATE_DIRECTORY", "/var/lib/edgepub:/var/lib/other")
    assert default_state_dir() == Path("/var/lib/edgepub")
    monkeypatch.delenv("STATE_DIRECTORY")
    monkeypatch.setenv("XDG_STATE_HOME", "/x")
    assert default_state_dir() == Path("/x/edgepub")
    monkeypatch.delenv("XDG_STATE_HOME")
    assert default_state_dir() == Path.home() / ".local/state/edgepub"
