"""Reloads: what has changed restarts, nothing else is affected, and nothing obsolete stays on the broker."""

import copy
import itertools
import json
import os
import pty
import signal
import subprocess
import sys

import pytest
import yaml

from tests.support.brokers import Mosquitto
from tests.support.service_manager import ServiceManager
from tests.support.studio import BOX
from tests.support.waiting import wait_until

pytestmark = pytest.mark.mosquitto


@pytest.fixture
def node(studio, run_daemon, mosquitto, tmp_path):
    """Return a function that starts a daemon with cameras that play a person who stays, and how to reload it."""
    manager = ServiceManager(tmp_path)

    def start(*cameras, url=mosquitto.url, **more):
        video = studio.video([[BOX]] * 50)
        settings = studio.settings(url, video, realtime=True, loop=True, **more)
        settings["cameras"] = {name: copy.deepcopy(settings["cameras"]["cam"]) for name in cameras}
        settings["stats"] = {"interval_s": 1}
        daemon = run_daemon(settings, NOTIFY_SOCKET=manager.path)

        def reload(change):
            """Change the configuration, reload, and return the status text with the result."""
            change(settings)
            daemon.file.write_text(yaml.safe_dump(settings))
            return manager.reload(daemon)

        daemon.reload = reload
        daemon.wait_for_broker_problem = lambda: manager.wait_for_status("broker: ")
        return daemon

    yield start
    manager.close()


def numbers(subscriber, camera, key):
    return [detection[key] for detection in subscriber.detections(camera)]


def online(subscriber, *cameras):
    return all(subscriber.last(f"edgepub/test/{camera}/status") == b"online" for camera in cameras)


def test_only_the_camera_that_changed_restarts_and_it_is_the_same_camera(node, mosquitto, subscribe):
    client = subscribe(mosquitto.port)
    daemon = node("north", "south", tracking=True, occupancy_on_frames=1)
    client.wait_for(lambda s: online(s, "north", "south") and len(s.detections("south")) > 5, "both cameras")
    result = daemon.reload(lambda settings: settings["cameras"]["south"].update(min_score=0.6))
    assert "south" in result
    assert "north" not in result
    many = len(client.detections("south"))
    client.wait_for(lambda s: online(s, "south") and len(s.detections("south")) > many + 20, "south after it")
    frames = numbers(client, "south", "frame")
    assert frames != sorted(frames), "south restarted"
    statuses = [status for status, _ in itertools.groupby(client.payloads("edgepub/test/south/status"))]
    # If south is back within milliseconds, `offline` is not sent: of a state, only the newest value is.
    # Nor is the first one if the first frame comes before it is on the disk.
    assert b",".join([b"offline", b"online", b"offline", b"online"]).endswith(b",".join(statuses))
    assert statuses[-1] == b"online"
    assert client.payloads("edgepub/test/south/min_score")[-1] == b"0.6"
    seqs = numbers(client, "south", "seq")
    assert seqs == list(range(1, len(seqs) + 1)), "the numbers of its messages continue"
    tracks = [d["detections"][0].get("track_id") for d in client.detections("south") if d["detections"]]
    assert list(dict.fromkeys(filter(None, tracks))) == [1, 2], "no track id comes twice"

    def events():
        return [json.loads(payload)["event_type"] for payload in client.payloads("edgepub/test/south/events")]

    client.wait_for(lambda _: events() == ["appeared", "left", "appeared"], "its events")
    assert client.payloads("edgepub/test/north/status")[-1] == b"online"
    assert b"offline" not in client.payloads("edgepub/test/north/status")[1:]
    frames = numbers(client, "north", "frame")
    assert frames == sorted(frames), "north was not affected"
    assert client.payloads("edgepub/test/status") == [b"online"], "nor was the session"
    boots = {detection["boot_id"] for detection in client.detections("north") + client.detections("south")}
    assert len(boots) == 1
    newest = max(numbers(client, "south", "frame"))
    client.wait_for(
        lambda s: s.stats()[-1]["cameras"]["south"]["captured"] > newest, "the count of its frames continues"
    )
    assert client.stats()[-1]["broker"]["reconnects"] == 0


