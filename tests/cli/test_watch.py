"""`edgepub watch`: on pipes and terminals, with real nodes and with malformed messages."""

import contextlib
import fcntl
import json
import os
import pty
import select
import signal
import socket
import struct
import subprocess
import sys
import termios
import time
from typing import get_args

import psutil
import pytest
import yaml
from paho.mqtt import publish

from edgepub.cli.watch.board import Board
from edgepub.cli.watch.choice import Choice, choose
from edgepub.cli.watch.formatting import describe_event
from edgepub.cli.watch.tally import Tally, parse_detections
from edgepub.cli.watch.views import LinesView, Note
from edgepub.mqtt.messages import Received
from edgepub.mqtt.payloads.event import EventType
from tests.support.brokers import Mosquitto
from tests.support.waiting import WAIT_S, wait_until

BOX = {"bbox": [8, 16, 24, 48], "label": "person", "score": 0.9, "category_id": 0}
FILM = [[BOX] for _ in range(25)]


def detections(seq=1, boot_id="b", dropped=0, latency_ms=5.0, labels=("person",)):
    return json.dumps(
        {
            "boot_id": boot_id,
            "seq": seq,
            "dropped": dropped,
            "timing_ms": {"capture_to_publish": latency_ms},
            "detections": [{"label": label, "score": 0.9} for label in labels],
        }
    )


def event(label="person", **more):
    return json.dumps({"event_type": "appeared", "label": label, "track_id": 7, "timestamp": 1e9, **more})


def stats(**cameras):
    node = {"interval_s": 10, "uptime_s": 300, "rss_bytes": 12e7, "cpu_percent": 35.2}
    return json.dumps({**node, "cameras": cameras})


def publish_all(port, messages, retain=True):
    publish.multiple([(topic, payload, 1, retain) for topic, payload in messages.items()], "127.0.0.1", port)


class Watching:
    """`edgepub watch` in a separate process; its output goes to a file."""

    def __init__(self, file, *arguments, **environment):
        self._file = file
        with file.open("wb") as output:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "edgepub", "watch", *arguments],
                stdout=output,
                stderr=subprocess.PIPE,
                text=True,
                start_new_session=True,
                env={**os.environ, **environment},
            )

    @property
    def lines(self):
        return self._file.read_text().splitlines()

    def wait_for(self, *starts):
        """Wait for lines with these starts, one after the other. Return the last line."""
        for start in starts:
            wait_until(lambda start=start: self._found(start), f"{start!r} in {self.lines[-5:]}")
        return self._found(start)

    def _found(self, start):
        return next((line for line in reversed(self.lines) if line.startswith(start)), None)

    def end(self, number=signal.SIGTERM, complaint=""):
        self.process.send_signal(number)
        code, errors = self.process.wait(WAIT_S), self.process.stderr.read()
        assert (code, bool(errors)) == (0, bool(complaint)), errors
        assert complaint in errors

    def close(self):
        self.process.kill()
        self.process.wait()
        self.process.stderr.close()


@pytest.fixture
def watch(tmp_path):
    """Return a function that starts `edgepub watch`."""
    started = []

    def start(*arguments, **environment):
        started.append(Watching(tmp_path / f"watch-{len(started)}", *arguments, **environment))
        return started[-1]

    yield start
    for resource in started:
        resource.close()


