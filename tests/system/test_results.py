"""Models whose results are not what edgepub expects: with the real PySDK, a real broker and the real daemon."""

import json
import time
import urllib.error
import urllib.request
from statistics import median

import pytest
import yaml

from tests.support.studio import BOX
from tests.support.waiting import free_port, wait_until

pytestmark = pytest.mark.mosquitto
FPS = 20
WRONG = [{"error": "no device"}, [{"name": "tensor", "shape": [2], "data": ["?", 2]}], None, [[1], [2]]]
BAD_OBJECTS = [
    {**BOX, "bbox": [1, 2]},
    {**BOX, "landmarks": [5]},
    {"bbox": BOX["bbox"], "label": "person"},
    {**BOX, "mask": {"data": "!"}, "score": "high"},
]


def get(port, path):
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/{path}", timeout=10) as answer:
            return answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.read().decode()


def states(reader, topic):
    return [payload.decode() for payload in reader.payloads(f"edgepub/test/{topic}")]


def test_a_camera_whose_results_are_invalid_says_so_and_returns(mosquitto, subscribe, run_daemon, studio):
    script = [*[[BOX]] * 2 * FPS, *WRONG * FPS, *WRONG * FPS, *[[BOX]] * 2 * FPS]
    reader, port = subscribe(mosquitto.port), free_port()
    settings = studio.settings(
        mosquitto.url,
        studio.video(script, fps=FPS),
        realtime=True,
        loop=True,
        tracking=True,
        stall_timeout_s=4,
        occupancy_off_s=1,
    )
    good = {"source": studio.video([[BOX]] * 50, "good.avi"), "model": "echo", "loop": True, "realtime": True}
    settings["cameras"]["good"] = good
    settings["http"] = {"listen": f"127.0.0.1:{port}"}
    daemon = run_daemon(settings)
    # Time passes for the objects before the camera is offline.
    reader.wait_for(lambda _: "OFF" in states(reader, "cam/objects/person/occupancy")[1:], "the person has left")
    assert states(reader, "cam/status")[-1] == "online"
    reader.wait_for(lambda _: states(reader, "cam/status")[-1] == "offline", "offline")
    seen = len(reader.detections("good"))
    answers = []
    wait_until(
        lambda: answers.append(get(port, "healthz")) or "no valid result" in answers[-1], "the reason in /healthz"
    )
    health = json.loads(answers[-1])
    assert health["ready"] is False
    (problem,) = health["wrong"]
    assert problem.startswith("cam: model: no valid result: ")
    assert health["cameras"]["good"] == {"status": "online", "fault": None}
    online = states(reader, "cam/status").count("online")
    reader.wait_for(lambda _: states(reader, "cam/status").count("online") > online, "online again")
    assert len(reader.detections("good")) - seen > 5, "the other camera is not affected"
    assert states(reader, "good/status").count("offline") <= 1, "before it was online"
    wait_until(lambda: json.loads(get(port, "healthz"))["ready"], "ready again")
    events = reader.wait_for(
        lambda r: r.payloads("edgepub/test/cam/events")[2:] and r.payloads("edgepub/test/cam/events"), "events"
    )
    assert [json.loads(payload)["event_type"] for payload in events[:3]] == ["appeared", "left", "appeared"]
    assert daemon.terminate() == 0
    assert len([line for line in daemon.log.splitlines() if " WARNING " in line and "no valid result" in line]) <= 10


def test_a_camera_that_never_gives_a_valid_result_is_never_online(
    mosquitto, subscribe, run_daemon, studio, cli, tmp_path
):
    reader, port = subscribe(mosquitto.port), free_port()
    settings = studio.settings(mosquitto.url, studio.video([WRONG[1]] * 50), realtime=True, loop=True)
    settings["http"] = {"listen": f"127.0.0.1:{port}"}
    path = tmp_path / "edgepub.yaml"
    path.write_text(yaml.safe_dump(settings))
    done = cli("check", "--connect", "-c", path)
    assert done.returncode == 1
    assert done.stdout.splitlines()[-1].startswith("model echo: FAILED: a tensor whose data are no numbers")
    run_daemon(settings)
    wait_until(lambda: "data are no numbers" in get_or_nothing(port), "the reason")
    reader.wait_for(lambda _: states(reader, "cam/status"), "a status")
    assert set(states(reader, "cam/status")) == {"offline"}
    assert 'edgepub_dropped_total{camera="cam",reason="invalid"} ' in get(port, "metrics")


