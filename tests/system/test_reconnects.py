"""After a reconnect the broker gets again what it may have lost, and nothing else."""

import signal

import pytest

from tests.support.brokers import Mosquitto
from tests.support.mqtt_proxy import MqttProxy, kind_of, topic_of
from tests.support.studio import BOX
from tests.support.waiting import wait_until

pytestmark = pytest.mark.mosquitto

PUBLISH = 3
PICTURE = "edgepub/test/cam/snapshot"
CHECKPOINT = "edgepub/test/checkpoint"


class Link:
    """A proxy that counts the messages of each topic, and can be cut."""

    def __init__(self, port):
        self.published = []
        self.is_cut = False
        self.proxy = MqttProxy(port, from_client=self._from_client)

    def _from_client(self, packet):
        if self.is_cut:
            self.is_cut = False
            return None
        if kind_of(packet) == PUBLISH:
            self.published.append(topic_of(packet))
        return packet

    def cut(self):
        """Cut the connection; return what is published until the next checkpoint."""
        self.published.clear()
        sessions, self.is_cut = self.proxy.sessions, True
        wait_until(lambda: self.proxy.sessions > sessions, "the next session")
        wait_until(lambda: CHECKPOINT in self.published, "a checkpoint")
        return self.published


@pytest.fixture
def settings_for(studio):
    def make(url):
        clip = studio.video([[BOX]] * 50)
        settings = studio.settings(
            url, clip, realtime=True, loop=True, tracking=True, snapshot={"enabled": True, "min_interval_s": 3600}
        )
        settings["mqtt"] = {"url": url}
        return settings

    return make


def test_what_the_broker_has_acknowledged_is_not_published_again(settings_for, run_daemon, mosquitto):
    link = Link(mosquitto.port)
    with link.proxy as proxy:
        run_daemon(settings_for(proxy.url))
        wait_until(lambda: PICTURE in link.published and CHECKPOINT in link.published, "a picture and a checkpoint")
        link.cut()
        for _ in range(2):
            again = set(link.cut()) - {CHECKPOINT}
            assert {topic.rpartition("/")[2] for topic in again} <= {"status", "claim", "detections", "stats", "events"}
            assert "edgepub/test/status" in again, "the last will has replaced it"
            assert "edgepub/test/cam/status" not in again


@pytest.mark.parametrize("saves", [True, False])
def test_a_broker_that_has_lost_something_gets_it_again(settings_for, run_daemon, subscribe, tmp_path, saves):
    """It is killed, and comes back with nothing, or with an old copy of all retained messages."""
    lines = ["listener {port} 127.0.0.1", "allow_anonymous true"]
    if saves:
        lines += ["persistence true", f"persistence_location {tmp_path}/", "autosave_interval 0"]
    broker = Mosquitto(tmp_path, *lines).start()
    try:
        settings = settings_for(broker.url)
        daemon = run_daemon(settings)
        reader = subscribe(broker.port)
        reader.wait_for(lambda r: r.last(PICTURE) and r.payloads(CHECKPOINT), "all is said")
        broker.process.send_signal(signal.SIGUSR1)  # save
        reader.publish("edgepub/test/cam/min_score/set", "0.3")
        reader.wait_for(lambda r: r.last("edgepub/test/cam/min_score") == b"0.3", "a change after that")
        seen = len(reader.payloads(CHECKPOINT))
        reader.wait_for(lambda r: len(r.payloads(CHECKPOINT)) > seen, "that the broker has acknowledged it")
        expected = subscribe(broker.port).retained()
        assert expected["edgepub/test/cam/min_score"] == b"0.3"
        broker.stop()
        sessions = daemon.log.count("connected")
        broker.start()
        wait_until(lambda: daemon.log.count("connected") > sessions, "the next session", 90)
        later = subscribe(broker.port)
        later.wait_for(lambda r: {topic for topic, *_ in r.messages} >= expected.keys(), "all of it")
        later.wait_for(lambda r: r.last("edgepub/test/cam/min_score") == b"0.3", "the newest value")
        assert later.last(PICTURE) == expected[PICTURE]
    finally:
        broker.stop()