def test_a_camera_is_added_and_another_removed_with_all_its_topics(node, mosquitto, subscribe):
    client = subscribe(mosquitto.port)
    daemon = node("north", "south", labels=["person"], snapshot={"enabled": True, "min_interval_s": 0}, tracking=True)
    client.wait_for(lambda s: online(s, "north", "south") and s.payloads("edgepub/test/south/snapshot"), "both")

    def change(settings):
        settings["home_assistant"] = {"enabled": True}
        settings["cameras"]["west"] = settings["cameras"].pop("south")

    result = daemon.reload(change)
    assert "west" in result
    assert "south" in result
    client.wait_for(lambda s: online(s, "west"), "the new one")
    wait_until(lambda: not ghosts(mosquitto, subscribe, "/south/"), "the end of the other one")
    kept = subscribe(mosquitto.port).retained()
    assert kept["edgepub/test/north/status"] == b"online"
    assert json.loads(kept["edgepub/test/info"])["cameras"].keys() == {"north", "west"}
    devices = {topic for topic in kept if topic.startswith("homeassistant/")}
    assert {topic.split("/")[2] for topic in devices} == {
        "edgepub_test",
        "edgepub_test_CAMERA_north",
        "edgepub_test_CAMERA_west",
    }
    daemon.reload(lambda settings: settings.update(home_assistant={"enabled": False}))
    wait_until(lambda: not ghosts(mosquitto, subscribe, "homeassistant/"), "the end of the discovery messages")
    daemon.reload(lambda settings: settings["cameras"]["north"].update(snapshot={"enabled": False}))
    switch = "edgepub/test/north/snapshot_enabled"
    wait_until(lambda: ghosts(mosquitto, subscribe, "/north/snapshot") == [switch], "the end of the picture")
    assert daemon.terminate() == 0
    assert not ghosts(mosquitto, subscribe, "/south/", "homeassistant/")


def ghosts(broker, subscribe, *parts):
    """Return what is retained at topics with one of these parts."""
    client = subscribe(broker.port)
    found = [topic for topic in client.retained() if any(part in topic for part in parts)]
    client.close()
    return found


def test_a_camera_removed_while_the_broker_is_away_leaves_nothing(node, subscribe, tmp_path):
    keeps = ("persistence true", f"persistence_location {tmp_path}/")
    broker = Mosquitto(tmp_path, "listener {port} 127.0.0.1", "allow_anonymous true", *keeps).start()
    try:
        daemon = node("north", "south", url=broker.url)
        subscribe(broker.port).wait_for(lambda s: online(s, "north", "south"), "both cameras")
        broker.process.terminate()  # so that it writes down what it has
        broker.process.wait()
        daemon.wait_for_broker_problem()
        daemon.reload(lambda settings: settings["cameras"].pop("south"))
        broker.start()
        assert "edgepub/test/south/status" in subscribe(broker.port).retained(), "which it still has"
        wait_until(lambda: not ghosts(broker, subscribe, "/south/"), "the end of it")
        subscribe(broker.port).wait_for(lambda s: online(s, "north"), "the other one")
    finally:
        broker.stop()


def test_home_assistant_removes_a_picture_before_it_is_cleared(node, mosquitto, subscribe):
    """An image whose topic is cleared while it is there is an error in its log."""
    client = subscribe(mosquitto.port)
    daemon = node("north", "south", snapshot={"enabled": True, "min_interval_s": 0}, tracking=True)
    pictures = [f"edgepub/test/{camera}/snapshot" for camera in ("north", "south")]
    client.wait_for(lambda s: all(map(s.payloads, pictures)), "a picture of each")
    daemon.reload(lambda settings: settings.update(home_assistant={"enabled": True}))
    entities = [f"homeassistant/device/edgepub_test_CAMERA_{camera}/config" for camera in ("north", "south")]
    client.wait_for(lambda s: all(map(s.payloads, entities)), "the devices")

    def change(settings):
        for camera in settings["cameras"].values():
            camera["snapshot"] = {"enabled": False}

    daemon.reload(change)
    client.wait_for(lambda s: all(s.last(topic) == b"" for topic in pictures), "the end of both")
    topics = [topic for topic, _, _ in client.messages]
    for entity, picture in zip(entities, pictures, strict=True):
        assert b'"platform":"image"}' in client.last(entity), "it is removed"
        last = {topic: len(topics) - topics[::-1].index(topic) for topic in (entity, picture)}
        assert last[entity] < last[picture]


