"""What the whole daemon reports to a service manager, and over HTTP."""

import asyncio
import contextlib
import time
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from edgepub.config.effective import EffectiveSettings
from edgepub.config.settings import Settings
from edgepub.core.state_dir import default_state_dir
from edgepub.daemon.run import serve
from edgepub.daemon.signals import Requests
from edgepub.daemon.systemd import Service
from tests.support.health import NO_SERVER, read_health
from tests.support.service_manager import no_progress
from tests.support.studio import BOX
from tests.support.waiting import free_port, wait_until


@pytest.mark.mosquitto
def test_a_run_as_reported_to_the_service_manager(manager, studio, mosquitto, run_daemon):
    settings = studio.settings(mosquitto.url, studio.video([[BOX]] * 50), realtime=True, loop=True)
    run = run_daemon(settings, NOTIFY_SOCKET=manager.path, WATCHDOG_USEC="3000000")
    manager.wait_for("the first session", READY="1")
    manager.wait_for_status("1 of 1 cameras online")
    manager.wait_for("a ping of the watchdog", WATCHDOG="1")
    before_usec = time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000
    assert "1 of 1 cameras online; reloaded: " in manager.reload(run)
    reloading = manager.wait_for("the reload", RELOADING="1")
    assert before_usec <= int(reloading["MONOTONIC_USEC"]) <= time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000
    mosquitto.stop()
    manager.wait_for_status("broker: ")
    mosquitto.start()
    wait_until(
        lambda: "broker" not in [m for m in manager.messages() if "STATUS" in m][-1]["STATUS"], "the broker is back"
    )
    assert run.terminate() == 0
    assert {"STOPPING": "1", "STATUS": "stopping"} in manager.messages()


def test_without_a_broker_the_start_times_out_and_is_degraded(manager, studio, run_daemon):
    settings = studio.settings(f"mqtt://127.0.0.1:{free_port()}", studio.video([[BOX]] * 9), realtime=True, loop=True)
    run_daemon({**settings, "startup_timeout_s": 2}, NOTIFY_SOCKET=manager.path)
    manager.wait_for_status("1 of 1 cameras online", "broker: ")
    manager.wait_for("the end of the start", READY="1")
    first = manager.received[0]
    assert int(first["EXTEND_TIMEOUT_USEC"]) >= 2e6, "the manager must wait that long"


@pytest.mark.mosquitto
@pytest.mark.parametrize("what", ["camera", "publisher"])
async def test_a_stuck_part_is_left_to_the_watchdog(manager, monkeypatch, caplog, studio, mosquitto, what):
    """In the whole daemon, with a part that reports being stuck."""
    monkeypatch.setenv("NOTIFY_SOCKET", manager.path)
    monkeypatch.setenv("WATCHDOG_USEC", "300000")
    classes = {
        "camera": "edgepub.camera.supervisor.CameraSupervisor",
        "publisher": "edgepub.mqtt.publisher.Publisher",
    }
    settings = Settings(**studio.settings(mosquitto.url, studio.video([[BOX]] * 50), realtime=True, loop=True))
    effective = EffectiveSettings(settings, Path("edgepub.yaml"), {}, default_state_dir(), settings)
    requests = Requests()
    task = asyncio.create_task(serve(effective, lambda: effective, requests, Service(30, stuck_after_s=0.5)))

    async def fed(seconds):
        number = sum("WATCHDOG" in message for message in manager.messages())
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                while sum("WATCHDOG" in message for message in manager.messages()) == number:
                    await asyncio.sleep(0.01)
        return sum("WATCHDOG" in message for message in manager.messages()) > number

    assert await fed(30)
    monkeypatch.setattr(f"{classes[what]}.is_stuck", property(lambda _: True))
    await no_progress(caplog, {"camera": "cam", "publisher": "publisher"}[what])
    assert not await fed(1.5)
    monkeypatch.setattr(f"{classes[what]}.is_stuck", property(lambda _: False))
    assert await fed(30)
    requests.stop()
    assert await task == 0


@pytest.mark.mosquitto
def test_healthz_reports_a_dead_camera_within_the_stall_timeout_and_its_return(studio, mosquitto, run_daemon, live):
    camera, port = live(25), free_port()
    settings = studio.settings(mosquitto.url, camera.url, stall_timeout_s=2)
    run_daemon({**settings, "http": {"listen": port}})
    wait_until(lambda: read_health(port)[0] == 200, "all is well")
    frozen_s = time.monotonic()
    camera.paused.set()
    wait_until(lambda: read_health(port)[0] == 503, "it is dead")
    took_s = time.monotonic() - frozen_s
    assert took_s < 2 + 8, "the stall timeout, and time for a busy computer"
    assert read_health(port)[1]["wrong"][0].startswith("cam: source: http://127.0.0.1")
    camera.paused.clear()
    wait_until(lambda: read_health(port)[0] == 200, "it is back")


@pytest.mark.mosquitto
def test_healthz_reports_that_the_broker_is_gone(studio, mosquitto, run_daemon):
    port = free_port()
    settings = studio.settings(mosquitto.url, studio.video([[BOX]] * 50), realtime=True, loop=True)
    run = run_daemon({**settings, "http": {"listen": port}})
    wait_until(lambda: read_health(port)[0] == 200, "all is well")
    mosquitto.stop()
    wait_until(lambda: read_health(port)[0] == 503, "no broker")
    assert read_health(port)[1]["broker"]["status"] == "offline"
    mosquitto.start()
    wait_until(lambda: read_health(port)[0] == 200, "it is back")
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as answer:
        page = answer.read().decode()
    assert "edgepub_broker_reconnects_total 1.0" in page
    assert 'edgepub_camera_up{camera="cam"} 1.0' in page
    assert run.terminate() == 0
    assert read_health(port) == NO_SERVER
