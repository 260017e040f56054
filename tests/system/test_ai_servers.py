"""A camera with several AI servers: it uses one, and another one as soon as that fails."""

import contextlib
import json
import os
import signal
import time

import pytest
import yaml

from edgepub.cli.bench.ai_server import ai_server
from edgepub.mqtt.payloads import info, stats
from tests.support.studio import BOX
from tests.support.waiting import free_port

pytestmark = [pytest.mark.mosquitto, pytest.mark.slow]
INFO, STATUS = "edgepub/test/info", "edgepub/test/cam/status"
MAX_OUTAGE_S = 25  # 9 to 10 on a computer with nothing else to do


@pytest.fixture
def servers(studio):
    """Return two AI servers by address: the leader of the process group of each."""
    studio.model()
    with contextlib.ExitStack() as stack:
        pairs = [stack.enter_context(ai_server(studio.zoo)) for _ in range(2)]
        yield {f"127.0.0.1:{port}": process for port, process in pairs}


@pytest.fixture
def configuration(studio, mosquitto):
    """Return a function that makes a configuration for AI servers. Their model has no postprocessor in Python.

    With its first frame, a server would start a process for that. With two servers on one computer, that was seen to
    take 10 s after the other one was killed.
    """

    def make(addresses):
        settings = studio.settings(mosquitto.url, studio.video([[BOX]] * 50), loop=True, realtime=True)
        raw = {"input_image_format": "RAW"}  # JPEG would change the text in the picture
        settings["models"]["echo"] = {
            "model_name": "echo",
            "inference_host_address": addresses,
            "model_properties": raw,
        }
        return {**settings, "stats": {"interval_s": 1}}

    return make


def test_a_camera_goes_on_at_the_other_ai_server(mosquitto, subscribe, run_daemon, servers, configuration):
    reader = subscribe(mosquitto.port)
    daemon = run_daemon(configuration(list(servers)))

    def used():
        """Return the AI server in use, if both payloads say the same."""
        in_info = json.loads(reader.last(INFO))["cameras"]["cam"].get("server")
        in_stats = reader.stats()[-1]["cameras"]["cam"].get("server")
        return in_info if in_info == in_stats else None

    first = reader.wait_for(lambda r: r.detections() and r.stats() and used(), "detections")
    os.killpg(servers[first].pid, signal.SIGKILL)
    began_s = time.monotonic()
    reader.wait_for(lambda r: r.last(STATUS) == b"offline", "offline")
    seen = len(reader.detections())
    reader.wait_for(lambda r: len(r.detections()) > seen, "detections again")
    assert time.monotonic() - began_s < MAX_OUTAGE_S
    (other,) = servers.keys() - {first}
    reader.wait_for(lambda _: used() == other, "the other server in info and stats")
    assert "its thread is abandoned; trying the next AI server" in daemon.log
    info.VALIDATOR.validate_json(reader.last(INFO))
    stats.VALIDATOR.validate_python(reader.stats()[-1])
    assert json.loads(reader.last(INFO))["models"]["echo"]["inference_host_address"] == ", ".join(servers)


def test_a_camera_leaves_an_ai_server_that_is_frozen(mosquitto, subscribe, run_daemon, demo_assets):
    """With a real model: the echo models of all processes take turns, and a frozen one might keep its turn."""
    with ai_server(demo_assets.zoo) as (one, first), ai_server(demo_assets.zoo) as (two, second):
        processes = {f"127.0.0.1:{one}": first, f"127.0.0.1:{two}": second}
        model = {"model_name": "blazeface", "inference_host_address": list(processes)}
        camera = {"source": str(demo_assets.video), "model": "face", "loop": True, "realtime": True}
        reader = subscribe(mosquitto.port)
        run_daemon(
            {"node": "test", "mqtt": {"url": mosquitto.url}, "models": {"face": model}, "cameras": {"cam": camera}}
        )

        def used():
            return json.loads(reader.last(INFO))["cameras"]["cam"].get("server")

        frozen = reader.wait_for(lambda r: r.detections() and used(), "detections")
        os.killpg(processes[frozen].pid, signal.SIGSTOP)
        reader.wait_for(lambda r: r.last(STATUS) == b"offline", "offline")
        reader.wait_for(lambda r: used() != frozen and r.last(STATUS) == b"online", "online at the other one")


def test_cameras_start_although_one_ai_server_is_down(mosquitto, subscribe, run_daemon, servers, configuration):
    reader = subscribe(mosquitto.port)
    settings = configuration([f"127.0.0.1:{free_port()}", *servers])
    settings["cameras"] = {f"cam{number}": settings["cameras"]["cam"] for number in range(4)}
    run_daemon(settings)
    reader.wait_for(lambda r: all(r.detections(camera) for camera in settings["cameras"]), "all cameras")


def test_check_connect_tries_each_ai_server(cli, servers, configuration, tmp_path):
    good, _ = servers
    gone = f"127.0.0.1:{free_port()}"
    path = tmp_path / "edgepub.yaml"
    path.write_text(yaml.safe_dump(configuration([gone, good])))
    done = cli("check", "--connect", "-c", path)
    assert done.returncode == 1
    *_, first, second = done.stdout.splitlines()
    assert first.startswith(f"model echo at {gone}: FAILED: OS error; Error connecting to {gone}")
    assert second.startswith(f"model echo at {good}: good: DUMMY/DUMMY")
