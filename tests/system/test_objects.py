"""Objects as a subscriber sees them: with the real PySDK, the real tracker and a real broker."""

import itertools
import json

import cv2
import jsonschema
import numpy as np
import psutil
import pytest

from edgepub.cli.bench.echo import SIDE
from edgepub.mqtt.payloads import detections, event
from edgepub.mqtt.payloads.schema import json_schema
from tests.support.waiting import wait_until

pytestmark = pytest.mark.mosquitto
DETECTIONS = jsonschema.Draft202012Validator(json_schema(detections.VALIDATOR))
EVENT = jsonschema.Draft202012Validator(json_schema(event.VALIDATOR))
ROOM = {
    "tracking": True,
    "zones": {"left": {"polygon": [[0, 0], [0.5, 0], [0.5, 1], [0, 1]]}},
    "lines": {"door": {"from": [0.5, 1], "to": [0.5, 0]}},
}


def thing(x, label="person", score=0.9):
    """Return an object of a fifth of the frame's width, standing at x on the floor."""
    return {"bbox": [(x - 0.1) * SIDE, 24, (x + 0.1) * SIDE, 56], "label": label, "score": score, "category_id": 0}


VISIT = [
    *[[]] * 10,
    *[[thing(0.2 + 0.006 * n)] for n in range(100)],  # from 0.2 to 0.8, over the middle in the 51st
    *[[]] * 60,
]


def events_of(reader, camera="cam"):
    events = [json.loads(payload) for payload in reader.payloads(f"edgepub/test/{camera}/events")]
    for payload in events:
        EVENT.validate(payload)
    return events


def states(reader, topic, camera="cam"):
    return [payload.decode() for payload in reader.payloads(f"edgepub/test/{camera}/{topic}")]


def ended(reader):
    return reader.last("edgepub/test/status") == b"offline" and reader.payloads("edgepub/test/info")


def test_a_visit_through_a_zone_and_over_a_line(mosquitto, subscribe, run_daemon, studio):
    reader = subscribe(mosquitto.port)
    daemon = run_daemon(studio.settings(mosquitto.url, studio.video(VISIT), **ROOM))
    assert daemon.wait() == 0, daemon.log
    reader.wait_for(ended, "the end")
    events = events_of(reader)
    assert [(e["event_type"], e["frame"], e.get("zone"), e.get("line"), e.get("direction")) for e in events] == [
        ("appeared", 14, None, None, None),
        ("zone_entered", 14, "left", None, None),
        ("line_crossed", 63, None, "door", "right"),
        ("zone_left", 62, "left", None, None),
        ("left", 110, None, None, None),
    ]
    assert [e["seq"] for e in events] == [1, 2, 3, 4, 5]
    assert len({e["event_id"] for e in events}) == 5
    assert [e["event_id"] for e in events] == sorted(e["event_id"] for e in events), "version 7 is in the order of time"
    assert {(e["track_id"], e["label"], e["node"], e["camera"], e["width"]) for e in events} == {
        (1, "person", "test", "cam", 64)
    }
    assert [e.get("dwell_s") for e in events] == [None, None, None, pytest.approx(50 / 25), pytest.approx(98 / 25)]
    by_frame = {p["frame"]: p for p in reader.detections()}
    for payload in by_frame.values():
        DETECTIONS.validate(payload)
    for payload in events:
        frame = by_frame[payload["frame"]]
        (same,) = frame["detections"]
        assert {key: payload[key] for key in ("bbox", "bbox_norm", "score", "label", "track_id")} == {
            key: same[key] for key in ("bbox", "bbox_norm", "score", "label", "track_id")
        }
        assert payload["timestamp"] == frame["timestamp"]
    zones = [p["detections"][0]["zones"] for n, p in sorted(by_frame.items()) if p["detections"]]
    assert zones == [["left"]] * 52 + [[]] * 48
    tracks = [p["detections"][0].get("track_id") for n, p in sorted(by_frame.items()) if p["detections"]]
    assert tracks == [None] + [1] * 99