def test_the_broker_changes_and_no_camera_is_affected(node, mosquitto, subscribe, tmp_path):
    (tmp_path / "other").mkdir()
    other = Mosquitto(tmp_path / "other").start()
    try:
        first, second = subscribe(mosquitto.port), subscribe(other.port)
        daemon = node("north")
        first.wait_for(lambda s: len(s.detections("north")) > 5, "the camera")
        assert "north" not in daemon.reload(lambda settings: settings["mqtt"].update(url=other.url))
        second.wait_for(lambda s: online(s, "north") and len(s.detections("north")) > 5, "the camera at the other one")
        first.wait_for(lambda s: s.last("edgepub/test/status") == b"offline", "the goodbye")
        frames = numbers(first, "north", "frame") + numbers(second, "north", "frame")
        assert frames == sorted(frames)
        seqs = numbers(first, "north", "seq") + numbers(second, "north", "seq")
        assert seqs == list(range(1, len(seqs) + 1)), "nothing is lost in between"
        second.wait_for(lambda s: s.stats() and s.stats()[-1]["broker"]["reconnects"] == 1, "the figures")
    finally:
        other.stop()


def test_a_wrong_configuration_is_refused_and_the_old_one_stays_in_force(node, mosquitto, subscribe):
    client = subscribe(mosquitto.port)
    daemon = node("north")
    client.wait_for(lambda s: online(s, "north"), "the camera")

    def spoil(settings):
        settings["outbox"] = {"durable": {"path": "x" * 300}}  # no directory can have such a name
        settings["cameras"]["north"]["max_fsp"] = 3
        settings["mqtt"]["keepalive_s"] = "often"

    assert "edgepub.yaml: " in daemon.reload(spoil)
    assert "cameras.north.max_fsp: unknown key; did you mean 'max_fps'?" in daemon.log
    assert "mqtt.keepalive_s: " in daemon.log
    assert "outbox.durable.path: cannot be used: File name too long" in daemon.log
    many = len(client.detections("north"))
    client.wait_for(lambda s: len(s.detections("north")) > many + 5, "more from the camera")

    def mend(settings):
        settings["cameras"]["north"]["max_fps"] = settings["cameras"]["north"].pop("max_fsp")
        settings["mqtt"]["keepalive_s"] = 15
        del settings["outbox"]

    daemon.reload(mend)
    client.wait_for(lambda s: s.last("edgepub/test/north/max_fps") == b"3" and online(s, "north"), "what is right")
    assert "north" not in daemon.reload(lambda _: None)
    assert client.payloads("edgepub/test/status") == [b"online"]


def test_a_new_node_name_starts_another_run(node, mosquitto, subscribe):
    client = subscribe(mosquitto.port)
    daemon = node("north")
    client.wait_for(lambda s: online(s, "north"), "the camera")
    daemon.reload(lambda settings: settings.update(node="other"))
    client.wait_for(lambda s: s.last("edgepub/other/north/status") == b"online", "the other name")
    wait_until(lambda: not ghosts(mosquitto, subscribe, "edgepub/test/"), "the end of the old name")
    daemon.reload(lambda settings: settings["cameras"]["north"].update(max_fps=5))
    client.wait_for(lambda s: s.last("edgepub/other/north/max_fps") == b"5", "a reload after that")
    assert daemon.terminate() == 0


def test_values_set_by_commands_stay_in_force(node, mosquitto, subscribe):
    client = subscribe(mosquitto.port)
    daemon = node("north")
    client.wait_for(lambda s: online(s, "north"), "the camera")
    client.publish("edgepub/test/north/enabled/set", b"OFF")
    client.wait_for(lambda s: s.last("edgepub/test/north/status") == b"disabled", "what was set")
    daemon.reload(lambda settings: settings["cameras"]["north"].update(max_fps=5))
    client.wait_for(lambda s: s.last("edgepub/test/north/max_fps") == b"5", "the new configuration")
    client.publish("edgepub/test/north/enabled/set", b"ON")
    client.wait_for(lambda s: online(s, "north"), "the restarted camera handles commands")
    assert client.payloads("edgepub/test/north/status").count(b"online") == 2