def get_or_nothing(port):
    try:
        return get(port, "healthz")
    except OSError:
        return ""


def test_bad_objects_cost_no_others(mosquitto, subscribe, run_daemon, studio, cli, tmp_path):
    """Some of these make PySDK's own classes raise, which would end the model."""
    script = [[bad, BOX] for bad in BAD_OBJECTS] * 10
    reader, port = subscribe(mosquitto.port), free_port()
    settings = studio.settings(mosquitto.url, studio.video(script, fps=FPS), realtime=True, loop=True)
    settings["http"] = {"listen": f"127.0.0.1:{port}"}
    settings["stats"] = {"interval_s": 1}
    path = tmp_path / "edgepub.yaml"
    path.write_text(yaml.safe_dump(settings))
    done = cli("check", "--connect", "-c", path)
    assert done.returncode == 0, done.stdout
    assert "invalid objects: 1: a detection with a bbox" in done.stdout.splitlines()[-1]
    daemon = run_daemon(settings)
    reader.wait_for(lambda r: len(r.detections()) > 50, "detections")
    assert {len(d["detections"]) for d in reader.detections()} == {1}
    assert states(reader, "cam/status").count("online") == 1
    reader.wait_for(lambda r: r.stats() and r.stats()[-1]["cameras"]["cam"]["published"] > 50, "stats")
    last = reader.stats()[-1]["cameras"]["cam"]
    assert last["objects_dropped"]["invalid"] > 20
    assert last["dropped"] == {}
    assert 'edgepub_objects_dropped_total{camera="cam",reason="too_many"} 0.0' in get(port, "metrics")
    assert daemon.terminate() == 0
    lines = [line for line in daemon.log.splitlines() if " WARNING " in line and "objects dropped" in line]
    assert 3 <= len(lines) <= 8, "each kind once"


@pytest.mark.parametrize("boxes", [5000, 8400])
def test_a_model_without_suppression_beside_an_ordinary_camera(mosquitto, subscribe, run_daemon, studio, boxes):
    """Its 500 best boxes are published; the other camera loses nothing, and everything still answers."""
    many = [
        {
            "bbox": [n % 80 * 11, n // 80 * 9, n % 80 * 11 + 30, n // 80 * 9 + 40],
            "label": "person",
            "score": 0.9 - n / 1e5,
        }
        for n in range(boxes)
    ]
    reader, port = subscribe(mosquitto.port), free_port()
    settings = studio.settings(mosquitto.url, studio.video([[BOX]] * 100, fps=10), realtime=True, loop=True)
    settings["models"]["large"] = studio.model("large", side=1024)
    mad = studio.video([many] * 3, "mad.avi", fps=5, side=1024)
    settings["cameras"]["mad"] = {"source": mad, "model": "large", "realtime": True, "loop": True}
    settings["http"] = {"listen": f"127.0.0.1:{port}"}
    settings["stats"] = {"interval_s": 1}
    daemon = run_daemon(settings)
    reader.wait_for(lambda r: len(r.detections("mad")) > 30 and r.detections(), "detections")
    took_s = []
    for _ in range(10):
        began_s = time.monotonic()
        assert json.loads(get(port, "healthz"))["ready"]
        took_s.append(time.monotonic() - began_s)
        time.sleep(0.1)
    assert median(took_s) < 0.5
    assert {len(d["detections"]) for d in reader.detections("mad")} == {500}
    numbers = [payload["seq"] for payload in reader.detections()]
    assert numbers == list(range(numbers[0], numbers[0] + len(numbers)))
    assert reader.stats()[-1]["rss_bytes"] < 400e6
    assert reader.stats()[-1]["cameras"]["mad"]["objects_dropped"]["too_many"] % (boxes - 500) == 0
    began_s = time.monotonic()
    assert daemon.terminate() == 0
    assert time.monotonic() - began_s < 20
