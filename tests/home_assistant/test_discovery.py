"""Discovery messages: ids that never change, entities that are removed, and sending all again."""

import asyncio
import json
import os
import signal
import urllib.request

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgepub.config.settings import HttpSettings, Settings
from edgepub.home_assistant.announcer import Announcer
from edgepub.home_assistant.device import is_discovery
from edgepub.home_assistant.discovery import MAX_MESSAGE_BYTES, birth_topics, build
from edgepub.home_assistant.named_entities import named_entities
from edgepub.home_assistant.page_address import find_page_address
from edgepub.mqtt.label_levels import topic_level
from edgepub.mqtt.messages import Received, picture_message, state_message
from edgepub.mqtt.outbox.outbox import Outbox
from edgepub.mqtt.store import Store
from tests.support.scenes import film, square
from tests.support.studio import BOX
from tests.support.waiting import free_port, take

ZONE = {"polygon": [[0.1, 0.1], [0.9, 0.1], [0.9, 0.9]]}
NODE_TOPIC, PORCH_TOPIC = (f"homeassistant/device/edgepub_garage{suffix}/config" for suffix in ("", "_CAMERA_porch"))
NAMES = st.from_regex(r"[a-z0-9_-]{1,8}", fullmatch=True).filter(lambda name: name not in {"status", "info", "stats"})


def settings_of(cameras, node="garage", home_assistant=None, mqtt=None, http=None):
    model = {"model_name": "yolo", "zoo_url": "/zoo", "inference_host_address": "@local"}
    return Settings.model_validate(
        {
            "node": node,
            "mqtt": mqtt or {},
            "http": http or {},
            "home_assistant": home_assistant or {},
            "models": {"m": model},
            "cameras": {name: {"source": "a.mp4", "model": "m", **camera} for name, camera in cameras.items()},
        }
    )


def build_messages(settings, published):
    return build(settings, published).messages


def components(settings, published=(), topic=PORCH_TOPIC):
    return build_messages(settings, published)[topic]["components"]


def test_unique_ids_never_change():
    """A changed id loses the entity's history, name and automations in every Home Assistant that has it."""
    settings = settings_of(
        {
            "porch": {
                "labels": ["person", "Big dog"],
                "zones": {"steps": {**ZONE, "labels": ["person"], "loitering_s": 9}},
            }
        }
    )
    ids = {
        topic: {(entity["platform"], entity["unique_id"]) for entity in message["components"].values()}
        for topic, message in build_messages(settings, []).items()
    }
    node, porch = "edgepub/garage/", "edgepub/garage/porch/"
    assert ids == {
        NODE_TOPIC: {
            ("sensor", node + "stats/cpu_percent"),
            ("sensor", node + "stats/rss_bytes"),
            ("sensor", node + "stats/started"),
            ("sensor", node + "stats/outbox"),
            ("sensor", node + "stats/reconnects"),
        },
        PORCH_TOPIC: {
            ("event", porch + "events"),
            ("image", porch + "snapshot"),
            ("switch", porch + "enabled"),
            ("switch", porch + "snapshot_enabled"),
            ("number", porch + "min_score"),
            ("number", porch + "max_fps"),
            ("binary_sensor", porch + "status"),
            ("sensor", porch + "stats/inference_p95"),
            ("sensor", porch + "stats/fps_inferred"),
            ("sensor", porch + "stats/dropped"),
            ("sensor", porch + "objects/person"),
            ("binary_sensor", porch + "objects/person/occupancy"),
            ("sensor", porch + "objects/big_dog"),
            ("binary_sensor", porch + "objects/big_dog/occupancy"),
            ("sensor", porch + "zones/steps/objects/person"),
            ("binary_sensor", porch + "zones/steps/objects/person/occupancy"),
            ("binary_sensor", porch + "objects/person/active"),
            ("binary_sensor", porch + "objects/big_dog/active"),
            ("binary_sensor", porch + "zones/steps/objects/person/active"),
            ("binary_sensor", porch + "zones/steps/objects/person/loitering"),
            ("sensor", porch + "objects/all"),
            ("binary_sensor", porch + "objects/all/occupancy"),
            ("binary_sensor", porch + "objects/all/active"),
            ("sensor", porch + "zones/steps/objects/all"),
            ("binary_sensor", porch + "zones/steps/objects/all/occupancy"),
            ("binary_sensor", porch + "zones/steps/objects/all/active"),
            ("binary_sensor", porch + "zones/steps/objects/all/loitering"),
        },
    }
    devices = [message["device"] for message in build_messages(settings, []).values()]
    assert [device["identifiers"] for device in devices] == [["edgepub/garage"], ["edgepub/garage/porch"]]
    assert [device.get("via_device") for device in devices] == [None, "edgepub/garage"]