class Terminal:
    """A window of 80 columns in which `edgepub watch` runs."""

    def __init__(self, *arguments, rows=24):
        self.controller, terminal = pty.openpty()
        fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", rows, 80, 0, 0))
        self._terminal = terminal
        self.before = termios.tcgetattr(terminal)
        # The process that opens the terminal first in a new session receives Ctrl-C.
        command = ["sh", "-c", 'exec "$@" <"$0" >"$0" 2>&1', os.ttyname(terminal)]
        self.process = subprocess.Popen(
            [*command, sys.executable, "-m", "edgepub", "watch", *arguments],
            start_new_session=True,
            env={**{k: v for k, v in os.environ.items() if k not in {"COLUMNS", "LINES"}}, "TERM": "xterm"},
        )
        self.shown = ""

    @property
    def frames(self):
        return self.shown.split("\x1b[H")[1:]

    def read(self):
        while select.select([self.controller], [], [], 0)[0]:
            self.shown += os.read(self.controller, 65_536).decode()
        return self.shown

    def wait_for(self, text, after=0):
        wait_until(lambda: text in self.read()[after:], f"{text!r} on the terminal; last: {self.shown[-2000:]!r}")

    def type(self, key):
        os.write(self.controller, key)

    def end(self):
        wait_until(lambda: self.read() and self.process.poll() is not None, "its exit")
        self.read()
        return self.process.returncode

    def is_restored(self):
        """Return whether the cursor, the screen and the settings are restored."""
        return (
            self.shown.rfind("\x1b[?25h") > self.shown.rfind("\x1b[?25l")
            and self.shown.count("\x1b[?1049h") == self.shown.count("\x1b[?1049l")
            and termios.tcgetattr(self._terminal) == self.before
        )

    def close(self):
        self.process.kill()
        self.process.wait()
        os.close(self.controller)
        os.close(self._terminal)


@pytest.fixture
def terminal():
    """Return a function that starts `edgepub watch` on a terminal."""
    with contextlib.ExitStack() as stack:
        yield lambda *arguments, **options: stack.enter_context(contextlib.closing(Terminal(*arguments, **options)))


def test_a_pipe_gets_a_line_per_event_and_per_camera(broker, studio, run_daemon, watch):
    settings = studio.settings(broker.url, studio.video(FILM), loop=True, realtime=True, tracking=True)
    watching = watch("--broker", broker.url, EDGEPUB_MQTT__PROTOCOL="3.1.1")
    watching.wait_for(f"watching edgepub/# on {broker.url}")
    run_daemon(settings)
    watching.wait_for("test: online", "test/cam: online", "test/cam: person 1 appeared")
    line = watching.wait_for("test/cam: online, ")
    assert " fps, sees 1 person (0.90), " in line
    assert line.endswith(" ms from capture to publish, 0 dropped")
    watching.end()


@pytest.mark.mosquitto
def test_a_killed_node_and_its_cameras_are_shown_offline(mosquitto, studio, run_daemon, watch):
    daemon = run_daemon(studio.settings(mosquitto.url, studio.video(FILM), loop=True, realtime=True))
    watching = watch("--broker", mosquitto.url, "edgepub/test/cam")
    watching.wait_for("test/cam: online, ")
    daemon.process.kill()
    watching.wait_for("test: offline")
    wait_until(lambda: watching.lines[-1] == "test/cam: offline", "the camera's line")


@pytest.mark.mosquitto
def test_retained_messages_are_shown_immediately(mosquitto, terminal):
    publish_all(
        mosquitto.port,
        {
            "edgepub/garage/status": "online",
            "edgepub/garage/info": json.dumps({"versions": {"edgepub": "9.8.7"}, "cameras": {"porch": {}, "yard": {}}}),
            "edgepub/garage/porch/status": "online",
            "edgepub/garage/porch/objects/person": "2",
            "edgepub/garage/porch/objects/car": "0",
            "edgepub/hall/status": "offline",
            "edgepub/hall/door/status": "online",
        },
    )
    shown = terminal("--broker", mosquitto.url)
    for text in ("garage", "edgepub 9.8.7", "porch", "2 person", "yard", "hall", "none yet"):
        shown.wait_for(text)
    lines = "".join(shown.frames).split("\n")
    assert any("door" in line and "offline" in line for line in lines), "like its node"
    assert not any("door" in line and "online" in line for line in lines)


@pytest.mark.mosquitto
@pytest.mark.parametrize("key", [b"\x03", None], ids=["Ctrl-C", "SIGTERM"])
def test_the_terminal_is_restored_at_the_end(mosquitto, terminal, key):
    publish_all(mosquitto.port, {"edgepub/garage/porch/status": "online"})
    shown = terminal("--broker", mosquitto.url)
    shown.wait_for("porch")
    shown.type(key) if key else shown.process.terminate()
    assert shown.end() == 0
    assert shown.is_restored()
    assert "Traceback" not in shown.shown


