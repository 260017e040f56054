"""A real Home Assistant shows what the real daemon sees, and controls it."""

import json
import re
import textwrap
import time
from pathlib import Path

import pytest

from edgepub.config.settings import Settings
from edgepub.home_assistant.discovery import build
from edgepub.mqtt.label_levels import topic_level
from edgepub.mqtt.retained import MAX_LABELS
from tests.support import scenes
from tests.support.brokers import Mosquitto
from tests.support.ha_lab import schema_errors
from tests.support.studio import BOX
from tests.support.waiting import wait_until

pytestmark = [pytest.mark.mosquitto, pytest.mark.home_assistant]
PAGE = (Path(__file__).parents[2] / "docs/home-assistant.md").read_text()
LEFT, RIGHT = {"bbox": [4, 8, 20, 60]}, {"bbox": [44, 8, 60, 60]}
DRIVEWAY = {"polygon": [[0, 0], [0.5, 0], [0.5, 1], [0, 1]]}
RIGHT_AGAIN_S = 30  # after a restart of Home Assistant or of the broker

# entity: state, device class, unit, state class, category, and what its unique id ends with
DETECTED = ("on", "occupancy", None, None, None)
COUNT = ("1", None, None, "measurement", None)
APPEARS = {
    "binary_sensor.porch_face": (*DETECTED, "porch/objects/face/occupancy"),
    "binary_sensor.porch_window_face": (*DETECTED, "porch/zones/window/objects/face/occupancy"),
    "binary_sensor.porch_connectivity": ("on", "connectivity", None, None, "diagnostic", "porch/status"),
    "sensor.porch_face_count": (*COUNT, "porch/objects/face"),
    "event.porch_events": (any, None, None, None, None, "porch/events"),
    "image.porch_snapshot": (any, None, None, None, None, "porch/snapshot"),
    "image.porch_face": (any, None, None, None, None, "porch/objects/face/snapshot"),
    "switch.porch_enabled": ("on", None, None, None, "config", "porch/enabled"),
    "switch.porch_pictures": ("on", None, None, None, "config", "porch/snapshot_enabled"),
    "number.porch_minimum_score": ("0.5", None, None, None, "config", "porch/min_score"),
    "number.porch_frame_rate_limit": ("0", None, "fps", None, "config", "porch/max_fps"),
    "sensor.porch_dropped_messages": ("0", None, None, "total_increasing", "diagnostic", "porch/stats/dropped"),
    "sensor.edgepub_garage_processor_use": (any, None, "%", "measurement", "diagnostic", "stats/cpu_percent"),
    "sensor.edgepub_garage_memory_use": (any, "data_size", "MiB", "measurement", "diagnostic", "stats/rss_bytes"),
    "sensor.edgepub_garage_uptime": (any, "timestamp", None, None, "diagnostic", "stats/started"),
    "sensor.edgepub_garage_waiting_messages": (any, None, None, "measurement", "diagnostic", "stats/outbox"),
    "sensor.edgepub_garage_broker_reconnects": ("0", None, None, "total_increasing", "diagnostic", "stats/reconnects"),
}
DISABLED = {
    "sensor.porch_window_face_count": "porch/zones/window/objects/face",
    "binary_sensor.porch_face_active": "porch/objects/face/active",
    "binary_sensor.porch_window_face_active": "porch/zones/window/objects/face/active",
    "binary_sensor.porch_objects": "porch/objects/all/occupancy",
    "binary_sensor.porch_objects_active": "porch/objects/all/active",
    "sensor.porch_objects_count": "porch/objects/all",
    "binary_sensor.porch_window_objects": "porch/zones/window/objects/all/occupancy",
    "binary_sensor.porch_window_objects_active": "porch/zones/window/objects/all/active",
    "sensor.porch_window_objects_count": "porch/zones/window/objects/all",
    "sensor.porch_inference_latency_p95": "porch/stats/inference_p95",
    "sensor.porch_inference_rate": "porch/stats/fps_inferred",
}
ABSENT = {None, "unknown", "unavailable"}


