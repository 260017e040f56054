"""Live cameras under load: the newest frame, sampling by rule, recovery, and their stats."""

import os
import re
import signal
import socket
import subprocess
import time
from itertools import pairwise
from statistics import median

import jsonschema
import psutil
import pytest

from edgepub.cli.bench.ai_server import ai_server
from edgepub.cli.bench.slow_link import SlowLink
from edgepub.mqtt.payloads import stats
from edgepub.mqtt.payloads.schema import json_schema
from tests.support.brokers import Mosquitto, Subscriber
from tests.support.health import read_health
from tests.support.slow_answers import SlowAnswers
from tests.support.studio import BOX
from tests.support.waiting import free_port, wait_until

pytestmark = pytest.mark.mosquitto
STATS = jsonschema.Draft202012Validator(json_schema(stats.VALIDATOR))
NAMED = [[{**BOX, "category_id": n}] for n in range(300)]


def place(payload):
    return payload["detections"][0]["category_id"]


BEFORE = ("decode", "late", "undecodable", "max_fps", "busy")
"""The reasons for which frames are left out before inference."""


def add_up(camera):
    """Assert that a camera's stats account for each frame, at a moment without traffic."""
    before = sum(camera["sampled"].get(reason, 0) for reason in BEFORE)
    after = sum(camera["sampled"].values()) - before
    assert camera["inferred"] == camera["published"] + after + sum(camera["dropped"].values())
    assert 0 <= camera["captured"] - before - camera["inferred"] <= 2, "one waits, one is in the model"


def test_a_slow_model_gets_the_newest_frame_and_the_rest_is_counted(mosquitto, subscribe, run_daemon, studio, live):
    camera, reader = live(50), subscribe(mosquitto.port)
    settings = studio.settings(mosquitto.url, camera.url)
    settings["models"]["echo"] = studio.model("slow", SimulateTime_ms=100)
    settings["stats"] = {"interval_s": 1}
    run_daemon(settings)
    reader.wait_for(lambda r: len(r.detections()) >= 20 and len(r.stats()) >= 3, "detections and stats")
    payloads = reader.detections()
    # The camera sends five frames in the time of one inference. On a busy machine it sends fewer, then several at once.
    assert payloads[-1]["frame"] - payloads[0]["frame"] > 2 * (len(payloads) - 1)
    assert [place(p) for p in payloads] == [(p["frame"] - 1) % 300 for p in payloads]
    assert [p["seq"] for p in payloads] == list(range(1, len(payloads) + 1)), "what is sampled leaves no hole"
    # Half of all must be as old as one inference takes, which is longer while other tests use the runtime. If frames
    # were queued, half would be older than eight inferences.
    inference_ms = median(1000 * (after["timestamp"] - before["timestamp"]) for before, after in pairwise(payloads))
    assert 100 < median(p["timing_ms"]["capture_to_publish"] for p in payloads) < 2 * inference_ms
    payload = next(payload for payload in reversed(reader.stats()) if payload["cameras"]["cam"]["fps_inferred"])
    STATS.validate(payload)
    assert payload["interval_s"] > 0.9
    cam = payload["cameras"]["cam"]
    assert cam["sampled"]["busy"] > 2 * cam["inferred"]
    assert cam["fps_in"] > 2 * cam["fps_inferred"] > 0
    assert set(cam["latency_ms"]) == {"capture_to_inference", "inference", "queue", "publish", "total"}
    assert cam["latency_ms"]["inference"]["p50"] > 95
    assert cam["latency_ms"]["total"]["p50"] >= cam["latency_ms"]["inference"]["p50"]
    assert 95 < cam["model_ms"]["inference"]["p50"] < 400
    assert payload["rss_bytes"] > 10_000_000
    assert (payload["broker"]["reconnects"], payload["broker"]["held_back"]) == (0, 0)


def test_a_camera_that_freezes_is_offline_in_time_and_online_with_its_next_frame(
    mosquitto, subscribe, run_daemon, studio, live
):
    camera, reader = live(25), subscribe(mosquitto.port)
    settings = studio.settings(mosquitto.url, camera.url, stall_timeout_s=2)
    settings["stats"] = {"interval_s": 1}
    daemon = run_daemon(settings)
    status = "edgepub/test/cam/status"
    for _ in range(2):
        seen = len(reader.detections())
        reader.wait_for(lambda r, n=seen: len(r.detections()) > n + 10, "detections")
        assert reader.last(status) == b"online"
        camera.paused.set()
        frozen_s = time.monotonic()
        reader.wait_for(lambda r: r.last(status) == b"offline", "offline", seconds=8)
        assert time.monotonic() - frozen_s > 1, "not at the first pause"
        camera.paused.clear()
        reader.wait_for(lambda r: r.last(status) == b"online", "online")
    reader.wait_for(lambda r: r.stats() and r.stats()[-1]["cameras"]["cam"]["reconnects"] >= 2, "the count of it")
    assert daemon.terminate() == 0


