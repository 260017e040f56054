"""What a node says under overload: with the real PySDK, a real broker and the real daemon."""

import itertools
import json
import urllib.error
import urllib.request

import cv2
import numpy as np
import pytest

from edgepub.cli.bench import echo, moving_objects
from tests.support.studio import BOX
from tests.support.waiting import free_port, wait_until

pytestmark = pytest.mark.mosquitto


class Node:
    """A daemon, with what it says of its limits."""

    def __init__(self, run_daemon, settings):
        port = free_port()
        self.root = f"http://127.0.0.1:{port}"
        self.daemon = run_daemon({**settings, "http": {"listen": f"127.0.0.1:{port}"}, "stats": {"interval_s": 1}})

    def get(self, path):
        with urllib.request.urlopen(f"{self.root}/{path}", timeout=20) as answer:
            return answer.read().decode()

    def limits(self):
        """Return the limits in `/healthz`, by resource."""
        try:
            health = self.get("healthz")
        except urllib.error.URLError:  # it is not ready yet
            return {}
        return {limit["resource"]: limit for limit in json.loads(health)["limits"]}

    def wait_for_limit(self, resource):
        wait_until(lambda: resource in self.limits(), f"the limit {resource} in /healthz")
        wait_until(lambda: f'edgepub_limit{{resource="{resource}"}} 1.0' in self.get("metrics"), "it in /metrics")
        assert json.loads(self.get("healthz"))["ready"], "an overloaded node works"
        return self.limits()[resource]

    def lines(self, level, text):
        return [line for line in self.daemon.log.splitlines() if f" {level} " in line and text in line]


def wait_for_stats(reader, resource):
    """Wait for a stats message with this limit."""

    def find():
        return any(limit["resource"] == resource for stats in reader.stats() for limit in stats["limits"])

    reader.wait_for(lambda _: find(), f"{resource} in stats")


def live(source, **settings):
    return {"source": source, "model": "echo", "loop": True, "realtime": True, **settings}


def test_a_slow_model_is_the_limit_until_it_has_less_to_do(mosquitto, subscribe, run_daemon, studio):
    reader = subscribe(mosquitto.port)
    settings = studio.settings(mosquitto.url, studio.video([[BOX]] * 50, fps=25), realtime=True, loop=True)
    settings["models"]["slow"] = studio.model("slow", SimulateTime_ms=60)
    settings["cameras"]["cam"]["model"] = "slow"
    settings["cameras"]["other"] = live(studio.video([[BOX]] * 50, "other.avi", fps=2))
    node = Node(run_daemon, settings)
    limit = node.wait_for_limit("model")
    assert limit["cameras"] == ["cam"], "the other one loses nothing"
    assert "DUMMY/DUMMY" in limit["text"]
    wait_for_stats(reader, "model")
    assert reader.stats()[-1]["loop_late_ms"]["p50"] >= 0
    assert len(node.lines("WARNING", "device")) == 1, "said once"
    reader.publish("edgepub/test/cam/max_fps/set", b"2")
    wait_until(lambda: not node.limits(), "the end of the limit")
    wait_until(lambda: 'edgepub_limit{resource="model"} 0.0' in node.get("metrics"), "it in /metrics")
    assert node.lines("INFO", "model is not the limit")
    assert node.daemon.terminate() == 0


@pytest.mark.browser
def test_the_page_shows_the_limit(mosquitto, run_daemon, studio, browser_page):
    settings = studio.settings(mosquitto.url, studio.video([[BOX]] * 50, fps=25), realtime=True, loop=True)
    settings["models"]["echo"] = studio.model("slow", SimulateTime_ms=60)
    node = Node(run_daemon, settings)
    node.wait_for_limit("model")
    browser_page.goto(node.root)
    browser_page.wait_for_selector("#notice >> text=is the limit for cam", timeout=30_000)
    browser_page.goto(f"{node.root}/cameras/cam")
    browser_page.wait_for_selector("#limits >> text=is the limit for cam", timeout=30_000)
    browser_page.goto("about:blank")  # it would complain of the daemon's end
    assert node.daemon.terminate() == 0


def test_a_slow_link_is_the_limit(mosquitto, slow_broker, subscribe, run_daemon, studio):
    settings = studio.settings(
        f"mqtt://127.0.0.1:{slow_broker.port}", studio.video([[BOX]] * 200, fps=200), realtime=True, loop=True
    )
    node = Node(run_daemon, settings)
    limit = node.wait_for_limit("broker")
    assert limit["cameras"] == ["cam"]
    subscribe(mosquitto.port).publish("edgepub/test/cam/max_fps/set", b"2")
    wait_until(lambda: not node.limits(), "the end of the limit")
    assert node.daemon.terminate() == 0


def test_a_picture_that_takes_long_to_decode_is_the_limit(mosquitto, run_daemon, studio):
    path = studio.directory / "noise.avi"
    writer = cv2.VideoWriter(str(path), cv2.CAP_FFMPEG, cv2.VideoWriter.fourcc(*"FFV1"), 500, (640, 480))
    noise = np.random.default_rng(1).integers(0, 255, (480, 640, 3), np.uint8)
    text = np.frombuffer(b"[]".ljust(3 * echo.SIDE, b"\0"), np.uint8).reshape(1, echo.SIDE, 3)
    noise[:16] = cv2.resize(text, (640, 16), interpolation=cv2.INTER_NEAREST)  # all that the model reads
    for _ in range(60):
        writer.write(noise)
    writer.release()
    settings = studio.settings(mosquitto.url, str(path), realtime=True, loop=True, max_fps=2)
    node = Node(run_daemon, settings)
    limit = node.wait_for_limit("decoding")
    assert limit["cameras"] == ["cam"]
    assert node.daemon.terminate() == 0


def test_python_is_the_limit_of_many_objects(mosquitto, subscribe, run_daemon, studio):
    reader = subscribe(mosquitto.port)
    frames = itertools.islice(moving_objects.frames(20, 0.03), 200)
    video = studio.video(map(moving_objects.to_model_results, frames), fps=200)
    settings = studio.settings(mosquitto.url, video, realtime=True, loop=True)
    settings["cameras"] = {f"cam{n}": live(video, tracking=True, snapshot={"enabled": True}) for n in range(24)}
    node = Node(run_daemon, settings)
    node.wait_for_limit("python")
    wait_for_stats(reader, "python")
    assert node.daemon.terminate() == 0