def test_closing_the_terminal_stops_it(studio, mosquitto, subscribe, tmp_path):
    client = subscribe(mosquitto.port)
    path = tmp_path / "edgepub.yaml"
    path.write_text(
        yaml.safe_dump(studio.settings(mosquitto.url, studio.video([[BOX]] * 50), realtime=True, loop=True))
    )
    controller, terminal = pty.openpty()
    command = ["sh", "-c", 'exec "$@" <"$0" >"$0" 2>&1', os.ttyname(terminal)]  # which makes it this session's terminal
    command += [sys.executable, "-m", "edgepub", "run", "-c", str(path)]
    process = subprocess.Popen(command, start_new_session=True)
    try:
        client.wait_for(lambda s: online(s, "cam"), "the camera")
        os.close(terminal)
        os.close(controller)
        client.wait_for(lambda s: s.last("edgepub/test/status") == b"offline", "the goodbye")
        assert process.wait(30) == 0
    finally:
        process.kill()
        process.wait()


LEFT = {"polygon": [[0, 0], [0.5, 0], [0.5, 1], [0, 1]]}
RIGHT = {"polygon": [[0.5, 0], [1, 0], [1, 1], [0.5, 1]]}
FLOOR = {"polygon": [[0, 0.5], [1, 0.5], [1, 1], [0, 1]]}
WHERE = "edgepub/test/north/zones"


def zones_of(subscriber, camera="north"):
    """Return the zones of each object in the camera's payloads, one after another, without repeats."""
    seen = [detection.get("zones") for payload in subscriber.detections(camera) for detection in payload["detections"]]
    return [zones for zones, _ in itertools.groupby(seen)]


def happened(subscriber, camera="north"):
    events = [json.loads(payload) for payload in subscriber.payloads(f"edgepub/test/{camera}/events")]
    return [
        " ".join(filter(None, [event["event_type"], str(event["track_id"]), event.get("zone")])) for event in events
    ]


def draw(**zones):
    return lambda settings: settings["cameras"]["north"].update(zones=zones)


def test_a_camera_keeps_running_while_its_zones_change(node, mosquitto, subscribe):
    client = subscribe(mosquitto.port)
    options = {"labels": ["person"], "zones": {"left": LEFT}, "tracking": True, "occupancy_on_frames": 1}
    daemon = node("north", **options)
    client.wait_for(lambda s: online(s, "north"), "the camera")
    daemon.reload(lambda settings: settings.update(home_assistant={"enabled": True}))
    client.wait_for(lambda s: s.last(f"{WHERE}/left/objects/person") == b"1", "who is in the first zone")
    entities = "homeassistant/device/edgepub_test_CAMERA_north/config"

    assert "north" in daemon.reload(draw(floor=FLOOR, right=RIGHT, left=LEFT))
    client.wait_for(lambda s: s.last(f"{WHERE}/floor/objects/person/occupancy") == b"ON", "who is in the new one")
    client.wait_for(lambda s: ["floor", "left"] in zones_of(s), "the payload says so, in the configuration's order")
    assert client.payloads(f"{WHERE}/floor/objects/person")[-1] == b"1"
    assert client.payloads(f"{WHERE}/right/objects/person") == [b"0"]
    assert client.payloads(f"{WHERE}/right/objects/person/occupancy") == [b"OFF"]
    before = [number for number, _ in itertools.groupby(client.payloads(f"{WHERE}/left/objects/person"))]
    assert before in ([b"0", b"1"], [b"1"]), "the unchanged zone was not affected"
    client.wait_for(
        lambda s: b"zones/right/objects/person/occupancy" in (s.last(entities) or b""), "the discovery message"
    )

    daemon.reload(draw(floor=FLOOR, right={**RIGHT, "labels": ["person"]}))
    wait_until(lambda: not ghosts(mosquitto, subscribe, "/zones/left/"), "the end of the first zone")
    client.wait_for(lambda s: "zone_left 1 left" in happened(s), "who was in it has left it")
    client.wait_for(lambda s: zones_of(s)[-1] == ["floor"], "the payload says so")
    device = json.loads(client.last(entities))["components"]
    assert device["zones/left/objects/person"] == {"platform": "sensor"}, "it is removed"
    assert "state_topic" in device["zones/floor/objects/person"]

    many = len(client.detections("north"))
    client.wait_for(lambda s: len(s.detections("north")) > many + 20, "more of it")
    assert happened(client) == ["appeared 1", "zone_entered 1 left", "zone_entered 1 floor", "zone_left 1 left"]
    assert zones_of(client) == [["left"], ["floor", "left"], ["floor"]]
    tracks = [
        detection.get("track_id") for payload in client.detections("north") for detection in payload["detections"]
    ]
    assert [track for track, _ in itertools.groupby(tracks)] == [None, 1]
    frames, seqs = numbers(client, "north", "frame"), numbers(client, "north", "seq")
    assert frames == sorted(set(frames)), "its source stayed open"
    assert seqs == list(range(1, len(seqs) + 1))
    statuses = [status for status, _ in itertools.groupby(client.payloads("edgepub/test/north/status"))]
    assert statuses in ([b"offline", b"online"], [b"online"])
    assert {b"1"} <= set(client.payloads("edgepub/test/north/objects/person")) <= {b"0", b"1"}
    assert client.stats()[-1]["cameras"]["north"]["reconnects"] == 0
    assert daemon.terminate() == 0
    assert not ghosts(mosquitto, subscribe, "/zones/left/")


