"""Brokers that live and do not do what a client expects: they acknowledge nothing, refuse, or end sessions."""

import json
import re
import subprocess
from pathlib import Path

import pytest

from tests.support.brokers import Mosquitto
from tests.support.health import read_health
from tests.support.mqtt_proxy import MqttProxy, id_of, kind_of, topic_of
from tests.support.studio import BOX
from tests.support.waiting import free_port, wait_until

pytestmark = [pytest.mark.mosquitto, pytest.mark.faults]

CONNECT, PUBLISH, PUBACK, SUBACK = 1, 3, 4, 9


@pytest.fixture
def settings_for(studio):
    """Return a function that makes the settings of a camera with some events a second, and a page for its health."""

    def make(url, **mqtt):
        there = [BOX | {"bbox": [x - 8, 16, x + 8, 48]} for x in range(12, 52)]
        camera = {"tracking": True, "lines": LINES, "zones": {"door": {"polygon": ZONE}}}
        clip = studio.video([[box] for box in [*there, *reversed(there)]])
        settings = studio.settings(url, clip, realtime=True, loop=True, **camera)
        settings |= {"mqtt": {"url": url, **mqtt}, "stats": {"interval_s": 1}}
        settings["http"] = {"listen": free_port()}
        return settings

    return make


LINES = {f"line{n}": {"from": [x, 0.0], "to": [x, 1.0]} for n, x in enumerate((0.3, 0.4, 0.5, 0.6, 0.7))}
ZONE = [[0, 0], [1, 0], [1, 1], [0, 1]]


def health(settings):
    return read_health(settings["http"]["listen"])[1]


def events(reader):
    return [json.loads(payload) for payload in reader.payloads("edgepub/test/cam/events")]


def test_a_broker_that_acknowledges_nothing_is_left_and_still_gets_detections(
    settings_for, run_daemon, mosquitto, subscribe, path
):
    lies = False
    reader = subscribe(mosquitto.port)

    def from_broker(packet):
        return b"" if lies and kind_of(packet) == PUBACK else packet

    with MqttProxy(mosquitto.port, from_broker=from_broker) as proxy:
        settings = settings_for(proxy.url)
        daemon = run_daemon(settings, **path)
        reader.wait_for(events, "an event")
        lies = True
        wait_until(lambda: "has not acknowledged" in daemon.log, "that it is said", 60)
        reader.wait_for(lambda r: b"offline" in r.payloads("edgepub/test/status"), "the last will")
        seen = len(reader.detections())
        reader.wait_for(lambda r: len(r.detections()) > seen + 20, "detections meanwhile")
        assert any("acknowledged" in line for line in health(settings)["wrong"])
        reader.wait_for(lambda r: r.stats()[-1]["broker"]["under_way"] > 0, "how many are under way")
        lies = False
        wait_until(lambda: health(settings)["ready"], "that all is well", 60)
        last = len(events(reader))
        reader.wait_for(lambda r: len(events(r)) > last + 3, "new events")
        numbers = sorted({event["seq"] for event in events(reader)})
        assert numbers == list(range(1, len(numbers) + 1)), "none is lost"


def test_an_event_that_is_lost_on_the_way_is_sent_again(settings_for, run_daemon, mosquitto, subscribe):
    """The broker acknowledges all others meanwhile."""
    reader = subscribe(mosquitto.port)
    lost = []

    def from_client(packet):
        if kind_of(packet) == PUBLISH and topic_of(packet).endswith("/events") and b'"seq":5,' in packet and not lost:
            lost.append(packet)
            return b""
        return packet

    with MqttProxy(mosquitto.port, from_client=from_client) as proxy:
        daemon = run_daemon(settings_for(proxy.url))
        reader.wait_for(lambda _: 5 in {event["seq"] for event in events(reader)}, "the event", 60)
        assert "has not acknowledged edgepub/test/cam/events" in daemon.log
        assert reader.stats()[-1]["broker"]["held_back"] == 0


@pytest.mark.parametrize("code", [0x80, 0x83, 0x91, 0x97])
def test_what_the_broker_cannot_take_for_a_while_is_sent_later(settings_for, run_daemon, mosquitto, subscribe, code):
    reader = subscribe(mosquitto.port)
    with refusing_proxy(mosquitto, code, number=9) as proxy:
        settings = settings_for(proxy.url, protocol="5")
        daemon = run_daemon(settings)
        wait_until(lambda: "cannot take" in daemon.log, "that it is said")
        reader.wait_for(lambda _: len(events(reader)) > 20, "events")
        numbers = sorted({event["seq"] for event in events(reader)})
        assert numbers == list(range(1, len(numbers) + 1)), "none is lost"
        for level in ("status", "info", "cam/status", "cam/enabled", "cam/min_score", "cam/objects/person"):
            assert reader.last(f"edgepub/test/{level}"), level
        wait_until(lambda: health(settings)["ready"], "that all is well")