def test_a_camera_that_closes_its_connection_is_offline_immediately(mosquitto, subscribe, run_daemon, studio, live):
    camera, reader = live(25), subscribe(mosquitto.port)
    daemon = run_daemon(studio.settings(mosquitto.url, camera.url, stall_timeout_s=60))
    reader.wait_for(lambda r: r.detections(), "a detection")
    status = "edgepub/test/cam/status"
    reader.wait_for(lambda r: r.last(status) == b"online", "online")
    camera.paused.set()  # otherwise it may be online again before the broker gets the offline status
    camera.disconnect_clients()
    reader.wait_for(lambda r: r.last(status) == b"offline", "offline")
    daemon.wait_for_log("cam: source: ")
    seen = len(reader.detections())
    camera.paused.clear()
    reader.wait_for(lambda r: len(r.detections()) > seen + 5, "detections again")


def test_sampling_follows_the_settings(mosquitto, subscribe, run_daemon, studio):
    """A file is read at its own speed, and its results are admitted by rule: exactly these."""
    person, car, nobody = [BOX], [{**BOX, "label": "car"}], []
    video = studio.video([nobody] * 10 + [person] * 10 + [person + car] * 10 + [nobody] * 10)
    settings = studio.settings(mosquitto.url, video)
    camera = settings["cameras"]["cam"]
    settings["cameras"] = {
        "third": {**camera, "publish": {"every": 3}},
        "changes": {**camera, "publish": {"mode": "changes"}},
        "rare": {**camera, "publish": {"mode": "changes", "max_rate_hz": 0.1}},
        "few": {**camera, "max_fps": 5},
    }
    reader = subscribe(mosquitto.port)
    daemon = run_daemon(settings)
    assert daemon.wait() == 0, daemon.log
    reader.wait_for(lambda r: r.last("edgepub/test/status") == b"offline", "the end")

    def frames(name):
        return [p["frame"] for p in reader.detections(name)]

    assert frames("third") == list(range(1, 41, 3))
    assert frames("changes") == [1, 11, 21, 31]
    assert frames("rare") == [1, 30, 40], "the last change, and how it was at the end, when the file ended"
    assert frames("few") == list(range(1, 41, 5))
    assert [p["seq"] for p in reader.detections("rare")] == [1, 2, 3]


def test_a_slow_broker_costs_messages_counted_exactly_and_no_inference(
    mosquitto, slow_broker, subscribe, run_daemon, studio, live
):
    """Two cameras: one sends more than the link takes, the other little. Each loses only its own messages."""
    much, little = live(200), live(2)
    settings = studio.settings(f"mqtt://127.0.0.1:{slow_broker.port}", much.url)
    settings["cameras"]["little"] = {"source": little.url, "model": "echo"}
    settings["outbox"] = {"stream": {"size": 30}}
    settings["stats"] = {"interval_s": 1}
    reader = subscribe(mosquitto.port)
    daemon = run_daemon(settings)

    def lost(reader):
        dropped = [payload["cameras"]["cam"]["dropped"].get("queue_full", 0) for payload in reader.stats()]
        return dropped and dropped[-1] > 300

    reader.wait_for(lost, "drops, stats through the slow link")
    for payload in reader.stats():
        STATS.validate(payload)
        assert payload["outbox"]["stream"] <= 30
    assert not payload["cameras"]["little"]["dropped"]
    assert payload["cameras"]["cam"]["inferred"] > 2 * payload["cameras"]["cam"]["published"]
    slow_broker.bytes_per_s = 0  # as fast as it can
    much.paused.set()
    little.paused.set()

    def quiet(reader):
        one, other = [payload["cameras"]["cam"]["inferred"] for payload in reader.stats()[-2:]]
        return one == other and reader.stats()[-1]["outbox"]["stream"] == 0

    reader.wait_for(quiet, "a quiet moment")
    last = reader.stats()[-1]["cameras"]
    for name in ("cam", "little"):
        add_up(last[name])
        payloads = reader.detections(name)
        assert len(payloads) == last[name]["published"]
        sequence = [p["seq"] for p in payloads]
        assert sequence == sorted(set(sequence))
        holes = last[name]["inferred"] - len(sequence)
        assert holes == sum(last[name]["dropped"].values()), "each hole is a drop, and each drop a hole"
    assert daemon.terminate() == 0