@pytest.mark.mosquitto
def test_ctrl_z_restores_the_screen(mosquitto, terminal):
    shown = terminal("--broker", mosquitto.url)
    shown.wait_for("watching")
    shown.type(b"\x1a")
    process = psutil.Process(shown.process.pid)
    wait_until(lambda: process.status() == psutil.STATUS_STOPPED, "the process to stop")
    shown.read()
    assert shown.is_restored()
    before = len(shown.shown)
    shown.process.send_signal(signal.SIGCONT)
    shown.wait_for("watching", after=before)
    shown.type(b"\x03")
    assert shown.end() == 0
    assert shown.is_restored()


@pytest.mark.mosquitto
def test_many_cameras_and_messages_fit_into_the_window_and_are_drawn_five_times_a_second(mosquitto, terminal):
    cameras = {f"edgepub/garage/camera{n:02d}/status": "online" for n in range(40)}
    publish_all(mosquitto.port, {"edgepub/garage/status": "online", **cameras})
    shown = terminal("--broker", mosquitto.url, rows=20)
    shown.wait_for("... and 29 more; enlarge the window, or watch a topic like edgepub/garage")
    began_s, frames = time.monotonic(), len(shown.frames)
    for seq in range(1, 21):
        publish_all(
            mosquitto.port, {f"edgepub/garage/camera{n:02d}/detections": detections(seq) for n in range(40)}, False
        )
        shown.read()
    elapsed_s = time.monotonic() - began_s
    shown.wait_for("1 person")
    assert len(shown.frames) - frames <= 5 * elapsed_s + 2 + 5 * (time.monotonic() - began_s - elapsed_s)
    assert max(frame.count("\n") for frame in shown.frames[:-1]) < 20


@pytest.mark.mosquitto
def test_without_messages_it_says_what_to_check(mosquitto, watch):
    watching = watch("--broker", mosquitto.url, "edgepub/garrage")
    line = watching.wait_for(f"no edgepub node found at edgepub/garrage/# on {mosquitto.url}")
    assert "--broker URL" in line
    assert "EDGEPUB_MQTT__TOPIC_PREFIX" in line
    publish_all(mosquitto.port, {"edgepub/garrage/status": "online"})
    watching.wait_for("garrage: online")
    watching.end(signal.SIGINT)


@pytest.mark.mosquitto
def test_a_topic_limits_what_is_shown(mosquitto, watch):
    watching = watch("--broker", mosquitto.url, "edgepub/garage/porch")
    watching.wait_for("watching edgepub/garage/porch/#")
    info = json.dumps({"versions": {}, "cameras": {"porch": {}, "yard": {}}})
    publish_all(
        mosquitto.port,
        {
            "edgepub/hall/porch/status": "online",
            "edgepub/garage/info": info,
            "edgepub/garage/yard/status": "online",
            "edgepub/garage/porch/status": "online",
            "edgepub/garage/status": "online",
        },
    )
    watching.wait_for("garage: online", "garage/porch: online, ")
    assert not any("hall" in line or "yard" in line for line in watching.lines)


RUBBISH = {
    "edgepub/garage/status": b"\xff",
    "edgepub/a b/status": "online",
    "edgepub/bad/info": '{"versions": 3}',
    "edgepub/bad/stats": stats(porch={"latency_ms": "?"}),
    "edgepub/bad/porch/detections": "not JSON",
    "edgepub/bad/yard/detections": detections(seq="many"),
    "edgepub/bad/lane/detections": '{"detections": [1, 2], "schema": "edgepub.detections/9"}',
    "edgepub/bad/porch/events": event(event_type="danced"),
    "edgepub/bad/yard/events": event(timestamp=1e300),
    "edgepub/bad/porch/status": "weird",
    "edgepub/bad/porch/objects/person": "lots",
    "edgepub/bad/lane/objects/P\u00e9rson": "1",
    "edgepub/notes/of/somebody/else": "x" * 10_000,
    "edgepub/status": "online",
    "edgepub/" + "n" * 65: "online",
}