def wait_for_states(home, expected):
    """Wait until the states are as expected; return all states of that moment."""

    def right():
        states = home.states()
        now = {entity: states.get(entity, {}).get("state") for entity in expected}
        fine = all(state not in ABSENT and expected[entity] in {any, state} for entity, state in now.items())
        return states if fine else None

    return wait_until(right, f"{expected}")


def porch(studio, url, results, **camera):
    """Return a configuration with one camera that sees a script in a loop, in real time."""
    settings = studio.settings(url, studio.video(results), realtime=True, loop=True, tracking=True)
    settings["node"] = "garage"
    settings["home_assistant"] = {"enabled": True}
    settings["mqtt"] = {"url": url, "keepalive_s": 5}
    settings["stats"] = {"interval_s": 2}
    settings["cameras"] = {"porch": {**settings["cameras"]["cam"], "snapshot": {"enabled": True}, **camera}}
    return settings


def ours(home):
    """Return the states of all entities that edgepub announced and that are not disabled."""
    registered = home.entities()
    states = home.states()
    return {
        entity: states.get(entity, {}).get("state")
        for entity, entry in registered.items()
        if entry["unique_id"].startswith("edgepub/") and not entry["disabled_by"]
    }


@pytest.fixture
def film(mosquitto, demo_assets, home, run_daemon, subscribe):
    """A Home Assistant, a daemon with a real model on a real video, and a subscriber, when all of them are running."""
    ha = home(mosquitto.port)
    blazeface = {"model_name": "blazeface", "zoo_url": str(demo_assets.zoo), "inference_host_address": "@local"}
    camera = {
        "source": str(demo_assets.video),
        "model": "blazeface",
        "loop": True,
        "realtime": True,
        "zones": {"window": {"polygon": [[0, 0], [0.7, 0], [0.7, 1], [0, 1]]}},
        "snapshot": {"min_interval_s": 1},
    }
    settings = {"node": "garage", "mqtt": {"url": mosquitto.url}, "models": {"blazeface": blazeface}}
    daemon = run_daemon({**settings, "cameras": {"porch": camera}, "stats": {"interval_s": 2}})
    watch = subscribe(mosquitto.port)
    return ha, daemon, watch, wait_for_states(ha, {entity: row[0] for entity, row in APPEARS.items()})


def test_a_real_video_becomes_devices_with_their_entities(film, subscribe, cli):
    ha, daemon, watch, states = film
    registered = ha.entities()
    seen = {
        entity: (
            APPEARS[entity][0] if APPEARS[entity][0] is any else states[entity]["state"],
            *(states[entity]["attributes"].get(key) for key in ("device_class", "unit_of_measurement", "state_class")),
            registered[entity]["entity_category"],
            registered[entity]["unique_id"].removeprefix("edgepub/garage/"),
        )
        for entity in APPEARS
    }
    assert seen == APPEARS
    assert registered.keys() - APPEARS.keys() == DISABLED.keys()
    assert {registered[entity]["disabled_by"] for entity in DISABLED} == {"integration"}
    assert states["binary_sensor.porch_window_face"]["attributes"]["friendly_name"] == "Porch Window face"

    devices = ha.devices()
    assert devices.keys() == {"edgepub garage", "Porch"}
    assert devices["Porch"]["via_device_id"] == devices["edgepub garage"]["id"]
    assert re.fullmatch(r"\d+\.\d+\.\d+ \(PySDK \d.*\)", devices["edgepub garage"]["sw_version"])

    event = states["event.porch_events"]["attributes"]
    assert event["event_type"] in {"appeared", "left", "zone_entered", "zone_left"}
    assert (event["label"], event["camera"], len(event["bbox"])) == ("face", "porch", 4)
    wait_until(lambda: ha.image("image.porch_snapshot") == watch.last("edgepub/garage/porch/snapshot"), "the picture")
    assert ha.image("image.porch_snapshot").startswith(b"\xff\xd8\xff")

    retained = subscribe(watch.port).retained()
    announced = {
        topic: json.loads(payload) for topic, payload in retained.items() if topic.startswith("homeassistant/")
    }
    assert announced == json.loads(cli("discovery", "-c", daemon.file).stdout)
    assert schema_errors(announced) == ""
    assert daemon.terminate() == 0
    wait_until(lambda: set(ours(ha).values()) == {"unavailable"}, "a node that is offline")
    assert ha.problems() == []


