"""What is saved across restarts in the state directory, and what happens when it cannot be saved."""

import json
import os
from pathlib import Path

import pytest

from edgepub.mqtt.store import open_store
from tests.support.waiting import wait_until


@pytest.fixture
def state_dir(tmp_path):
    return tmp_path / "state" / "edgepub"


def test_everything_is_there_again_after_a_restart(state_dir):
    with open_store(state_dir) as store:
        store.save_setting("porch", "min_score", "0.7")
        store.save_setting("porch", "max_fps", "5")
        store.save_setting("porch", "max_fps", None)
        for topic in "baac":
            store.add_retained(topic)
        store.remove_retained("c")
    with open_store(state_dir) as store:
        assert store.setting("porch", "min_score") == "0.7"
        assert store.setting("porch", "max_fps") is None
        assert store.retained_topics() == ["a", "b"]
    assert state_dir.stat().st_mode & 0o777 == 0o700
    assert (state_dir / "state.json").stat().st_mode & 0o777 == 0o600


def test_a_change_is_written_soon_not_at_the_end(state_dir):
    with open_store(state_dir) as store:
        store.add_retained("a")
        wait_until((state_dir / "state.json").exists, "the file")
        assert json.loads((state_dir / "state.json").read_text()) == {"settings": {}, "retained": ["a"]}


def has_error_about(caplog, *texts):
    """Return whether an error in the log names all of these."""
    errors = [record.getMessage() for record in caplog.records if record.levelname == "ERROR"]
    return any(all(text in error for text in texts) for error in errors)


@pytest.mark.parametrize("content", ["noise", '{"settings": []}', ""])
def test_a_damaged_file_is_set_aside(state_dir, caplog, content):
    state_dir.mkdir(parents=True)
    (state_dir / "state.json").write_text(content)
    with open_store(state_dir) as store:
        assert store.retained_topics() == []
        store.add_retained("a")
    assert has_error_about(caplog, "state.json")
    (aside,) = state_dir.glob("state.json.damaged-*")
    assert aside.read_text() == content
    with open_store(state_dir) as store:
        assert store.retained_topics() == ["a"]


def test_without_a_folder_it_works_in_memory_logs_an_error_and_tries_again(tmp_path, caplog):
    path = tmp_path / "file"
    path.write_text("not a directory")
    with open_store(path / "state", retry_s=0.02) as store:
        for n in range(10):
            store.save_setting("porch", "min_score", f"0.{n}")
        assert store.setting("porch", "min_score") == "0.9"
        wait_until(lambda: has_error_about(caplog, "state.json"), "the error in the log")
        path.unlink()
        wait_until((path / "state" / "state.json").exists, "the file")
    with open_store(path / "state") as store:
        assert store.setting("porch", "min_score") == "0.9"


def test_a_file_that_cannot_be_read_is_set_aside(state_dir, caplog):
    (state_dir / "state.json").mkdir(parents=True)
    with open_store(state_dir) as store:
        store.save_setting("porch", "min_score", "0.7")
    assert has_error_about(caplog, "state.json", "Is a directory")
    with open_store(state_dir) as store:
        assert store.setting("porch", "min_score") == "0.7"


def test_a_file_that_cannot_be_renamed_either_is_left_alone_and_delays_nothing(state_dir, caplog, monkeypatch):
    (state_dir / "state.json").mkdir(parents=True)

    def refuse(*_):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "rename", refuse)
    with open_store(state_dir) as store:
        store.save_setting("porch", "min_score", "0.7")
        assert store.setting("porch", "min_score") == "0.7"
        assert store.add_retained("a"), "no topic waits for it"
    assert has_error_about(caplog, "state.json", "Permission denied")
    assert (state_dir / "state.json").is_dir()


def test_what_root_writes_belongs_to_the_owner_of_the_folder(state_dir):
    """As `discovery --purge` does for a service whose user exists only while it runs."""
    if os.geteuid():
        pytest.skip("needs root")
    state_dir.mkdir(parents=True)
    os.chown(state_dir, 61_999, 61_998)
    with open_store(state_dir) as store:
        store.save_setting("porch", "min_score", "0.7")
    status = (state_dir / "state.json").stat()
    assert (status.st_uid, status.st_gid) == (61_999, 61_998)
