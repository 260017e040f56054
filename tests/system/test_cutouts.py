"""Pictures as a subscriber sees them: cut-outs, what names them, and the switch; with the real PySDK and broker."""

import json

import cv2
import numpy as np
import paho.mqtt.client as paho
import pytest

from edgepub.cli.bench.echo import SIDE
from tests.support.brokers import Subscriber

pytestmark = pytest.mark.mosquitto
ROOT = "edgepub/test/cam/"
SNAPSHOT, PERSON, SWITCH = ROOT + "snapshot", ROOT + "objects/person/snapshot", ROOT + "snapshot_enabled"


def person(x, size=0.2):
    return {
        "bbox": [(x - size / 2) * SIDE, 24, (x + size / 2) * SIDE, 24 + 32],
        "label": "person",
        "score": 0.9,
        "category_id": 0,
    }


VISIT = [*[[]] * 10, *[[person(0.2 + 0.006 * n, 0.2 + 0.002 * n)] for n in range(100)], *[[]] * 60]
"""A person who comes nearer, and then is gone."""


class Reader5(Subscriber):
    """A subscriber with MQTT 5 that keeps the user properties of all pictures of persons."""

    protocol = paho.MQTTv5

    def take(self, client, userdata, message):
        if message.topic == PERSON:
            properties = dict(message.properties.json().get("UserProperty", []))
            self.__dict__.setdefault("properties", []).append(properties)
        super().take(client, userdata, message)


@pytest.fixture
def reader5(mosquitto):
    reader = Reader5(mosquitto.port)
    yield reader
    reader.close()


def comment(picture):
    at = picture.index(b"\xff\xfe")
    return json.loads(picture[at + 4 : at + 2 + int.from_bytes(picture[at + 2 : at + 4], "big")])


def settings_of(studio, url, script=VISIT, snapshot=(), **camera):
    snapshot = {"min_interval_s": 0.4, **dict(snapshot)}
    settings = studio.settings(
        url, studio.video(script), realtime=True, tracking=True, labels=["person"], snapshot=snapshot, **camera
    )
    del settings["mqtt"]["protocol"]
    return settings


def parsed(reader, topic):
    return [json.loads(payload) for payload in reader.payloads(ROOT + topic)]


def test_cut_outs_events_and_the_visit_agree(mosquitto, reader5, run_daemon, studio):
    daemon = run_daemon(settings_of(studio, mosquitto.url))
    assert daemon.wait() == 0, daemon.log
    reader5.wait_for(lambda r: r.last("edgepub/test/status") == b"offline" and parsed(r, "visits"), "the end")
    pictures, (visit,) = reader5.payloads(PERSON), parsed(reader5, "visits")
    assert len(pictures) > 1, "it came nearer"
    for picture, properties in zip(pictures, reader5.properties, strict=True):
        says = comment(picture)
        assert properties == {"visit_id": visit["visit_id"], "frame": str(says["frame"])}
        assert (says["visit_id"], says["label"], says["track_id"]) == (visit["visit_id"], "person", visit["track_id"])
        image = cv2.imdecode(np.frombuffer(picture, np.uint8), cv2.IMREAD_COLOR)
        left, top, right, bottom = says["crop"]
        assert image.shape[:2] == (bottom - top, right - left)
    events = parsed(reader5, "events")
    assert [event["event_type"] for event in events] == ["appeared", "left"]
    assert {event["picture"] for event in events} == {PERSON}
    assert comment(pictures[0])["frame"] == events[0]["frame"], "the frame in which it appeared"
    shown = None
    for topic, payload, _ in reader5.messages:
        if topic == PERSON:
            shown = comment(payload)["visit_id"]
        elif topic == ROOT + "events":
            assert shown == visit["visit_id"], "the picture that an event names comes first"
    newest = comment(pictures[-1])
    assert (visit["best"]["frame"], visit["best"]["bbox"]) == (newest["frame"], newest["bbox"])