def test_the_switch_and_the_numbers_control_the_daemon(film):
    ha, _, watch, _ = film
    score, rate, switch = "number.porch_minimum_score", "number.porch_frame_rate_limit", "switch.porch_enabled"
    topic = "edgepub/garage/porch/"

    assert ha.call("number", "set_value", entity_id=score, value=1) is None  # no score is that high
    wait_for_states(ha, {score: "1", "binary_sensor.porch_face": "off", "sensor.porch_face_count": "0"})
    watch.wait_for(lambda w: w.last(topic + "min_score") == b"1", "the new value")
    assert "outside valid range" in ha.call("number", "set_value", entity_id=score, value=1.5)
    ha.call("number", "set_value", entity_id=score, value=0.5)
    wait_for_states(ha, {score: "0.5", "binary_sensor.porch_face": "on", "sensor.porch_face_count": "1"})

    ha.call("number", "set_value", entity_id=rate, value=5)
    wait_for_states(ha, {rate: "5"})
    inferred = lambda w: w.stats("garage")[-1]["cameras"]["porch"]["fps_inferred"]  # noqa: E731
    watch.wait_for(lambda w: w.stats("garage") and inferred(w) < 8, "five frames a second")
    count = len(watch.payloads(topic + "max_fps"))
    ha.call("number", "set_value", entity_id=rate, value=0.0005)  # which the daemon refuses
    watch.wait_for(lambda w: len(w.payloads(topic + "max_fps")) > count, "the old value again")
    wait_for_states(ha, {rate: "5"})
    ha.call("number", "set_value", entity_id=rate, value=0)
    wait_for_states(ha, {rate: "0"})
    watch.wait_for(lambda w: w.last(topic + "max_fps") == b"None", "no limit")

    ha.call("switch", "turn_off", entity_id=switch)
    wait_until(lambda: ha.state("binary_sensor.porch_face") == "unavailable", "a disabled camera")
    watch.wait_for(lambda w: w.last(topic + "status") == b"disabled", "a disabled camera")
    wait_for_states(ha, {switch: "off"})
    # Each `left` comes when the camera is already disabled.
    wait_until(lambda: ha.attributes("event.porch_events").get("event_type") == "left", "that it has left")
    assert ha.state("binary_sensor.porch_connectivity") == "unknown"  # it is no alarm
    ha.call("switch", "turn_on", entity_id=switch)
    wait_for_states(ha, {switch: "on", "binary_sensor.porch_face": "on", "binary_sensor.porch_connectivity": "on"})
    assert ha.problems() == []