def test_messages_through_a_slow_link_are_young(mosquitto, slow_broker, subscribe, run_daemon, studio, live):
    """Otherwise the kernel would hold megabytes of them, and a subscriber would get messages that are minutes old."""
    camera = live(100)
    settings = studio.settings(f"mqtt://127.0.0.1:{slow_broker.port}", camera.url)
    settings["outbox"] = {"stream": {"size": 5}}
    reader = subscribe(mosquitto.port)
    run_daemon(settings)
    reader.wait_for(lambda r: r.detections() and r.detections()[-1]["dropped"] > 200, "drops")
    assert time.time() - reader.detections()[-1]["timestamp"] < 10, "a megabyte would be 50 s"


def test_adaptive_publishes_less_while_the_queue_ages_and_recovers(mosquitto, subscribe, run_daemon, studio, live):
    """It gives way at each pause of a busy machine, too: so most of the frames are enough here."""
    camera = live(50)
    with SlowLink(mosquitto.port, 0) as link:
        settings = studio.settings(f"mqtt://127.0.0.1:{link.port}", camera.url, publish={"adaptive": True})
        settings["outbox"] = {"stream": {"size": 100}}
        settings["stats"] = {"interval_s": 1}
        reader = subscribe(mosquitto.port)
        run_daemon(settings)

        def published_most(reader):
            cam = reader.stats() and reader.stats()[-1]["cameras"]["cam"]
            return cam and cam["fps_inferred"] > 0 and cam["fps_published"] > 0.6 * cam["fps_inferred"]

        reader.wait_for(published_most, "all of it")
        link.bytes_per_s = 5000
        reader.wait_for(lambda r: r.stats()[-1]["cameras"]["cam"]["sampled"].get("adaptive", 0) > 200, "fewer")
        link.bytes_per_s = 0
        seen = len(reader.stats())
        reader.wait_for(lambda r: len(r.stats()) > seen + 2 and published_most(r), "all of it again")


def test_cameras_recover_from_an_ai_server_that_dies_and_one_that_hangs(mosquitto, subscribe, run_daemon, demo_assets):
    camera = {"source": str(demo_assets.video), "model": "face", "loop": True, "realtime": True, "stall_timeout_s": 3}
    reader, status = subscribe(mosquitto.port), "edgepub/test/cam/status"

    def seen_again():
        seen = len(reader.detections())
        reader.wait_for(lambda r: len(r.detections()) > seen + 5 and r.last(status) == b"online", "detections")

    with ai_server(demo_assets.zoo, free_port()) as (port, _):
        model = {"model_name": "blazeface", "inference_host_address": f"127.0.0.1:{port}"}
        settings = {"node": "test", "mqtt": {"url": mosquitto.url}, "models": {"face": model}}
        daemon = run_daemon({**settings, "cameras": {"cam": camera}})
        seen_again()
    reader.wait_for(lambda r: r.last(status) == b"offline", "offline")
    daemon.wait_for_log("cam: model: ")
    with ai_server(demo_assets.zoo, port) as (_, server):
        seen_again()
        os.killpg(server.pid, signal.SIGSTOP)
        reader.wait_for(lambda r: r.last(status) == b"offline", "offline")
        os.killpg(server.pid, signal.SIGCONT)
        seen_again()
        os.killpg(server.pid, signal.SIGSTOP)
        assert daemon.terminate() == 0, "while a call hangs"
        reader.wait_for(lambda r: r.last("edgepub/test/status") == b"offline", "the end")
        assert reader.last(status) == b"offline"


def test_a_slow_ai_server_holds_up_no_other_camera(mosquitto, subscribe, run_daemon, studio, live):
    """PySDK asks it for its devices whenever a model is loaded, and lets no other thread work meanwhile."""
    good, reader, port = live(20), subscribe(mosquitto.port), free_port()
    settings = studio.settings(mosquitto.url, good.url)
    settings["http"] = {"listen": port}
    with ai_server(studio.zoo) as (server, _), SlowAnswers(server, seconds=6) as relay:
        settings["models"]["far"] = {"inference_host_address": relay.address, "model_name": "echo"}
        settings["cameras"]["far"] = {"source": good.url, "model": "far"}
        daemon = run_daemon(settings)
        reader.wait_for(lambda r: r.detections(), "the camera with a model of its own")
        took_s = []

        def faults():
            from_s = time.monotonic()
            _, health = read_health(port)
            took_s.append(time.monotonic() - from_s)
            return health["wrong"]

        expected = re.compile(rf"the AI server {re.escape(relay.address)} took ([6-9]|\d\d)")
        wait_until(lambda: any(map(expected.search, faults())), "the reason in /healthz")
        assert max(took_s) < 3
        assert daemon.terminate() == 0


