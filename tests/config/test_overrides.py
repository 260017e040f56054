"""Zones, lines and ignore areas saved on a camera's page, in the state directory."""

import signal
import subprocess
import sys

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from edgepub.config import overrides
from edgepub.config.areas import Anchor, Areas
from edgepub.config.settings import Settings
from edgepub.core.errors import ConfigurationError
from tests.support.odd_files import KINDS, put_in_place

SQUARE = [[0, 0], [1, 0], [1, 1], [0, 1]]
DRAWN = Areas.model_validate(
    {
        "zones": {"driveway": {"polygon": [[0.1, 0.5], [0.9, 0.5], [0.9, 1], [0.1, 1]], "labels": ["person"]}},
        "lines": {"gate": {"from": [0.5, 0], "to": [0.5, 1], "anchor": "center"}},
        "ignore": {"flag": {"polygon": [[0, 0], [0.1, 0], [0.1, 0.1]], "labels": ["person"], "anchor": "center"}},
    }
)
EMPTY = Areas(ignore={})


def configured(**cameras):
    model = {"model_name": "yolo", "zoo_url": "degirum/hailo", "inference_host_address": "@local"}
    cameras = {name: {"source": 0, "model": "coco", **camera} for name, camera in cameras.items()}
    return Settings.model_validate({"models": {"coco": model}, "cameras": cameras})


def mistakes(action):
    with pytest.raises(ConfigurationError) as caught:
        action()
    return caught.value.mistakes


def test_saved_areas_are_read_back_and_the_file_is_private(tmp_path):
    directory = tmp_path / "state"
    assert overrides.read(directory) == {}
    overrides.write(directory, {"porch": DRAWN, "yard": EMPTY})
    assert overrides.read(directory) == {"porch": DRAWN, "yard": EMPTY}
    file = directory / "overrides.yaml"
    assert (directory.stat().st_mode & 0o777, file.stat().st_mode & 0o777) == (0o700, 0o600)
    text = file.read_text()
    assert text.startswith("# ")
    assert yaml.safe_load(text) == {
        "cameras": {
            "porch": {
                "zones": {"driveway": {"polygon": [[0.1, 0.5], [0.9, 0.5], [0.9, 1], [0.1, 1]], "labels": ["person"]}},
                "lines": {"gate": {"from": [0.5, 0], "to": [0.5, 1], "anchor": "center"}},
                "ignore": {
                    "flag": {"polygon": [[0, 0], [0.1, 0], [0.1, 0.1]], "labels": ["person"], "anchor": "center"}
                },
            },
            "yard": {"ignore": {}},
        }
    }
    assert configured(porch=yaml.safe_load(text)["cameras"]["porch"]).cameras["porch"].areas == DRAWN


def test_without_saved_areas_there_is_no_file(tmp_path):
    overrides.write(tmp_path, {})
    overrides.write(tmp_path, {"porch": DRAWN})
    overrides.write(tmp_path, {})
    assert overrides.read(tmp_path) == {}
    assert list(tmp_path.iterdir()) == []


names = st.from_regex(r"[a-z0-9_-]{1,64}", fullmatch=True)
labels = st.none() | st.lists(st.text(min_size=1), min_size=1, max_size=4)
anchors = st.sampled_from(Anchor.__args__)
low, high = st.floats(0, 0.4), st.floats(0.6, 1)
polygons = st.builds(lambda x1, y1, x2, y2: [[x1, y1], [x2, y1], [x2, y2], [x1, y2]], low, low, high, high)
zones = st.fixed_dictionaries({"polygon": polygons, "labels": labels, "anchor": anchors})
ends = st.tuples(low, st.floats(0, 1)), st.tuples(high, st.floats(0, 1))
lines = st.fixed_dictionaries({"from": ends[0], "to": ends[1], "labels": labels, "anchor": anchors})
many_areas = st.builds(
    lambda zones, lines, ignore: Areas.model_validate({"zones": zones, "lines": lines, "ignore": ignore}),
    st.dictionaries(names, zones, max_size=3),
    st.dictionaries(names, lines, max_size=3),
    st.none() | st.dictionaries(names, zones, max_size=3),
)
cameras = st.dictionaries(names.filter(lambda name: name not in {"status", "info", "stats"}), many_areas, max_size=3)


