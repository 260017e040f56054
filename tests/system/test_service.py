"""What a service manager is told, and what HTTP says, by the whole daemon."""

import asyncio
import contextlib
import json
import os
import signal
import socket
import time
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from edgepub.config.effective import EffectiveSettings
from edgepub.config.settings import Settings
from edgepub.core.state_dir import default_state_dir
from edgepub.daemon import run
from edgepub.daemon.systemd import Service, notify, watchdog_s
from edgepub.telemetry.status import Status
from tests.support.studio import BOX
from tests.support.waiting import free_port, wait_until


class Manager:
    """A service manager's ear."""

    def __init__(self, folder):
        self.path = str(folder / "notify")
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(self.path)
        self._socket.setblocking(False)
        self.told = []

    def hear(self):
        """Return all that was told so far, a dict for each message."""
        while True:
            try:
                text = self._socket.recv(65_536).decode()
            except BlockingIOError:
                return self.told
            self.told.append(dict(line.split("=", 1) for line in text.splitlines()))

    def wait_for(self, what, **assignments):
        def is_there():
            return next((each for each in self.hear() if assignments.items() <= each.items()), None)

        return wait_until(is_there, f"{what}; told: {self.told[-5:]}")

    def wait_for_status(self, *words):
        def is_there():
            status = next((each["STATUS"] for each in reversed(self.hear()) if "STATUS" in each), "")
            return all(word in status for word in words)

        wait_until(is_there, f"a status with {words}; told: {self.told[-5:]}")

    def close(self):
        self._socket.close()


@pytest.fixture
def manager(tmp_path):
    ear = Manager(tmp_path)
    yield ear
    ear.close()


def healthz(port):
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/healthz", timeout=10) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        return error.code, json.load(error)
    except OSError:
        return None, {}


@pytest.mark.mosquitto
def test_a_life_as_the_service_manager_is_told_it(manager, studio, mosquitto, run_daemon):
    settings = studio.settings(mosquitto.url, studio.video([[BOX]] * 50), realtime=True, loop=True)
    run = run_daemon(settings, NOTIFY_SOCKET=manager.path, WATCHDOG_USEC="3000000")
    manager.wait_for("the first session", READY="1")
    assert "connected" in run.log, "it is ready with the first session"
    manager.wait_for_status("1 of 1 cameras online")
    manager.wait_for("food for the watchdog", WATCHDOG="1")
    before_usec = time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000
    run.process.send_signal(signal.SIGHUP)
    reloading = manager.wait_for("the reload", RELOADING="1")
    assert before_usec <= int(reloading["MONOTONIC_USEC"]) <= time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000
    wait_until(lambda: any("READY" in each for each in manager.hear()[manager.told.index(reloading) :]), "its end")
    manager.wait_for_status("1 of 1 cameras online", "reloaded: no camera has changed")
    mosquitto.stop()
    manager.wait_for_status("broker: ")
    mosquitto.start()
    wait_until(lambda: "broker" not in [m for m in manager.hear() if "STATUS" in m][-1]["STATUS"], "the broker is back")
    assert run.terminate() == 0
    assert {"STOPPING": "1", "STATUS": "stopping"} in manager.hear()


def test_without_a_broker_the_start_is_over_after_its_time_and_degraded(manager, studio, run_daemon):
    settings = studio.settings(f"mqtt://127.0.0.1:{free_port()}", studio.video([[BOX]] * 9), realtime=True, loop=True)
    run = run_daemon({**settings, "startup_timeout_s": 2}, NOTIFY_SOCKET=manager.path)
    manager.wait_for_status("1 of 1 cameras online", "broker: ")
    manager.wait_for("the end of the start", READY="1")
    assert "the start counts as done without the broker: " in run.log
    first = manager.told[0]
    assert int(first["EXTEND_TIMEOUT_USEC"]) >= 2e6, "the manager waits for so long"


async def no_progress(caplog):
    """Wait until it is sure that something is stuck."""
    async with asyncio.timeout(30):
        while "no progress" not in caplog.text:
            await asyncio.sleep(0.01)


async def test_the_watchdog_is_fed_while_nothing_is_stuck_for_long(manager, monkeypatch, caplog):
    monkeypatch.setenv("NOTIFY_SOCKET", manager.path)
    monkeypatch.setenv("WATCHDOG_USEC", "600000")
    monkeypatch.setattr("edgepub.daemon.systemd._LOOK_S", 0.02)
    monkeypatch.setattr("edgepub.daemon.systemd._SURE_S", 0.5)
    status, stuck = Status(["porch"]), []
    task = asyncio.create_task(Service(30).follow(status, lambda: list(stuck)))

    async def fed(number):
        while sum("WATCHDOG" in each for each in manager.hear()) < number:
            await asyncio.sleep(0.01)

    async with asyncio.timeout(30):
        await fed(3)
        stuck.append("porch")
        while not any("WATCHDOG" in each for each in manager.hear()[-1:]):
            await asyncio.sleep(0.01)
        await no_progress(caplog)
        many = sum("WATCHDOG" in each for each in manager.hear())
        await asyncio.sleep(0.8)  # longer than the watchdog waits: that nothing comes cannot be waited for
        assert sum("WATCHDOG" in each for each in manager.hear()) == many, "it would bite now"
        stuck.clear()
        await fed(many + 2)
    task.cancel()