def test_new_entities_appear_and_obsolete_ones_are_removed(mosquitto, studio, home, run_daemon, cli):
    boxes = [{**BOX, **LEFT}, {**BOX, **RIGHT, "label": "dog"}]
    settings = porch(studio, mosquitto.url, [boxes] * 25, zones={"driveway": DRIVEWAY}, labels=["person", "car"])
    settings["home_assistant"] = {"discovery_prefix": "ha"}
    settings["cameras"]["yard"] = {**settings["cameras"]["porch"], "labels": None, "zones": {}}
    daemon = run_daemon(settings)
    daemon.wait_for_log("yard: online")
    ha = home(mosquitto.port, prefix="ha")
    daemon.wait_for_log("Home Assistant has started")
    wait_for_states(
        ha,
        {
            "binary_sensor.porch_person": "on",
            "binary_sensor.porch_driveway_person": "on",
            "sensor.porch_person_count": "1",
            "binary_sensor.porch_car": "off",
            "binary_sensor.yard_dog": "on",  # no configuration names it
            "sensor.yard_person_count": "1",
            "image.porch_snapshot": any,
        },
    )
    assert daemon.terminate() == 0

    smaller = porch(studio, mosquitto.url, [boxes] * 25, labels=["person"])
    smaller["home_assistant"] = settings["home_assistant"]
    smaller["cameras"]["porch"] |= {"tracking": False, "snapshot": {"enabled": False}}
    daemon = run_daemon(smaller)
    stay = {"binary_sensor.porch_person": "on", "sensor.porch_person_count": "1", "switch.porch_enabled": "on"}
    gone = ["binary_sensor.porch_driveway_person", "binary_sensor.porch_car"]
    gone += ["sensor.porch_car_count", "image.porch_snapshot", "event.porch_events", "switch.yard_enabled"]
    wait_for_states(ha, stay)
    wait_until(lambda: not ours(ha).keys() & set(gone), "their removal")
    assert ha.devices().keys() == {"edgepub garage", "Porch"}
    assert daemon.terminate() == 0

    renamed = {**smaller, "node": "shed"}
    daemon = run_daemon(renamed)
    wait_for_states(ha, stay)  # with the same names: automations still work
    wait_until(lambda: all("/shed/" in entry["unique_id"] for entry in ha.entities().values()), "no ghost")
    assert ha.devices().keys() == {"edgepub shed", "Porch"}
    assert daemon.terminate() == 0

    assert cli("discovery", "--purge", "-c", daemon.file).returncode == 0
    wait_until(lambda: not ha.entities() and not ha.devices(), "the removal of everything")
    assert ha.problems() == []


def test_active_and_loitering_objects_have_entities_while_they_are_configured(mosquitto, studio, home, run_daemon):
    driveway = {**DRIVEWAY, "loitering_s": 1}
    camera = {"labels": ["person", "car"], "zones": {"driveway": driveway}, "stationary_s": 3600}
    settings = porch(studio, mosquitto.url, [[{**BOX, **LEFT}]] * 25 * 30, **camera)
    ha = home(mosquitto.port)
    daemon = run_daemon(settings)
    wait_for_states(
        ha, {"binary_sensor.porch_driveway_person_loitering": "on", "binary_sensor.porch_driveway_car_loitering": "off"}
    )
    optional = {
        "binary_sensor.porch_person_active": "on",
        "binary_sensor.porch_car_active": "off",
        "binary_sensor.porch_driveway_person_active": "on",
        "sensor.porch_driveway_person_count": "1",
        "binary_sensor.porch_objects": "on",
        "binary_sensor.porch_objects_active": "on",
        "sensor.porch_objects_count": "1",
        "binary_sensor.porch_driveway_objects": "on",
        "binary_sensor.porch_driveway_objects_loitering": "on",
    }
    registered = ha.entities()
    assert {registered[entity]["disabled_by"] for entity in optional} == {"integration"}
    update = {"type": "config/entity_registry/update", "disabled_by": None}
    ha.ask(*({**update, "entity_id": entity} for entity in optional))
    wait_for_states(ha, optional)
    assert daemon.terminate() == 0

    settings["cameras"]["porch"] |= {"zones": {"driveway": DRIVEWAY}, "stationary_s": None}
    daemon = run_daemon(settings)
    wait_for_states(ha, {"sensor.porch_driveway_person_count": "1", "binary_sensor.porch_driveway_objects": "on"})
    wait_until(lambda: not re.findall("_(?:active|loitering)\\b", " ".join(ha.entities())), "their removal")
    assert daemon.terminate() == 0
    assert ha.problems() == []