def test_cameras_do_not_affect_each_other(mosquitto, subscribe, run_daemon, studio, live):
    """One has a model that hangs, one does not exist, one freezes. The fourth keeps its rate."""
    good, frozen, reader = live(20), live(20), subscribe(mosquitto.port)
    settings = studio.settings(mosquitto.url, good.url)
    with socket.create_server(("127.0.0.1", 0)) as silent:  # an AI server that accepts and never answers
        server = f"127.0.0.1:{silent.getsockname()[1]}"
        settings["models"]["hung"] = {"inference_host_address": server, "model_name": "x"}
        settings["cameras"] |= {
            "hung": {"source": good.url, "model": "hung"},
            "gone": {"source": f"http://127.0.0.1:{free_port()}/x.avi", "model": "echo"},
            "frozen": {"source": frozen.url, "model": "echo", "stall_timeout_s": 1},
        }
        settings["stats"] = {"interval_s": 1}
        run_daemon(settings)
        reader.wait_for(lambda r: r.detections() and r.detections("frozen"), "both that work")
        frozen.paused.set()
        reader.wait_for(lambda r: r.last("edgepub/test/frozen/status") == b"offline", "offline")
        seen = len(reader.stats())
        reader.wait_for(lambda r: len(r.stats()) >= seen + 5, "five seconds more")
        first, last = (payload["cameras"]["cam"] for payload in reader.stats()[seen::4][:2])
        captured = last["captured"] - first["captured"]
        assert captured > 50
        # On a busy machine frames come several at once, and only the newest is used.
        assert last["published"] - first["published"] > captured / 2
        assert reader.last("edgepub/test/hung/status") == reader.last("edgepub/test/gone/status") == b"offline"


def test_the_stats_of_a_disabled_camera_are_zero(mosquitto, subscribe, run_daemon, studio):
    settings = studio.settings(mosquitto.url, studio.video([[BOX]]), enabled=False)
    settings["stats"] = {"interval_s": 1}
    run_daemon(settings)
    reader = subscribe(mosquitto.port)
    payload = reader.wait_for(lambda r: r.stats() and r.stats()[-1], "stats")
    STATS.validate(payload)
    assert (payload["cameras"]["cam"]["captured"], payload["cameras"]["cam"]["latency_ms"]) == (0, {})
    assert not any(retained for topic, _, retained in reader.messages if topic.endswith("/stats"))


def test_threads_do_not_grow_while_a_camera_comes_and_goes(mosquitto, subscribe, run_daemon, studio, live):
    camera, reader = live(50), subscribe(mosquitto.port)
    daemon = run_daemon(studio.settings(mosquitto.url, camera.url))
    process = psutil.Process(daemon.process.pid)
    threads = []
    for _ in range(5):
        seen = len(reader.detections())
        reader.wait_for(lambda r, n=seen: len(r.detections()) > n + 5, "detections")
        wait_until(lambda: sum(c.laddr.port > 0 for c in process.net_connections("tcp")) >= 2, "a connection")
        threads.append(process.num_threads())
        wait_until(lambda: process.num_threads() <= threads[0] + 1, "no more threads than at first")
        camera.disconnect_clients()


def test_ten_thousand_commands_cost_few_log_lines_and_few_detections(tmp_path, studio, run_daemon):
    """Right ones, wrong ones, and ones for cameras that do not exist: the last right one counts."""
    broker = Mosquitto(tmp_path, "listener {port} 127.0.0.1", "allow_anonymous true", "max_queued_messages 0").start()
    reader = Subscriber(broker.port, "edgepub/test/cam/+")
    video = studio.video([[BOX]] * 50)
    daemon = run_daemon(studio.settings(broker.url, video, realtime=True, loop=True, min_score=0.1))
    reader.wait_for(lambda r: len(r.detections()) >= 10, "detections")
    lines_before, seen_before, began_s = len(daemon.log.splitlines()), len(reader.detections()), time.monotonic()

    def flood(topic, payload):
        command = ["mosquitto_pub", "-p", str(broker.port), "-q", "1", "-t", f"edgepub/test/{topic}/set", "-l"]
        payloads = "\n".join(payload.format(number) for number in range(10_000))
        subprocess.run(command, input=payloads, text=True, check=True)

    flood("cam/min_score", "0.1{:04}")
    flood("cam/min_score", "wrong {}")
    flood("nowhere/min_score", "{}")
    flood("cam/max_fps", "{}" + "9" * 30)
    reader.wait_for(lambda r: r.last("edgepub/test/cam/min_score") == b"0.19999", "the last right value")
    rate_hz = (len(reader.detections()) - seen_before) / (time.monotonic() - began_s)
    assert rate_hz > 4, "of 25, on a busy computer"
    daemon.wait_for_log("skipped commands for min_score")
    assert len(daemon.log.splitlines()) - lines_before < 80
    reader.publish("edgepub/test/cam/min_score/set", "0.3")
    reader.wait_for(lambda r: r.last("edgepub/test/cam/min_score") == b"0.3", "the value of a single command")
    assert daemon.terminate() == 0
    reader.close()
    broker.stop()
