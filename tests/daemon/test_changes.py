"""What a reload has to do."""

import copy

import pytest

from edgepub.config.settings import Settings
from edgepub.daemon import reload

BASE = {
    "node": "garage",
    "models": {"a": {"model_name": "a", "zoo_url": "some/zoo"}, "b": {"model_name": "b", "zoo_url": "some/zoo"}},
    "cameras": {
        "one": {"source": 0, "model": "a"},
        "three": {
            "source": 3,
            "model": "a",
            "zones": {"z": {"polygon": [[0, 0], [1, 0], [0, 1]]}},
            "events": {"zones": ["z"]},
        },
        "two": {"source": 1, "model": "b", "zones": {"z": {"polygon": [[0, 0], [1, 0], [0, 1]], "labels": ["person"]}}},
    },
}


@pytest.mark.parametrize(
    ("place", "value", "expected"),
    [
        ("cameras.one.min_score", 0.6, (False, ["one"], ["one"], [])),
        ("cameras.one.zones", {"z": {"polygon": [[0, 0], [1, 0], [1, 1]]}}, (False, [], [], ["one"])),
        ("cameras.one.lines", {"l": {"from": [0, 0], "to": [1, 1]}}, (False, [], [], ["one"])),
        ("cameras.two.zones", {}, (False, [], [], ["two"])),
        ("cameras.three.min_score", 0.6, (False, ["three"], ["three"], [])),
        ("cameras.one.ignore", {"i": {"polygon": [[0, 0], [1, 0], [1, 1]]}}, (False, [], [], ["one"])),
        ("cameras.two.labels", ["person"], (False, ["two"], ["two"], [])),
        ("cameras.two.labels", {"person": {"min_area": 0.1}}, (False, ["two"], ["two"], [])),
        ("cameras.two", {"source": 1, "model": "b", "enabled": False}, (False, ["two"], ["two"], [])),
        ("cameras.four", {"source": 2, "model": "a"}, (False, [], ["four"], [])),
        ("cameras.one", None, (False, ["one"], [], [])),
        ("models.b.model_name", "c", (False, ["two"], ["two"], [])),
        ("models.c", {"model_name": "c", "zoo_url": "some/zoo"}, (False, [], [], [])),
        ("mqtt", {"url": "mqtt://elsewhere"}, (False, [], [], [])),
        ("log", {"level": "debug"}, (False, [], [], [])),
        ("mqtt", {"topic_prefix": "site"}, (True, [], [], [])),
        ("outbox", {"stream": {"size": 3}}, (True, [], [], [])),
        ("node", "other", (True, [], [], [])),
    ],
)
def test_cameras_that_a_change_restarts(place, value, expected):
    new = copy.deepcopy(BASE)
    *above, key = place.split(".")
    section = new
    for part in above:
        section = section[part]
    if value is None:
        del section[key]
    else:
        section[key] = value
    assert reload.find_changes(Settings(**BASE), Settings(**new)) == expected


def test_changes_as_text():
    changes = reload.Changes(False, ["a", "b"], ["b", "c"], ["d", "e"])
    assert str(changes) == "b restarted; c added; a removed; d, e with new zones, lines or ignore areas"


def test_a_secret_source_that_changes_is_a_change(tmp_path):
    (tmp_path / "url").write_text("rtsp://a/1")
    settings = {**BASE, "cameras": {"one": {"source_file": str(tmp_path / "url"), "model": "a"}}}
    old = Settings(**settings)
    (tmp_path / "url").write_text("rtsp://a/2")
    assert reload.find_changes(old, Settings(**settings)).started == ["one"]
