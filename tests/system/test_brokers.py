"""MQTT 5 features, limits of brokers, and other clients with our id; on a real Mosquitto."""

import asyncio
import json
import re
import time

import paho.mqtt.client as paho
import pytest
from paho.mqtt.enums import CallbackAPIVersion

from edgepub.cli.bench.slow_link import SlowLink
from edgepub.config.mqtt import MqttSettings
from edgepub.mqtt import connection
from edgepub.mqtt.messages import picture_message
from tests.support import websocket_servers
from tests.support.broker5 import CONNACK, TAKEN_OVER
from tests.support.brokers import Mosquitto, Subscriber
from tests.support.studio import BOX
from tests.support.waiting import wait_until

pytestmark = pytest.mark.mosquitto


@pytest.fixture
def start(tmp_path):
    """Return a function that starts brokers with lines of configuration."""
    started = []

    def run(*lines):
        started.append(Mosquitto(tmp_path, "listener {port} 127.0.0.1", "allow_anonymous true", *lines).start())
        return started[-1]

    yield run
    for broker in started:
        broker.stop()


def busy(studio, broker, **mqtt):
    """Return a configuration with everything that is published."""
    settings = studio.settings(
        broker.url,
        studio.video([[BOX]] * 50),
        realtime=True,
        loop=True,
        tracking=True,
        snapshot={"enabled": True, "quality": 100},
    )
    settings |= {"mqtt": {"url": broker.url, **mqtt}, "stats": {"interval_s": 1}}
    return settings


class Reader5(Subscriber):
    """A subscriber with MQTT 5 that keeps the properties of messages."""

    protocol = paho.MQTTv5

    def take(self, client, userdata, message):
        self.__dict__.setdefault("properties", {})[message.topic] = message.properties
        super().take(client, userdata, message)


FORMS = {
    "cam/detections": ("application/json", "edgepub.detections/1", 60),
    "cam/events": ("application/json", "edgepub.event/1", 86_400),
    "stats": ("application/json", "edgepub.stats/1", 60),
    "info": ("application/json", "edgepub.info/1", None),
    "cam/snapshot": ("image/jpeg", None, None),
    "cam/status": ("text/plain;charset=utf-8", None, None),
    "cam/objects/person": ("text/plain;charset=utf-8", None, None),
}


def test_messages_have_their_format_and_expiry(start, run_daemon, studio):
    broker = start()
    reader = Reader5(broker.port)
    try:
        run_daemon(busy(studio, broker))
        for topic, (content_type, schema, expiry_s) in FORMS.items():
            reader.wait_for(lambda r, topic=topic: r.last(f"edgepub/test/{topic}"), topic)
            properties = reader.properties[f"edgepub/test/{topic}"].json()
            assert properties.get("ContentType") == content_type
            assert properties.get("UserProperty") == ([("schema", schema)] if schema else None)
            if expiry_s is None:
                assert "MessageExpiryInterval" not in properties
            else:
                assert expiry_s - 60 < properties["MessageExpiryInterval"] <= expiry_s
            if schema:
                assert json.loads(reader.last(f"edgepub/test/{topic}"))["schema"] == schema
    finally:
        reader.close()


def test_a_camera_with_fewer_fields_says_which(start, run_daemon, studio, path):
    broker = start()
    reader = Reader5(broker.port)
    settings = busy(studio, broker)
    settings["cameras"]["cam"]["publish"] = {"fields": ["seq", "detections.track_id"]}
    try:
        run_daemon(settings, **path)
        reader.wait_for(lambda r: len(r.detections()) > 5 and r.payloads("edgepub/test/cam/events"), "messages")
        payload = reader.detections()[-1]
        assert list(payload) == ["timestamp", "detections", "seq"]
        assert [list(detection) for detection in payload["detections"]] == [["label", "score", "bbox", "track_id"]]
        properties = reader.properties["edgepub/test/cam/detections"].json()
        assert properties["UserProperty"] == [("schema", "edgepub.detections/1"), ("fields", "list")]
        assert json.loads(reader.last("edgepub/test/cam/events"))["bbox_norm"]
    finally:
        reader.close()


def test_the_slow_path_is_named_once_in_the_log(start, run_daemon, studio, subscribe, path):
    broker = start()
    reader = subscribe(broker.port)
    daemon = run_daemon(busy(studio, broker), **path)
    reader.wait_for(lambda r: len(r.detections()) > 50 and r.payloads("edgepub/test/cam/events"), "all of it")
    assert daemon.log.count("paho-mqtt 2.9.0") == bool(path)


