"""Visits of a daemon that is stopped, killed and disabled: those who walk have left, what is parked stays.

Each film is played in real time; in the last one of a test, what is parked drives off.
"""

import contextlib
import random
import sqlite3

import pytest

from tests.support import cutouts, zoo
from tests.support.clips import Actor, Clip
from tests.support.detector import Thing, detect
from tests.support.recorder import Recording
from tests.support.visits import check_whole

pytestmark = pytest.mark.mosquitto
FPS = 10
QUICK = {
    "realtime": True,
    "tracking": True,
    "stationary_s": 2,
    "occupancy_off_s": 1,
    "track_lost_s": 1,
    "labels": ["person", "car"],
}
CAM = "edgepub/test/cam/"


def car():
    return Actor(None, 0.2, FPS).at(0.3, 0.4)


def thing(actor, label="car", width=0.3):
    return Thing(actor, label, width)


def stroller():
    """Return a person who walks up and down for a minute."""
    actor = Actor(None, 0.4, FPS).at(0.1, 0.95)
    for _ in range(6):
        actor.walk(0.9, 5).walk(0.1, 5)
    return thing(actor, "person", 0.15)


class Site:
    """A camera whose daemon is started again and again with another film; and what a subscriber gets."""

    def __init__(self, broker, reader, run_daemon, studio):
        self.reader = reader
        self._broker = broker
        self._run_daemon = run_daemon
        self._studio = studio
        self._films = 0

    def start(self, *things, **camera):
        """Start a daemon with a film of these things."""
        self._films += 1
        film = self._studio.video(detect(things, FPS, self._films), f"{self._films}.avi", FPS)
        return self.play(film, self._studio.model(), **camera)

    def play(self, film, model, name="cam", **camera):
        """Start a daemon with this film and model."""
        settings = self._studio.settings(self._broker.url, film, **QUICK | camera)
        settings["cameras"] = {name: settings["cameras"]["cam"]}
        settings["models"]["echo"] = model
        return self._run_daemon(settings)

    @property
    def recording(self):
        """What has come so far, each event and visit once."""
        seen, messages = set(), []
        for topic, payload, _ in self.reader.messages:
            is_durable = topic in {f"{CAM}events", f"{CAM}visits"}
            if topic.startswith(CAM) and not (is_durable and payload in seen):
                seen.add(payload)
                messages.append((topic.removeprefix(CAM), payload))
        return Recording(messages)

    def events(self, label):
        """Return the types of the events of things with this label."""
        return [event["event_type"] for event in self.recording.events if event["label"] == label]

    def wait_for(self, label, *types):
        self.reader.wait_for(lambda _: self.events(label) == list(types), (label, types))

    def wait_for_value(self, topic, value):
        self.reader.wait_for(lambda reader: reader.last(CAM + topic) == value.encode(), (topic, value))


@pytest.fixture
def site(mosquitto, subscribe, run_daemon, studio):
    return Site(mosquitto, subscribe(mosquitto.port), run_daemon, studio)


def test_a_parked_car_has_one_visit_over_a_restart(site):
    daemon = site.start(thing(car().stay(60)), stroller())
    site.wait_for("car", "appeared", "stopped")
    site.wait_for("person", "appeared")
    site.wait_for_value("objects/car/active", "0")
    assert daemon.terminate() == 0
    site.wait_for_value("status", "offline")
    site.wait_for("person", "appeared", "left")
    for topic in ("objects/car", "objects/person", "objects/all", "objects/all/active"):
        assert site.reader.last(CAM + topic) == b"0", topic
    assert site.events("car") == ["appeared", "stopped"]
    assert [visit["label"] for visit in site.recording.visits] == ["person"]

    daemon = site.start(thing(car().stay(4).walk(1.2, 2).away(1)))
    assert daemon.wait() == 0
    site.wait_for("car", "appeared", "stopped", "moved", "left")
    assert site.recording.values("objects/car")[-3:] == [0, 1, 0]
    assert site.recording.values("objects/car/active")[-3:] == [0, 1, 0], "it did not move while edgepub did not run"
    check_whole(site.recording, in_order=False)
    first, *_, last = [event for event in site.recording.events if event["label"] == "car"]
    assert first["boot_id"] != last["boot_id"]
    visit = site.recording.visits[1]
    assert visit["seq"] == 2
    assert visit["began"] <= first["timestamp"]
    assert visit["ended"] == last["timestamp"]
    assert visit["duration_s"] == pytest.approx(visit["ended"] - visit["began"], abs=0.1)


def test_a_car_that_drove_off_while_edgepub_did_not_run_has_left_then(site):
    daemon = site.start(thing(car().stay(60)))
    site.wait_for("car", "appeared", "stopped")
    assert daemon.terminate() == 0
    site.wait_for_value("status", "offline")
    last_seen = site.reader.detections()[-1]["timestamp"]
    assert site.events("car") == ["appeared", "stopped"]

    daemon = site.start(stroller())
    site.wait_for("car", "appeared", "stopped", "left")
    assert site.recording.values("objects/car")[-1] == 0
    left = next(event for event in site.recording.events if event["event_type"] == "left" and event["label"] == "car")
    assert left["timestamp"] == pytest.approx(last_seen, abs=1), "when it was seen last, before the stop"
    assert daemon.terminate() == 0
    site.wait_for("person", "appeared", "left")
    site.reader.wait_for(lambda _: len(site.recording.visits) == 2, "both visits")
    check_whole(site.recording, in_order=False)