def test_a_changed_zone_starts_empty_and_lines_change_too(node, mosquitto, subscribe):
    client = subscribe(mosquitto.port)
    daemon = node("north", zones={"yard": LEFT}, tracking=True, occupancy_on_frames=1)
    topic = f"{WHERE}/yard/objects/person"
    client.wait_for(lambda s: s.last(topic) == b"1", "who is in it")
    daemon.reload(draw(yard=RIGHT))
    client.wait_for(lambda s: s.last(topic) == b"0", "an empty zone")
    daemon.reload(draw(yard=FLOOR))
    client.wait_for(lambda s: s.last(topic) == b"1", "who is in it")
    expected = ["appeared 1", "zone_entered 1 yard", "zone_left 1 yard", "zone_entered 1 yard"]
    client.wait_for(lambda s: happened(s) == expected, "all that has happened")
    daemon.reload(draw(yard={**FLOOR, "labels": ["car"]}))
    wait_until(lambda: not ghosts(mosquitto, subscribe, "/yard/objects/person"), "the end of a label")
    client.wait_for(lambda s: s.last(f"{WHERE}/yard/objects/car") == b"0", "the label that counts now")
    line = {"from": [0, 0], "to": [1, 1]}
    daemon.reload(lambda settings: settings["cameras"]["north"].update(zones={}, lines={"gate": line}))
    wait_until(lambda: not ghosts(mosquitto, subscribe, "/zones/"), "the end of the zone")
    client.wait_for(lambda s: zones_of(s)[-1] is None, "who is in no zone")
    assert client.payloads("edgepub/test/north/status").count(b"online") == 1


def test_no_count_of_a_removed_zone_comes_back(studio, run_daemon, mosquitto, subscribe):
    """The counts change with every frame, at the model's speed, while a zone comes and goes."""
    video = studio.video([[BOX], []] * 50)
    options = {"loop": True, "occupancy_on_frames": 1, "occupancy_off_s": 0}
    settings = studio.settings(mosquitto.url, video, **options)
    settings["cameras"]["other"] = settings["cameras"]["cam"].copy()
    client = subscribe(mosquitto.port)
    daemon = run_daemon(settings)
    client.wait_for(lambda s: s.last("edgepub/test/cam/objects/person"), "the camera")
    topic = "edgepub/test/cam/zones/left/objects/person"
    for turn in range(8):
        for camera in settings["cameras"].values():
            camera["zones"] = {} if turn % 2 else {"left": LEFT}
        daemon.file.write_text(yaml.safe_dump(settings))
        before = len(client.payloads(topic))
        daemon.process.send_signal(signal.SIGHUP)
        if turn % 2:
            client.wait_for(lambda s: s.last(topic) == b"", "the end of the zone")
        else:
            client.wait_for(lambda s, before=before: len(s.payloads(topic)) > before + 10, "its counts")
    counted = len(client.payloads("edgepub/test/cam/objects/person"))
    client.wait_for(lambda s: len(s.payloads("edgepub/test/cam/objects/person")) > counted + 50, "more counts")
    assert client.last(topic) == b""
    assert not ghosts(mosquitto, subscribe, "/zones/")