def test_labels_beyond_a_to_z_have_entities_and_obsolete_labels_are_removed(
    mosquitto, studio, home, run_daemon, subscribe, tmp_path
):
    """The node was upgraded: version 0.1.0 had one topic for all such labels, and kept those of all texts."""
    base, config = "edgepub/garage/porch", "homeassistant/device/edgepub_garage_CAMERA_porch/config"
    old = ["_", *(f"text_{number}" for number in range(MAX_LABELS + 5))]
    entities = {
        f"objects/{level}": {
            "platform": "sensor",
            "unique_id": f"{base}/objects/{level}",
            "name": f"{level} count",
            "state_topic": f"{base}/objects/{level}",
        }
        for level in old
    }
    device = {"identifiers": [base], "name": "Porch"}
    reader = subscribe(mosquitto.port)
    message = {"device": device, "origin": {"name": "edgepub"}, "components": entities}
    reader.publish(config, json.dumps(message), retain=True)
    for level in old:
        reader.publish(f"{base}/objects/{level}", "0", retain=True)
    (tmp_path / "state").mkdir()
    retained = [config, *(f"{base}/objects/{level}" for level in old)]
    (tmp_path / "state/state.json").write_text(json.dumps({"settings": {}, "retained": retained}))
    ha = home(mosquitto.port)

    def count_of(level):
        ids = {entry["unique_id"]: entity for entity, entry in ha.entities().items()}
        entity = ids.get(f"{base}/objects/{level}")
        return entity and ha.states().get(entity, {}).get("state")

    wait_until(lambda: count_of("_") == "0" and count_of("text_0") == "0", "the entities of 0.1.0")
    labels = ["犬", "猫", "C++", "C#", "person"]
    boxes = [{**BOX, "label": label, "bbox": [12 * n, 8, 12 * n + 10, 60]} for n, label in enumerate(labels)]
    daemon = run_daemon(porch(studio, mosquitto.url, [boxes] * 25))
    wait_until(lambda: all(count_of(topic_level(label)) == "1" for label in labels), "a count of each")
    names = {entry["original_name"] for entry in ha.entities().values()}
    assert {f"{label} count" for label in ("犬", "猫", "C++", "C#", "Person")} <= names
    wait_until(lambda: count_of("_") is None and count_of("text_0") is None, "the removal of the obsolete ones")

    def counts():
        ids = {entry["unique_id"] for entry in ha.entities().values()}
        return sum(re.search("/objects/(?!all$)[^/]+$", unique_id) is not None for unique_id in ids)

    wait_until(lambda: counts() == MAX_LABELS, "as many as there may be")
    assert daemon.terminate() == 0
    kept = [topic for topic in subscribe(mosquitto.port).retained() if "/objects/" in topic]
    kept = [topic for topic in kept if not topic.endswith("/snapshot")]
    assert len(kept) <= 3 * (MAX_LABELS + 1)  # and those of all together
    assert not [topic for topic in kept if topic.startswith((f"{base}/objects/_", f"{base}/objects/text_0/"))]
    assert not [line for line in ha.problems() if "logging too frequently" not in line]  # of so many new entities


