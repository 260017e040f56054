"""Counts of labels without end: how many have topics, which are replaced, and what is said of it."""

import logging

import pytest

from edgepub.camera.analysis.tally import Tally
from edgepub.camera.counted_labels import CountedLabels
from edgepub.camera.counts import ObjectCounts
from edgepub.camera.label_length import MAX_LABEL_CHARS, shorten_label
from edgepub.config.camera import CameraSettings
from edgepub.mqtt.label_levels import ALL, topic_level
from edgepub.mqtt.outbox.outbox import Outbox
from edgepub.mqtt.retained import MAX_LABELS, clear_obsolete, find_places
from edgepub.mqtt.store import Store
from edgepub.mqtt.topics import Topics
from edgepub.telemetry.logs import camera_logger
from tests.support.waiting import take

ONE = Tally(1, 1)
TOPICS = Topics("edgepub", "garage")
ZONE = {"polygon": [[0.1, 0.1], [0.9, 0.1], [0.9, 0.9]]}


class Camera:
    """The counts of a camera, and a broker that acknowledges everything; `start` continues with what is retained."""

    def __init__(self, **settings):
        self.settings = CameraSettings(source="a.mp4", model="m", **settings)
        self.store, self.retained, self.changes = Store(None), {}, 0

    async def start(self, **settings):
        self.settings = self.settings.model_copy(update=settings)
        self.notes = {}
        self.outbox = Outbox(9, ledger=self.store)
        clear_obsolete(self.store.retained_topics(), {"cam": self.settings}, TOPICS, self.outbox)
        places = find_places(self.store.retained_topics(), "cam", self.settings, TOPICS)
        self.counts = ObjectCounts("cam", self.settings, TOPICS, self.outbox, places, self.notes, self.on_change)
        await self.send()

    def on_change(self):
        self.changes += 1

    async def send(self):
        while any(self.outbox.figures().sizes.values()):
            message = await take(self.outbox)
            self.outbox.done(message)
            self.retained[message.topic] = message.payload
            if not message.payload:
                del self.retained[message.topic]

    async def see(self, *labels, zones=(None,)):
        self.counts.update({(zone, label): ONE for label in labels for zone in zones})
        await self.send()

    def value(self, label, zone=None):
        return self.retained.get(TOPICS.object_count("cam", zone, topic_level(label)))

    def levels(self):
        return {topic.split("/objects/")[1].split("/")[0] for topic in self.retained} - {ALL}


async def test_labels_that_were_one_topic_are_counted_apart():
    camera = Camera()
    await camera.start()
    await camera.see("犬", "猫", "C++", "C#")
    assert [camera.value(label) for label in ("犬", "猫", "C++", "C#")] == [b"1"] * 4
    assert camera.changes == 1


async def test_labels_that_differ_in_capitals_are_counted_together_and_the_log_says_so_once(caplog):
    camera = Camera()
    await camera.start()
    for _ in range(3):
        await camera.see("Person", "person", "PERSON")
        await camera.see()
    assert camera.retained[f"{TOPICS.root}/cam/objects/person"] == b"0"
    await camera.see("Person", "person")
    assert camera.value("person") == b"2"
    assert [(r.levelname, r.camera) for r in caplog.records] == [("WARNING", "cam")]
    assert "'Person' and 'person'" in caplog.text


async def test_topics_stay_bounded_over_restarts_and_the_labels_seen_last_have_them(caplog):
    camera = Camera(zones={"steps": {**ZONE, "labels": ["cat"]}, "path": ZONE})
    for life in range(12):
        await camera.start()
        for number in range(75):
            await camera.see(f"text {life}-{number}", "person", "cat", zones=(None, "path"))
        await camera.see()
        assert len(camera.levels()) <= MAX_LABELS + 1
        assert camera.value("cat", "steps") == camera.value("cat") == camera.value("person") == b"0"
    expected = [f"text {life}-{n}" for life in (10, 11) for n in range(75)]
    assert all(camera.value(label) == camera.value(label, "path") == b"0" for label in expected)
    assert len(camera.retained) <= 2 * 3 * (MAX_LABELS + 3)
    assert set(camera.store.retained_topics()) == camera.retained.keys(), "nothing is left behind"
    assert "labels" in camera.notes
    warnings = [r for r in caplog.records if r.levelname == "WARNING"]
    assert 0 < len(warnings) <= 12, "once a life"


async def test_without_a_broker_the_number_of_waiting_messages_and_known_topics_is_bounded():
    camera = Camera()
    for number in range(MAX_LABELS):
        camera.store.add_retained(f"{TOPICS.root}/cam/objects/text_{number}")
    await camera.start()
    sizes = []
    for number in range(200):  # each as after a restart: the places of earlier runs are free
        places = find_places(camera.store.retained_topics(), "cam", camera.settings, TOPICS)
        counts = ObjectCounts("cam", camera.settings, TOPICS, camera.outbox, places)
        counts.update({(None, f"new {number}-{n}"): ONE for n in range(50)})
        sizes.append(sum(camera.outbox.figures().sizes.values()))
    assert max(sizes) == sizes[-1] < 3000
    assert len(camera.store.retained_topics()) < 3000
    await camera.send()
    assert len(camera.levels()) < 1000