@pytest.mark.parametrize("snapshot", [{"crop": False}, {"enabled": False}])
def test_cut_outs_are_cleared_when_they_are_not_made_any_more(mosquitto, subscribe, run_daemon, studio, snapshot):
    assert run_daemon(settings_of(studio, mosquitto.url)).wait() == 0
    assert subscribe(mosquitto.port).retained()[PERSON]
    reader = subscribe(mosquitto.port)
    assert run_daemon(settings_of(studio, mosquitto.url, snapshot=snapshot)).wait() == 0
    reader.wait_for(lambda r: r.last(PERSON) == b"", "the cut-out is taken away")
    assert PERSON not in subscribe(mosquitto.port).retained()
    assert not any("picture" in event for event in parsed(reader, "events"))
    assert (SNAPSHOT in subscribe(mosquitto.port).retained()) == ("crop" in snapshot)


@pytest.mark.parametrize("is_lost", [True, False])
def test_after_a_restart_of_all_the_picture_of_who_is_still_there_is_there(
    mosquitto, subscribe, run_daemon, studio, is_lost
):
    settings = settings_of(studio, mosquitto.url, [[person(0.5)]] * 50, loop=True, stationary_s=1)
    reader = subscribe(mosquitto.port)
    daemon = run_daemon(settings)
    kept = reader.wait_for(lambda r: r.last(PERSON), "the picture")
    reader.wait_for(lambda r: r.last("edgepub/test/checkpoint"), "a checkpoint: the broker has the picture")
    reader.wait_for(lambda r: any(event["event_type"] == "stopped" for event in parsed(r, "events")), "it stands")
    daemon.terminate()
    if is_lost:
        mosquitto.stop()
        mosquitto.start()  # it has kept nothing
    again = subscribe(mosquitto.port)
    run_daemon(settings)
    again.wait_for(lambda r: len(r.detections()) > 25, "a second of the same person")
    picture = again.wait_for(lambda r: r.last(PERSON), "its picture")
    assert comment(picture)["visit_id"] == comment(kept)["visit_id"]
    assert (picture == kept) is not is_lost


def test_if_more_is_to_be_blurred_the_pictures_of_before_are_taken_away(mosquitto, subscribe, run_daemon, studio):
    nobody = [[]] * 40

    def run(script, *blurred):
        settings = settings_of(studio, mosquitto.url, script, snapshot={"blur": blurred})
        del settings["cameras"]["cam"]["labels"]
        daemon = run_daemon(settings)
        assert daemon.wait() == 0, daemon.log

    run(VISIT, "person")
    assert subscribe(mosquitto.port).retained()[PERSON]
    run(nobody, "person")
    assert subscribe(mosquitto.port).retained()[PERSON]
    reader = subscribe(mosquitto.port)
    run(nobody, "person", "face")
    reader.wait_for(lambda r: r.last(PERSON) == b"" and r.last(SNAPSHOT) == b"", "that they are taken away")
    assert not {PERSON, SNAPSHOT} & subscribe(mosquitto.port).retained().keys()


def test_no_picture_leaves_the_node_while_it_is_switched_off(mosquitto, subscribe, run_daemon, studio):
    settings = settings_of(studio, mosquitto.url, loop=True)
    reader = subscribe(mosquitto.port)
    daemon = run_daemon(settings)
    reader.wait_for(lambda r: r.last(PERSON) and r.last(SNAPSHOT), "pictures")
    assert reader.last(SWITCH) == b"ON"
    reader.publish(SWITCH + "/set", "OFF")
    reader.wait_for(lambda r: r.last(SWITCH) == b"OFF", "the new value")
    reader.wait_for(lambda r: r.last(PERSON) == b"" and r.last(SNAPSHOT) == b"", "that they are taken away")
    passed = len(parsed(reader, "visits"))
    reader.wait_for(lambda r: len(parsed(r, "visits")) > passed + 1, "a whole visit without pictures")
    assert reader.last(PERSON) == reader.last(SNAPSHOT) == b""
    whole = parsed(reader, "visits")[-1]["visit_id"]
    seen = [event for event in parsed(reader, "events") if event["visit_id"] == whole]
    assert seen
    assert not any("picture" in event or "snapshot" in event for event in seen)
    daemon.terminate()

    again = subscribe(mosquitto.port)
    run_daemon(settings)
    again.wait_for(lambda r: parsed(r, "visits"), "a visit after the restart")
    assert again.last(SWITCH) == b"OFF"
    assert not again.last(PERSON)
    assert not again.last(SNAPSHOT)
    again.publish(SWITCH + "/set", "ON")
    again.wait_for(lambda r: r.last(PERSON) and r.last(SNAPSHOT), "pictures")
