"""Failures of a real Mosquitto and of the network: no event is lost, and inference continues."""

import random
import signal
import time
from itertools import pairwise
from statistics import median

import psutil
import pytest

from tests.support.durable_lane import query
from tests.support.mill import CAMERAS, on_disk, until
from tests.support.mill_site import MillSite
from tests.support.waiting import wait_until

pytestmark = [pytest.mark.mosquitto, pytest.mark.faults]


class Site(MillSite):
    """A site that checks what has arrived."""

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
    site.start_broker()
    daemon = psutil.Process(site.start_daemon().process.pid)
    site.received.wait_for_events(500)
    began_s = time.monotonic()
    kills, levels = 0, []
    while time.monotonic() < began_s + seconds:
        until(time.monotonic() + dice.uniform(0, 10))
        site.stop_broker()
        kills += 1
        # The longest comes first, which takes the memory that longer ones need than those before.
        outage_s = 12 if kills == 1 else dice.choice([0, dice.uniform(0, 3), dice.uniform(0, 12)])
        until(time.monotonic() + outage_s)
        site.start_broker()
        site.received.wait_for_events(50)
        levels.append((daemon.memory_info().rss / 1e6, daemon.num_fds(), daemon.num_threads()))
    site.received.wait_until_all_is_sent()
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
    site.start_broker()
    site.start_daemon()
    site.received.wait_for_events(100)
    process = psutil.Process(site.broker.process.pid)
    process.send_signal(signal.SIGSTOP)
    seen = len(site.received.stats)
    until(time.monotonic() + 30)
    process.send_signal(signal.SIGCONT)
    site.received.wait_for_events(1500)
    site.received.wait_until_all_is_sent()
    site.end()
    meanwhile = [stats["cameras"][camera]["fps_inferred"] for stats in site.received.stats[seen:] for camera in CAMERAS]
    assert median(meanwhile) > 5, "inference went on, at nearly 25 on an idle machine"


def test_a_connection_that_is_half_open(site):
    """It stays open and passes on nothing. It is noticed within three times the keep-alive."""
    site.start_broker()
    site.start_daemon()
    site.received.wait_for_events(100)
    site.gate.swallow()
    began_s = time.monotonic()
    wait_until(lambda: "trying again" in site.daemon.log, "that it is noticed")
    assert time.monotonic() - began_s < 3 * 5 + 5
    site.gate.close()
    site.gate.open()
    site.received.wait_for_events(500)
    site.received.wait_until_all_is_sent()
    assert site.received.statuses[-1] == "online"
    site.end()


def test_a_broker_that_accepts_and_is_silent(site):
    site.start_broker()
    site.gate.swallow()
    site.start_daemon().wait_for_log("no answer; trying again")
    site.gate.close()
    site.gate.open()
    site.received.wait_for_events(500)
    site.received.wait_until_all_is_sent()
    site.end()


@pytest.mark.timeout(400)
def test_a_daemon_that_is_killed_during_an_outage(site):
    site.start_broker()
    site.start_daemon()
    site.received.wait_for_events(100)
    for _ in range(3):
        site.stop_broker()
        until(time.monotonic() + random.uniform(1, 4))
        wait_until(lambda: on_disk(site.events_file), "events on disk, which may be busy")
        site.daemon.process.kill()
        site.daemon.wait()
        waiting, rows = on_disk(site.events_file), query(site.events_file, "SELECT 1 FROM events")  # and visits
        site.start_daemon().wait_for_log(f"from the last run: {len(rows)}\n")
        site.start_broker()
        site.received.wait_for_events(len(waiting))
        site.received.wait_until_all_is_sent()
        assert waiting <= {id_ for _, _, id_ in site.received.events}
    site.end()


def test_a_link_that_is_too_slow(site, slow_broker, subscribe):
    """Events and detections share the link. When it is fast again, every event arrives."""
    site.settings["mqtt"]["url"] = f"mqtt://127.0.0.1:{slow_broker.port}"
    reader = subscribe(slow_broker.target_port, "edgepub/test/#")
    site.start_daemon()
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
    site.start_broker()
    site.start_daemon()
    site.received.wait_for_events(100)
    site.stop_broker()
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