def test_counts_start_and_end_at_zero(mosquitto, subscribe, run_daemon, studio):
    """In real time, so that no value is replaced by the next before it is sent."""
    script = [
        *[[]] * 5,
        *[[thing(0.25)]] * 20,
        *[[thing(0.25), thing(0.75, "big dog")]] * 40,
        *[[thing(0.75, "big dog")]] * 60,
    ]
    reader = subscribe(mosquitto.port)
    settings = studio.settings(
        mosquitto.url, studio.video(script, fps=20), **ROOM, realtime=True, labels=["person", "big dog", "cat"],
        occupancy_off_s=0.5,
    )  # fmt: skip
    daemon = run_daemon(settings)
    assert daemon.wait() == 0, daemon.log
    reader.wait_for(ended, "the end")
    # The first value is not sent if the second is there before the broker is.
    assert states(reader, "objects/person") in (["0", "1", "0"], ["1", "0"])
    assert states(reader, "objects/person/occupancy") in (["OFF", "ON", "OFF"], ["ON", "OFF"])
    assert states(reader, "objects/big_dog") in (["0", "1", "0"], ["1", "0"])
    assert states(reader, "objects/cat") == ["0"]
    assert states(reader, "zones/left/objects/person/occupancy") in (["OFF", "ON", "OFF"], ["ON", "OFF"])
    assert states(reader, "zones/left/objects/big_dog") == ["0"]
    kept = subscribe(mosquitto.port).retained()
    assert kept["edgepub/test/cam/objects/person"] == b"0"
    assert kept["edgepub/test/cam/objects/cat/occupancy"] == b"OFF"
    assert "edgepub/test/cam/events" not in kept


@pytest.mark.parametrize("found", ["110", "100"])
def test_a_flickering_detection_publishes_no_changes(mosquitto, subscribe, run_daemon, studio, found):
    script = [*[[thing(0.5)]] * 10, *[[thing(0.5)] if found[n % 3] == "1" else [] for n in range(80)], *[[]] * 60]
    reader = subscribe(mosquitto.port)
    daemon = run_daemon(studio.settings(mosquitto.url, studio.video(script), tracking=True))
    assert daemon.wait() == 0, daemon.log
    reader.wait_for(ended, "the end")
    # At the speed of a file one value may overtake another before it is sent; but there are only two.
    assert states(reader, "objects/person") in (["1", "0"], ["0"])
    assert states(reader, "objects/person/occupancy") in (["ON", "OFF"], ["OFF"])
    assert [e["event_type"] for e in events_of(reader)] == ["appeared", "left"]


def test_an_empty_label_becomes_its_category_or_is_rejected(mosquitto, subscribe, run_daemon, studio):
    script = [[thing(0.3, ""), thing(0.7)]] * 30
    reader = subscribe(mosquitto.port)
    assert run_daemon(studio.settings(mosquitto.url, studio.video(script), **ROOM)).wait() == 0
    reader.wait_for(ended, "the end")
    assert [(e["event_type"], e["label"]) for e in events_of(reader) if e["event_type"] == "appeared"] == [
        ("appeared", "0"), ("appeared", "person")
    ]  # fmt: skip
    assert reader.last("edgepub/test/cam/objects/0") == b"0"
    nameless = [[{k: v for k, v in thing(0.3, "").items() if k != "category_id"}]] * 30
    another = subscribe(mosquitto.port)
    daemon = run_daemon(studio.settings(mosquitto.url, studio.video(nameless, "b.avi"), **ROOM))
    assert daemon.wait() == 0
    another.wait_for(lambda r: "offline" in states(r, "status"), "the end")
    assert another.detections() == []
    assert daemon.log.count("cam: frame ") == 1, "logged once"


