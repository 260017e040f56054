"""Chains of real models on films of real pictures: with the real PySDK, the real daemon and a real broker.

Places, ages and texts were looked up in the pictures.
"""

import json
from contextlib import closing

import cv2
import jsonschema
import numpy as np
import pytest

from tests.support import drifting, zoo
from tests.support.drifting import DRIFT_PX
from tests.support.onnx_zoo import needs_onnx

pytestmark = [pytest.mark.mosquitto, pytest.mark.slow]  # the first use downloads the models
LEFT, TOP = 400, 20
"""Where a picture is in its scene."""
FACES = {"one": (10, 10), "same": (330, 10), "other": (10, 330)}
"""Where the faces are in their scene: their upper left corners."""
FACE_PX = 300
"""The side of a face's picture."""


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    """The zoo."""
    names = ("person", "pose", "face", "face_age", "face_embedding", "ocr_det", "ocr_rec", "palm", "hand")
    return zoo.make(tmp_path_factory.mktemp("zoo"), *names)


@pytest.fixture
def start(mosquitto, subscribe, run_daemon, tmp_path, models, cli):
    """Return a function that starts a daemon with one camera and a pipeline of the zoo's models.

    It returns the reader of its messages, and a function that waits for detections like the wanted ones.
    """
    schema = json.loads(cli("schema", "detections").stdout)

    def run(picture, detect, *then, **camera):
        reader = subscribe(mosquitto.port)
        kinds = ("detect", "classify", "regress", "embed")
        names = {stage[kind] for stage in then for kind in kinds if kind in stage} | {*detect}
        source = {"source": drifting.film(tmp_path / "film.mp4", picture), "loop": True, "realtime": True}
        run_daemon(
            {
                "node": "test",
                "mqtt": {"url": mosquitto.url, "protocol": "3.1.1"},
                "models": {name: zoo.settings(models, name) for name in names},
                "pipelines": {"chain": {"detect": detect, "then": list(then)}},
                "cameras": {"cam": {**source, "model": "chain", **camera}},
            }
        )

        def wait_for(are_wanted, what):
            """Return the first detections that are wanted; they are valid."""
            payload = reader.wait_for(
                lambda r: next((d for d in r.detections() if are_wanted(d["detections"])), None), what
            )
            jsonschema.validate(payload, schema)
            return payload["detections"]

        return reader, wait_for

    return run


def labels(detections):
    return [one["label"] for one in detections]


def points(detection):
    return {landmark["label"]: landmark["landmark"] for landmark in detection["landmarks"]}


def is_settled(detection, attribute):
    return detection.get("attributes", {}).get(attribute, {}).get("settled", False)


def test_a_person_has_a_pose(start):
    picture = drifting.scene(960, 540, (zoo.picture("astronaut"), LEFT, TOP))
    _, wait_for = start(picture, ["person"], {"on": ["person"], "detect": "pose", "margin": 0.1})
    person, pose = wait_for(lambda found: labels(found) == ["person", "pose"], "a person and a pose")
    assert pose["parent"] == 0
    assert "parent" not in person
    body = points(pose)
    assert len(body) == 33
    assert body["nose"] == pytest.approx((LEFT + 225, TOP + 124), abs=16 + DRIFT_PX)
    assert body["right shoulder"][0] < body["nose"][0] < body["left shoulder"][0]
    assert body["right shoulder"][1] > body["mouth right"][1] > body["nose"][1]


def test_a_palm_has_a_hand_that_points_up(start):
    picture = drifting.scene(960, 720, (zoo.picture("index_finger"), LEFT, TOP))
    _, wait_for = start(picture, ["palm"], {"on": ["palm"], "detect": "hand", "margin": 1.0})
    _, hand = wait_for(lambda found: labels(found) == ["palm", "hand"], "a palm and a hand")
    assert hand["parent"] == 0
    assert 0 <= hand["handedness"] <= 1
    tips = points(hand)
    assert len(tips) == 21
    fingertip = LEFT + 215, TOP + 104  # the upper border of what is cut out is there
    assert tips["IndexFingerTip"] == pytest.approx(fingertip, abs=35 + DRIFT_PX)
    assert min(y for label, (_, y) in tips.items() if not label.startswith("Index")) > fingertip[1] + 100


@needs_onnx
def test_a_text_is_read_and_settled(start):
    sign = drifting.sign("EDGE 42", 80)
    picture = drifting.scene(960, 540, (sign, LEFT, 300))
    reader, wait_for = start(
        picture, ["ocr_det"], {"on": ["text"], "classify": "ocr_rec", "as": "text", "margin": 0.05}
    )
    (text,) = wait_for(lambda found: [is_settled(one, "text") for one in found] == [True], "a settled text")
    assert (text["label"], text["attributes"]["text"]["label"]) == ("text", "EDGE 42")
    assert text["attributes"]["text"]["score"] > 0.8
    x1, y1, x2, y2 = text["bbox"]
    middle = LEFT + sign.shape[1] / 2, 300 + sign.shape[0] / 2
    assert [(x1 + x2) / 2, (y1 + y2) / 2] == pytest.approx(middle, abs=8 + DRIFT_PX)
    topic = "edgepub/test/cam/attributes/text"
    reader.wait_for(lambda r: r.last(topic) == b"EDGE 42", "the topic of the attribute")
    recognized = reader.wait_for(lambda r: events(r, "recognized"), "the event")
    assert [(one["label"], one["attribute"], one["value"]) for one in recognized] == [("text", "text", "EDGE 42")]


