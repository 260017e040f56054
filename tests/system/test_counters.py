"""Every counter of the stats and of `/metrics` moves, through the whole daemon and a real broker."""

import contextlib
import json
import os
import re
import signal
import sqlite3
import time
import urllib.request
from collections import Counter
from urllib.parse import urlsplit

import numpy as np
import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families as parse_text

from edgepub.cli.bench.echo import SIDE
from edgepub.http.monitoring import DROPPED, OBJECTS_DROPPED, SAMPLED, MetricsPage
from edgepub.mqtt.outbox.outbox import OutboxFigures
from edgepub.mqtt.payloads import stats
from edgepub.mqtt.payloads.schema import json_schema
from edgepub.telemetry.metrics import STAGES, CameraMetrics
from tests.support import films, wall_clock
from tests.support.brokers import Mosquitto
from tests.support.durable_lane import query
from tests.support.http_server import ready
from tests.support.jpeg_camera import JpegCamera, empty_picture, jpeg, part
from tests.support.mill import Gate
from tests.support.rtsp import RtspCamera, needs_rtsp_server, play
from tests.support.studio import BOX
from tests.support.waiting import WAIT_S, free_port, wait_until

pytestmark = pytest.mark.slow

# A counter's name is its path in the stats; a camera's counters without `cameras.<camera>`.
CASES = {
    "an outage": {
        *("captured", "inferred", "published", "events", "visits", "snapshots", "reconnects"),
        *("broker.reconnects", "broker.under_way"),
        *(f"sampled.{reason}" for reason in SAMPLED if reason not in {"decode", "late", "undecodable"}),
        *("dropped.queue_full", "dropped.invalid", "dropped.event_queue_full"),
        *(f"outbox.{lane}" for lane in ("announcements", "state", "durable", "pictures", "stream")),
        *(f"latency_ms.{stage}" for stage in STAGES),
        *("fps_in", "fps_inferred", "fps_published", "rss_bytes", "cpu_percent", "uptime_s"),
        *("loop_late_ms.p50", "loop_late_ms.p95", "loop_late_ms.p99"),
    },
    "events of the last run": {"dropped.event_expired", "dropped.event_damaged"},
    "messages that are too large": {"dropped.too_large", "dropped.event_too_large", "dropped.snapshot_too_large"},
    "messages that are refused": {"dropped.event_refused", "dropped.snapshot_refused"},
    "messages that end sessions": {
        *("dropped.given_up", "dropped.event_given_up", "dropped.snapshot_given_up", "broker.held_back"),
    },
    "a mad model": {f"objects_dropped.{reason}" for reason in OBJECTS_DROPPED},
    "pictures that are too large": {"sampled.undecodable"},
    "a network that holds back": {"sampled.late", "behind_s"},
    "an RTSP camera": {"clock_offset_s", "sampled.decode"},
    "a stop that loses messages": {"dropped.stopped", "dropped.event_stopped"},
}
IN_METRICS = {
    "captured": ("edgepub_frames_captured_total", ""),
    "inferred": ("edgepub_frames_inferred_total", ""),
    "published": ("edgepub_detections_published_total", ""),
    "events": ("edgepub_events_published_total", ""),
    "visits": ("edgepub_visits_published_total", ""),
    "snapshots": ("edgepub_snapshots_total", ""),
    "reconnects": ("edgepub_camera_reconnects_total", ""),
    "broker.reconnects": ("edgepub_broker_reconnects_total", ""),
    "broker.under_way": ("edgepub_broker_under_way", ""),
    "broker.held_back": ("edgepub_broker_held_back", ""),
    "behind_s": ("edgepub_camera_behind_seconds", ""),
    "clock_offset_s": ("edgepub_camera_clock_offset_seconds", ""),
    "sampled": ("edgepub_sampled_total", "reason"),
    "dropped": ("edgepub_dropped_total", "reason"),
    "objects_dropped": ("edgepub_objects_dropped_total", "reason"),
    "outbox": ("edgepub_outbox_messages", "lane"),
    "latency_ms": ("edgepub_latency_seconds_count", "stage"),
    **{f"loop_late_ms.{name}": ("edgepub_event_loop_late_seconds_count", "") for name in ("p50", "p95", "p99")},
}
NO_COUNTERS = {"timestamp", "time", "schema", "node", "boot_id", "interval_s", "started", "limits", "server", "servers"}
BY_REASON = {
    "sampled": SAMPLED,
    "dropped": DROPPED,
    "objects_dropped": OBJECTS_DROPPED,
    "latency_ms": STAGES,
    "model_ms": (),
}
"""The keys of the dictionaries in the stats. The steps of `model_ms` are the runtime's."""