@pytest.mark.mosquitto
@pytest.mark.parametrize("what", ["camera", "publisher"])
async def test_what_is_stuck_is_left_to_the_watchdog(manager, monkeypatch, caplog, studio, mosquitto, what):
    """By the whole daemon, in which the part says that it is."""
    monkeypatch.setenv("NOTIFY_SOCKET", manager.path)
    monkeypatch.setenv("WATCHDOG_USEC", "300000")
    monkeypatch.setattr("edgepub.daemon.systemd._SURE_S", 0.5)
    its = {"camera": "edgepub.camera.supervisor.CameraSupervisor", "publisher": "edgepub.mqtt.publisher.Publisher"}[
        what
    ] + ".is_stuck"
    settings = Settings(**studio.settings(mosquitto.url, studio.video([[BOX]] * 50), realtime=True, loop=True))
    what = EffectiveSettings(settings, Path("edgepub.yaml"), {}, default_state_dir(), settings)
    requests = run.Requests()
    task = asyncio.create_task(run.serve(what, lambda: what, requests))

    async def fed():
        number = sum("WATCHDOG" in each for each in manager.hear())
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(1.5):
                while sum("WATCHDOG" in each for each in manager.hear()) == number:
                    await asyncio.sleep(0.01)
        return sum("WATCHDOG" in each for each in manager.hear()) > number

    assert await fed()
    monkeypatch.setattr(its, property(lambda _: True))
    await no_progress(caplog)
    assert not await fed()
    monkeypatch.setattr(its, property(lambda _: False))
    assert await fed()
    requests.stop()
    assert await task == 0


def test_who_is_no_service_tells_nobody(monkeypatch):
    monkeypatch.delenv("NOTIFY_SOCKET", raising=False)
    notify("READY=1")
    monkeypatch.setenv("NOTIFY_SOCKET", "/nonexistent/socket")
    notify("READY=1")
    monkeypatch.setenv("WATCHDOG_USEC", "5000000")
    assert watchdog_s() == 5.0
    monkeypatch.setenv("WATCHDOG_PID", str(os.getpid() + 1))
    assert watchdog_s() is None, "it is another process that is watched"


def test_an_abstract_socket_is_told_too(monkeypatch):
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as ear:
        ear.bind(f"\0edgepub-test-{os.getpid()}")
        monkeypatch.setenv("NOTIFY_SOCKET", f"@edgepub-test-{os.getpid()}")
        notify("READY=1", "STATUS=two\nlines of film-\udcff.avi")
        assert ear.recv(100) == b"READY=1\nSTATUS=two lines of film-\\udcff.avi"


async def test_what_a_busy_manager_does_not_take_is_told_later(manager, monkeypatch):
    monkeypatch.setenv("NOTIFY_SOCKET", manager.path)
    monkeypatch.setattr("edgepub.daemon.systemd._LOOK_S", 0.02)
    while notify("X=1"):
        pass
    status = Status([])
    status.broker.sessions = 1
    task = asyncio.create_task(Service(30).follow(status, list))
    await asyncio.sleep(0.2)  # some looks, of which none can be told
    async with asyncio.timeout(30):
        while not any("READY" in each for each in manager.hear()):
            await asyncio.sleep(0.01)
    task.cancel()


@pytest.mark.mosquitto
def test_healthz_says_that_a_camera_is_dead_within_the_stall_time_and_that_it_is_back(
    studio, mosquitto, run_daemon, live
):
    camera, port = live(25), free_port()
    settings = studio.settings(mosquitto.url, camera.url, stall_timeout_s=2)
    run_daemon({**settings, "http": {"listen": port}})
    wait_until(lambda: healthz(port)[0] == 200, "all is well")
    frozen_s = time.monotonic()
    camera.paused.set()
    wait_until(lambda: healthz(port)[0] == 503, "it is dead")
    took_s = time.monotonic() - frozen_s
    assert took_s < 2 + 3, "the stall time, and what a busy machine takes"
    assert healthz(port)[1]["wrong"][0].startswith("cam: source: http://127.0.0.1")
    camera.paused.clear()
    wait_until(lambda: healthz(port)[0] == 200, "it is back")


@pytest.mark.mosquitto
def test_healthz_says_that_the_broker_is_gone(studio, mosquitto, run_daemon):
    port = free_port()
    settings = studio.settings(mosquitto.url, studio.video([[BOX]] * 50), realtime=True, loop=True)
    run = run_daemon({**settings, "http": {"listen": port}})
    wait_until(lambda: healthz(port)[0] == 200, "all is well")
    mosquitto.stop()
    wait_until(lambda: healthz(port)[0] == 503, "no broker")
    assert healthz(port)[1]["broker"]["status"] == "offline"
    mosquitto.start()
    wait_until(lambda: healthz(port)[0] == 200, "it is back")
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as answer:
        page = answer.read().decode()
    assert "edgepub_broker_reconnects_total 1.0" in page
    assert 'edgepub_camera_up{camera="cam"} 1.0' in page
    assert run.terminate() == 0
    assert healthz(port) == (None, {})
