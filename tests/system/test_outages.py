"""Failures of a real Mosquitto and of the network: no event is lost, and inference continues."""

import random
import signal
import time
from itertools import pairwise
from statistics import median

import psutil
import pytest

from tests.support.brokers import Mosquitto
from tests.support.mill import CAMERAS, Gate, Reader, ReceivedMessages, mill, on_disk, until
from tests.support.waiting import wait_until

pytestmark = [pytest.mark.mosquitto, pytest.mark.faults]


class Site:
    """A broker, a relay to it, a daemon behind the relay, and a subscriber of everything."""

    def __init__(self, directory, run_daemon, studio):
        self.broker = Mosquitto(directory)
        self.gate = Gate(self.broker.port)
        self.received = ReceivedMessages()
        self.settings = mill(studio, f"mqtt://127.0.0.1:{self.gate.port}")
        self.events_file = directory / "state" / "events.sqlite"
        self._run = run_daemon
        self._reader = None

    def begin(self):
        """Start the broker; connect the reader before the daemon, so that it misses nothing."""
        self.broker.start()
        self._reader = Reader(self.broker.port, self.received)
        self.gate.open()

    def kill_broker(self):
        self.broker.stop()
        self._reader.wait_for_the_end()
        self.gate.close()

    def run_daemon(self):
        self.daemon = self._run(self.settings)
        return self.daemon

    def wait_for_events(self, number=100):
        """Wait for this number of further events."""
        wanted = len(self.received.events) + number
        self.received.wait_for(lambda: len(self.received.events) >= wanted, f"{number} events")

    def wait_until_all_is_sent(self):
        seen = len(self.received.stats)
        self.received.wait_for(
            lambda: self.received.stats[seen:] and self.received.stats[-1]["outbox"]["durable"] < 5, "an empty outbox"
        )

    def end(self):
        assert self.daemon.terminate() == 0, self.daemon.log
        assert on_disk(self.events_file) == set()
        assert not self.dropped()
        self.received.wait_for(lambda: self.received.statuses[-1] == "offline", "the goodbye")
        self.received.check()

    def dropped(self):
        """Return the reasons for which the last stats count lost events."""
        cameras = self.received.stats[-1]["cameras"].values()
        return [reason for stats in cameras for reason in stats["dropped"] if reason.startswith("event")]

    def close(self):
        self.gate.close()
        self.broker.stop()


@pytest.fixture
def site(tmp_path, run_daemon, studio):
    site = Site(tmp_path, run_daemon, studio)
    yield site
    site.close()