@given(st.lists(st.tuples(NAMES, NAMES), min_size=2, max_size=2, unique=True))
def test_no_two_nodes_or_cameras_share_an_id(pairs):
    built = [build_messages(settings_of({camera: {}}, node), []) for node, camera in pairs]
    (_, one), (_, other) = (list(messages) for messages in built)
    assert one != other
    node_topics = {node: next(iter(messages)) for (node, _), messages in zip(pairs, built, strict=True)}
    assert len({*node_topics.values(), one, other}) == len(node_topics) + 2
    ids = [
        {c["unique_id"] for c in messages[topic]["components"].values()}
        for messages, topic in zip(built, (one, other), strict=True)
    ]
    assert not ids[0] & ids[1]


def test_display_names_are_readable():
    camera = {
        "labels": ["person", "TV", "t-shirt", "traffic light", "人"],
        "zones": {"front-steps": {**ZONE, "labels": ["person"]}},
    }
    settings = settings_of({"front_door": camera}, "barn")
    (node, door) = build_messages(settings, []).values()
    assert (node["device"]["name"], door["device"]["name"]) == ("edgepub barn", "Front door")
    occupancies = [entity for key, entity in door["components"].items() if key.endswith("/occupancy")]
    assert {entity["name"] for entity in occupancies} == {
        "Objects",
        "Front steps objects",
        "Person",
        "TV",
        "T-shirt",
        "Traffic light",
        "人",
        "Front steps person",
    }
    assert door["components"]["objects/tv"]["name"] == "TV count"
    assert door["components"]["objects/tv/active"]["name"] == "TV active"
    assert door["components"]["zones/front-steps/objects/all/active"]["name"] == "Front steps objects active"


def test_a_camera_without_labels_has_entities_for_the_labels_it_detected():
    built = components(
        settings_of({"porch": {"zones": {"steps": ZONE}}}),
        [
            "edgepub/garage/porch/objects/fire_truck",
            "edgepub/garage/porch/objects/fire_truck/occupancy",
            "edgepub/garage/porch/zones/steps/objects/cat/occupancy",
            "edgepub/garage/yard/objects/person",
            "edgepub/other/porch/objects/person",
        ],
    )
    counts = {key: component["name"] for key, component in built.items() if "objects" in key and "/all" not in key}
    assert {key: name for key, name in counts.items() if not key.endswith("/active")} == {
        "objects/fire_truck": "Fire truck count",
        "objects/fire_truck/occupancy": "Fire truck",
        "zones/steps/objects/cat": "Steps cat count",
        "zones/steps/objects/cat/occupancy": "Steps cat",
    }


def test_only_the_usual_entities_of_counts_are_enabled():
    """Fewer than version 0.1.0 enabled: it had a count of each label in each zone."""
    zones = {"drive": {**ZONE, "loitering_s": 20}, "steps": ZONE}
    built = components(settings_of({"porch": {"labels": ["person", "car"], "zones": zones}}))
    counts = {key: entity for key, entity in built.items() if "objects/" in key}
    assert {key for key, entity in counts.items() if entity.get("enabled_by_default", True)} == {
        "objects/person",
        "objects/person/occupancy",
        "objects/car",
        "objects/car/occupancy",
        "zones/drive/objects/person/occupancy",
        "zones/drive/objects/person/loitering",
        "zones/drive/objects/car/occupancy",
        "zones/drive/objects/car/loitering",
        "zones/steps/objects/person/occupancy",
        "zones/steps/objects/car/occupancy",
    }


def test_all_labels_together_are_objects_and_a_label_named_all_is_another():
    published = [f"edgepub/garage/porch/objects/{level}" for level in ("all", topic_level("all"))]
    built = components(settings_of({"porch": {}}), published)
    assert built["objects/all"]["name"] == "Objects count"
    assert built["objects/all/occupancy"]["name"] == "Objects"
    assert built[f"objects/{topic_level('all')}/occupancy"]["name"] == "All"


def test_what_a_place_no_longer_counts_is_removed():
    zone = "zones/steps/objects/person"
    suffixes = ("", "/occupancy", "/active", "/loitering")
    published = [f"edgepub/garage/porch/{zone}{suffix}" for suffix in suffixes]
    before = {"labels": ["person"], "zones": {"steps": {**ZONE, "loitering_s": 20}}}
    assert "unique_id" in components(settings_of({"porch": before}), published)[f"{zone}/loitering"]
    after = components(settings_of({"porch": {**before, "stationary_s": None, "zones": {"steps": ZONE}}}), published)
    removed = {key: component for key, component in after.items() if "unique_id" not in component}
    assert removed == {
        f"{zone}/active": {"platform": "binary_sensor"},
        f"{zone}/loitering": {"platform": "binary_sensor"},
    }
    gone = components(settings_of({"porch": {"labels": ["person"]}}), published)
    assert {key for key, component in gone.items() if "unique_id" not in component} == {zone + s for s in suffixes}


