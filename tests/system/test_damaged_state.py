"""Whatever a failing disk makes of the files in the state directory, edgepub starts and works."""

import json
import random
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support import odd_files
from tests.support.state_probe import EVENTS, FILES
from tests.support.studio import BOX

pytestmark = pytest.mark.slow
PROBE = [sys.executable, "-m", "tests.support.state_probe"]
KINDS = ("truncation", "flips", "zeroes", "growth")


@pytest.fixture(scope="module")
def good(tmp_path_factory):
    """A good state directory."""
    directory = tmp_path_factory.mktemp("good") / "state"
    subprocess.run([*PROBE, directory], check=True, timeout=60)
    assert {file.name for file in directory.iterdir()} >= set(FILES)
    return directory


def damage(content, kind, dice):
    """Return the content of a file after a failure of its disk."""
    size = len(content)
    start = dice.randrange(size)
    match kind:
        case "truncation":
            return content[: dice.choice([0, start, start // 512 * 512, start // 4096 * 4096])]
        case "flips":
            changed = bytearray(content)
            for _ in range(dice.choice([1, 1, 2, 8, 64])):
                changed[dice.randrange(size)] ^= 1 << dice.randrange(8)
            return bytes(changed)
        case "zeroes":
            start = dice.choice([start, start // 512 * 512, start // 4096 * 4096])
            length = dice.choice([1, 4, 8, 16, 64, 512, 4096, 8192])
            return content[:start] + bytes(min(length, size - start)) + content[start + length :]
        case "growth":
            more = dice.choice([1, 100, 512, 4096, 100_000])
            return content + dice.choice([bytes(more), dice.randbytes(more), content * 2])
    raise ValueError(kind)


def damaged_copy(good, directory, names, kind, dice):
    """Copy a state directory, and damage some of its files."""
    shutil.copytree(good, directory)
    for name in names:
        (directory / name).write_bytes(damage((good / name).read_bytes(), kind, dice))
    return directory


def check(first, second):
    """Check what came out of two starts with a damaged file."""
    for outcome in (first, second):
        assert outcome["bugs"] == []
        assert outcome["is_new_sent"], "a new event is sent"
        assert outcome["left"] == [0, 0], "and is nowhere else"
        ids = [event_id for _, event_id, _ in outcome["sent"]]
        assert len(set(ids)) == len(ids), "no event is sent twice"
        assert "edgepub/test/new" in outcome["retained"]
    lost = sum(number for dropped in first["dropped"].values() for number in dropped.values())
    assert len(first["sent"]) - 1 + lost <= 2 * EVENTS
    if not any("events.sqlite" in line for line in first["log"]):
        assert lost == 0, "what is lost is logged"
    assert second["log"] == [], "the second start finds nothing wrong"
    assert not any(second["dropped"].values())
    seqs = {topic: seq for topic, _, seq in first["sent"]}
    assert second["sent"][-1][2] == seqs["edgepub/test/cam/events"] + 1, "numbers continue"


def run_variants(good, directory, names, variants):
    """Start with this number of damaged copies; return how many differ from a start with good files."""
    copies = []
    for number in range(variants):
        kind = KINDS[number % len(KINDS)]
        dice = random.Random(f"{names} {number}")
        copies.append(damaged_copy(good, directory / f"{number}-{kind}", names, kind, dice))
    done = subprocess.run(
        PROBE, input="".join(f"{copy}\n" for copy in copies), text=True, stdout=subprocess.PIPE, timeout=230, check=True
    )
    noticed = 0
    for copy, line in zip(copies, done.stdout.splitlines(), strict=True):
        first, second = json.loads(line)
        try:
            check(first, second)
        except (AssertionError, KeyError) as error:
            raise AssertionError(f"{copy.name}: {error!r}: {json.dumps([first, second])[:3000]}") from error
        noticed += bool(first["log"])
    return noticed


def test_a_good_directory_is_complete(good, tmp_path):
    assert run_variants(good, tmp_path, [], 1) == 0


@pytest.mark.parametrize("name", FILES)
def test_a_few_damages_of_each_file(good, tmp_path, name):
    run_variants(good, tmp_path, [name], 12)


@pytest.mark.fuzz
@pytest.mark.parametrize("name", FILES)
def test_many_damages_of_each_file(good, tmp_path, name):
    noticed = run_variants(good, tmp_path, [name], 300)
    # SQLite ignores a damaged part of its write-ahead log, and rebuilds the index.
    assert noticed or name.endswith(("-wal", "-shm"))


def check_daemon(directory, run_daemon, subscribe, mosquitto, studio):
    """Start the daemon on a state directory: it sends new events, and stops well."""
    video = studio.video([[BOX]] * 20 + [[]] * 20)
    settings = studio.settings(mosquitto.url, video, realtime=True, loop=True, tracking=True)
    settings["cameras"]["cam"] |= {"track_lost_s": 0.3, "occupancy_off_s": 0.3, "labels": ["person"]}
    reader = subscribe(mosquitto.port)
    daemon = run_daemon(settings, STATE_DIRECTORY=str(directory))
    boot_id = json.loads(reader.wait_for(lambda r: r.last("edgepub/test/info"), "the info"))["boot_id"]
    topic = "edgepub/test/cam/events"
    reader.wait_for(lambda r: any(json.loads(p)["boot_id"] == boot_id for p in r.payloads(topic)), "a new event")
    assert daemon.terminate() == 0
    reader.wait_for(lambda r: r.last("edgepub/test/status") == b"offline", "the goodbye")
    return daemon


@pytest.mark.mosquitto
@pytest.mark.parametrize("kind", KINDS)
def test_the_daemon_works_with_damaged_files(good, tmp_path, kind, run_daemon, subscribe, mosquitto, studio):
    directory = damaged_copy(good, tmp_path / "damaged", FILES, kind, random.Random(kind))
    check_daemon(directory, run_daemon, subscribe, mosquitto, studio)


@pytest.mark.fuzz
@pytest.mark.mosquitto
@pytest.mark.parametrize("seed", range(10))
@pytest.mark.parametrize("kind", KINDS)
def test_the_daemon_works_with_many_damaged_files(good, tmp_path, kind, seed, run_daemon, subscribe, mosquitto, studio):
    directory = damaged_copy(good, tmp_path / "damaged", FILES, kind, random.Random(f"{kind} {seed}"))
    check_daemon(directory, run_daemon, subscribe, mosquitto, studio)


@pytest.mark.mosquitto
@pytest.mark.parametrize("kind", odd_files.KINDS)
def test_the_daemon_works_with_what_is_no_file(tmp_path, kind, run_daemon, subscribe, mosquitto, studio):
    directory = tmp_path / "odd"
    directory.mkdir()
    for name in (*FILES, "state.json.new", "overrides.yaml.new"):
        odd_files.put_in_place(kind, directory / name)
    check_daemon(directory, run_daemon, subscribe, mosquitto, studio)
    assert json.loads((directory / "state.json").read_text())["retained"], "it is used again"
    assert (directory / "events.sqlite").is_file()


@pytest.mark.mosquitto
@pytest.mark.parametrize("kind", ["a file", "pipe", "loop", "nowhere"])
def test_the_daemon_works_without_a_state_directory(tmp_path, kind, run_daemon, subscribe, mosquitto, studio):
    directory = tmp_path / "odd"
    if kind == "a file":
        directory.touch()
    elif kind == "nowhere":
        directory.symlink_to(tmp_path / "gone" / "away")
    else:
        odd_files.put_in_place(kind, directory)
    check_daemon(directory, run_daemon, subscribe, mosquitto, studio)


def test_every_file_of_the_state_directory_is_among_them():
    """A new one needs a line in upgrading.md, and must be made by `make_directory`."""
    page = (Path(__file__).parents[2] / "docs" / "upgrading.md").read_text()
    table = page.partition("| file | content |")[2].partition("\n\n")[0]
    files = {name for row in table.splitlines()[2:] for name in re.findall(r"`([a-z]+\.[a-z]+)`", row.split("|")[1])}
    assert files == {name for name in FILES if not name.endswith(("-wal", "-shm"))}