@pytest.mark.slow
@given(cameras)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_all_areas_are_saved_exactly(tmp_path, saved):
    overrides.write(tmp_path, saved)
    again = overrides.read(tmp_path)
    assert again == saved
    assert [list(areas.zones) for areas in again.values()] == [list(areas.zones) for areas in saved.values()]


DIES = """
import os, pathlib, signal, sys
from edgepub.config import overrides
from edgepub.config.areas import Areas

def die(*_):
    os.kill(os.getpid(), signal.SIGKILL)

syncs, sync = [], os.fsync
def die_at_the_second(descriptor):
    syncs.append(descriptor)
    die() if len(syncs) == 2 else sync(descriptor)

match sys.argv[2]:
    case "written":
        os.fsync = die
    case "on the disk":
        pathlib.Path.rename = die
    case "renamed":
        os.fsync = die_at_the_second
overrides.write(pathlib.Path(sys.argv[1]), {"yard": Areas(ignore={})})
"""


@pytest.mark.parametrize("moment", ["written", "on the disk", "renamed"])
def test_a_kill_leaves_the_old_or_the_new_content(tmp_path, moment):
    overrides.write(tmp_path, {"porch": DRAWN})
    done = subprocess.run([sys.executable, "-c", DIES, tmp_path, moment], timeout=60, check=False)
    assert done.returncode == -signal.SIGKILL
    assert overrides.read(tmp_path) == ({"yard": EMPTY} if moment == "renamed" else {"porch": DRAWN})
    overrides.write(tmp_path, {"yard": DRAWN})
    assert overrides.read(tmp_path) == {"yard": DRAWN}
    assert [path.name for path in tmp_path.iterdir()] == ["overrides.yaml"]