def test_values_that_the_broker_refuses_are_sent_again_in_the_next_session(
    settings_for, run_daemon, mosquitto, subscribe
):
    reader = subscribe(mosquitto.port)
    with refusing_proxy(mosquitto, 0x87, number=9) as proxy:
        settings = settings_for(proxy.url, protocol="5")
        daemon = run_daemon(settings)
        reader.wait_for(lambda _: reader.last("edgepub/test/checkpoint"), "what the broker has")
        assert "dropped" in daemon.log
        assert any("Not authorized" in note for note in health(settings)["notes"])
        proxy.cut()
        for level in ("status", "info", "cam/status", "cam/enabled", "cam/min_score"):
            reader.wait_for(lambda r, level=level: r.last(f"edgepub/test/{level}"), level)
        wait_until(lambda: not health(settings)["notes"], "that it is no longer said")


def refusing_proxy(mosquitto, code, number):
    """Return a proxy that refuses the first messages of QoS 1 with this reason code; the broker gets them elsewhere."""
    refused = []

    def from_client(packet):
        if kind_of(packet) == PUBLISH and id_of(packet) and len(refused) < number:
            refused.append(id_of(packet))
            return packet.replace(b"edgepub/test", b"nowhere/test", 1)
        return packet

    def from_broker(packet):
        if kind_of(packet) == PUBACK and id_of(packet) in refused:
            refused[refused.index(id_of(packet))] = None
            return b"\x40\x03" + id_of(packet) + bytes([code])
        return packet

    return MqttProxy(mosquitto.port, from_client, from_broker)


@pytest.mark.parametrize("code", [b"\x80", b"\x87"])
def test_a_subscription_that_is_refused_for_a_while(settings_for, run_daemon, mosquitto, subscribe, code):
    refuses = True
    reader = subscribe(mosquitto.port)

    def from_broker(packet):
        return packet[:-1] + code if refuses and kind_of(packet) == SUBACK else packet

    with MqttProxy(mosquitto.port, from_broker=from_broker) as proxy:
        settings = settings_for(proxy.url)
        daemon = run_daemon(settings)
        wait_until(lambda: "refuses the subscription" in daemon.log, "that it is said")
        reader.wait_for(events, "an event")
        state = health(settings)
        assert state["ready"]
        assert any("subscription" in note for note in state["notes"])
        refuses = False
        wait_until(lambda: not health(settings)["notes"], "that it is asked again")
        reader.publish("edgepub/test/cam/min_score/set", "0.4")
        reader.wait_for(lambda r: r.last("edgepub/test/cam/min_score") == b"0.4", "that the command is obeyed")
        assert daemon.log.count("connected") == 1


def test_a_broker_that_ends_sessions_over_topics_with_many_levels(settings_for, run_daemon, mosquitto, subscribe):
    """As AWS IoT Core does over a topic with more than 7 slashes."""
    reader = subscribe(mosquitto.port)

    def from_client(packet):
        return None if kind_of(packet) == PUBLISH and topic_of(packet).count("/") > 7 else packet

    with MqttProxy(mosquitto.port, from_client=from_client) as proxy:
        daemon = run_daemon(settings_for(proxy.url, topic_prefix="site1/edgepub"))
        occupancy = "site1/edgepub/test/cam/zones/door/objects/person/occupancy"

        def payloads(level):
            return reader.payloads(f"site1/edgepub/test/{level}")

        wait_until(lambda: occupancy in daemon.log, "that it is named", 60)
        reader.wait_for(lambda _: payloads("stats"), "stats")
        (line,) = (line for line in daemon.log.splitlines() if occupancy in line)
        assert "bytes" in line
        deep = 4  # occupancy and active, of the label and of all together
        wait_until(lambda: json.loads(payloads("stats")[-1])["broker"]["held_back"] == deep, "the count", 120)
        sessions = proxy.sessions
        for level in ("cam/detections", "cam/events"):
            seen = len(payloads(level))
            reader.wait_for(lambda _, level=level, seen=seen: len(payloads(level)) > seen, f"more on {level}")
        assert payloads("cam/zones/door/objects/person")[-1] == b"1"
        assert proxy.sessions == sessions


def test_a_retained_message_that_paho_cannot_read(settings_for, run_daemon, mosquitto, subscribe):
    reader = subscribe(mosquitto.port)
    topics = ["edgepub/test/cam/min_score/set", "homeassistant/status"]
    for topic in topics:
        options = [
            "-V",
            "5",
            "-q",
            "1",
            "-r",
            "-t",
            topic,
            "-m",
            "0.4",
            "-D",
            "publish",
            "user-property",
            "x",
            "\ufeff",
        ]
        subprocess.run(["mosquitto_pub", "-p", str(mosquitto.port), *options], check=True)
    daemon = run_daemon(settings_for(mosquitto.url) | {"home_assistant": {"enabled": True}})
    reader.wait_for(events, "an event")
    wait_until(lambda: all(topic in daemon.log for topic in topics), "that they are named")
    reader.publish("edgepub/test/cam/min_score/set", "0.3")
    reader.wait_for(lambda r: r.last("edgepub/test/cam/min_score") == b"0.3", "that a command is obeyed")
    assert daemon.log.count("connected") == 1