@pytest.mark.mosquitto
def test_a_retained_message_that_paho_cannot_read_does_not_end_it(mosquitto, watch):
    unreadable = ["-D", "publish", "user-property", "x", "\ufeff"]
    to = ["-V", "5", "-q", "1", "-r", "-t", "edgepub/garage/porch/status", "-m", "online"]
    subprocess.run(["mosquitto_pub", "-p", str(mosquitto.port), *to, *unreadable], check=True)
    watching = watch("--broker", mosquitto.url)
    watching.wait_for("watching")
    publish_all(mosquitto.port, {"edgepub/garage/yard/status": "online"}, retain=False)
    watching.wait_for("garage/yard: online")
    watching.end(complaint="edgepub/garage/porch/status")


@pytest.mark.mosquitto
def test_malformed_messages_are_ignored_and_control_characters_removed(mosquitto, watch):
    watching = watch("--broker", mosquitto.url)
    watching.wait_for("watching")
    publish_all(mosquitto.port, RUBBISH)
    publish_all(
        mosquitto.port,
        {
            "edgepub/garage/porch/status": "online",
            "edgepub/garage/porch/detections": detections(labels=["\x1b[31mred"]),
            "edgepub/garage/porch/events": event(label="\x1b]0;title\x07"),
        },
        retain=False,
    )
    watching.wait_for("garage/porch: ?]0;title? 7 appeared")
    assert "sees 1 ?[31mred (0.90), " in watching.wait_for("garage/porch: online, ")
    assert not any("bad" in line or "notes" in line for line in watching.lines)
    watching.end()


@pytest.mark.mosquitto
def test_it_reconnects_to_the_broker(mosquitto, studio, run_daemon, watch):
    run_daemon(studio.settings(mosquitto.url, studio.video(FILM), loop=True, realtime=True))
    watching = watch("--broker", mosquitto.url)
    watching.wait_for("test/cam: online, ")
    mosquitto.stop()
    line = watching.wait_for(f"no connection to {mosquitto.url}: ")
    assert "; trying again in " in line
    so_far = len(watching.lines)
    mosquitto.start()
    wait_until(
        lambda: any(line.startswith("test/cam: online, ") for line in watching.lines[so_far:]), "the camera again"
    )
    watching.end()


