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
MAX_OUTAGE_S = 12  # 1 to 4 on a computer with nothing else to do


@pytest.fixture
def servers(studio):
    """Return two AI servers by address: the leader of the process group of each."""
    studio.model()
    with contextlib.ExitStack() as stack:
        pairs = [stack.enter_context(ai_server(studio.zoo)) for _ in range(2)]
        yield {f"127.0.0.1:{port}": process for port, process in pairs}


@pytest.fixture
def configuration(studio, mosquitto):
    """Return a function that makes a configuration for AI servers with the echo model."""

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


@pytest.fixture
def face(demo_assets, mosquitto):
    """Return a function that makes a configuration for AI servers with a model that has a postprocessor in Python."""

    def make(addresses):
        model = {"model_name": "blazeface", "inference_host_address": addresses}
        camera = {"source": str(demo_assets.video), "model": "face", "loop": True, "realtime": True}
        return {
            "node": "test",
            "mqtt": {"url": mosquitto.url},
            "stats": {"interval_s": 1},
            "models": {"face": model},
            "cameras": {"cam": camera},
        }

    return make


def assert_goes_on(reader, daemon, servers, max_outage_s=MAX_OUTAGE_S):
    """Kill the AI server that the camera of a daemon uses; assert that it goes on at the other one."""

    def used():
        """Return the AI server in use, if both payloads say the same, as that of the camera and of its only model."""
        cameras = (json.loads(reader.last(INFO))["cameras"]["cam"], reader.stats()[-1]["cameras"]["cam"])
        servers = [camera["server"] for camera in cameras if "server" in camera]
        servers += [server for camera in cameras for server in camera.get("servers", {}).values()]
        return servers[0] if len(servers) == 4 and len(set(servers)) == 1 else None

    first = reader.wait_for(lambda r: r.detections() and r.stats() and r.last(INFO) and used(), "detections")
    statuses = len(reader.payloads(STATUS))
    os.killpg(servers[first].pid, signal.SIGKILL)
    began_s = time.monotonic()
    reader.wait_for(lambda r: b"offline" in r.payloads(STATUS)[statuses:], "offline")
    seen = len(reader.detections())
    reader.wait_for(lambda r: len(r.detections()) > seen, "detections again")
    assert time.monotonic() - began_s < max_outage_s
    (other,) = servers.keys() - {first}
    reader.wait_for(lambda _: used() == other, "the other server in info and stats")
    assert "trying the next AI server" in daemon.log
    assert "json.exception" not in daemon.log


def test_a_camera_goes_on_at_the_other_ai_server(mosquitto, subscribe, run_daemon, servers, configuration):
    reader = subscribe(mosquitto.port)
    assert_goes_on(reader, run_daemon(configuration(list(servers))), servers)
    info.VALIDATOR.validate_json(reader.last(INFO))
    stats.VALIDATOR.validate_python(reader.stats()[-1])
    assert json.loads(reader.last(INFO))["models"]["echo"]["inference_host_address"] == ", ".join(servers)


def test_the_same_with_a_postprocessor_in_python(mosquitto, subscribe, run_daemon, demo_assets, face):
    """All servers on one computer share the ports of their postprocessors: a killed one can hold up another for 8 s."""
    with ai_server(demo_assets.zoo) as (one, first), ai_server(demo_assets.zoo) as (two, second):
        servers = {f"127.0.0.1:{one}": first, f"127.0.0.1:{two}": second}
        reader = subscribe(mosquitto.port)
        assert_goes_on(reader, run_daemon(face(list(servers))), servers, MAX_OUTAGE_S + 10)


def test_a_camera_outlives_any_number_of_crashes_of_its_ai_server(mosquitto, subscribe, run_daemon, demo_assets, face):
    """More than the calls that may hang at the same time: those that waited for a server that is gone end."""
    reader, port = subscribe(mosquitto.port), free_port()
    for crash in range(5):
        with ai_server(demo_assets.zoo, port):
            if not crash:
                run_daemon(face(f"127.0.0.1:{port}"))
            seen = len(reader.detections())
            reader.wait_for(lambda r, n=seen: len(r.detections()) > n + 5 and r.last(STATUS) == b"online", "detections")
        reader.wait_for(lambda r: r.last(STATUS) == b"offline", "offline")


def test_a_camera_leaves_an_ai_server_that_is_frozen(mosquitto, subscribe, run_daemon, demo_assets, face):
    """With a real model: the echo models of all processes take turns, and a frozen one might keep its turn.

    The other server takes some 8 s for its first result only because it runs on the same computer: the process for its
    postprocessor looks for a free port, and first asks the frozen one's.
    """
    with ai_server(demo_assets.zoo) as (one, first), ai_server(demo_assets.zoo) as (two, second):
        processes = {f"127.0.0.1:{one}": first, f"127.0.0.1:{two}": second}
        reader = subscribe(mosquitto.port)
        run_daemon(face(list(processes)))

        def used():
            return json.loads(reader.last(INFO))["cameras"]["cam"].get("server")

        frozen = reader.wait_for(lambda r: r.detections() and r.last(INFO) and used(), "detections")
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
    assert first == f"model echo at {gone}: FAILED: the AI server {gone} does not answer: Connection refused"
    assert second.startswith(f"model echo at {good}: good: DUMMY/DUMMY")