def test_entities_that_are_no_longer_configured_are_removed():
    gone = ["porch/objects/car", "porch/zones/steps/objects/person/occupancy"]
    settings = settings_of({"porch": {"labels": ["person"], "tracking": False, "snapshot": {"enabled": False}}})
    built = components(settings, [f"edgepub/garage/{topic}" for topic in gone])
    assert {key: component for key, component in built.items() if "unique_id" not in component} == {
        "events": {"platform": "event"},
        "snapshot": {"platform": "image"},
        "objects/car": {"platform": "sensor"},
        "objects/car/occupancy": {"platform": "binary_sensor"},
        "zones/steps/objects/person": {"platform": "sensor"},
        "zones/steps/objects/person/occupancy": {"platform": "binary_sensor"},
    }


def settings_with_a_pipeline(then):
    model = {"model_name": "yolo", "zoo_url": "/zoo", "inference_host_address": "@local"}
    return Settings.model_validate(
        {
            "node": "garage",
            "models": dict.fromkeys(("m", "reader", "other"), model),
            "pipelines": {"gate": {"detect": "m", "then": then}},
            "cameras": {"porch": {"source": "a.mp4", "model": "gate"}},
        }
    )


def test_each_attribute_has_a_sensor_and_each_stage_a_diagnostic_one_that_is_disabled():
    settings = settings_with_a_pipeline([{"on": ["plate"], "classify": "reader", "as": "plate_text"}])
    built = components(settings, ["edgepub/garage/porch/attributes/plate_text_colour"])
    text = built["attributes/plate_text"]
    assert (text["platform"], text["name"]) == ("sensor", "plate text")
    assert text["state_topic"] == "edgepub/garage/porch/attributes/plate_text"
    assert built["attributes/plate_text_colour"]["name"] == "plate text colour", "of one of several classifiers"
    stage = built["stats/stage/reader"]
    assert (stage["entity_category"], stage["enabled_by_default"]) == ("diagnostic", False)
    assert "recognized" in built["events"]["event_types"]
    assert "stats/stage/other" not in built


def test_the_sensors_of_stages_and_attributes_of_earlier_configurations_are_removed():
    before = settings_with_a_pipeline([{"on": ["plate"], "classify": "reader", "as": "plate_old"}])
    former = named_entities(before)
    after = settings_of({"porch": {"text_labels": {"as": "plate", "label": "plate"}}})
    published = [f"edgepub/garage/porch/attributes/{name}" for name in ("plate", "plate_old", "plate_colour")]
    messages = build(after, published, former_entities=[*former, *named_entities(after)]).messages
    built = messages[PORCH_TOPIC]["components"]
    gone = {key for key, component in built.items() if component == {"platform": "sensor"}}
    assert gone == {"attributes/plate_old", "stats/stage/m", "stats/stage/reader"}
    kept = {key for key in built if key.startswith("attributes/")} - gone
    assert kept == {"attributes/plate", "attributes/plate_colour"}, "of one of several classifiers"


def test_the_sensor_of_a_value_is_numeric():
    then = [{"regress": "reader", "as": "face"}, {"classify": "reader", "as": "mood"}]
    built = components(settings_with_a_pipeline(then), ["edgepub/garage/porch/attributes/face_age"])
    assert built["attributes/face"]["state_class"] == "measurement"
    assert built["attributes/face_age"]["state_class"] == "measurement", "of several values of one model"
    assert "state_class" not in built["attributes/mood"]


def test_the_sensor_of_an_attribute_that_is_no_longer_configured_is_removed():
    settings = settings_of({"porch": {"text_labels": {"as": "text", "label": "plate"}}})
    built = components(settings, ["edgepub/garage/porch/attributes/old"])
    assert built["attributes/old"] == {"platform": "sensor"}
    assert built["attributes/text"]["name"] == "text"
    assert not any("stage" in key for key in built)


MANY = [f"label {number:03}" for number in range(1000)]


def occupied(built):
    """Return the labels and zones whose occupancy has an entity, without that of all labels."""
    keys = {key.removesuffix("/occupancy") for key in built if key.endswith("/occupancy") and "unique_id" in built[key]}
    return {key for key in keys if not key.endswith("objects/all")}


