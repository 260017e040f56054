"""Which machine this is, and whose state a directory has."""

import json
import logging
import os
import random

import pytest

from edgepub.core.identity import is_foreign, open_identity
from edgepub.core.machine import is_other_machine, machine_key

ID = "0123456789abcdef0123456789abcdef"


def key(path, machine_id=ID + "\n", serial="10000000abcdef01\0", kind="ext4", at="/", **options):
    id_file, serial_file = path / "machine-id", path / "serial"
    for file, content in ((id_file, machine_id), (serial_file, serial)):
        file.unlink(missing_ok=True)
        if content is not None:
            file.write_text(content)
    mounts = [("/", "ext4"), (str(path) if at == "/" else str(id_file), kind)]
    if at == "/":
        mounts = [("/", kind)]
    return machine_key(id_file, serial_file, mounts, **{"is_container": False, **options})


def test_the_key_is_the_same_at_each_start_and_hides_the_id(tmp_path):
    first = key(tmp_path)
    assert first == key(tmp_path)
    assert first.startswith("machine-id:")
    assert ID not in first
    assert first != key(tmp_path, "f" * 32)


@pytest.mark.parametrize("machine_id", [None, "", "uninitialized\n", "not an id", "\xff" * 32])
def test_without_an_id_the_serial_number_counts_and_then_nothing(tmp_path, machine_id):
    assert key(tmp_path, machine_id).startswith("serial:")
    assert key(tmp_path, machine_id, None) == ""


def test_an_id_that_may_change_at_each_start_does_not_count(tmp_path):
    for kind in ("overlay", "tmpfs"):  # a container's root; an id that systemd made for this boot
        assert key(tmp_path, serial=None, kind=kind) == ""
        assert key(tmp_path, serial=None, kind=kind, at="file") == ""
    assert key(tmp_path, serial=None, is_container=True) == ""
    assert key(tmp_path, serial=None, is_container=True, at="file") == key(tmp_path), "mounted from the host"


@pytest.mark.parametrize(
    ("recorded", "current", "other"),
    [
        ("machine-id:1", "machine-id:1", False),
        ("machine-id:1", "machine-id:2", True),
        ("serial:1", "serial:2", True),
        ("serial:1", "machine-id:2", False),
        ("", "machine-id:2", False),
        ("machine-id:1", "", False),
        ("", "", False),
    ],
)
def test_another_machine_is_only_one_that_is_certainly_another(recorded, current, other):
    assert is_other_machine(recorded, current) is other


def test_an_identity_is_made_once_and_follows_a_new_name(tmp_path):
    first = open_identity(tmp_path, [], "garage", "machine-id:1")
    again = open_identity(tmp_path, [], "cellar", "")
    assert (first.is_new, again.is_new) == (True, False)
    assert (len(first.node_id), again.node_id) == (32, first.node_id)
    assert is_foreign(tmp_path, "machine-id:2")
    assert not is_foreign(tmp_path, "machine-id:1")


@pytest.mark.parametrize("why", ["machine", "disowned"])
def test_the_state_of_another_node_is_renamed_and_a_new_identity_made(tmp_path, caplog, why):
    first = open_identity(tmp_path, [], "garage", "machine-id:1")
    if why == "disowned":
        first.disown("garage")
    files = [tmp_path / name for name in ("state.json", "events.sqlite", "absent")]
    for file in (*files[:2], tmp_path / "events.sqlite-wal"):
        file.write_text(file.name)
    machine = "machine-id:2" if why == "machine" else "machine-id:1"
    second = open_identity(tmp_path, files, "garage", machine)
    assert second.node_id != first.node_id
    assert not is_foreign(tmp_path, machine)
    assert [file for file in (*files, tmp_path / "events.sqlite-wal") if file.exists()] == []
    kept = {path.read_text() for path in tmp_path.glob("*.foreign-*")}
    assert {"state.json", "events.sqlite", "events.sqlite-wal"} < kept
    (line,) = [record for record in caplog.records if record.levelno == logging.WARNING]
    assert str(tmp_path) in line.getMessage()


def test_whatever_is_in_the_file_a_node_has_an_identity(tmp_path):
    """Truncated, with flips, zeroes and growth; and none of it makes the state foreign that is not."""
    path, rng = tmp_path / "identity.json", random.Random(13)
    open_identity(tmp_path, [], "garage", "machine-id:1")
    good = path.read_bytes()
    contents = [good[:n] for n in range(len(good))]
    contents += [b"", b"null", b"[]", b"{}", b"\0" * 200, good * 2, good + b"\0" * 9000, b"\xff" * 99, b"[" * 100_000]
    for _ in range(300):
        damaged = bytearray(good)
        for _ in range(rng.randint(1, 4)):
            damaged[rng.randrange(len(damaged))] = rng.randrange(256)
        contents.append(bytes(damaged))
    for content in contents:
        path.write_bytes(content)
        identity = open_identity(tmp_path, [tmp_path / "state.json"], "garage", "machine-id:1")
        assert identity.node_id
        assert not is_foreign(tmp_path, "machine-id:1")
        assert json.loads(path.read_bytes())["node"] == "garage"


@pytest.mark.parametrize("make", ["mkdir", "symlink", "fifo"])
def test_something_else_in_place_of_the_file(tmp_path, make):
    path = tmp_path / "identity.json"
    {"mkdir": path.mkdir, "symlink": lambda: path.symlink_to("/nonexistent/x"), "fifo": lambda: os.mkfifo(path)}[make]()
    assert open_identity(tmp_path, [], "garage", "").node_id
    assert open_identity(tmp_path, [], "garage", "").node_id
