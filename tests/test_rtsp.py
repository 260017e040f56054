"""A real RTSP camera, which goes away and comes back."""

import subprocess
from contextlib import contextmanager
from functools import cache
from pathlib import Path

import pytest
from conftest import free_port

SYSTEM_PYTHON = "/usr/bin/python3"
LOOK = "import gi; gi.require_version('GstRtspServer', '1.0'); from gi.repository import GstRtspServer"


@cache
def can_serve():
    try:
        return subprocess.run([SYSTEM_PYTHON, "-c", LOOK], capture_output=True, check=False).returncode == 0
    except OSError:
        return False


pytestmark = [
    pytest.mark.rtsp,
    pytest.mark.mosquitto,
    pytest.mark.skipif(
        not can_serve(),
        reason="no RTSP server here: apt-get install python3-gi gir1.2-gst-rtsp-server-1.0 gstreamer1.0-plugins-good "
        "gstreamer1.0-plugins-bad",
    ),
]


@contextmanager
def rtsp_server(video, port, folder):
    server = subprocess.Popen(
        [SYSTEM_PYTHON, Path(__file__).parent / "rtsp_server.py", video, str(port), folder],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    try:
        assert server.stdout.readline() == "ready\n"
        yield
    finally:
        server.kill()
        server.communicate()


def test_a_camera_is_seen_lost_and_seen_again(mosquitto, subscribe, run_daemon, demo_assets, tmp_path):
    port = free_port()
    model = {"model_name": "blazeface", "zoo_url": str(demo_assets.zoo), "inference_host_address": "@local"}
    settings = {
        "node": "test",
        "mqtt": {"url": mosquitto.url},
        "models": {"face": model},
        "cameras": {"cam": {"source": f"rtsp://127.0.0.1:{port}/live", "model": "face"}},
    }
    reader = subscribe(mosquitto.port)
    daemon = run_daemon(settings)
    for _ in range(2):
        seen = len(reader.detections())
        with rtsp_server(demo_assets.video, port, tmp_path):
            reader.wait_for(lambda r, n=seen: len(r.detections()) > n + 30, "detections")
            assert reader.last("edgepub/test/cam/status") == b"online"
        reader.wait_for(lambda r: r.last("edgepub/test/cam/status") == b"offline", "offline")
    assert "gives no more frames; trying again" in daemon.log
    payloads = reader.detections()
    assert {(p["width"], p["height"]) for p in payloads} == {(176, 144)}
    assert any(p["detections"] for p in payloads)
    assert [p["seq"] for p in payloads] == list(range(1, len(payloads) + 1))
    assert daemon.terminate() == 0