def test_a_message_is_bounded_and_the_first_labels_are_in_it():
    zones = {f"zone{number}": ZONE for number in range(5)}
    camera = {"labels": ["person", *MANY], "zones": {**zones, "dogs": {**ZONE, "labels": ["person"]}}}
    messages, (note,) = build(settings_of({"porch": camera, "yard": {"labels": ["cat"]}}), [])
    assert 0.99 < len(json.dumps(messages[PORCH_TOPIC], separators=(",", ":"))) / MAX_MESSAGE_BYTES <= 1
    built = messages[PORCH_TOPIC]["components"]
    places = ["", *(f"zones/{zone}/" for zone in zones)]
    expected = {f"{place}objects/{label}" for place in places for label in ("person", "label_000", "label_009")}
    assert expected | {"zones/dogs/objects/person"} <= occupied(built)
    assert {"objects/person", "objects/label_009"} <= built.keys()
    assert {
        f"{place}objects/all{suffix}" for place in places for suffix in ("", "/occupancy", "/active")
    } <= built.keys()
    assert {"snapshot", "events", "status", "enabled", "min_score", "max_fps", "stats/dropped"} <= built.keys()
    assert "objects/label_999" not in built
    assert note.startswith("cameras.porch.labels: ")
    enabled = [entity for entity in built.values() if entity.get("enabled_by_default", True)]
    assert f" only {len(enabled)} of the entities" in note
    assert "objects/cat" in messages[PORCH_TOPIC.replace("porch", "yard")]["components"]


def test_what_is_configured_comes_before_the_removal_of_what_was():
    gone = [f"edgepub/garage/porch/zones/gone/objects/label_{number:04}" for number in range(3000)]
    messages, notes = build(settings_of({"porch": {"labels": ["person", "dog"]}}), gone)
    assert len(json.dumps(messages[PORCH_TOPIC], separators=(",", ":"))) <= MAX_MESSAGE_BYTES
    assert {"objects/person", "objects/dog"} <= occupied(messages[PORCH_TOPIC]["components"])
    assert not notes


def test_labels_that_are_detected_later_do_not_displace_those_before():
    zones = {f"zone{number}": ZONE for number in range(5)}
    places = ["", *(f"zones/{zone}/" for zone in zones)]
    seen = [f"edgepub/garage/porch/{place}objects/label_{number:03}" for number in range(150) for place in places]
    settings = settings_of({"porch": {"zones": zones}})
    before = occupied(components(settings, seen))
    assert len(before) < 500
    changed = [*reversed(seen), "edgepub/garage/porch/objects/aardvark"]
    built = build(settings, changed, [*seen, "edgepub/garage/porch/objects/aardvark"]).messages
    assert occupied(built[PORCH_TOPIC]["components"]) == before


def test_labels_beyond_the_bound_are_removed_the_longest_unseen_first():
    seen = [f"edgepub/garage/porch/objects/label_{number:03}" for number in range(250)]
    built = components(settings_of({"porch": {"zones": {"steps": {**ZONE, "labels": ["label 001"]}}}}), seen)
    assert occupied(built) - {"zones/steps/objects/label_001"} == {
        "objects/label_001",
        *(f"objects/label_{number:03}" for number in range(50, 250)),
    }
    assert built["objects/label_000"] == {"platform": "sensor"}


def test_the_former_topic_of_labels_beyond_a_to_z_is_removed():
    built = components(settings_of({"porch": {}}), ["edgepub/garage/porch/objects/_/occupancy"])
    assert built["objects/_"] == {"platform": "sensor"}
    built = components(settings_of({"porch": {"labels": ["C++"]}}), ["edgepub/garage/porch/objects/c_/occupancy"])
    assert built["objects/c_/occupancy"] == {"platform": "binary_sensor"}
    assert built["objects/c--imvsw"]["name"] == "C++ count"


def test_a_detected_label_is_named_after_its_topic():
    labels = ["犬", "C++", "a\0\nb\u202e", "é" * 100]
    published = [f"edgepub/garage/porch/objects/{topic_level(label)}/occupancy" for label in labels]
    built = components(settings_of({"porch": {}}), published)
    names = [built[topic.removeprefix("edgepub/garage/porch/")]["name"] for topic in published]
    assert names == ["犬", "C++", "A  b", "…"]