def test_every_counter_has_a_case():
    schema = json_schema(stats.VALIDATOR)
    parts, counters = schema["$defs"], set()
    for name, value in schema["properties"].items():
        if "$ref" in value:  # a part
            counters |= {f"{name}.{key}" for key in parts[value["$ref"].rpartition("/")[2]]["properties"]}
        elif name not in {*NO_COUNTERS, "cameras"}:
            counters.add(name)
    for name in parts["CameraStats"]["properties"].keys() - NO_COUNTERS:
        counters |= {f"{name}.{key}" for key in BY_REASON[name]} if name in BY_REASON else {name}
    assert counters == set().union(*CASES.values())

    counted = {(name, label) for name, label in IN_METRICS.values()}
    lanes = dict.fromkeys(schema["$defs"]["OutboxStats"]["properties"], 0)
    figures = OutboxFigures(lanes, under_way=0, held_back=0)
    page = MetricsPage("garage", ready("porch"), {"porch": CameraMetrics()}, lambda: figures)
    for name, labels in read_metrics(page.prepare("")()[0].decode()):
        if re.fullmatch(r"edgepub_.*_(total|count|messages|under_way|held_back|behind_seconds|offset_seconds)", name):
            assert any(name == known and (not label or label in dict(labels)) for known, label in counted), name
            key = next(key for key, (known, _) in IN_METRICS.items() if known == name)
            label = dict(labels).get(IN_METRICS[key][1])
            assert (f"{key}.{label}" if label else key) in counters


def read_metrics(text):
    """Return the values of a page of metrics, by name and labels."""
    samples = [sample for family in parse_text(text) for sample in family.samples]
    return {(sample.name, frozenset(sample.labels.items())): sample.value for sample in samples}