def test_event_numbers_continue_over_restarts_and_kills(mosquitto, subscribe, run_daemon, studio):
    reader = subscribe(mosquitto.port)
    settings = studio.settings(mosquitto.url, studio.video(VISIT), **ROOM, loop=True)
    boots = set()
    for kill in (True, False, True):
        daemon = run_daemon(settings)
        reader.wait_for(lambda r: sum(e["boot_id"] not in boots for e in events_of(r)) >= 8, "events of this run")
        boots.update(e["boot_id"] for e in events_of(reader))
        if kill:
            daemon.process.kill()
            daemon.wait()
            wait_until(lambda: reader.last("edgepub/test/status") == b"offline", "the last will")
        else:
            assert daemon.terminate() == 0
    events = {e["event_id"]: e for e in events_of(reader)}.values()  # what was under way at a kill comes again
    assert [e["seq"] for e in events] == list(range(1, len(events) + 1)), "no hole, in order, no number twice"
    assert len(boots) == 3


def test_objects_leave_when_the_camera_goes_offline(mosquitto, subscribe, run_daemon, studio):
    """The video ends, the camera is disabled, the daemon stops: each appearance is followed by its end."""
    reader = subscribe(mosquitto.port)
    daemon = run_daemon(studio.settings(mosquitto.url, studio.video([[thing(0.3)]] * 30), **ROOM, loop=True))
    here = (
        "objects/person",
        "objects/person/occupancy",
        "zones/left/objects/person",
        "zones/left/objects/person/occupancy",
    )
    reader.wait_for(lambda r: all(states(r, event) for event in here), "a person")
    publish(reader, "cam/enabled/set", "OFF")
    reader.wait_for(lambda r: states(r, "status")[-1] == "disabled" and states(r, "objects/person")[-1] == "0", "none")
    reader.wait_for(lambda r: len(events_of(r)) == 4, "the end of each")
    publish(reader, "cam/enabled/set", "ON")
    reader.wait_for(lambda r: [states(r, event)[-1] for event in here] == ["1", "ON", "1", "ON"], "a person again")
    assert daemon.terminate() == 0
    reader.wait_for(lambda r: r.last("edgepub/test/status") == b"offline", "the end")
    assert [e["event_type"] for e in events_of(reader)] == ["appeared", "zone_entered", "zone_left", "left"] * 2
    assert states(reader, "objects/person") == ["1", "0", "1", "0"]
    assert states(reader, "zones/left/objects/person/occupancy") == ["ON", "OFF", "ON", "OFF"]


def test_after_a_kill_counts_are_zero_and_obsolete_topics_are_cleared(mosquitto, subscribe, run_daemon, studio):
    settings = studio.settings(mosquitto.url, studio.video([[thing(0.3)]] * 30), **ROOM, loop=True)
    settings["cameras"]["shed"] = {**settings["cameras"]["cam"], "snapshot": {"enabled": True}}
    first = subscribe(mosquitto.port)
    daemon = run_daemon(settings)
    first.wait_for(lambda r: states(r, "zones/left/objects/person") == ["1"], "a count")
    first.wait_for(lambda r: r.last("edgepub/test/shed/snapshot"), "a picture")
    daemon.process.kill()
    daemon.wait()
    assert "edgepub/test/shed/snapshot" in subscribe(mosquitto.port).retained()
    del settings["cameras"]["shed"]
    settings["cameras"]["cam"] |= {"enabled": False, "zones": {}}
    daemon = run_daemon(settings)
    first.wait_for(lambda r: states(r, "objects/person/occupancy")[-1] == "OFF", "none")
    daemon.terminate()
    kept = subscribe(mosquitto.port).retained()
    topic = "edgepub/test/cam/objects/person"
    assert (kept[topic], kept[f"{topic}/occupancy"]) == (b"0", b"OFF")
    assert not [topic for topic in kept if "zones" in topic or "shed" in topic]
    settings["node"] = "garage"
    run_daemon(settings)
    first.wait_for(lambda r: r.last("edgepub/test/status") == b"", "the node's old name is cleared")
    first.wait_for(lambda r: r.last("edgepub/garage/cam/status"), "the new name")
    assert {topic.split("/")[1] for topic in subscribe(mosquitto.port).retained()} == {"garage"}


def publish(reader, topic, payload):
    reader.publish(f"edgepub/test/{topic}", payload)


