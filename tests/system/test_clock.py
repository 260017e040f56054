"""A wall clock that is wrong, and that is set: no event expires because of it, and what is published has its time."""

import contextlib
import json
import signal
import sqlite3
import time

import pytest

from tests.support import wall_clock
from tests.support.mill import on_disk
from tests.support.mill_site import MillSite
from tests.support.wall_clock import WallClock

pytestmark = [
    pytest.mark.mosquitto,
    pytest.mark.faults,
    pytest.mark.skipif(wall_clock.why_not() is not None, reason=str(wall_clock.why_not())),
]
DAY_S = 86_400
YEAR_S = 365 * DAY_S
MAX_AGE_S = 12


class Site(MillSite):
    """A site whose daemon has one camera, and a wall clock of its own."""

    def __init__(self, directory, run_daemon, studio):
        super().__init__(directory, run_daemon, studio)
        self.clock = WallClock(directory)
        del self.settings["cameras"]["south"]

    def start_daemon(self):
        super().start_daemon(**self.clock.environment)

    def stop_daemon(self, way):
        self.daemon.process.send_signal(way)
        self.daemon.wait()

    def boot(self):
        """Make the events file one of an earlier boot, as after a power cut. A test cannot boot the computer."""
        with contextlib.closing(sqlite3.connect(self.events_file)) as database:
            database.execute("UPDATE clock SET boot_id = 'an earlier boot'")
            database.commit()

    def check(self):
        """Check that every event has arrived."""
        self.received.wait_until_all_is_sent()
        assert not [reason for reason in self.received.stats[-1]["cameras"]["north"]["dropped"] if "event" in reason]
        numbers = list(dict.fromkeys(self.received.numbers("north")))
        assert numbers == list(range(1, len(numbers) + 1)), self.daemon.log


@pytest.fixture
def site(tmp_path, run_daemon, studio):
    site = Site(tmp_path, run_daemon, studio)
    yield site
    site.close()


@pytest.mark.parametrize(
    ("at_the_start", "in_the_session", "in_the_outage", "way", "in_the_next_run"),
    [
        pytest.param("-3d", "+0", ["+0"], "SIGKILL", "+0", id="behind, set while it runs, then killed"),
        pytest.param("-3d", "+0", ["+0"], "SIGTERM", "+0", id="behind, set while it runs, then stopped"),
        pytest.param("-3d", "-3d", ["+0"], "SIGKILL", "+0", id="behind, and set while events wait"),
        pytest.param("-3d", "-3d", ["-3d"], "SIGKILL", "+0", id="behind, and set between two runs"),
        pytest.param("+174y", "+174y", ["+0"], "SIGTERM", "+0", id="ahead, and set while events wait"),
        pytest.param("+174y", "+174y", ["+174y"], "SIGKILL", "+0", id="ahead, and set between two runs"),
        pytest.param("+0", "+0", ["+10d", "-3d", "+0"], "SIGKILL", "+0", id="set forward and back while events wait"),
        pytest.param("+0", "+0", ["+0"], "SIGTERM", "+174y", id="right, and ahead in the next run"),
        pytest.param("-3d", "-3d", ["-3d"], "power cut", "+0", id="behind, and set after a power cut"),
    ],
)
def test_no_event_expires(site, at_the_start, in_the_session, in_the_outage, way, in_the_next_run):
    site.clock.set(at_the_start)
    site.start_broker()
    site.start_daemon()
    site.received.wait_for_events(30)
    site.clock.set(in_the_session)
    site.received.wait_for_events(30)
    site.stop_broker()
    for offset in in_the_outage:
        site.wait_for_events_on_disk()
        site.clock.set(offset)
        site.wait_for_events_on_disk()
    site.stop_daemon(signal.SIGTERM if way == "SIGTERM" else signal.SIGKILL)
    if way == "power cut":
        site.boot()
    waiting = on_disk(site.events_file)
    assert len(waiting) > 50
    site.clock.set(in_the_next_run)
    site.start_daemon()
    site.start_broker()
    site.received.wait_for_events(len(waiting))
    assert waiting <= {id_ for _, _, id_ in site.received.events}
    site.check()


def test_an_event_expires_at_its_age_although_the_clock_is_set_back(site):
    site.settings["outbox"] = {"durable": {"max_age_s": MAX_AGE_S}}
    site.start_broker()
    site.start_daemon()
    site.received.wait_for_events(30)
    site.stop_broker()
    seen = len(site.received.events)
    site.wait_for_events_on_disk()
    site.clock.set("-3d")
    old = on_disk(site.events_file)
    site.stop_daemon(signal.SIGKILL)
    time.sleep(MAX_AGE_S)
    site.start_daemon()
    # Few: on a busy machine the first of many would expire before the last come.
    site.wait_for_events_on_disk(10, without=old)
    site.start_broker()
    site.received.wait_for_events(10)
    site.received.wait_until_all_is_sent()
    before, after = ({id_ for _, _, id_ in part} for part in (site.received.events[:seen], site.received.events[seen:]))
    assert not old & after
    numbers = site.received.numbers("north")
    missing = set(range(1, max(numbers) + 1)) - set(numbers)
    arrived = old & before  # the broker passed them on, and ended before it acknowledged them
    assert len(missing) >= len(old - arrived) > 0
    expired = len(missing) + len(arrived)
    site.received.wait_for(
        lambda: site.received.stats[-1]["cameras"]["north"]["dropped"].get("event_expired") == expired, "the count"
    )


def test_timestamps_and_ids_have_the_time_of_the_clock_as_it_is_set(site, subscribe):
    site.clock.set("+174y")
    site.start_broker()
    reader = subscribe(site.broker.port, "edgepub/test/#")
    site.start_daemon()
    for offset, ahead_s in [("+174y", 174 * YEAR_S), ("-3d", -3 * DAY_S), ("+0", 0)]:
        site.clock.set(offset)
        before = len(reader.messages)

        def shown(payload, ahead_s=ahead_s):
            return json.loads(payload)["timestamp"] - time.time() == pytest.approx(ahead_s, abs=60)

        def follows(reader, topic, before=before, shown=shown):
            payloads = [payload for name, payload, _ in reader.messages[before:] if name == f"edgepub/test/{topic}"]
            return next((payload for payload in payloads if shown(payload)), None)

        for topic in ("stats", "north/detections"):
            reader.wait_for(lambda r, topic=topic: follows(r, topic), f"the time in {topic}")
        event = json.loads(reader.wait_for(lambda r: follows(r, "north/events"), "the time in an event"))
        of_id_s = int(event["event_id"].replace("-", "")[:12], 16) / 1000
        assert of_id_s == pytest.approx(event["timestamp"], abs=5)