@pytest.mark.parametrize("protocol", ["5", "3.1.1"])
@pytest.mark.parametrize("topic", ["edgepub/test/info", "homeassistant/status"])
def test_a_retained_message_that_is_far_too_large(
    settings_for, run_daemon, mosquitto, subscribe, tmp_path, topic, protocol
):
    """On a topic that is read before a session, and on one that is read in it; the broker ignores the limit."""
    size_mb = 200
    (tmp_path / "large").write_bytes(bytes(size_mb * 1_000_000))
    to = ["-p", str(mosquitto.port), "-t", topic, "-q", "1", "-r", "-f", str(tmp_path / "large")]
    subprocess.run(["mosquitto_pub", *to], check=True)
    (tmp_path / "large").unlink()
    reader = subscribe(mosquitto.port, "edgepub/test/cam/#")

    def from_client(packet):  # the maximum packet size in CONNECT, in an MQTT 5 connection
        return re.sub(rb"\x27\0[\1\4]\0\0", b"\x27\x0f\xff\xff\xff", packet) if kind_of(packet) == CONNECT else packet

    with MqttProxy(mosquitto.port, from_client=from_client) as proxy:
        daemon = run_daemon(settings_for(proxy.url, protocol=protocol) | {"home_assistant": {"enabled": True}})
        reader.wait_for(events, "an event")
        wait_until(lambda: any(topic in line and str(size_mb) in line for line in daemon.log.splitlines()), "its name")
        sizes = dict(re.findall(r"(VmHWM|VmRSS):\s*(\d+) kB", Path(f"/proc/{daemon.process.pid}/status").read_text()))
        assert int(sizes["VmHWM"]) < int(sizes["VmRSS"]) + size_mb * 1000 / 2

        def is_obeyed():
            reader.publish("edgepub/test/cam/min_score/set", "0.3")
            return reader.last("edgepub/test/cam/min_score") == b"0.3"

        wait_until(is_obeyed, "that a command is obeyed")
        assert daemon.log.count("connected") == 1


LIMITS = {"retain_available false": "retained", "max_qos 0": "QoS 0"}


@pytest.mark.parametrize("protocol", ["5", "3.1.1"])
@pytest.mark.parametrize("line", LIMITS)
def test_a_broker_without_retained_messages_or_with_a_lower_qos_is_served_as_far_as_it_goes(
    settings_for, run_daemon, subscribe, tmp_path, path, line, protocol
):
    broker = Mosquitto(tmp_path, "listener {port} 127.0.0.1", "allow_anonymous true", line).start()
    try:
        reader = subscribe(broker.port)
        settings = settings_for(broker.url, protocol=protocol)
        daemon = run_daemon(settings, **path)
        reader.wait_for(lambda r: len(events(r)) > 3 and r.last("edgepub/test/cam/status") == b"online", "events", 90)
        reader.publish("edgepub/test/cam/min_score/set", "0.3", qos=0)
        reader.wait_for(lambda r: r.last("edgepub/test/cam/min_score") == b"0.3", "that a command is obeyed")
        (note,) = health(settings)["notes"]
        assert LIMITS[line] in note
        assert health(settings)["ready"]
        sessions = daemon.log.count("connected")
        broker.stop()
        broker.start()
        wait_until(lambda: daemon.log.count("connected") > sessions, "the next session", 90)
        assert daemon.log.count(note.removeprefix("broker: ")) == 1, "it is said once"
        later = subscribe(broker.port)
        later.wait_for(events, "all goes on")
        assert daemon.terminate() == 0
        later.wait_for(lambda r: r.last("edgepub/test/status") == b"offline", "the goodbye")
    finally:
        broker.stop()


def test_a_broker_must_keep_retained_messages_if_the_configuration_says_so(settings_for, run_daemon, tmp_path):
    lines = ("listener {port} 127.0.0.1", "allow_anonymous true", "retain_available false")
    broker = Mosquitto(tmp_path, *lines).start()
    try:
        daemon = run_daemon(settings_for(broker.url, retain=True))
        wait_until(lambda: "mqtt.retain" in daemon.log, "the way out")
        assert "connected" not in daemon.log
    finally:
        broker.stop()


def test_nothing_is_retained_if_the_configuration_says_so(settings_for, run_daemon, mosquitto, subscribe):
    settings = settings_for(mosquitto.url, retain=False)
    daemon = run_daemon(settings)
    reader = subscribe(mosquitto.port)
    reader.wait_for(events, "an event")
    assert health(settings)["notes"] == []
    assert daemon.terminate() == 0
    assert subscribe(mosquitto.port).retained() == {}