@pytest.mark.mosquitto
def test_many_labels_are_named_by_check_and_once_in_the_log(mosquitto, studio, run_daemon, subscribe, cli):
    reader = subscribe(mosquitto.port)
    settings = studio.settings(mosquitto.url, studio.video([[BOX]] * 3), labels=[BOX["label"], *MANY[:300]], loop=True)
    settings["cameras"]["cam"]["zones"] = {"a": ZONE, "b": ZONE, "c": ZONE}
    settings["home_assistant"] = {"enabled": True}
    settings["http"] = {"listen": (port := free_port())}
    daemon = run_daemon(settings)
    node, topic = (f"homeassistant/device/edgepub_test{camera}/config" for camera in ("", "_CAMERA_cam"))
    reader.wait_for(lambda r: r.last(topic), "the discovery message")
    assert len(reader.last(topic)) <= MAX_MESSAGE_BYTES
    messages = [json.loads(reader.last(one)) for one in (node, topic)]
    entities = [entity for message in messages for entity in message["components"].values() if "unique_id" in entity]
    enabled = [entity for entity in entities if entity.get("enabled_by_default", True)]
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/cameras", timeout=20) as response:
        assert json.load(response)["entities"] == {"total": len(entities), "enabled": len(enabled)}
    daemon.process.send_signal(signal.SIGHUP)
    daemon.wait_for_log("reloaded")
    assert daemon.log.count("cameras.cam.labels") == 1
    checked = cli("check", "-c", str(daemon.file))
    assert checked.returncode == 0
    assert checked.stdout.count(f"{daemon.file}: cameras.cam.labels: Home Assistant gets only ") == 1
    assert f"Home Assistant gets {len(entities)} entities, {len(enabled)} of them enabled: " in checked.stdout


def test_labels_with_one_topic_have_the_name_of_the_first():
    labels = ["人", "车", "TV", "tv", "occupancy"]
    built = components(settings_of({"porch": {"labels": labels}}), ["edgepub/garage/porch/objects/occupancy/occupancy"])
    keys = [key for key in built if key.startswith("objects/") and not key.startswith("objects/all")]
    assert {key: built[key]["name"] for key in keys if not key.endswith("/active")} == {
        "objects/--4s5lu": "人 count",
        "objects/--4s5lu/occupancy": "人",
        "objects/--5c62m": "车 count",
        "objects/--5c62m/occupancy": "车",
        "objects/tv": "TV count",
        "objects/tv/occupancy": "TV",
        "objects/occupancy": "Occupancy count",
        "objects/occupancy/occupancy": "Occupancy",
    }


def test_counts_under_another_prefix_are_removed():
    old = [
        "old/garage/porch/objects/bear",
        "old/garage/porch/zones/gone/objects/person",
        "old/garage/porch/objects/cat",
    ]
    built = components(settings_of({"porch": {}}), [*old, "edgepub/garage/porch/objects/cat"])
    removed = {key for key, component in built.items() if "unique_id" not in component}
    places = {"objects/bear", "zones/gone/objects/person"}
    assert removed == places | {f"{place}/occupancy" for place in places}
    assert built["objects/cat"]["state_topic"] == "edgepub/garage/porch/objects/cat"


def test_birth_topics_are_the_default_and_the_one_below_the_discovery_prefix():
    assert birth_topics(settings_of({"porch": {}})) == ["homeassistant/status"]
    elsewhere = settings_of({"porch": {}}, home_assistant={"discovery_prefix": "ha"})
    assert birth_topics(elsewhere) == ["ha/status", "homeassistant/status"]
    assert birth_topics(settings_of({"porch": {}}, home_assistant={"enabled": False})) == []


def test_a_camera_needs_its_node_and_itself_but_its_settings_need_only_the_node():
    message = build_messages(settings_of({"porch": {"labels": ["person"]}}), [])[PORCH_TOPIC]
    assert message["availability_mode"] == "all"
    assert [item["topic"] for item in message["availability"]] == [
        "edgepub/garage/status",
        "edgepub/garage/porch/status",
    ]
    node_only = {key for key, entity in message["components"].items() if "availability" in entity}
    assert node_only == {"enabled", "snapshot_enabled", "min_score", "max_fps", "status", "events"}
    for key in node_only:
        assert message["components"][key]["availability"] == [{"topic": "edgepub/garage/status"}]


def test_the_prefixes_are_those_of_the_configuration():
    settings = settings_of({"porch": {}}, mqtt={"topic_prefix": "site/e"}, home_assistant={"discovery_prefix": "ha/x"})
    built = build_messages(settings, ["site/e/garage/porch/objects/cat"])
    assert list(built) == ["ha/x/device/edgepub_garage/config", "ha/x/device/edgepub_garage_CAMERA_porch/config"]
    porch = list(built.values())[1]["components"]
    assert porch["objects/cat"]["state_topic"] == "site/e/garage/porch/objects/cat"
    assert porch["enabled"]["command_topic"] == "site/e/garage/porch/enabled/set"


def test_secrets_are_not_published():
    cameras = {"porch": {"source": "rtsp://me:s3cret@10.0.0.5/s", "model": "m"}}
    model = {"model_url": "https://me:s3cret@zoo.example/x/yolo", "inference_host_address": "@local"}
    built = json.dumps(build_messages(Settings.model_validate({"models": {"m": model}, "cameras": cameras}), []))
    assert "s3cret" not in built


def test_when_disabled_no_messages_are_built():
    settings = settings_of({"porch": {}}, home_assistant={"enabled": False})
    assert build_messages(settings, ["edgepub/garage/porch/objects/cat"]) == {}