def test_settings_are_set_stored_and_restored(mosquitto, subscribe, run_daemon, studio):
    script = [[thing(0.3, score=0.6), thing(0.7, score=0.9)]]
    settings = studio.settings(mosquitto.url, studio.video(script), loop=True, max_fps=5)
    reader = subscribe(mosquitto.port)
    daemon = run_daemon(settings)
    reader.wait_for(lambda r: r.detections() and len(r.detections()[-1]["detections"]) == 2, "two objects")
    names = ("enabled", "min_score", "max_fps")
    reader.wait_for(lambda r: [states(r, name)[-1:] for name in names] == [["ON"], ["0.5"], ["5"]], "the settings")
    publish(reader, "cam/min_score/set", "0.8")
    reader.wait_for(lambda r: states(r, "min_score")[-1] == "0.8", "the new value")
    reader.wait_for(lambda r: len(r.detections()[-1]["detections"]) == 1, "one object")
    publish(reader, "cam/max_fps/set", "fast")
    reader.wait_for(lambda r: states(r, "max_fps") == ["5", "5"], "the old value again")
    assert "cam: max_fps" in daemon.log
    publish(reader, "cam/max_fps/set", "7.5")
    reader.wait_for(lambda r: states(r, "max_fps")[-1] == "7.5", "the new value")
    daemon.terminate()

    daemon = run_daemon(settings)
    again = subscribe(mosquitto.port)
    again.wait_for(lambda r: r.detections(), "detections")
    assert [states(again, name)[-1] for name in ("enabled", "min_score", "max_fps")] == ["ON", "0.8", "7.5"]
    assert len(again.detections()[-1]["detections"]) == 1
    frames = [p["frame"] for p in again.wait_for(lambda r: len(r.detections()) > 10 and r.detections(), "more")]
    assert {b - a for a, b in itertools.pairwise(frames)} <= {3, 4}, "25 frames a second of the file, 7.5 of them"
    publish(again, "cam/min_score/set", "")
    again.wait_for(lambda r: states(r, "min_score")[-1] == "0.5", "the file's value")
    again.wait_for(lambda r: len(r.detections()[-1]["detections"]) == 2, "two objects")


def test_a_disabled_camera_is_closed_and_stays_closed(mosquitto, subscribe, run_daemon, studio, live):
    camera, reader = live(50), subscribe(mosquitto.port)
    settings = {**studio.settings(mosquitto.url, camera.url), "stats": {"interval_s": 1}}
    daemon = run_daemon(settings)
    reader.wait_for(lambda r: len(r.detections()) > 5, "detections")
    process = psutil.Process(daemon.process.pid)

    def connections():
        return [c for c in process.net_connections("tcp") if c.raddr and f":{c.raddr.port}/" in camera.url]

    assert connections()
    publish(reader, "cam/enabled/set", "OFF")
    reader.wait_for(lambda r: states(r, "status")[-1] == "disabled", "the status")
    wait_until(lambda: not connections(), "a closed source")
    seen = len(reader.stats())
    first, second = reader.wait_for(lambda r: len(r.stats()) > seen + 2 and r.stats()[-2:], "stats")
    assert first["cameras"]["cam"]["inferred"] == second["cameras"]["cam"]["inferred"] > 0, "the accelerator is idle"
    assert daemon.terminate() == 0

    daemon = run_daemon(settings)
    again = subscribe(mosquitto.port)
    again.wait_for(lambda r: r.last("edgepub/test/status") == b"online" and r.stats(), "the start")
    assert (set(states(again, "enabled")), set(states(again, "status"))) == ({"OFF"}, {"disabled"})
    publish(again, "cam/enabled/set", "")
    again.wait_for(lambda r: len(r.detections()) > 5, "detections")
    assert (states(again, "status")[-1], states(again, "enabled")[-1]) == ("online", "ON")