def test_what_is_recognized_has_sensors_and_stages_have_diagnostics(mosquitto, studio, home, run_daemon):
    """Then the pipeline goes, while Home Assistant runs and the daemon does not."""
    corner = (200, 240)
    car = {"bbox": scenes.square(*corner), "label": "car", "score": 0.9}
    reading = {"label": "B-AB 123", "score": 0.75}
    settings = porch(studio, mosquitto.url, [])
    settings["models"] |= {"reader": studio.model("reader")}
    then = [{"on": ["car"], "classify": "reader", "as": "text"}]
    settings["pipelines"] = {"entrance": {"detect": "echo", "then": then}}
    source = scenes.film(studio.directory / "film.avi", [{None: [car], corner: [reading]}] * 50)
    settings["cameras"] = {"gate": {**settings["cameras"]["porch"], "source": source, "model": "entrance"}}
    ha = home(mosquitto.port)
    daemon = run_daemon(settings)
    states = wait_for_states(ha, {"sensor.gate_text": "B-AB 123", "binary_sensor.gate_car": "on"})
    assert states["sensor.gate_text"]["attributes"]["friendly_name"] == "Gate text"
    event = wait_until(
        lambda: (event := ha.attributes("event.gate_events")).get("event_type") == "recognized" and event, "the event"
    )
    assert "recognized" in event["event_types"]
    assert (event["attribute"], event["value"], event["score"]) == ("text", "B-AB 123", 0.75)
    stages = {"sensor.gate_echo_p95": "stats/stage/echo", "sensor.gate_reader_p95": "stats/stage/reader"}
    registered = ha.entities()
    assert registered["sensor.gate_text"]["unique_id"] == "edgepub/garage/gate/attributes/text"
    assert registered["sensor.gate_text"]["disabled_by"] is None
    for entity, key in stages.items():
        entry = registered[entity]
        assert entry["unique_id"] == f"edgepub/garage/gate/{key}"
        assert (entry["entity_category"], entry["disabled_by"]) == ("diagnostic", "integration")

    ha.ask({"type": "config/entity_registry/update", "entity_id": "sensor.gate_echo_p95", "disabled_by": None})
    took = wait_until(lambda: (state := ha.state("sensor.gate_echo_p95")) not in ABSENT and state, "what it takes")
    assert float(took) > 0

    assert daemon.terminate() == 0
    settings["cameras"]["gate"]["model"] = "echo"
    del settings["pipelines"], settings["models"]["reader"]
    daemon = run_daemon(settings)
    wait_for_states(ha, {"binary_sensor.gate_car": "on"})
    wait_until(lambda: not ha.entities().keys() & {"sensor.gate_text", *stages}, "their removal")
    assert daemon.terminate() == 0
    assert ha.problems() == []


def test_the_devices_link_to_their_pages(mosquitto, home, subscribe):
    model = {"model_name": "yolo", "zoo_url": "/zoo", "inference_host_address": "@local"}
    cameras = {"porch": {"source": "a.mp4", "model": "m"}}
    given = {"node": "garage", "models": {"m": model}, "cameras": cameras, "http": {"listen": "10.0.0.5:9464"}}
    announced = build(Settings.model_validate(given), []).messages
    assert schema_errors(announced) == ""
    publisher = subscribe(mosquitto.port)
    for topic, payload in announced.items():
        publisher.publish(topic, json.dumps(payload), retain=True)
    ha = home(mosquitto.port)
    wait_until(lambda: len(ha.devices()) == len(announced), "the devices")
    links = {name: device["configuration_url"] for name, device in ha.devices().items()}
    assert links == {"edgepub garage": "http://10.0.0.5:9464/", "Porch": "http://10.0.0.5:9464/cameras/porch"}
    assert ha.problems() == []


def test_all_states_are_right_soon_after_any_kill_or_restart(tmp_path, studio, home, run_daemon, subscribe, request):
    mosquitto = Mosquitto(tmp_path).start()
    request.addfinalizer(mosquitto.stop)
    ha = home(mosquitto.port)
    settings = porch(studio, mosquitto.url, [[{**BOX, **LEFT}]] * 25, zones={"driveway": DRIVEWAY}, labels=["person"])
    daemon = run_daemon(settings)
    everything = {
        "binary_sensor.porch_person": "on",
        "sensor.porch_person_count": "1",
        "binary_sensor.porch_connectivity": "on",
        "switch.porch_enabled": "on",
        "number.porch_minimum_score": "0.5",
        "image.porch_snapshot": any,
        "sensor.edgepub_garage_memory_use": any,
    }
    wait_for_states(ha, everything)

    daemon.close()  # kill -9
    wait_until(lambda: set(ours(ha).values()) == {"unavailable"}, "all of it unavailable")
    daemon = run_daemon(settings)
    wait_for_states(ha, everything)

    def right_soon_after(action, what):
        started_s = time.monotonic()
        action()
        wait_for_states(ha, everything)
        took_s = time.monotonic() - started_s
        print(f"{what}: all is right after {took_s:.1f} s")
        assert took_s < RIGHT_AGAIN_S

    ha.stop()
    subscribe(mosquitto.port).publish("edgepub/garage/porch/min_score/set", "0.25")
    everything["number.porch_minimum_score"] = "0.25"
    ha.start()  # which takes long on a busy computer
    right_soon_after(lambda: None, "Home Assistant was restarted")
    daemon.wait_for_log("Home Assistant has started")  # later than that

    mosquitto.stop()
    wait_until(lambda: set(ours(ha).values()) == {"unavailable"}, "all of it unavailable")
    right_soon_after(mosquitto.start, "the broker, which has lost everything, was restarted")
    about_the_broker = re.compile(
        "Error returned from MQTT server: The connection was lost|Failed to connect to MQTT server"
    )
    assert [line for line in ha.problems() if not about_the_broker.search(line)] == []