def test_after_a_kill_those_who_walked_have_left_and_the_car_stays(site):
    daemon = site.start(thing(car().stay(60)), stroller())
    site.wait_for("car", "appeared", "stopped")
    site.wait_for("person", "appeared")
    daemon.close()

    daemon = site.start(thing(car().stay(4).walk(1.2, 2).away(1)))
    site.wait_for("person", "appeared", "left")
    assert daemon.wait() == 0
    site.wait_for("car", "appeared", "stopped", "moved", "left")
    check_whole(site.recording, in_order=False)
    assert [visit["seq"] for visit in site.recording.visits] == [1, 2]


def test_visits_that_could_be_read_only_later_end_then(site, tmp_path):
    daemon = site.start(thing(car().stay(60)))
    site.wait_for("car", "appeared", "stopped")
    assert daemon.terminate() == 0
    with contextlib.closing(sqlite3.connect(tmp_path / "state" / "events.sqlite", isolation_level=None)) as database:
        database.execute("BEGIN EXCLUSIVE")
        daemon = site.start(thing(car().away(60)))
        daemon.wait_for_log("events are kept in memory only")
        assert site.events("car") == ["appeared", "stopped"]
    site.wait_for("car", "appeared", "stopped", "left")
    site.reader.wait_for(lambda _: len(site.recording.visits) == 1, "its visit")
    assert daemon.terminate() == 0
    check_whole(site.recording, in_order=False)


def test_a_camera_that_is_removed_ends_its_visits(site):
    daemon = site.start(thing(car().stay(60)))
    site.wait_for("car", "appeared", "stopped")
    assert daemon.terminate() == 0
    daemon = site.start(thing(car().stay(60)), name="other")
    site.wait_for("car", "appeared", "stopped", "left")
    site.reader.wait_for(lambda _: len(site.recording.visits) == 1, "its visit")
    assert daemon.terminate() == 0
    first, *_, last = site.recording.events
    assert first["visit_id"] == last["visit_id"] == site.recording.visits[0]["visit_id"]
    assert site.recording.visits[0]["stationary_s"] > 1


def test_a_disabled_camera_counts_nothing_and_keeps_what_is_parked(site):
    daemon = site.start(thing(car().stay(60)), stroller())
    site.wait_for("car", "appeared", "stopped")
    site.wait_for("person", "appeared")
    site.reader.publish(f"{CAM}enabled/set", "OFF")
    site.wait_for_value("status", "disabled")
    site.wait_for("person", "appeared", "left")
    for topic in ("objects/car", "objects/person", "objects/all", "objects/all/active"):
        site.wait_for_value(topic, "0")
    site.reader.publish(f"{CAM}enabled/set", "ON")
    site.wait_for_value("objects/car", "1")
    site.wait_for("person", "appeared", "left", "appeared")
    assert site.events("car") == ["appeared", "stopped"]
    assert site.reader.last(f"{CAM}objects/car/active") == b"0"
    assert daemon.terminate() == 0


@pytest.mark.slow
def test_a_real_person_who_stands_is_the_same_after_a_restart(site, tmp_path):
    model = zoo.settings(zoo.make(tmp_path / "faces", "face"), "face")

    def play(name, actor):
        film = Clip(actor, fps=FPS).film(tmp_path / f"{name}.mp4")
        return site.play(film, model, labels=["face"], min_score=0.7)

    def admiral():
        return Actor(cutouts.person("grace_hopper"), 0.9, FPS)

    daemon = play("comes", admiral().at(1.3).walk(0.4, 2).stay(30))
    site.wait_for("face", "appeared", "stopped")
    assert daemon.terminate() == 0
    site.wait_for_value("status", "offline")
    daemon = play("goes", admiral().at(0.4).stay(4).walk(-0.3, 5).away(1.5))
    assert daemon.wait() == 0
    site.wait_for("face", "appeared", "stopped", "moved", "left")
    check_whole(site.recording, in_order=False)
    assert site.recording.values("objects/face")[-3:] == [0, 1, 0]


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(2))
def test_kills_at_any_moment_lose_no_visit_and_repeat_none(site, seed):
    """Each film begins with a car that parks for some seconds, and people who come and go."""
    chance = random.Random(seed)
    for _ in range(5):
        parks = car().at(-0.2, 0.4).walk(0.3, 1).stay(6).walk(1.2, 1).away(30)
        passes = Actor(None, 0.4, FPS).at(-0.1, 0.95).away(1)
        for _ in range(9):
            passes.walk(1.1, 2).away(1).walk(-0.1, 2).away(1)
        daemon = site.start(thing(parks), thing(passes, "person", 0.15), thing(car().at(0.8, 0.4).stay(60)))
        events = len(site.recording.events) + chance.randrange(1, 9)
        site.reader.wait_for(lambda _, events=events: len(site.recording.events) >= events, f"{events} events")
        if chance.random() < 0.5:
            daemon.close()
        else:
            daemon.terminate()

    def is_over(_):
        began = {event["visit_id"] for event in site.recording.events}
        return began == {visit["visit_id"] for visit in site.recording.visits}

    daemon = site.start(thing(car().away(60)), loop=True)
    site.reader.wait_for(is_over, "the end of all visits", 100)
    assert daemon.terminate() == 0
    check_whole(site.recording, in_order=False)