def test_the_daemon_waits_for_a_disabled_live_camera(mosquitto, subscribe, run_daemon, studio, live):
    """A file has ended, and nothing works: but the other camera can be switched on."""
    reader = subscribe(mosquitto.port)
    settings = studio.settings(mosquitto.url, studio.video([[thing(0.3)]] * 5))
    settings["cameras"]["yard"] = {**settings["cameras"]["cam"], "source": live(50).url, "enabled": False}
    daemon = run_daemon(settings)
    daemon.wait_for_log("cam: offline")
    reader.wait_for(lambda r: states(r, "status", "yard") == ["disabled"], "the status")
    publish(reader, "yard/enabled/set", "ON")
    reader.wait_for(lambda r: r.detections("yard"), "detections")
    assert daemon.terminate() == 0


def test_changed_tracks_and_zones_are_changes(mosquitto, subscribe, run_daemon, studio):
    script = [*[[]] * 10, *[[thing(0.3)]] * 30, *[[]] * 10, *[[thing(0.5001)]] * 20, *[[thing(0.4999)]] * 20]
    publish_ = {"mode": "changes", "heartbeat_s": None}
    reader = subscribe(mosquitto.port)
    assert run_daemon(studio.settings(mosquitto.url, studio.video(script), **ROOM, publish=publish_)).wait() == 0
    reader.wait_for(ended, "the end")
    seen = [
        (p["frame"], [(d.get("track_id"), d["zones"]) for d in p["detections"]]) for p in reader.detections()
    ]  # fmt: skip
    assert seen == [
        (1, []),
        (11, [(None, ["left"])]),
        (12, [(1, ["left"])]),
        (41, []),
        (51, [(None, [])]),
        (52, [(1, [])]),
        (71, [(1, ["left"])]),
    ]


def test_a_snapshot_shows_its_frame_and_each_event_names_it(mosquitto, subscribe, run_daemon, studio):
    reader = subscribe(mosquitto.port)
    settings = studio.settings(
        mosquitto.url, studio.video(VISIT, fps=25), **ROOM, realtime=True, snapshot={"min_interval_s": 0}
    )
    assert run_daemon(settings).wait() == 0
    reader.wait_for(ended, "the end")
    pictures = reader.payloads("edgepub/test/cam/snapshot")
    assert pictures
    by_frame = {p["frame"]: p for p in reader.detections()}
    events = events_of(reader)
    for picture in pictures:
        says = comment(picture)
        assert (says["node"], says["camera"], says["boot_id"]) == ("test", "cam", events[0]["boot_id"])
        frame = by_frame[says["frame"]]
        assert says["timestamp"] == frame["timestamp"]
        listed = [
            {key: detection[key] for key in ("label", "score", "track_id", "bbox")} for detection in frame["detections"]
        ]
        assert says["objects"] == listed
        image = cv2.imdecode(np.frombuffer(picture, np.uint8), cv2.IMREAD_COLOR)
        assert image.shape == (frame["height"], frame["width"], 3)
    assert {e.get("snapshot") for e in events if e["event_type"] == "left"} == {comment(pictures[-1])["frame"]}
    assert events[0]["snapshot"] == events[0]["frame"] == comment(pictures[0])["frame"], "the one of its appearance"


def comment(picture):
    at = picture.index(b"\xff\xfe")
    return json.loads(picture[at + 4 : at + 2 + int.from_bytes(picture[at + 2 : at + 4], "big")])


def test_disabled_snapshots_send_no_picture_and_clear_the_old_one(mosquitto, subscribe, run_daemon, studio):
    settings = studio.settings(mosquitto.url, studio.video(VISIT), **ROOM)
    settings["cameras"]["cam"]["snapshot"] = {"enabled": True}
    assert run_daemon(settings).wait() == 0
    assert subscribe(mosquitto.port).retained()["edgepub/test/cam/snapshot"]
    settings["cameras"]["cam"]["snapshot"] = {"enabled": False}
    reader = subscribe(mosquitto.port)
    assert run_daemon(settings).wait() == 0
    reader.wait_for(lambda r: r.last("edgepub/test/cam/snapshot") == b"", "the picture is taken away")
    assert len(reader.payloads("edgepub/test/cam/snapshot")) == 2, "once"
    assert "edgepub/test/cam/snapshot" not in subscribe(mosquitto.port).retained()