@pytest.mark.parametrize(
    ("listen", "host_name", "address"),
    [
        (None, "garage", None),
        (9464, "garage", None),
        ("[::1]:9464", "garage", None),
        ("10.0.0.5:9464", "garage", "http://10.0.0.5:9464"),
        ("[fd00::5]:80", "garage", "http://[fd00::5]:80"),
        ("[fe80::5]:80", "garage", None),
        ("0.0.0.0:9464", "garage.example", "http://garage.example:9464"),
        ("[::]:9464", "garage", "http://garage:9464"),
        ("0.0.0.0:9464", "localhost", None),
        ("0.0.0.0:9464", "3f2a9c01d4e7", None),
    ],
)
def test_the_page_has_an_address_if_others_can_reach_it(tmp_path, listen, host_name, address):
    token = tmp_path / "token"
    token.write_text("s3cret-s3cret-s3cret\n")
    http = HttpSettings(listen=listen, token_file=token)
    assert find_page_address(http, host_name) == address


def test_each_device_links_to_its_page(tmp_path):
    token = tmp_path / "token"
    token.write_text("s3cret-s3cret-s3cret\n")
    http = {"listen": "10.0.0.5:9464", "token_file": token}
    messages = build_messages(settings_of({"porch": {}}, http=http), [])
    links = [message["device"]["configuration_url"] for message in messages.values()]
    assert links == ["http://10.0.0.5:9464/", "http://10.0.0.5:9464/cameras/porch"]
    assert "s3cret" not in json.dumps(messages)
    assert not any("configuration_url" in m["device"] for m in build_messages(settings_of({"porch": {}}), []).values())


@pytest.mark.parametrize(
    ("topic", "is_one"),
    [
        (NODE_TOPIC, True),
        (PORCH_TOPIC, True),
        ("a/b/device/edgepub_x-y_CAMERA_z/config", True),
        ("edgepub/garage/porch/zones/device/objects/config", False),
        ("homeassistant/device/other/config", False),
        ("homeassistant/status", False),
    ],
)
def test_discovery_topics_are_recognised(topic, is_one):
    assert is_discovery(topic) is is_one


class Announcing:
    """An announcer with a store and an outbox; the store has the topics that earlier runs published."""

    def __init__(self, settings, *published, **options):
        self.store = Store(None)
        for topic in published:
            self.store.add_retained(topic)
        self.outbox = Outbox(9, ledger=self.store)
        self.announcer = Announcer(
            lambda retained, known: build(settings, retained, known).messages,
            self.store.retained_topics,
            self.outbox,
            **options,
        )

    async def send(self, number):
        """Send this number of messages, and return them."""
        sent = []
        for _ in range(number):
            message = await take(self.outbox)
            self.outbox.done(message)
            sent.append((message.topic, message.payload))
        return sent

    def has_more(self):
        return any(self.outbox.figures().sizes.values())


async def test_obsolete_announcements_are_cleared_first():
    old = "homeassistant/device/edgepub_shed_CAMERA_yard/config"
    announcing = Announcing(settings_of({"porch": {}}), old, "edgepub/shed/status", NODE_TOPIC)
    announcing.announcer.announce()
    built = await announcing.send(3)
    assert built[0] == (old, b"")
    assert [topic for topic, _ in built[1:]] == [NODE_TOPIC, PORCH_TOPIC]
    assert all(payload for _, payload in built[1:])
    announcing.announcer.announce()  # as after a reload
    assert not announcing.has_more(), "once"


async def test_when_disabled_all_announcements_are_cleared():
    settings = settings_of({"porch": {}}, home_assistant={"enabled": False})
    announcing = Announcing(settings, NODE_TOPIC, PORCH_TOPIC, "edgepub/garage/info")
    announcing.announcer.announce()
    assert set(await announcing.send(2)) == {(NODE_TOPIC, b""), (PORCH_TOPIC, b"")}
    assert not announcing.has_more()


@pytest.fixture
async def running():
    """Return a function that runs an announcer."""
    tasks = []

    async def run(announcing):
        tasks.append(asyncio.create_task(announcing.announcer.run()))
        await asyncio.sleep(0)

    yield run
    for task in tasks:
        task.cancel()


