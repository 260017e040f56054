"""A backlog of events into a real Mosquitto with its default limits, and a subscriber that takes 1 ms for each."""

import time
from statistics import mean

import pytest

from edgepub.mqtt.messages import event_message
from edgepub.mqtt.outbox.durable import DurableLane
from edgepub.mqtt.outbox.spool import Spool
from tests.support.durable_lane import FORMAT, an_event
from tests.support.mill import CAMERAS, Reader, ReceivedMessages, mill, on_disk

pytestmark = [pytest.mark.mosquitto, pytest.mark.faults]
PER_EVENT_S = 0.001
RATE_HZ = 100  # with what is new, far less than this subscriber takes, also on a busy machine


class SlowReader(Reader):
    """A subscriber at QoS 1 that takes its time for each event, and acknowledges it then."""

    qos = 1

    def __init__(self, port, received):
        self.took_s = []
        super().__init__(port, received)

    def take(self, topic, payload):
        if topic.endswith("/events"):
            began_s = time.monotonic()
            time.sleep(PER_EVENT_S)
            self.took_s.append(time.monotonic() - began_s)
        super().take(topic, payload)

    def check(self):
        """Check that each event has come, unless the machine was so busy that this took much longer for them."""
        try:
            self.received.check()
        except AssertionError:
            if (slow_s := mean(self.took_s)) > 1.5 * PER_EVENT_S:
                pytest.skip(f"a busy machine: the subscriber took {1000 * slow_s:.1f} ms for each event")
            raise


@pytest.fixture
def reader(mosquitto):
    reader = SlowReader(mosquitto.port, ReceivedMessages())
    yield reader
    reader.close()


def fill(state_dir, number):
    """Leave a backlog, as an outage does."""
    lane = DurableLane(Spool(state_dir / "events.sqlite"))
    lane.open(lambda: None)
    for count in range(number):
        camera = CAMERAS[count % 2]
        topic = f"edgepub/test/{camera}/events"
        lane.put(topic, lambda seq, topic=topic, camera=camera: event_message(topic, an_event(camera, seq), FORMAT))
    assert lane.close(60) == (0, number)


def slow_mill(studio, mosquitto):
    return mill(studio, mosquitto.url) | {"outbox": {"durable": {"replay_rate_hz": RATE_HZ}}}


def stop(daemon, received):
    assert daemon.terminate() == 0, daemon.log
    received.wait_for(lambda: received.statuses[-1] == "offline", "the goodbye")


def test_a_slow_subscriber_misses_no_event_of_a_backlog(mosquitto, reader, run_daemon, studio, tmp_path):
    received = reader.received
    fill(tmp_path / "state", 2000)
    daemon = run_daemon(slow_mill(studio, mosquitto))
    received.wait_for(lambda: received.detections["north"], "detections")
    seen = received.detections["north"]
    received.wait_until_all_is_sent(120)
    assert received.detections["north"] > seen, "detections go on meanwhile"
    stop(daemon, received)
    reader.check()
    assert len(received.events) > 2000


def test_a_stop_does_not_wait_for_a_backlog_nor_pour_it_out(mosquitto, reader, run_daemon, studio, tmp_path):
    received = reader.received
    fill(tmp_path / "state", 2500)
    settings = slow_mill(studio, mosquitto)
    daemon = run_daemon(settings)
    received.wait_for(lambda: received.events, "events")
    began_s = time.monotonic()
    stop(daemon, received)
    assert time.monotonic() - began_s < 20, "up to 5 s for the broker, and the end of cameras and models"
    assert len(on_disk(tmp_path / "state" / "events.sqlite")) > 1000, "the rest waits for the next start"
    daemon = run_daemon(settings)
    received.wait_until_all_is_sent(120)
    stop(daemon, received)
    reader.check()
    assert len(received.events) > 2500
