"""What is kept over restarts in the state folder, and what happens when it cannot be."""

import json
import os
from pathlib import Path

import pytest

from edgepub.mqtt import store
from tests.support.waiting import wait_until


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "state" / "edgepub"


def test_everything_is_there_again_after_a_restart(folder):
    with store.open_store(folder) as its:
        its.save_setting("porch", "min_score", "0.7")
        its.save_setting("porch", "max_fps", "5")
        its.save_setting("porch", "max_fps", None)
        for topic in "baac":
            its.add_retained(topic)
        its.remove_retained("c")
    with store.open_store(folder) as its:
        assert its.setting("porch", "min_score") == "0.7"
        assert its.setting("porch", "max_fps") is None
        assert its.retained_topics() == ["a", "b"]
    assert folder.stat().st_mode & 0o777 == 0o700
    assert (folder / "state.json").stat().st_mode & 0o777 == 0o600


def test_a_change_is_written_soon_not_at_the_end(folder):
    with store.open_store(folder) as its:
        its.add_retained("a")
        wait_until((folder / "state.json").exists, "the file")
        assert json.loads((folder / "state.json").read_text()) == {"settings": {}, "retained": ["a"]}


@pytest.mark.parametrize("content", ["noise", '{"settings": []}', ""])
def test_a_damaged_file_is_set_aside(folder, caplog, content):
    folder.mkdir(parents=True)
    (folder / "state.json").write_text(content)
    with store.open_store(folder) as its:
        assert its.retained_topics() == []
        its.add_retained("a")
    assert "state.json is damaged" in caplog.text
    (aside,) = folder.glob("state.json.damaged-*")
    assert aside.read_text() == content
    with store.open_store(folder) as its:
        assert its.retained_topics() == ["a"]


def test_without_a_folder_it_goes_on_in_memory_complains_and_tries_again(tmp_path, caplog, monkeypatch):
    monkeypatch.setattr(store, "_TRY_AGAIN_S", 0.02)
    path = tmp_path / "file"
    path.write_text("no folder")
    with store.open_store(path / "state") as its:
        for n in range(10):
            its.save_setting("porch", "min_score", f"0.{n}")
        assert its.setting("porch", "min_score") == "0.9"
        wait_until(lambda: "forgotten at the next start" in caplog.text, "the complaint")
        path.unlink()
        wait_until((path / "state" / "state.json").exists, "the file")
    with store.open_store(path / "state") as its:
        assert its.setting("porch", "min_score") == "0.9"


def test_a_file_that_cannot_be_read_is_set_aside(folder, caplog):
    (folder / "state.json").mkdir(parents=True)
    with store.open_store(folder) as its:
        its.save_setting("porch", "min_score", "0.7")
    assert "state.json is damaged (cannot be read: Is a directory)" in caplog.text
    with store.open_store(folder) as its:
        assert its.setting("porch", "min_score") == "0.7"


def test_one_that_cannot_be_set_aside_either_is_left_alone_and_keeps_nothing_back(folder, caplog, monkeypatch):
    (folder / "state.json").mkdir(parents=True)

    def refuse(*_):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "rename", refuse)
    with store.open_store(folder) as its:
        its.save_setting("porch", "min_score", "0.7")
        assert its.setting("porch", "min_score") == "0.7"
        assert its.add_retained("a"), "no topic waits for it"
    assert "nothing is kept over restarts until that is mended" in caplog.text
    assert (folder / "state.json").is_dir()


def test_what_root_writes_belongs_to_who_has_the_folder(folder):
    """As `discovery --purge` does for a service whose user exists only while it runs."""
    if os.geteuid():
        pytest.skip("needs root")
    folder.mkdir(parents=True)
    os.chown(folder, 61_999, 61_998)
    with store.open_store(folder) as its:
        its.save_setting("porch", "min_score", "0.7")
    status = (folder / "state.json").stat()
    assert (status.st_uid, status.st_gid) == (61_999, 61_998)
