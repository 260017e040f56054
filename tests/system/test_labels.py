"""Labels without end and of any text, as a subscriber and the broker see them: with the real PySDK and Mosquitto."""

import json
import random
import string

import pytest

from edgepub.mqtt.label_levels import ALL, topic_level
from edgepub.mqtt.retained import MAX_LABELS

pytestmark = pytest.mark.mosquitto
PREFIX = "edgepub/test/cam/objects/"
ODD = [
    "犬",
    "猫",
    "C++",
    "C#",
    "a/b",
    "+",
    "#",
    "a\0b",
    "line\nbreak",
    "\x1b[31m",
    "\ufeff",
    "😀",
    "$SYS",
    "'\";--",
    " ",
]


def thing(label, n=0):
    x = 4 + 14 * (n % 4)
    y = 4 + 14 * (n // 4 % 4)
    return {"bbox": [x, y, x + 10, y + 10], "label": label, "score": 0.9, "category_id": 0}


def kept_levels(subscribe, port):
    kept = subscribe(port).retained()
    return {topic.removeprefix(PREFIX).split("/")[0] for topic in kept if topic.startswith(PREFIX)} - {ALL}


def comment(picture):
    at = picture.index(b"\xff\xfe")
    return json.loads(picture[at + 4 : at + 2 + int.from_bytes(picture[at + 2 : at + 4], "big")])


def test_odd_labels_are_counted_apart_and_survive_everything(mosquitto, subscribe, run_daemon, studio):
    reader = subscribe(mosquitto.port)
    settings = studio.settings(
        mosquitto.url, studio.video([[thing(label, n) for n, label in enumerate(ODD)]] * 20), loop=True, tracking=True
    )
    settings["cameras"]["cam"]["snapshot"] = {"enabled": True}
    settings["home_assistant"] = {"enabled": True}
    settings["mqtt"]["protocol"] = "auto"
    daemon = run_daemon(settings)
    counts = [PREFIX + topic_level(label) for label in ODD]
    reader.wait_for(lambda r: all(r.last(topic) == b"1" for topic in counts), "a count of each")
    reader.wait_for(lambda r: r.last("edgepub/test/cam/snapshot"), "a picture")
    assert {o["label"] for o in comment(reader.last("edgepub/test/cam/snapshot"))["objects"]} == set(ODD)

    def appeared(r):
        events = [json.loads(payload) for payload in r.payloads("edgepub/test/cam/events")]
        return {event["label"] for event in events if event["event_type"] == "appeared"}

    reader.wait_for(lambda r: appeared(r) >= set(ODD), "an event of each")
    assert appeared(reader) == set(ODD)
    assert {o["label"] for o in reader.detections()[-1]["detections"]} == set(ODD)
    topic = "homeassistant/device/edgepub_test_CAMERA_cam/config"

    def names(r):
        return {c["name"] for c in json.loads(r.last(topic) or b"{}").get("components", {}).values() if "name" in c}

    reader.wait_for(lambda r: {"犬", "猫", "C++", "C#", "A b"} <= names(r), "the entities")
    assert daemon.terminate() == 0
    assert "Traceback" not in daemon.log


def test_a_model_that_reads_text_leaves_a_bounded_number_of_topics(mosquitto, subscribe, run_daemon, studio):
    """Four lives of 150 new labels each; the bound is 200."""
    reader = subscribe(mosquitto.port)
    rng = random.Random(1)
    for life in range(4):
        texts = [f"{life} {''.join(rng.choices(string.ascii_lowercase, k=12))}" for _ in range(150)]
        frames = [[thing(text, n) for n, text in enumerate(texts[at : at + 15])] for at in range(0, 150, 15)]
        script = [frame for frame in frames for _ in range(3)]
        settings = studio.settings(
            mosquitto.url, studio.video(script, f"{life}.avi"), occupancy_on_frames=1, occupancy_off_s=0
        )
        settings["home_assistant"] = {"enabled": True}
        before = len(reader.payloads("edgepub/test/status"))
        assert run_daemon(settings).wait() == 0
        reader.wait_for(lambda r, n=before: r.payloads("edgepub/test/status")[n:][-1:] == [b"offline"], "the end")
        kept = kept_levels(subscribe, mosquitto.port)
        assert len(kept) <= MAX_LABELS
        assert set(map(topic_level, texts)) <= kept, "the newest are there"
    assert {payload for topic in kept for payload in [reader.last(PREFIX + topic)]} == {b"0"}


def test_a_long_label_is_cut_and_counted_apart(mosquitto, subscribe, run_daemon, studio):
    long = ["x" * 3000 + "1", "x" * 3000 + "2"]
    reader = subscribe(mosquitto.port)
    script = [[thing(label, n) for n, label in enumerate(long)]] * 20
    assert run_daemon(studio.settings(mosquitto.url, studio.video(script), tracking=True)).wait() == 0
    reader.wait_for(lambda r: r.last("edgepub/test/status") == b"offline", "the end")
    labels = {o["label"] for payload in reader.detections() for o in payload["detections"]}
    assert [len(label) for label in labels] == [256, 256]
    assert {topic_level(label) for label in labels} == kept_levels(subscribe, mosquitto.port)