@pytest.mark.mosquitto
@pytest.mark.parametrize("has_messages", [True, False], ids=["while it prints", "without messages"])
def test_it_ends_when_its_reader_is_gone(mosquitto, has_messages):
    if has_messages:
        publish_all(mosquitto.port, {"edgepub/garage/porch/status": "online"})
    watching = subprocess.Popen(
        [sys.executable, "-m", "edgepub", "watch", "--broker", mosquitto.url],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        while not watching.stdout.readline().startswith("watching"):
            assert watching.poll() is None
        watching.stdout.close()
        assert (watching.wait(WAIT_S), watching.stderr.read()) == (0, "")
    finally:
        watching.kill()
        watching.wait()
        watching.stdout.close()
        watching.stderr.close()


def test_an_unreachable_broker_is_named(cli):
    done = cli("watch", "--broker", "mqtt://127.0.0.1:9")
    assert (done.returncode, done.stdout) == (1, "connecting to mqtt://127.0.0.1:9\n")
    assert done.stderr == "edgepub: broker mqtt://127.0.0.1:9: Connection refused\n"


def test_an_unreachable_broker_is_named_on_a_terminal(terminal):
    shown = terminal("--broker", "mqtt://127.0.0.1:9")
    assert shown.end() == 1
    assert shown.is_restored()
    assert shown.shown.endswith("edgepub: broker mqtt://127.0.0.1:9: Connection refused\r\n")


def test_a_silent_host_does_not_delay_the_exit(watch):
    with contextlib.ExitStack() as stack:
        server = stack.enter_context(socket.socket())
        server.bind(("127.0.0.1", 0))
        server.listen(0)
        for _ in range(4):  # fill the backlog, so that it accepts no more
            client = stack.enter_context(socket.socket())
            client.setblocking(False)
            client.connect_ex(server.getsockname())
        watching = watch("--broker", f"mqtt://127.0.0.1:{server.getsockname()[1]}")
        watching.wait_for("connecting to")
        began_s = time.monotonic()
        watching.end(signal.SIGINT)
        assert time.monotonic() - began_s < 5


@pytest.fixture
def strict(tmp_path):
    """A broker that requires a password."""
    passwords = tmp_path / "passwords"
    passwords.touch()
    subprocess.run(["mosquitto_passwd", "-b", passwords, "eve", "s3cret"], check=True, capture_output=True)
    lines = ["listener {port} 127.0.0.1", "allow_anonymous false", f"password_file {passwords}"]
    broker = Mosquitto(tmp_path, *lines).start()
    yield broker
    broker.stop()


@pytest.mark.mosquitto
def test_the_login_comes_from_the_environment_and_is_not_printed(strict, cli, watch):
    done = cli("watch", "--broker", strict.url, EDGEPUB_MQTT__USERNAME="eve", EDGEPUB_MQTT__PASSWORD="s3cret?")
    assert (done.returncode, done.stderr.count("\n")) == (1, 1)
    assert done.stderr.startswith(f"edgepub: broker {strict.url}: the broker refuses the connection: ")
    assert "s3cret" not in done.stdout + done.stderr
    watching = watch("--broker", strict.url, EDGEPUB_MQTT__USERNAME="eve", EDGEPUB_MQTT__PASSWORD="s3cret")
    watching.wait_for("watching")
    watching.end()
    assert not any("s3cret" in line for line in watching.lines)


@pytest.mark.mosquitto
@pytest.mark.parametrize("how", ["named", "found"])
def test_the_broker_of_a_configuration_is_used_even_if_its_cameras_are_wrong(strict, in_directory, watch, how):
    login = {"username": "eve", "password": "s3cret"}
    content = {"mqtt": {"url": strict.url, **login, "topic_prefix": "site/edge"}, "cameras": {"p": {"modell": 1}}}
    (in_directory / "edgepub.yaml").write_text(yaml.safe_dump(content))
    watching = watch(*(["-c", "edgepub.yaml"] if how == "named" else []))
    watching.wait_for(f"watching site/edge/# on {strict.url}")
    watching.end()


@pytest.mark.mosquitto
def test_with_a_given_broker_no_configuration_is_read(mosquitto, in_directory, watch):
    (in_directory / "edgepub.yaml").write_text("mqtt: [broken")
    watching = watch("--broker", mosquitto.url)
    watching.wait_for(f"watching edgepub/# on {mosquitto.url}")


@pytest.mark.mosquitto
def test_a_given_broker_is_used_with_the_login_of_a_given_configuration(strict, in_directory, watch):
    content = {"mqtt": {"url": "mqtt://127.0.0.1:9", "username": "eve", "password": "s3cret"}}
    (in_directory / "my.yaml").write_text(yaml.safe_dump(content))
    watching = watch("-c", "my.yaml", "--broker", strict.url, EDGEPUB_MQTT__URL="mqtt://127.0.0.1:8")
    watching.wait_for(f"watching edgepub/# on {strict.url}")


@pytest.mark.parametrize(
    ("text", "environment", "line"),
    [
        ("mqtt: {ur: x}", {}, "my.yaml: mqtt.ur: unknown key; did you mean 'url'?"),
        ("mqtt: 3", {}, "my.yaml: mqtt: must be a mapping (keys and values below it), not a single value"),
        (None, {"EDGEPUB_MQTT__PASSWORD": "p"}, "environment: mqtt: a password needs a username"),
        (None, {"EDGEPUB_CONFIG": "none.yaml"}, "none.yaml: cannot be read: No such file or directory; "),
    ],
)
def test_a_mistake_about_the_broker_is_one_line(cli, in_directory, text, environment, line):
    if text:
        (in_directory / "my.yaml").write_text(text)
    done = cli("watch", *(["-c", "my.yaml"] if text else []), **environment)
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (78, "", 1)
    assert done.stderr.startswith(line)


@pytest.mark.parametrize(
    "topic", ["edgepub/#/x", "edgepub/a+", "edgepub//x", "a\nb", "edge/garage", "$SYS/#", "x" * 70_000]
)
def test_a_topic_that_is_not_edgepubs_is_a_usage_error(cli, topic):
    done = cli("watch", topic)
    assert (done.returncode, done.stdout) == (2, "")
    assert "Invalid value for TOPIC: " in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("topic", "expected"),
    [
        (None, Choice("edgepub")),
        ("#", Choice("edgepub")),
        ("edgepub", Choice("edgepub")),
        ("edgepub/#", Choice("edgepub")),
        ("+/garage", Choice("edgepub", "garage")),
        ("edgepub/garage/", Choice("edgepub", "garage")),
        ("edgepub/+/porch", Choice("edgepub", "+", "porch")),
        ("edgepub/garage/porch/#", Choice("edgepub", "garage", "porch")),
        ("edgepub/garage/porch/detections", Choice("edgepub", "garage", "porch")),
    ],
)
def test_choice_of_a_topic(topic, expected):
    assert choose(topic, "edgepub") == expected
    assert not any(topic.endswith(("snapshot", "#")) for topic in expected.filters)