def test_a_full_disk_keeps_the_old_content(tmp_path, monkeypatch):
    overrides.write(tmp_path, {"porch": DRAWN})

    def full(_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("edgepub.core.state_files.os.fsync", full)
    with pytest.raises(OSError, match="No space left"):
        overrides.write(tmp_path, {"yard": DRAWN})
    assert overrides.read(tmp_path) == {"porch": DRAWN}


@pytest.mark.parametrize(
    ("content", "why"),
    [
        ("noise", "must be a mapping (keys and values below it), not a single value"),
        ("\0\0\0", "contains zero bytes: it is damaged, or UTF-16 instead of UTF-8"),
        (b"\xff", "is not UTF-8 text"),
        ("cameras: {porch: {}", "line 1, column 20: expected ',' or '}', but got '<stream end>'"),
        ("cameras: {porch: {}, porch: {}}", "line 1, column 22: the key 'porch' occurs twice"),
        ("cameras:", "cameras: is empty"),
        ("cameras: {Porch: {}}", "cameras.Porch: the name must have 1 to 64 characters of a-z, 0-9, '_' and '-'"),
        ("cameras: {porch: {zone: {}}}", "cameras.porch.zone: unknown key; did you mean 'zones'?"),
        ("cameras: {porch: {tracking: 1}}", "cameras.porch.tracking: unknown key"),
        (
            "cameras: {porch: {zones: {yard: {polygon: [[0, 0], [1, 1]]}}}}",
            "cameras.porch.zones.yard.polygon: needs at least 3",
        ),
        (
            "cameras: {porch: {zones: {yard: {polygon: [[0, 0], [1, 1], [1, 0], [0, 1]]}}}}",
            "cameras.porch.zones.yard: polygon crosses itself: list its corners in order around it",
        ),
    ],
)
def test_a_mistake_in_the_file_says_how_to_fix_it(tmp_path, content, why):
    file = tmp_path / "overrides.yaml"
    file.write_bytes(content if isinstance(content, bytes) else content.encode())
    assert mistakes(lambda: overrides.read(tmp_path)) == [f"{file}: {why}; correct this file, or delete it"]


def test_an_unreadable_file_is_an_error(tmp_path):
    (tmp_path / "overrides.yaml").mkdir()
    assert mistakes(lambda: overrides.read(tmp_path)) == [
        f"{tmp_path / 'overrides.yaml'}: cannot be read: Is a directory"
    ]


@pytest.mark.parametrize("content", ["noise", "\0\0\0", "cameras: {porch: {zone: {}}}", *KINDS])
def test_a_file_that_cannot_be_used_does_not_keep_edgepub_from_starting(tmp_path, caplog, content):
    file = tmp_path / "overrides.yaml"
    if content in KINDS:
        put_in_place(content, file)
    else:
        file.write_text(content)
    assert overrides.read_or_set_aside(tmp_path) == {}
    (record,) = caplog.records
    assert record.levelname == "ERROR"
    assert str(file) in record.getMessage()
    assert len([*tmp_path.glob("overrides.yaml.damaged-*")]) == 1
    overrides.write(tmp_path, {"porch": DRAWN})
    assert overrides.read_or_set_aside(tmp_path) == {"porch": DRAWN}


def test_saved_areas_replace_all_configured_areas(tmp_path):
    before = configured(
        porch={"zones": {"old": {"polygon": SQUARE}}, "min_score": 0.7},
        yard={"zones": {"old": {"polygon": SQUARE}}},
        desk={"zones": {"old": {"polygon": SQUARE}}},
    )
    after, unfit = overrides.apply_overrides(before, {"porch": DRAWN, "yard": EMPTY, "gone": DRAWN}, tmp_path)
    assert not unfit
    assert after.cameras["porch"].areas == DRAWN
    assert after.cameras["porch"].min_score == 0.7
    assert after.cameras["yard"].areas == EMPTY
    assert after.cameras["desk"] is before.cameras["desk"]
    assert list(after.cameras) == ["porch", "yard", "desk"]
    assert "old" in before.cameras["porch"].zones, "the configured areas are kept"


def test_what_was_saved_before_there_were_ignore_areas_keeps_those_of_the_configuration(tmp_path):
    """And what was saved since has none if there are none."""
    flag = {"flag": {"polygon": SQUARE}}
    before = configured(porch={"ignore": flag}, yard={"ignore": flag})
    (tmp_path / "overrides.yaml").write_text("cameras: {porch: {zones: {}}, yard: {ignore: {}}}")
    saved = overrides.read(tmp_path)
    after, _ = overrides.apply_overrides(before, saved, tmp_path)
    assert (list(after.cameras["porch"].ignore), list(after.cameras["yard"].ignore)) == (["flag"], [])
    overrides.write(tmp_path, saved)
    assert overrides.read(tmp_path) == saved, "also when another camera is saved"


def test_saved_areas_that_no_longer_fit_say_how_to_fix_them(tmp_path):
    before = configured(porch={"labels": ["car"]}, yard={"tracking": False}, desk={})
    file = tmp_path / "overrides.yaml"
    remedy = "remove this camera from this file to use those of the configuration"
    after, unfit = overrides.apply_overrides(before, {"yard": DRAWN, "porch": DRAWN, "desk": DRAWN}, tmp_path)
    assert unfit == {
        "porch": f"{file}: cameras.porch: zones.driveway.labels: 'person' is not one of the camera's labels; {remedy}",
        "yard": f"{file}: cameras.yard: lines need tracking: set it to true, or remove lines; {remedy}",
    }
    assert after.cameras["desk"].areas == DRAWN
    assert after.cameras["porch"] is before.cameras["porch"]


def test_the_commands_use_saved_areas_and_check_reports_them(cli, tmp_path):
    file, saved = tmp_path / "edgepub.yaml", tmp_path / "state" / "overrides.yaml"
    content = configured(porch={}, yard={}).model_dump(mode="json", include={"models"}, exclude_defaults=True)
    content["cameras"] = {name: {"source": 0, "model": "coco"} for name in ("porch", "yard")}
    file.write_text(yaml.safe_dump({"node": "garage", **content}))
    overrides.write(saved.parent, {"porch": DRAWN, "gone": DRAWN})
    done = cli("check", "-c", file)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines()[1:3] == [
        f"{file}: porch: uses the zones, lines and ignore areas saved on its page ({saved}), not those in this file",
        f"{saved}: gone: no camera with this name is configured; these zones, lines and ignore areas have no effect",
    ]
    assert "driveway" in cli("discovery", "-c", file).stdout

    content["cameras"]["porch"]["labels"] = ["car"]
    file.write_text(yaml.safe_dump(content))
    for command in ("check", "discovery"):
        done = cli(command, "-c", file)
        assert (done.returncode, done.stdout) == (78, "")
        assert done.stderr.startswith(f"{saved}: cameras.porch: zones.driveway.labels: 'person' is not")