@pytest.mark.slow
async def test_several_new_labels_are_announced_together_and_removed_entities_stay_removed(running):
    gone = "edgepub/garage/porch/zones/steps/objects/cat"
    announcing = Announcing(settings_of({"porch": {}, "yard": {}}), gone)
    announcing.announcer.announce()
    await announcing.send(3)
    assert not announcing.has_more()
    announcing.store.remove_retained(gone)  # it was cleared; Home Assistant may just have been away
    await running(announcing)
    for label in ("cat", "dog"):
        announcing.store.add_retained(f"edgepub/garage/porch/objects/{label}")
        await asyncio.to_thread(announcing.announcer.schedule)
    ((topic, payload),) = await announcing.send(1)
    assert topic == PORCH_TOPIC
    built = json.loads(payload)["components"]
    assert {"objects/cat", "objects/dog"} <= built.keys()
    assert built["zones/steps/objects/cat"] == {"platform": "sensor"}
    again = await announcing.send(3)  # should Home Assistant have lost a part of it
    assert (topic, payload) in again
    assert not announcing.has_more()


async def test_after_a_birth_all_announcements_and_then_all_states_are_sent_again_without_pictures(running):
    announcing = Announcing(settings_of({"porch": {}}), settle_s=0.2, max_birth_delay_s=0)
    announcing.announcer.announce()
    announcing.outbox.put(state_message("edgepub/garage/status", "online"))
    announcing.outbox.put(picture_message("edgepub/garage/porch/snapshot", b"jpeg"))
    before = await announcing.send(4)
    await running(announcing)
    for payload, retained in [(b"online", True), (b"offline", False)]:
        announcing.announcer.on_birth(Received("homeassistant/status", payload, retained))
    for _ in range(5):  # turns of the event loop, in which it would answer
        await asyncio.sleep(0)
    assert not announcing.has_more()
    announcing.announcer.on_birth(Received("homeassistant/status", b"online", retained=False))
    announced = await announcing.send(2)
    assert [topic for topic, _ in announced] == [NODE_TOPIC, PORCH_TOPIC]
    assert set(announced) < set(before)
    assert await announcing.send(1) == [("edgepub/garage/status", b"online")]
    assert not announcing.has_more()


@pytest.mark.mosquitto
def test_the_daemon_answers_a_birth_and_clears_everything_when_disabled(mosquitto, studio, run_daemon, subscribe):
    settings = studio.settings(mosquitto.url, studio.video([[BOX]] * 50), realtime=True, loop=True)
    settings["home_assistant"] = {"discovery_prefix": "ha"}
    daemon = run_daemon(settings)
    watch = subscribe(mosquitto.port)
    topic = "ha/device/edgepub_test_CAMERA_cam/config"
    watch.wait_for(lambda w: b"objects/person" in (w.last(topic) or b""), "a label that was seen")
    watch.wait_for(lambda w: w.last("edgepub/test/cam/objects/person") == b"1", "its state")
    began = len(watch.messages)
    watch.publish("ha/status", "online")
    again = lambda w: [t for t, _, _ in w.messages[began:] if t != "ha/status"]  # noqa: E731
    watch.wait_for(lambda w: {topic, "edgepub/test/cam/objects/person"} <= set(again(w)), "all of it again")
    built = [sent for sent in again(watch) if not sent.endswith(("/detections", "/stats"))]
    assert (
        built.index("ha/device/edgepub_test/config")
        < built.index(topic)
        < built.index("edgepub/test/cam/objects/person")
    )
    assert daemon.terminate() == 0
    assert "Home Assistant has started" in daemon.log

    settings["home_assistant"] = {"enabled": False}
    daemon = run_daemon(settings)
    watch.wait_for(lambda w: w.last(topic) == b"", "the end of it")
    daemon.wait_for_log("cam: online")
    assert daemon.terminate() == 0
    assert not [topic for topic in subscribe(mosquitto.port).retained() if topic.startswith("ha/")]


@pytest.mark.mosquitto
def test_purge_finds_announcements_without_the_state_directory(mosquitto, studio, run_daemon, subscribe, cli, tmp_path):
    settings = studio.settings(mosquitto.url, studio.video([[BOX]] * 9), realtime=True, loop=True)
    del settings["home_assistant"]  # enabled by default
    daemon = run_daemon(settings)
    watch = subscribe(mosquitto.port)
    doorbell = {"device": {"identifiers": ["doorbell"]}, "availability": [{"topic": "edgepub/test/status"}]}
    for topic, payload in [("other", {}), ("edgepub_x", {}), ("doorbell", doorbell)]:
        config = f"homeassistant/device/{topic}/config"
        watch.publish(config, json.dumps(payload), retain=True)
    watch.wait_for(lambda w: w.last("edgepub/test/cam/objects/person") == b"1", "a person")
    assert daemon.terminate() == 0
    done = cli("discovery", "--purge", "-c", daemon.file, STATE_DIRECTORY=str(tmp_path / "new"))
    assert done.returncode == 0, done.stderr
    first, second, *_ = done.stdout.split()
    assert {first, second} == {f"homeassistant/device/edgepub_test{suffix}/config" for suffix in ("", "_CAMERA_cam")}
    left = {topic.split("/")[2] for topic in subscribe(mosquitto.port).retained()}
    assert left == {"other", "edgepub_x", "doorbell"}


