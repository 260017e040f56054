"""What is saved across restarts in the state directory, and what happens when it cannot be saved."""

import json
import os
from pathlib import Path

import pytest

from edgepub.mqtt.store import open_store, read_entities, read_retained_topics
from tests.support.odd_files import KINDS, put_in_place
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
        assert store.retained_topics() == ["b", "a"], "the longest unchanged first"
    assert state_dir.stat().st_mode & 0o777 == 0o700
    assert (state_dir / "state.json").stat().st_mode & 0o777 == 0o600


def test_a_change_is_written_soon_not_at_the_end(state_dir):
    with open_store(state_dir) as store:
        store.add_retained("a")
        wait_until((state_dir / "state.json").exists, "the file")
        saved = {"version": 2, "settings": {}, "retained": ["a"]}
        assert json.loads((state_dir / "state.json").read_text()) == saved


def test_the_last_200_entities_are_kept(state_dir):
    with open_store(state_dir) as store:
        assert store.add_entities(["attributes/a", "stats/stage/m"]) == ["attributes/a", "stats/stage/m"]
    with open_store(state_dir) as store:
        assert store.add_entities(["attributes/b"]) == ["attributes/a", "stats/stage/m", "attributes/b"]
        assert len(store.add_entities(map(str, range(300)))) == 200
    assert read_entities(state_dir)[-1] == "299"


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


@pytest.mark.parametrize("newer", [{"rules": [1]}, {"version": 7}, {"version": 7, "rules": [1]}])
def test_a_file_from_a_newer_edgepub_is_kept_and_what_is_known_of_it_is_used(state_dir, caplog, newer):
    state_dir.mkdir(parents=True)
    content = {"settings": {"porch": {"min_score": "0.7"}}, "retained": ["a"], **newer}
    (state_dir / "state.json").write_text(json.dumps(content))
    with open_store(state_dir) as store:
        assert (store.setting("porch", "min_score"), store.retained_topics()) == ("0.7", ["a"])
    assert has_error_about(caplog, "state.json", "newer")
    (copy,) = state_dir.glob("state.json.newer-*")
    assert json.loads(copy.read_text()) == content
    caplog.clear()
    with open_store(state_dir) as store:
        assert store.retained_topics() == ["a"]
    assert not caplog.records
    assert len([*state_dir.glob("state.json.newer-*")]) == 1


def test_a_file_from_a_newer_edgepub_that_cannot_be_used_is_renamed(state_dir, caplog):
    state_dir.mkdir(parents=True)
    content = {"version": 3, "settings": [], "retained": {"a": 1}}
    (state_dir / "state.json").write_text(json.dumps(content))
    with open_store(state_dir) as store:
        store.add_retained("b")
    (aside,) = state_dir.glob("state.json.newer-*")
    assert json.loads(aside.read_text()) == content
    assert has_error_about(caplog, "state.json", "newer")


def test_a_topic_that_cannot_be_one_is_left_out(state_dir, caplog):
    state_dir.mkdir(parents=True)
    topics = ["a", "a/#", "+", "", "\0", "x" * 70_000]
    (state_dir / "state.json").write_text(json.dumps({"settings": {}, "retained": topics}))
    with open_store(state_dir) as store:
        assert store.retained_topics() == ["a"]
    assert has_error_about(caplog, "state.json", "topics: 5")
    (state_dir / "state.json").write_text(json.dumps({"settings": {}, "retained": topics}))
    assert read_retained_topics(state_dir) == ["a"]


@pytest.mark.parametrize("name", ["state.json", "state.json.new"])
@pytest.mark.parametrize("kind", KINDS)
def test_what_is_no_file_is_set_aside_and_delays_nothing(state_dir, kind, name):
    state_dir.mkdir(parents=True)
    put_in_place(kind, state_dir / name)
    with open_store(state_dir) as store:
        store.add_retained("a")
        wait_until(lambda: store.add_retained("a"), "the topic on disk", seconds=5)
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