def test_a_prefix_of_several_levels():
    assert choose("site/edge/garage", "site/edge") == Choice("site/edge", "garage")
    assert str(choose("site", "site/edge")) == "site/edge/#"
    with pytest.raises(ValueError, match=r"below site/edge, like site/edge/garage .* EDGEPUB_MQTT__TOPIC_PREFIX"):
        choose("edgepub", "site/edge")


def update(board, topic, payload, retained=False):
    return board.update(Received(f"edgepub/{topic}", payload.encode(), retained))


def test_memory_is_bounded():
    board = Board(Choice("edgepub"))
    for number in range(2000):
        update(board, f"node{number}/status", "online")
        update(board, f"node1/camera{number}/status", "online")
        update(board, f"node1/camera1/objects/label{number}", "1")
    update(board, "node1/camera1/detections", detections(labels=[f"{n}" * 1000 for n in range(1000)]))
    assert len(board.nodes) == 100
    assert len(board.nodes["node1"].cameras) == 500
    assert board.is_full
    assert len(board.nodes["node1"].cameras["camera1"].counts) == 100
    assert len(board.nodes["node1"].cameras["camera1"].objects_text) < 2000
    for number in range(2000):
        update(board, f"node{number}/status", "")
    assert not board.nodes
    update(board, "node1/camera1/status", "online")
    assert board.nodes["node1"].cameras


def test_a_cleared_status_removes_the_camera():
    board = Board(Choice("edgepub"))
    update(board, "garage/porch/status", "online")
    update(board, "garage/yard/status", "online")
    update(board, "garage/porch/status", "")
    assert list(board.nodes["garage"].cameras) == ["yard"]


def test_a_missing_camera_is_reported():
    board = Board(Choice("edgepub", "garage", "proch"))
    info = json.dumps({"versions": {}, "cameras": {"porch": {}, "yard": {}}})
    assert update(board, "garage/info", info)[1:3] == ("garage", "has no camera proch; its cameras: porch, yard")
    assert update(Board(Choice("edgepub", "+", "proch")), "garage/info", info) is None


def test_a_status_is_news_when_it_changes():
    board = Board(Choice("edgepub"))
    assert update(board, "garage/status", "online", retained=True).is_retained
    assert update(board, "garage/status", "online") is None
    board.clear_retained()
    assert update(board, "garage/status", "online", retained=True) is None
    assert update(board, "garage/status", "offline")[1:] == ("garage", "offline", False)