@pytest.mark.timeout(3600)
def test_a_broker_that_is_killed_again_and_again(site, request):
    """Every event arrives, nearly all of them once; and memory, files and threads of the daemon stay level."""
    seconds = 60 * request.config.getoption("outage_minutes")
    seed = random.randrange(10**6)
    print(f"seed {seed}")
    dice = random.Random(seed)
    site.begin()
    daemon = psutil.Process(site.run_daemon().process.pid)
    site.wait_for_events(500)
    began_s = time.monotonic()
    kills, levels = 0, []
    while time.monotonic() < began_s + seconds:
        until(time.monotonic() + dice.uniform(0, 10))
        site.kill_broker()
        kills += 1
        # The longest comes first, which takes the memory that longer ones need than those before.
        outage_s = 12 if kills == 1 else dice.choice([0, dice.uniform(0, 3), dice.uniform(0, 12)])
        until(time.monotonic() + outage_s)
        site.begin()
        site.wait_for_events(50)
        levels.append((daemon.memory_info().rss / 1e6, daemon.num_fds(), daemon.num_threads()))
    site.wait_until_all_is_sent()
    took_s = time.monotonic() - began_s
    site.end()
    rate, duplicates = site.received.rate(took_s), site.received.duplicates()
    third = max(1, len(levels) // 3)
    first, last = ([median(values) for values in zip(*part, strict=True)] for part in (levels[:third], levels[-third:]))
    print(
        f"{kills} kills in {took_s:.0f} s, {rate:.0f} events/s, {len(site.received.events)} in all, {duplicates} twice"
    )
    most = [max(values) for values in zip(*levels, strict=True)]
    print(f"memory MB, files, threads: first third {first}, last third {last}, most {most}")
    assert rate >= 50
    assert duplicates < 2 * 20 * max(1, kills / 10), "two windows; Mosquitto lets 20 be in flight"
    assert last[0] < first[0] + 10, "memory"
    assert last[1] <= first[1] + 2, "open files"
    assert last[2] <= first[2] + 2, "threads"


def test_a_broker_that_is_frozen_for_half_a_minute(site):
    site.begin()
    site.run_daemon()
    site.wait_for_events()
    process = psutil.Process(site.broker.process.pid)
    process.send_signal(signal.SIGSTOP)
    seen = len(site.received.stats)
    until(time.monotonic() + 30)
    process.send_signal(signal.SIGCONT)
    site.wait_for_events(1500)
    site.wait_until_all_is_sent()
    site.end()
    meanwhile = [stats["cameras"][camera]["fps_inferred"] for stats in site.received.stats[seen:] for camera in CAMERAS]
    assert median(meanwhile) > 5, "inference went on, at nearly 25 on an idle machine"


def test_a_connection_that_is_half_open(site):
    """It stays open and passes on nothing. It is noticed within three times the keep-alive."""
    site.begin()
    site.run_daemon()
    site.wait_for_events()
    site.gate.swallow()
    began_s = time.monotonic()
    wait_until(lambda: "trying again" in site.daemon.log, "that it is noticed")
    assert time.monotonic() - began_s < 3 * 5 + 5
    site.gate.close()
    site.gate.open()
    site.wait_for_events(500)
    site.wait_until_all_is_sent()
    assert site.received.statuses[-1] == "online"
    site.end()


def test_a_broker_that_accepts_and_is_silent(site):
    site.begin()
    site.gate.swallow()
    site.run_daemon().wait_for_log("no answer; trying again")
    site.gate.close()
    site.gate.open()
    site.wait_for_events(500)
    site.wait_until_all_is_sent()
    site.end()


@pytest.mark.timeout(400)
def test_a_daemon_that_is_killed_during_an_outage(site):
    site.begin()
    site.run_daemon()
    site.wait_for_events()
    for _ in range(3):
        site.kill_broker()
        until(time.monotonic() + random.uniform(1, 4))
        wait_until(lambda: on_disk(site.events_file), "events on disk, which may be busy")
        site.daemon.process.kill()
        site.daemon.wait()
        waiting = on_disk(site.events_file)
        site.run_daemon().wait_for_log(f"{len(waiting)} events")
        site.begin()
        site.wait_for_events(len(waiting))
        site.wait_until_all_is_sent()
        assert waiting <= {id_ for _, _, id_ in site.received.events}
    site.end()


def test_a_link_that_is_too_slow(site, slow_broker, subscribe):
    """Events and detections share the link. When it is fast again, every event arrives."""
    site.settings["mqtt"]["url"] = f"mqtt://127.0.0.1:{slow_broker.port}"
    reader = subscribe(slow_broker.target_port, "edgepub/test/#")
    site.run_daemon()
    reader.wait_for(lambda r: len(r.payloads("edgepub/test/stats")) >= 3, "stats")
    seen = len(reader.messages)
    until(time.monotonic() + 20)
    came = [topic.split("/")[-1] for topic, _, _ in reader.messages[seen:]]
    # Three of four are events until 64 of them wait for the acknowledgement; then detections go alone.
    assert came.count("events") > came.count("detections") / 2
    assert came.count("detections") > 40
    assert came.count("stats") >= 10
    assert reader.stats()[-1]["outbox"]["durable"] > 100, "it is too slow"
    assert median(stats["fps_inferred"] for stats in reader.stats()[-1]["cameras"].values()) > 5
    slow_broker.bytes_per_s = 0
    reader.wait_for(lambda r: r.stats()[-1]["outbox"]["durable"] < 5, "an empty outbox")
    assert site.daemon.terminate() == 0
    reader.wait_for(lambda r: r.last("edgepub/test/status") == b"offline", "the goodbye")
    for topic, payload, _ in reader.messages:
        site.received.take(topic, payload)
    site.received.check()


def test_states_are_right_after_an_outage_and_each_is_sent_once(site, subscribe):
    """Subscribers do not get the values in between."""
    site.begin()
    site.run_daemon()
    site.wait_for_events()
    site.kill_broker()
    until(time.monotonic() + 3)
    site.broker.start()
    reader = subscribe(site.broker.port)
    site.gate.open()
    reader.wait_for(lambda r: r.payloads("edgepub/test/south/enabled"), "the last state")
    seen = len(reader.payloads("edgepub/test/north/events"))
    reader.wait_for(lambda r: len(r.payloads("edgepub/test/north/events")) > seen + 200, "more events")
    for topic in ("status", "info", "north/status", "north/min_score", "north/enabled"):
        assert len(reader.payloads(f"edgepub/test/{topic}")) == 1
    assert reader.last("edgepub/test/status") == b"online"
    # A machine that stood still has lost the three from sight, and then says so; but nothing twice.
    people = "edgepub/test/north/objects/person"
    reader.wait_for(lambda r: r.last(people) == b"3", "three people")
    assert all(one != next_one for one, next_one in pairwise(reader.payloads(people)))