def test_discovery_prints_the_messages_without_sending_them(cli, studio, tmp_path):
    file = tmp_path / "edgepub.yaml"
    settings = studio.settings("mqtt://127.0.0.1:1", studio.video([[BOX]]))
    settings["home_assistant"] = {"discovery_prefix": "ha"}
    file.write_text(json.dumps(settings))
    done = cli("discovery", "-c", file)
    assert done.returncode == 0, done.stderr
    assert list(json.loads(done.stdout)) == [f"ha/device/edgepub_test{suffix}/config" for suffix in ("", "_CAMERA_cam")]
    directory = os.environ["STATE_DIRECTORY"]
    assert done.stderr == f"cam: no labels configured, so they are added when detected: none yet in {directory}\n"
    settings["home_assistant"] = {"enabled": False}
    file.write_text(json.dumps(settings))
    done = cli("discovery", "-c", file)
    assert (done.returncode, json.loads(done.stdout)) == (0, {})
    assert done.stderr == "home_assistant.enabled is false: nothing is sent\n"


@pytest.mark.mosquitto
def test_sensors_follow_what_is_recognized_and_are_removed_over_restarts(mosquitto, studio, run_daemon, subscribe):
    reader = subscribe(mosquitto.port)
    car = {"bbox": square(200, 240), "label": "car", "score": 0.9}
    answers = [{"classifier": "colour", "results": [{"label": "red", "score": 0.75}]}]
    source = film(studio.directory / "film.avi", [{None: [car], (200, 240): answers}] * 50)
    settings = studio.settings(mosquitto.url, source)
    settings["models"]["looker"] = studio.model("looker", kind="MultiLabelClassification")
    then = [{"on": ["car"], "classify": "looker", "as": "paint"}]
    settings["pipelines"] = {"gate": {"detect": "echo", "then": then}}
    settings["cameras"]["cam"] |= {"model": "gate", "tracking": True, "loop": True, "realtime": True}
    settings["home_assistant"] = {"enabled": True}
    topic = "homeassistant/device/edgepub_test_CAMERA_cam/config"
    gone = {"platform": "sensor"}

    def built(key):
        return json.loads(reader.last(topic) or '{"components": {}}')["components"].get(key)

    daemon = run_daemon(settings)
    reader.wait_for(lambda _: built("attributes/paint_colour"), "a sensor for what was recognized, soon after")
    assert built("attributes/paint_colour")["name"] == "paint colour"
    assert built("stats/stage/looker")["enabled_by_default"] is False
    assert daemon.terminate() == 0

    settings["cameras"]["cam"]["model"] = "echo"
    del settings["pipelines"], settings["models"]["looker"]
    daemon = run_daemon(settings)
    reader.wait_for(lambda _: built("stats/stage/looker") == gone, "the removal")
    assert [built(key) for key in ("attributes/paint", "attributes/paint_colour", "stats/stage/echo")] == [gone] * 3
    reader.wait_for(lambda r: r.last("edgepub/test/cam/attributes/paint_colour") == b"", "the cleared topic")
    assert daemon.terminate() == 0


def test_a_label_with_a_cut_out_has_an_image_as_long_as_it_may_have_one():
    topics = ["porch/objects/big_dog", "porch/objects/big_dog/snapshot", "porch/objects/cat", "porch/snapshot"]
    published = [f"edgepub/garage/{topic}" for topic in topics]
    key, anything = "objects/big_dog/snapshot", settings_of({"porch": {}})
    image = components(anything, published)[key]
    assert (image["platform"], image["name"]) == ("image", "Big dog")
    assert image["image_topic"] == "edgepub/garage/porch/objects/big_dog/snapshot"
    assert image["unique_id"] == "edgepub/garage/porch/objects/big_dog/snapshot"
    assert "objects/cat/snapshot" not in components(anything, published)
    switched_off = build(anything, [topic for topic in published if "snapshot" not in topic], published)
    assert switched_off.messages[PORCH_TOPIC]["components"][key] == image, "it comes back"
    for camera in ({"labels": ["cat"]}, {"snapshot": {"crop": False}}, {"tracking": False}):
        assert components(settings_of({"porch": camera}), published)[key] == {"platform": "image"}, camera


def test_a_camera_whose_pictures_are_switched_on_has_its_image():
    settings = settings_of({"porch": {"snapshot": {"enabled": False}}})
    assert components(settings)["snapshot"] == {"platform": "image"}
    built = build(settings, [], with_pictures={"porch"}).messages[PORCH_TOPIC]["components"]
    assert built["snapshot"]["image_topic"] == "edgepub/garage/porch/snapshot"