class Watched:
    """A daemon, and the counters that moved in its stats and in its metrics."""

    def __init__(self, run_daemon, settings, **environment):
        self.port = settings["http"]["listen"]
        self.daemon = run_daemon(settings, **environment)
        self.moved = {"stats": set(), "metrics": set()}

    def metrics(self):
        """Return the metrics; nothing while there is no page."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/metrics", timeout=5) as response:
                return read_metrics(response.read().decode())
        except OSError:
            return {}

    def note_metrics(self):
        """Note which counters of the metrics are not 0, and return them."""
        values = self.metrics()
        for key, (known, by) in IN_METRICS.items():
            for (name, labels), value in values.items():
                if name == known and value > 0:
                    self.moved["metrics"].add(f"{key}.{dict(labels)[by]}" if by else key)
        return self.moved["metrics"]

    def note_stats(self, payloads):
        """Note which counters of the stats are not 0."""
        for payload in payloads:
            for section in [payload, *payload["cameras"].values()]:
                for key, value in section.items():
                    if isinstance(value, dict) and key != "cameras":
                        self.moved["stats"] |= {f"{key}.{name}" for name, number in value.items() if number}
                    elif isinstance(value, int | float) and value > 0:
                        self.moved["stats"].add(key)

    def wait_until_moved(self, keys, reader=None):
        """Wait until these counters have moved in the metrics and, with a reader, in the stats."""
        end_s = time.monotonic() + WAIT_S
        while True:
            missing = {key for key in keys if is_in_metrics(key)} - self.note_metrics()
            if reader:
                self.note_stats(reader.stats())
                missing |= keys - self.moved["stats"]
            if not missing or time.monotonic() > end_s:
                break
            time.sleep(0.1)
        assert not missing, self.daemon.log[-3000:]


def is_in_metrics(key):
    return key in IN_METRICS or key.partition(".")[0] in IN_METRICS


def watched_settings(studio, url, source, **camera):
    """Return a configuration with stats every second, metrics, and MQTT 5."""
    settings = studio.settings(url, source, realtime=True, loop=True, **camera)
    settings["mqtt"] = {"url": url, "keepalive_s": 5}
    settings["stats"] = {"interval_s": 1}
    settings["http"] = {"listen": free_port()}
    return settings


TRACKED = {
    "tracking": True,
    "track_lost_s": 0.3,
    "occupancy_off_s": 0.3,
    "snapshot": {"enabled": True, "min_interval_s": 1},
}
VISITS = [[BOX]] * 20 + [[]] * 20
"""Somebody comes and goes: an event of each, at 25 frames per second."""


@pytest.fixture
def broker(tmp_path):
    """A Mosquitto that has not started."""
    broker = Mosquitto(tmp_path)
    yield broker
    broker.stop()


@pytest.mark.mosquitto
def test_counters_of_an_outage(broker, run_daemon, subscribe, studio, live):
    """One daemon with a camera for each reason; the broker is away at first, and once more."""
    frozen = live(10)
    settings = watched_settings(studio, broker.url, studio.video(VISITS), **TRACKED)
    quiet = {**settings["cameras"]["cam"], "tracking": False}
    settings["models"]["slow"] = studio.model("slow", SimulateTime_ms=100)
    settings["cameras"] |= {
        "slow": {**quiet, "model": "slow"},
        "few": {**quiet, "max_fps": 5},
        "changes": {**quiet, "publish": {"mode": "changes"}},
        "third": {**quiet, "publish": {"every": 3}},
        "rare": {**quiet, "publish": {"max_rate_hz": 2}},
        "adaptive": {**quiet, "publish": {"adaptive": True}},
        "bad": {**quiet, "source": studio.video([{"error": 1}] * 20, "bad.avi")},
        "frozen": {"source": frozen.url, "model": "echo", "stall_timeout_s": 1},
    }
    settings["home_assistant"] = {"enabled": True}
    settings["outbox"] = {"stream": {"size": 60}, "durable": {"max_messages": 4}}
    watched = Watched(run_daemon, settings)
    lanes = {key for key in CASES["an outage"] if key.startswith("outbox.")}
    watched.wait_until_moved(lanes | {"dropped.queue_full", "dropped.event_queue_full"})
    watched.daemon.wait_for_log("frozen: online")
    frozen.paused.set()
    broker.start()
    reader = subscribe(broker.port)
    reader.wait_for(lambda r: r.stats(), "stats, those of the outage first")
    reader.wait_for(lambda r: r.last("edgepub/test/frozen/status") == b"offline", "a camera that is offline")
    frozen.paused.clear()
    broker.pause()
    watched.wait_until_moved({"broker.under_way"})
    time.sleep(2.5)  # two stats
    broker.resume()
    reader.wait_for(lambda r: any(payload["broker"]["under_way"] for payload in r.stats()), "the same in the stats")
    broker.stop()
    broker.start()
    again = subscribe(broker.port)
    again.messages += reader.messages
    watched.wait_until_moved(CASES["an outage"], again)


LARGE = [[{**BOX, "label": "\x01" * 256}] if visible else [] for visible in VISITS]
"""A label of 1.5 kB in JSON, which is in detections, events and the comment of snapshots, but in no stats."""


@pytest.fixture
def start_broker(tmp_path):
    """Return a function that starts a Mosquitto with these lines of configuration."""
    brokers = []

    def start(*lines):
        brokers.append(Mosquitto(tmp_path, "listener {port} 127.0.0.1", "allow_anonymous true", *lines).start())
        return brokers[-1]

    yield start
    for broker in brokers:
        broker.stop()


@pytest.mark.mosquitto
def test_counters_of_messages_that_are_too_large(start_broker, run_daemon, subscribe, studio):
    broker = start_broker("max_packet_size 1700")
    watched = Watched(run_daemon, watched_settings(studio, broker.url, studio.video(LARGE), **TRACKED))
    watched.wait_until_moved(CASES["messages that are too large"], subscribe(broker.port))


@pytest.mark.mosquitto
def test_counters_of_messages_that_are_refused(start_broker, run_daemon, subscribe, studio, tmp_path):
    denied = [f"topic deny edgepub/test/cam/{name}" for name in ("events", "snapshot")]
    (tmp_path / "acl").write_text("\n".join(["topic readwrite #", *denied]) + "\n")
    broker = start_broker(f"acl_file {tmp_path / 'acl'}")
    watched = Watched(run_daemon, watched_settings(studio, broker.url, studio.video(VISITS), **TRACKED))
    watched.wait_until_moved(CASES["messages that are refused"], subscribe(broker.port))


@pytest.mark.mosquitto
def test_counters_of_messages_that_end_sessions(start_broker, run_daemon, subscribe, studio):
    """Before MQTT 5, ending the session is all that a broker can do with a message that is too large for it."""
    broker = start_broker("max_packet_size 1700")
    settings = watched_settings(studio, broker.url, studio.video(LARGE), **TRACKED)
    settings["mqtt"]["protocol"] = "3.1.1"
    watched = Watched(run_daemon, settings)
    watched.wait_until_moved(CASES["messages that end sessions"], subscribe(broker.port))


@pytest.mark.mosquitto
def test_counters_of_a_mad_model(mosquitto, run_daemon, subscribe, studio):
    many = [{"score": 0.9, "label": "mad"}] * 600
    settings = watched_settings(studio, mosquitto.url, studio.video([[*many, {"score": 1}]] * 10, side=128))
    settings["models"]["echo"] = studio.model("large", side=128)
    watched = Watched(run_daemon, settings)
    watched.wait_until_moved(CASES["a mad model"], subscribe(mosquitto.port))


@pytest.mark.mosquitto
def test_counters_of_pictures_that_are_too_large(broker, run_daemon, subscribe, studio):
    broker.start()
    settings = watched_settings(studio, broker.url, studio.video(VISITS))
    with JpegCamera([part(empty_picture()), part(jpeg(16_000, 16_000))]) as camera:
        settings["cameras"]["large"] = {"source": camera.url(), "model": "echo"}
        watched = Watched(run_daemon, settings)
        watched.wait_until_moved(CASES["pictures that are too large"], subscribe(broker.port))


@pytest.mark.mosquitto
def test_counters_of_a_network_that_holds_back(broker, run_daemon, subscribe, studio, live):
    broker.start()
    settings = watched_settings(studio, broker.url, studio.video(VISITS))
    camera = urlsplit(live(25).url)
    with contextlib.closing(Gate(camera.port)) as network:
        network.open()
        address = camera._replace(netloc=f"127.0.0.1:{network.port}")
        settings["cameras"]["net"] = {"source": address.geturl(), "model": "echo"}
        watched = Watched(run_daemon, settings)
        reader = subscribe(broker.port)
        reader.wait_for(lambda r: len(r.payloads("edgepub/test/net/detections")) > 50, "detections")
        network.hold()
        time.sleep(3)  # how long it holds back
        network.open()
        watched.wait_until_moved(CASES["a network that holds back"], reader)


def no_objects(_number, width, height):
    """Return a picture for which the echo model returns no objects."""
    return np.frombuffer(b"[]".ljust(3 * width * height), np.uint8).reshape(height, width, 3)


@needs_rtsp_server
@pytest.mark.mosquitto
def test_counters_of_an_rtsp_camera(broker, run_daemon, subscribe, studio, tmp_path):
    broker.start()
    film = films.encode(tmp_path / "film.mp4", range(1000), size=(SIDE, SIDE), draw=no_objects, **films.LOSSLESS)
    clock = wall_clock.WallClock(tmp_path, "+1h")
    with RtspCamera(play(film), environment={**os.environ, **clock.environment}) as camera:
        settings = watched_settings(studio, broker.url, studio.video(VISITS))
        settings["cameras"]["rtsp"] = {"source": camera.url, "model": "echo", "capture": {"decode": "keyframes"}}
        watched = Watched(run_daemon, settings)
        watched.wait_until_moved(CASES["an RTSP camera"], subscribe(broker.port))


@pytest.mark.mosquitto
def test_counters_of_a_stop_that_loses_messages(broker, run_daemon, subscribe, studio, tmp_path):
    """A reload that needs another run stops the first. Nothing can be sent then, and the disk takes nothing."""
    (tmp_path / "no-directory").write_text("")
    broker.start()
    settings = watched_settings(studio, broker.url, studio.video(VISITS), **TRACKED)
    watched = Watched(run_daemon, settings, STATE_DIRECTORY=str(tmp_path / "no-directory"))
    reader = subscribe(broker.port)
    reader.wait_for(lambda r: r.payloads("edgepub/test/cam/events"), "an event")
    broker.pause()
    up = ("edgepub_broker_up", frozenset())
    wait_until(lambda: watched.metrics().get(up) == 0, "the end of the session")
    watched.wait_until_moved({"outbox.durable", "outbox.stream"})
    settings["outbox"] = {"stream": {"size": 100}}
    watched.daemon.file.write_text(yaml.safe_dump(settings))
    watched.daemon.process.send_signal(signal.SIGHUP)
    watched.daemon.wait_for_log("restarting everything")
    watched.wait_until_moved({"dropped.stopped"})
    broker.resume()
    watched.wait_until_moved(CASES["a stop that loses messages"], reader)


def execute(path, statement):
    """Change a file of events."""
    with contextlib.closing(sqlite3.connect(path)) as database:
        database.execute(statement)
        database.commit()


def wait_for_events(path, topics):
    """Wait until a file has three events of each topic."""
    wait_until(path.exists, "the file")
    few = "SELECT topic, count(*) FROM events GROUP BY topic HAVING count(*) >= 3"
    wait_until(lambda: topics <= dict(query(path, few)).keys(), "events on disk")


@pytest.mark.mosquitto
def test_counters_of_events_of_the_last_run(broker, run_daemon, subscribe, studio, tmp_path):
    """Each event that waited on the disk is counted once, for its camera, whatever became of it and of the camera."""
    path = tmp_path / "state" / "events.sqlite"
    settings = watched_settings(studio, broker.url, studio.video(VISITS), **TRACKED)
    settings["cameras"]["removed"] = settings["cameras"]["cam"]
    settings["outbox"] = {"durable": {"max_age_s": 8}}
    first = Watched(run_daemon, settings)
    topics = {f"edgepub/test/{camera}/events" for camera in ("cam", "removed")}
    wait_for_events(path, topics)
    first.daemon.close()
    for camera in ("cam", "removed"):
        damaged = f"SELECT min(id) FROM events WHERE topic = 'edgepub/test/{camera}/events'"
        execute(path, f"UPDATE events SET payload = zeroblob(100) WHERE id = ({damaged})")
    execute(path, "UPDATE events SET topic = CAST(topic AS BLOB) WHERE id = (SELECT max(id) FROM events)")
    waited = dict(query(path, "SELECT topic, count(*) FROM events GROUP BY topic"))
    (newest,) = query(path, "SELECT max(created_s) FROM events")[0]
    wait_until(lambda: time.time() > newest + 8, "events that are too old")

    del settings["cameras"]["removed"]
    broker.start()
    reader = subscribe(broker.port)
    second = Watched(run_daemon, settings)
    second.wait_until_moved(CASES["events of the last run"], reader)
    expected = {"?": {"event_damaged": 1}}  # whose camera cannot be read
    for camera in ("cam", "removed"):
        expired = sum(waited.get(f"edgepub/test/{camera}/{kind}", 0) for kind in ("events", "visits")) - 1
        expected[camera] = {"event_damaged": 1, "event_expired": expired}

    def counted(reader):
        cameras = reader.stats()[-1]["cameras"]
        return {camera: cameras[camera]["dropped"] for camera in expected if camera in cameras} == expected

    reader.wait_for(counted, "all of them, counted")


@pytest.mark.mosquitto
def test_events_of_a_camera_that_is_removed_and_comes_back_are_counted(broker, run_daemon, subscribe, studio, tmp_path):
    settings = watched_settings(studio, broker.url, studio.video(VISITS), **TRACKED)
    other = settings["cameras"]["other"] = dict(settings["cameras"]["cam"])
    first = Watched(run_daemon, settings)
    topic = "edgepub/test/other/events"
    wait_for_events(tmp_path / "state" / "events.sqlite", {topic})
    first.daemon.close()

    del settings["cameras"]["other"]
    second = Watched(run_daemon, settings)
    assert wait_until(second.metrics, "metrics")["edgepub_ready", frozenset()] == 0
    series = ("edgepub_events_published_total", frozenset({("camera", "other")}))
    assert not second.metrics().get(series), "nothing to count yet"

    def waiting():
        rows = query(tmp_path / "state" / "events.sqlite", f"SELECT payload FROM events WHERE topic = '{topic}'")
        return Counter(json.loads(payload)["event_type"] for (payload,) in rows)

    wait_until(lambda: waiting()["appeared"] == waiting()["left"], "the end of its visits")
    waited = waiting().total()
    broker.start()
    reader = subscribe(broker.port)
    wait_until(lambda: second.metrics().get(series) == waited, "its events, counted")
    counted = {"events": waited, "dropped": {}}
    reader.wait_for(
        lambda r: r.stats() and counted.items() <= r.stats()[-1]["cameras"].get("other", {}).items(),
        "also in the stats",
    )
    settings["cameras"]["other"] = other
    second.daemon.file.write_text(yaml.safe_dump(settings))
    second.daemon.process.send_signal(signal.SIGHUP)
    wait_until(lambda: second.metrics().get(series, 0) > waited, "its new events, counted after the old ones")
    numbers = [json.loads(payload)["seq"] for payload in reader.payloads(topic)]
    assert numbers == sorted(set(numbers))