async def test_too_many_topics_of_an_earlier_version_are_cleared_at_the_start():
    camera = Camera()
    for number in range(3000):
        camera.store.add_retained(f"{TOPICS.root}/cam/objects/text_{number}")
        camera.store.add_retained(f"{TOPICS.root}/cam/objects/text_{number}/occupancy")
    await camera.start()
    assert camera.levels() == {f"text_{number}" for number in range(3000 - MAX_LABELS, 3000)}
    assert len(camera.store.retained_topics()) == 3 * (MAX_LABELS + 1), "all labels together, too"


async def test_the_former_topic_of_a_label_is_cleared_when_the_label_is_seen():
    camera = Camera()
    for level in ("_", "c_", "caf_", "person"):
        camera.store.add_retained(f"{TOPICS.root}/cam/objects/{level}")
    await camera.start()
    assert camera.levels() == {"c_", "caf_", "person"}, "no label has the level _"
    await camera.see("C++", "C_", "café")
    assert camera.levels() == {topic_level("C++"), "caf" + topic_level("café")[3:], "person", "c_"}
    assert camera.value("C_") == b"1"


async def test_named_labels_have_their_place_whatever_else_is_detected():
    names = [f"name {number}" for number in range(MAX_LABELS + 50)]
    camera = Camera(zones={"steps": {**ZONE, "labels": names}})
    await camera.start()
    await camera.see(*(f"text {number}" for number in range(2 * MAX_LABELS)))
    assert all(camera.value(name, "steps") == b"0" for name in names)
    assert sum(level.startswith("text") for level in camera.levels()) == MAX_LABELS
    await camera.see(*names, "text 0", zones=(None, "steps"))
    assert all(camera.value(name, "steps") == camera.value(name) == b"1" for name in names)
    await camera.start(zones={})
    assert len(camera.levels()) == MAX_LABELS


async def test_zones_that_name_no_labels_any_more_leave_the_bound():
    camera = Camera(zones={"steps": {**ZONE, "labels": [f"name {number}" for number in range(MAX_LABELS)]}})
    await camera.start()
    await camera.see(*(f"name {number}" for number in range(MAX_LABELS)))
    await camera.see(*(f"text {number}" for number in range(MAX_LABELS)))
    camera.counts.set_areas(camera.settings.model_copy(update={"zones": {}}))
    await camera.send()
    levels = {topic.split("/")[4] for topic in camera.retained if "/zones/" not in topic}
    assert len(levels - {ALL}) == MAX_LABELS
    assert all(camera.value(f"text {number}") == b"1" for number in range(MAX_LABELS))


class Bound:
    """Two places besides the named labels, each for 10 s, with a clock of its own."""

    def __init__(self, named=(), retained=()):
        self.now_s, self.notes = 0.0, {}
        log = camera_logger(logging.getLogger("test"), "cam")
        self.labels = CountedLabels(named, retained, log, self.notes, lambda: True, 2, 10.0, lambda: self.now_s)

    def at(self, now_s, *present):
        self.now_s = now_s
        return self.labels.update(present)


def test_a_new_label_takes_the_place_of_the_one_that_was_not_seen_for_longest():
    bound = Bound(named=["person"], retained=["person", "old"])
    assert bound.at(0, "person", "a") == []
    assert not bound.notes
    assert bound.at(1, "b") == ["old"], "not seen in this run"
    assert bound.notes
    assert bound.at(2, "c") == []
    assert "c" not in bound.labels, "the others were seen less than 10 s ago"
    assert bound.at(11.5, "c") == ["a"], "which was there until 1"
    assert [level in bound.labels for level in ("person", "a", "b", "c")] == [True, False, True, True]


def test_a_label_that_is_present_keeps_its_place_however_long_it_stays():
    bound = Bound()
    bound.at(0, "a")
    bound.at(1, "a", "b")
    assert bound.at(1000, "a", "c") == []
    assert bound.at(1010.5, "a", "c") == ["b"]
    assert bound.at(2000, "d") == [], "both were there until now"


async def test_memory_is_bounded_by_the_labels_that_have_topics():
    bound = Bound()
    for number in range(10_000):
        bound.at(20.0 * number, f"text {number}", "TEXT", "text")
    assert sum(f"text {number}" in bound.labels or f"text_{number}" in bound.labels for number in range(10_000)) <= 2


@pytest.mark.parametrize("label", ["x" * 10_000_000, "犬" * 257, "\0" * 300, "\ud800" * 300])
def test_a_long_label_is_cut_and_stays_another_one(label):
    short = shorten_label(label)
    assert len(short) == MAX_LABEL_CHARS
    assert short[:200] == label[:200]
    assert short != shorten_label(label + "x")
    assert shorten_label(short) == short
    assert len(topic_level(short)) <= 100