def test_a_message_that_is_too_large_is_dropped_and_counted_and_nothing_else_suffers(
    start, run_daemon, studio, subscribe, path
):
    broker = start("max_packet_size 2000")
    reader = subscribe(broker.port)
    daemon = run_daemon(busy(studio, broker), **path)
    reader.wait_for(lambda r: len(r.detections()) > 50 and r.payloads("edgepub/test/cam/events"), "the others")
    reader.wait_for(lambda r: r.stats()[-1]["cameras"]["cam"]["dropped"] == {"snapshot_too_large": 1}, "the count")
    assert "edgepub/test/cam/snapshot" in daemon.log
    assert daemon.log.count("connected") == 1


def test_a_picture_that_ends_each_session_is_given_up(start, run_daemon, studio, subscribe, path):
    """Before MQTT 5, ending the session is all that a broker can do with a message that is too large for it."""
    broker = start("max_packet_size 2000")
    reader = subscribe(broker.port)
    daemon = run_daemon(busy(studio, broker, protocol="3.1.1"), **path)
    dropped = {"snapshot_given_up": 1}
    reader.wait_for(lambda r: r.stats() and r.stats()[-1]["cameras"]["cam"]["dropped"] == dropped, "the count")
    seen = len(reader.detections())
    reader.wait_for(lambda r: len(r.detections()) > seen + 50, "the others")
    assert daemon.log.count("connected") == 4


@pytest.mark.parametrize("most", [1, 5])
def test_no_more_messages_are_in_flight_than_the_broker_allows(start, run_daemon, studio, subscribe, path, most):
    """Mosquitto ends an MQTT 5 session with more."""
    broker = start(f"max_inflight_messages {most}")
    reader = subscribe(broker.port)
    daemon = run_daemon(busy(studio, broker), **path)
    reader.wait_for(lambda r: len(r.detections()) > 50 and r.payloads("edgepub/test/cam/events"), "all of it")
    assert daemon.terminate() == 0
    assert daemon.log.count("connected") == 1


def test_the_brokers_keep_alive_applies(start, run_daemon, studio, subscribe):
    """The broker asks for a shorter keep-alive than the configured one."""
    broker = start("max_keepalive 10")
    reader = subscribe(broker.port)
    settings = studio.settings(broker.url, "0", enabled=False)
    settings |= {"mqtt": {"url": broker.url, "keepalive_s": 600}, "stats": {"interval_s": 3600}}
    daemon = run_daemon(settings)

    def commands_arrive():
        reader.publish("edgepub/test/cam/max_fps/set", "5")
        return reader.last("edgepub/test/cam/max_fps") == b"5"

    wait_until(commands_arrive, "all that is said at the beginning")
    broker.pause()
    wait_until(lambda: "Keep alive timeout" in daemon.log, "that it is missed")
    broker.resume()


async def test_a_picture_that_takes_longer_than_the_keep_alive_does_not_end_the_session(start):
    broker = start()
    over = asyncio.Event()
    with SlowLink(broker.port, 20_000) as link:
        settings = MqttSettings(url=f"mqtt://127.0.0.1:{link.port}", keepalive_s=2)
        async with connection.connect(settings, "slow", None, lambda _message, error: error or over.set()) as session:
            began_s = time.monotonic()
            session.send(picture_message("edgepub/test/cam/snapshot", b"x" * 200_000))
            lost = asyncio.create_task(anext(session.messages()))
            await asyncio.wait(
                [lost, asyncio.create_task(over.wait())], return_when=asyncio.FIRST_COMPLETED, timeout=60
            )
            assert over.is_set(), lost.exception()
            assert time.monotonic() - began_s > 6, "longer than three keep-alives"
            lost.cancel()


def test_another_client_with_our_id_is_named_and_causes_no_storm(run_daemon, studio, path, scripted_broker):
    broker = scripted_broker([CONNACK, TAKEN_OVER], [CONNACK])
    daemon = run_daemon(busy(studio, broker), **path)
    pause_s = wait_until(lambda: re.search(r"client .* edgepub-test\b.* ([\d.]+) s$", daemon.log, re.MULTILINE), "it")
    assert float(pause_s[1]) >= 3


def test_a_message_over_the_brokers_quota_is_sent_later(run_daemon, studio, scripted_broker):
    """Quota exceeded is no final refusal: nothing is dropped, however many messages it is about."""
    broker = scripted_broker([CONNACK, b"", b"\x40\x03{before}\x97\x40\x03{id}\x97"], [CONNACK])
    daemon = run_daemon(busy(studio, broker))
    daemon.wait_for_log("Quota exceeded")
    wait_until(lambda: all(broker.published.count(topic) >= 2 for topic in broker.published[:2]), "the same again")
    assert broker.sessions == 2
    assert "dropped" not in daemon.log


def test_after_several_short_sessions_another_client_is_suspected(start, run_daemon, studio):
    """Mosquitto 2.0, and every broker before MQTT 5, does not give the reason."""
    broker = start()
    daemon = run_daemon(busy(studio, broker))
    daemon.wait_for_log("connected")
    other = paho.Client(CallbackAPIVersion.VERSION2, client_id="edgepub-test")
    other.connect("127.0.0.1", broker.port)
    other.loop_start()  # which connects again after a second, always
    try:
        wait_until(lambda: re.search(r"\b3 .*\bedgepub-test\b", daemon.log), "the guess")
        assert len(re.findall("connected", daemon.log)) <= 5
    finally:
        other.loop_stop()
        other.disconnect()