def test_the_nodes_figures_are_shown_unless_every_result_is_published():
    camera_stats = {"fps_inferred": 24.5, "fps_published": 1, "dropped": {"queue_full": 2, "invalid": 1}}
    total = {"latency_ms": {"total": {"p50": 8.5, "p95": 12.5, "p99": 20}}}
    board = Board(Choice("edgepub"))
    update(board, "garage/porch/status", "online")
    update(board, "garage/stats", stats(porch={**camera_stats, **total}))
    update(board, "garage/porch/detections", detections(dropped=3))
    camera = board.nodes["garage"].cameras["porch"]
    assert (camera.fps, camera.latency_ms, camera.dropped) == (24.5, (8.5, 12.5), 3)
    assert board.nodes["garage"].figures == "up 5 min, 35 % CPU, 120 MB"
    update(board, "garage/stats", stats(porch={**camera_stats, **total, "fps_published": 24.5}))
    assert (camera.fps, camera.latency_ms) == (1.0, (5.0, 5.0))


def test_lean_detections_are_shown_with_the_nodes_figures():
    """They have no `seq`, no `dropped` and no latency of their own."""
    figures = {"fps_inferred": 5.0, "fps_published": 5.0, "dropped": {"queue_full": 2}}
    latency_ms = {"total": {"p50": 8.5, "p95": 12.5, "p99": 20}}
    objects = [{"label": "person", "score": 0.9, "bbox": [1, 2, 3, 4]}] * 2
    board = Board(Choice("edgepub"))
    for _ in range(3):
        update(board, "garage/porch/detections", json.dumps({"timestamp": 1e9, "detections": objects}))
    camera = board.nodes["garage"].cameras["porch"]
    assert (camera.objects_text, camera.fps, camera.latency_ms) == ("2 person (0.90)", 3.0, None)
    update(board, "garage/stats", stats(porch={**figures, "latency_ms": latency_ms}))
    assert (camera.fps, camera.latency_ms, camera.dropped) == (5.0, (8.5, 12.5), 2)
    update(board, "garage/porch/detections", json.dumps({"timestamp": 1e9, "detections": []}))
    assert (camera.dropped, camera.tally.missing) == (2, 0)


def test_what_is_the_limit_is_shown_below_its_node(capsys):
    board = Board(Choice("edgepub"))
    update(board, "garage/status", "online")
    update(board, "garage/porch/status", "online")
    limit = {"resource": "decoding", "cameras": ["porch"], "text": "decoding is the limit\x1b for porch"}
    update(board, "garage/stats", json.dumps({**json.loads(stats()), "limits": [limit]}))
    assert board.nodes["garage"].limits == ["decoding is the limit? for porch"]
    LinesView(0.0).tick(board, Note("watching"))
    assert "garage: decoding is the limit" in capsys.readouterr().out
    update(board, "garage/stats", stats())
    assert not board.nodes["garage"].limits


def test_a_tally_counts_missing_messages():
    tally = Tally()
    for seq, boot_id in [(5, "a"), (6, "a"), (9, "a"), (4, "b")]:
        tally.add(parse_detections(detections(seq, boot_id, dropped=2, latency_ms=float(seq), labels=[]).encode()))
    assert (tally.messages, tally.missing, tally.dropped, tally.objects_text) == (4, 2, 2, "nothing")
    assert tally.overall_latency_ms() == pytest.approx((5.0, 6.0), rel=0.02)
    assert tally.recent_latency_ms() == (5.0, 6.0)


def test_a_tally_counts_what_the_messages_tell():
    """A camera publishes as many keys as its `publish.fields` says."""
    tally = Tally()
    for seq in (1, 2, None, 5, 6, 8):
        payload = {"detections": []} | ({"seq": seq} if seq else {})
        tally.add(parse_detections(json.dumps(payload).encode()))
    assert (tally.messages, tally.missing, tally.dropped) == (6, 1, 0)
    assert (tally.overall_latency_ms(), tally.recent_latency_ms()) == ((0.0, 0.0), None)


@pytest.mark.parametrize("event_type", get_args(EventType))
def test_every_kind_of_event_has_a_text(event_type):
    more = {
        "zone": "porch",
        "line": "gate",
        "direction": "left",
        "dwell_s": 31.0,
        "attribute": "text",
        "value": "B-AB 1",
    }
    text = describe_event({"event_type": event_type, "label": "car", "track_id": 7, **more})
    assert text.startswith("car 7 ")
    assert len(text) > len("car 7 ")