def test_a_zone_removed_while_the_broker_is_away_leaves_nothing(node, subscribe, tmp_path):
    keeps = ("persistence true", f"persistence_location {tmp_path}/")
    broker = Mosquitto(tmp_path, "listener {port} 127.0.0.1", "allow_anonymous true", *keeps).start()
    try:
        daemon = node("north", url=broker.url, zones={"left": LEFT}, tracking=True)
        subscribe(broker.port).wait_for(lambda s: s.last(f"{WHERE}/left/objects/person") == b"1", "who is in it")
        broker.process.terminate()  # so that it writes down what it has
        broker.process.wait()
        daemon.wait_for_broker_problem()
        daemon.reload(draw(floor=FLOOR))
        broker.start()
        assert f"{WHERE}/left/objects/person" in subscribe(broker.port).retained(), "which it still has"
        wait_until(lambda: not ghosts(broker, subscribe, "/zones/left/"), "the end of it")
        subscribe(broker.port).wait_for(lambda s: s.last(f"{WHERE}/floor/objects/person") == b"1", "the other one")
    finally:
        broker.stop()


def test_zones_change_while_a_camera_is_disabled(node, mosquitto, subscribe):
    client = subscribe(mosquitto.port)
    daemon = node("north", labels=["person"], zones={"left": LEFT}, tracking=True, occupancy_on_frames=1)
    client.wait_for(lambda s: s.last(f"{WHERE}/left/objects/person") == b"1", "who is in it")
    client.publish("edgepub/test/north/enabled/set", b"OFF")
    client.wait_for(lambda s: s.last("edgepub/test/north/status") == b"disabled", "what was set")
    daemon.reload(draw(floor=FLOOR))
    client.wait_for(lambda s: s.last(f"{WHERE}/floor/objects/person/occupancy") == b"OFF", "an empty zone at first")
    client.wait_for(lambda s: s.last(f"{WHERE}/left/objects/person/occupancy") == b"", "the end of the other one")
    daemon.reload(draw(floor=FLOOR, left=RIGHT))
    client.wait_for(lambda s: s.last(f"{WHERE}/left/objects/person/occupancy") == b"OFF", "its name is another's now")
    client.publish("edgepub/test/north/enabled/set", b"ON")
    client.wait_for(lambda s: s.last(f"{WHERE}/floor/objects/person/occupancy") == b"ON", "who is in the new one")
    expected = ["appeared 1", "zone_entered 1 left", "zone_left 1 left", "left 1", "appeared 2", "zone_entered 2 floor"]
    client.wait_for(lambda s: happened(s) == expected, "all that has happened")


def test_a_held_result_has_the_zones_of_its_frame(studio, run_daemon, mosquitto, subscribe):
    """A change waits for the next allowed moment; each payload is right for its frame, and they stay in order."""
    there = [{**BOX, "bbox": [8 + 10 * (n % 3), 16, 24 + 10 * (n % 3), 48]} for n in range(48)]
    publish = {"mode": "changes", "max_rate_hz": 2}
    video = studio.video([[detection] for detection in there])
    settings = studio.settings(mosquitto.url, video, realtime=True, loop=True, publish=publish)
    settings["cameras"]["cam"]["zones"] = {"all": {"polygon": [[0, 0], [1, 0], [1, 1], [0, 1]]}}
    client = subscribe(mosquitto.port)
    daemon = run_daemon(settings)
    for zone in ("floor", "left", "all"):
        many = len(client.detections())
        client.wait_for(lambda s, many=many: len(s.detections()) > many + 2, "some payloads")
        polygon = settings["cameras"]["cam"]["zones"].popitem()[1]
        settings["cameras"]["cam"]["zones"][zone] = polygon
        daemon.file.write_text(yaml.safe_dump(settings))
        daemon.process.send_signal(signal.SIGHUP)
        client.wait_for(lambda s, zone=zone: zones_of(s, "cam")[-1] == [zone], "the new zone")
    assert zones_of(client, "cam") == [["all"], ["floor"], ["left"], ["all"]], "never back"
    payloads = client.detections()
    assert [detection["seq"] for detection in payloads] == list(range(1, len(payloads) + 1))
    frames = [detection["frame"] for detection in payloads]
    assert frames == sorted(set(frames))