def events(reader, event_type):
    found = map(json.loads, reader.payloads("edgepub/test/cam/events"))
    return [event for event in found if event["event_type"] == event_type]


@needs_onnx
def test_each_face_has_its_age_and_its_embedding(start, models):
    """Of the three faces two are of the same person: one of them darker, and mirrored."""
    astronaut = cv2.resize(zoo.picture("astronaut")[30:230, 120:320], (FACE_PX, FACE_PX))
    darker = cv2.convertScaleAbs(astronaut, alpha=0.75)[:, ::-1]
    hopper = cv2.resize(zoo.picture("grace_hopper")[60:410, 80:430], (FACE_PX, FACE_PX))
    faces = zip((astronaut, darker, hopper), FACES.values(), strict=True)
    picture = drifting.scene(640, 640, *((face, *corner) for face, corner in faces))
    then = [
        {"on": ["face"], "regress": "face_age", "as": "age", "margin": 0.2},
        {"on": ["face"], "embed": "face_embedding", "margin": 0.2},
    ]
    reader, wait_for = start(picture, ["face"], *then, include=["embedding"])
    found = wait_for(lambda found: [is_settled(one, "age") for one in found] == [True] * 3, "three faces with ages")
    ages = {face_at(one["bbox"]): one["attributes"]["age"]["value"] for one in found}
    with closing(zoo.Viewer(models)) as viewer:
        for one in found:
            (alone,) = viewer.predict("face_age", cut(picture, one["bbox"], margin=0.2))
            assert ages[face_at(one["bbox"])] == pytest.approx(alone["score"], abs=6), "as the model alone says"
    assert ages.keys() == FACES.keys()
    assert 25 < ages["one"] < 48, "in her thirties"
    assert 55 < ages["other"] < 85, "77 years"
    reader.wait_for(lambda r: float(r.last("edgepub/test/cam/attributes/age") or "nan") in ages.values(), "its topic")

    def find_embeddings(reader):
        objects = [one for payload in reader.detections() for one in payload["detections"] if "embedding" in one]
        return {face_at(one["bbox"]): np.array(one["embedding"]) for one in objects}

    reader.wait_for(lambda r: find_embeddings(r).keys() == FACES.keys(), "three embeddings")
    embeddings = find_embeddings(reader)
    one, same, other = (embeddings[name] / np.linalg.norm(embeddings[name]) for name in FACES)
    assert one.shape == (1024,)
    assert one @ same > 0.8
    assert one @ other < 0.6


@needs_onnx
def test_five_models_share_a_camera(start):
    """A person and a text in the same frame; of the person the pose and the face, and what the text says."""
    picture = drifting.scene(900, 600, (zoo.picture("astronaut"), 20, 20), (drifting.sign("EDGE 42", 80), 560, 480))
    then = [
        {"on": ["person"], "detect": "pose", "margin": 0.1},
        {"on": ["person"], "detect": "face"},
        {"on": ["text"], "classify": "ocr_rec", "as": "text", "margin": 0.05},
    ]
    _, wait_for = start(picture, ["person", "ocr_det"], *then)
    expected = ["face", "person", "pose", "text"]
    found = wait_for(
        lambda found: sorted(labels(found)) == expected and any(is_settled(one, "text") for one in found),
        "all objects, and a settled text",
    )
    by_label = {one["label"]: one for one in found}
    assert found[by_label["pose"]["parent"]] is found[by_label["face"]["parent"]] is by_label["person"]
    assert by_label["text"]["attributes"]["text"]["label"] == "EDGE 42"
    nose = points(by_label["face"])["nose"]
    assert nose == pytest.approx((20 + 225, 20 + 124), abs=8 + DRIFT_PX)
    assert points(by_label["pose"])["nose"] == pytest.approx(nose, abs=24)


def face_at(box):
    """Return which of `FACES` has this box."""
    x, y = (box[0] + box[2]) / 2, (box[1] + box[3]) / 2
    inside = {name: left < x < left + FACE_PX and top < y < top + FACE_PX for name, (left, top) in FACES.items()}
    (name,) = (name for name, is_inside in inside.items() if is_inside)
    return name


def cut(picture, box, margin):
    """Return what is in a box, with so much of its size around it."""
    x1, y1, x2, y2 = box
    more_x, more_y = margin * (x2 - x1), margin * (y2 - y1)
    rows, columns = slice(int(y1 - more_y), int(y2 + more_y)), slice(int(x1 - more_x), int(x2 + more_x))
    return np.ascontiguousarray(picture[rows, columns])