SUBSTITUTES = """
notify:
  - platform: group
    name: mobile_app_phone
    services: [{action: persistent_notification}]
mqtt:
  - light: {name: Porch, unique_id: porch, command_topic: lab/light}
automation:
"""


def as_list(automation):
    """Return an automation as an entry of automations.yaml."""
    return textwrap.indent(automation, "  ").replace("  ", "- ", 1)


def test_the_automations_in_the_documentation_load_and_fire(mosquitto, studio, home, run_daemon, subscribe):
    automations = re.findall(r"```yaml\n(alias: .*?)```", PAGE, re.DOTALL)
    assert len(automations) == 3
    text = "".join(map(as_list, automations)).replace(
        'for: "00:02:00"', 'for: "00:00:05"'
    )  # tests cannot wait for minutes
    assert text.count('for: "00:00:05"') == 2
    hour = time.gmtime().tm_hour
    # Where it is about one at night now. The sign in a zone's name is that of POSIX: reversed.
    ahead = (25 - hour) % 24
    zone = f"Etc/GMT-{ahead}" if ahead <= 12 else f"Etc/GMT+{24 - ahead}"
    ha = home(mosquitto.port, more=SUBSTITUTES + text, time_zone=zone)
    states = ha.states()
    assert sum(entity.startswith("automation.") for entity in states) == 3
    assert {state["state"] for entity, state in states.items() if entity.startswith("automation.")} == {"on"}

    nobody, somebody = [[]] * 25 * 3, [[{**BOX, **LEFT}]] * 25 * 30
    settings = porch(studio, mosquitto.url, nobody + somebody, zones={"driveway": DRIVEWAY}, labels=["person"])
    watch = subscribe(mosquitto.port, "lab/light")
    daemon = run_daemon(settings)
    watch.wait_for(lambda w: b"ON" in w.payloads("lab/light"), "light")

    def note(title):
        return next(
            (note for note in ha.ask({"type": "persistent_notification/get"})[0] if note["title"] == title), None
        )

    assert wait_until(lambda: note("Somebody is in the driveway"), "a note")["message"] == "1 there now"
    ha.call("switch", "turn_off", entity_id="switch.porch_enabled")  # a person is still there
    watch.wait_for(lambda w: w.payloads("lab/light")[-1] == b"OFF", "dark")
    assert note("The porch camera is offline") is None, "no alarm when a user disables it"
    ha.call("switch", "turn_on", entity_id="switch.porch_enabled")
    watch.wait_for(lambda w: w.payloads("lab/light")[-1] == b"ON", "light again")
    ha.call("number", "set_value", entity_id="number.porch_minimum_score", value=1)
    watch.wait_for(lambda w: w.payloads("lab/light")[-1] == b"OFF", "dark again")
    daemon.close()
    message = wait_until(lambda: note("The porch camera is offline"), "a note about an offline camera")["message"]
    assert re.fullmatch(r"Since \d\d:\d\d", message)
    assert ha.problems() == []