def test_a_websocket_that_does_not_open_delays_no_stop_and_hides_its_query(run_daemon, studio):
    server = websocket_servers.Server(websocket_servers.one_byte_at_a_time)
    settings = studio.settings(f"{server.url}/path?token=s3cret", "0", enabled=False)
    daemon = run_daemon(settings)
    daemon.wait_for_log("the WebSocket handshake takes longer than")
    wait_until(lambda: len(server.requests) >= 2, "the next attempt")
    wait_until(lambda: server.open <= 1, "the end of the first")
    began_s = time.monotonic()
    assert daemon.terminate() == 0
    assert time.monotonic() - began_s < 9.9  # what is queued is tried for 5 s; the handshake would take 10
    assert f"{server.url}/path?***: " in daemon.log
    assert "s3cret" not in daemon.log
    server.close()


def test_a_second_daemon_with_the_same_state_directory_is_refused(start, run_daemon, studio):
    broker = start()
    run_daemon(busy(studio, broker)).wait_for_log("connected")
    second = run_daemon(busy(studio, broker))
    assert second.wait() == 1
    assert "another edgepub uses this directory" in second.log


@pytest.mark.parametrize("protocol", ["3.1.1", "5"])
def test_an_announcement_too_large_for_the_broker_costs_nothing_else(
    start, run_daemon, studio, subscribe, path, protocol
):
    broker = start("max_packet_size 32768")
    settings = busy(studio, broker, protocol=protocol)
    settings["home_assistant"] = {"enabled": True}
    settings["cameras"]["yard"] = settings["cameras"]["cam"]
    labels = ["person", *(f"label {n}" for n in range(99))]
    settings["cameras"]["cam"] = {**settings["cameras"]["yard"], "labels": labels}
    reader = subscribe(broker.port)
    daemon = run_daemon(settings, **path)
    daemon.wait_for_log("homeassistant/device/edgepub_test_CAMERA_cam/config")  # which names it when it is given up
    began = len(reader.messages)
    for topic in ("cam/detections", "cam/events", "cam/snapshot", "yard/events"):
        reader.wait_for(lambda r, topic=topic: r.last(f"edgepub/test/{topic}"), topic)
    reader.wait_for(lambda r: any(t == "edgepub/test/stats" for t, _, _ in r.messages[began:]), "figures")
    assert {reason for cam in reader.stats()[-1]["cameras"].values() for reason in cam["dropped"]} <= {"queue_full"}
    assert daemon.terminate() == 0
    retained = subscribe(broker.port).retained()
    assert retained.keys() >= {"homeassistant/device/edgepub_test/config", "edgepub/test/info"}
    if protocol == "5":
        assert "homeassistant/device/edgepub_test_CAMERA_yard/config" in retained
        assert daemon.log.count("connected") == 1


def test_purge_clears_everything_of_the_node_and_nothing_else(start, run_daemon, studio, subscribe, cli):
    broker = start()
    settings = busy(studio, broker)
    other = Subscriber(broker.port)
    try:
        other.publish("edgepub/other/status", "online", retain=True)
        other.publish("edgepub/test/old/objects/cat", "1", retain=True)
        daemon = run_daemon(settings)
        other.wait_for(lambda r: r.last("edgepub/test/cam/snapshot"), "a picture")
        refused = cli("discovery", "--purge", "-c", daemon.file, STATE_DIRECTORY=str(studio.directory / "another"))
        assert refused.returncode == 1
        assert refused.stderr.startswith("edgepub: edgepub/test/status is online: stop edgepub first")
        assert "edgepub/test/info" in subscribe(broker.port).retained()
        assert daemon.terminate() == 0
        done = cli("discovery", "--purge", "-c", daemon.file)
        assert done.returncode == 0, done.stderr
        assert {"edgepub/test/status", "edgepub/test/cam/snapshot", "edgepub/test/old/objects/cat"} <= set(
            done.stdout.split()
        )
        assert done.stderr == f"{len(done.stdout.split())} retained topics cleared on {broker.url}\n"
        assert list(subscribe(broker.port).retained()) == ["edgepub/other/status"]
        again = cli("discovery", "--purge", "-c", daemon.file)
        assert (again.stdout, again.stderr) == ("", f"0 retained topics cleared on {broker.url}\n")
        broker.stop()
        refused = cli("discovery", "--purge", "-c", daemon.file)
        assert (refused.returncode, refused.stderr) == (1, f"edgepub: broker {broker.url}: Connection refused\n")
    finally:
        other.close()
