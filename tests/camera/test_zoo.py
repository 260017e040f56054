"""The zoo of real models sees what is in real pictures.

Places and texts were looked up in the pictures; scores, shares and ages are what the models gave at first.
"""

import base64
import math

import cv2
import numpy as np
import pytest

from tests.support import zoo

pytestmark = [pytest.mark.process, pytest.mark.slow]  # the first use downloads the models
FACE = (slice(60, 195), slice(165, 290))  # in the picture `astronaut`
OTHER_FACE = (slice(100, 370), slice(150, 390))  # in `grace_hopper`
NOSE = (225, 124)  # of the astronaut
EYES = {"right eye": (205, 104), "left eye": (250, 106)}
FINGERTIP = (215, 104)  # in `index_finger`


@pytest.fixture(scope="module")
def viewer(tmp_path_factory):
    viewer = zoo.Viewer(zoo.make(tmp_path_factory.mktemp("zoo"), *zoo.MODELS))
    yield viewer
    viewer.close()


def cut(image, box, margin=0.0):
    """Return what is in a box, with so much of its size around it."""
    x1, y1, x2, y2 = box
    more_x, more_y = margin * (x2 - x1), margin * (y2 - y1)
    left, top = max(0, round(x1 - more_x)), max(0, round(y1 - more_y))
    return np.ascontiguousarray(image[top : round(y2 + more_y), left : round(x2 + more_x)]), (left, top)


def plate(text="EDGE 42", degrees=0.0):
    """Return a picture with a plate, whose middle is at (320, 240)."""
    image = np.full((480, 640, 3), 90, np.uint8)
    image[212:268, 220:420] = 235
    cv2.putText(image, text, (228, 254), cv2.FONT_HERSHEY_SIMPLEX, 1.3, (20, 20, 20), 3, cv2.LINE_AA)
    return cv2.warpAffine(image, cv2.getRotationMatrix2D((320, 240), degrees, 1), (640, 480), borderValue=(90, 90, 90))


def points(thing):
    return np.array([landmark["landmark"][:2] for landmark in thing["landmarks"]])


def test_a_face_has_its_box_and_its_landmarks(viewer):
    (face,) = viewer.predict("face", zoo.picture("astronaut"))
    assert face["label"] == "face"
    assert face["score"] > 0.85
    assert face["bbox"] == pytest.approx([180, 82, 273, 175], abs=6)
    found = {landmark["label"]: landmark["landmark"] for landmark in face["landmarks"]}
    assert found["nose"] == pytest.approx(NOSE, abs=6)
    for eye, place in EYES.items():
        assert found[eye] == pytest.approx(place, abs=6)


def test_a_face_mesh_lies_on_the_face(viewer):
    image, (left, top) = zoo.picture("astronaut")[FACE], (FACE[1].start, FACE[0].start)
    (face,) = viewer.predict("face_mesh", np.ascontiguousarray(image))
    assert face["score"] > 0.9
    mesh = points(face) + np.array([left, top])
    assert mesh.shape == (468, 2)
    assert mesh[4] == pytest.approx(NOSE, abs=6), "the tip of the nose"
    assert mesh[[33, 133]].mean(axis=0) == pytest.approx(EYES["right eye"], abs=6), "between its corners"
    assert mesh[[263, 362]].mean(axis=0) == pytest.approx(EYES["left eye"], abs=6)
    assert np.all((mesh > [170, 60]) & (mesh < [290, 195])), "all on the head"
    assert viewer.predict("face_mesh", zoo.picture("index_finger")) == []


def test_a_person_leads_to_a_pose(viewer):
    image = zoo.picture("astronaut")
    (person,) = viewer.predict("person", image)
    assert (person["label"], len(person["landmarks"])) == ("person", 4)
    assert person["bbox"] == pytest.approx([0, 13, 512, 512], abs=15)
    part, offset = cut(image, person["bbox"], 0.1)
    (pose,) = viewer.predict("pose", part)
    assert "bbox" not in pose
    assert pose["score"] > 0.8
    body = {landmark["label"]: np.array(landmark["landmark"]) + offset for landmark in pose["landmarks"]}
    assert len(body) == 33
    assert body["nose"] == pytest.approx(NOSE, abs=16)
    assert body["right shoulder"][0] < body["nose"][0] < body["left shoulder"][0]
    assert body["right shoulder"][1] > body["mouth right"][1] > body["nose"][1]
    assert viewer.predict("pose", zoo.picture("index_finger")) == []


def test_a_palm_leads_to_a_hand_that_points_up(viewer):
    image = zoo.picture("index_finger")
    (palm,) = viewer.predict("palm", image)
    assert (palm["label"], len(palm["landmarks"])) == ("palm", 7)
    assert palm["bbox"] == pytest.approx([151, 327, 378, 555], abs=15)
    part, offset = cut(image, palm["bbox"], 1.0)
    (hand,) = viewer.predict("hand", part)
    assert hand["score"] > 0.8
    assert 0 <= hand["handedness"] <= 1
    assert [len(landmark["landmark"]) for landmark in hand["landmarks"]] == [3] * 21, "x, y and z"
    assert [len(landmark["world_landmark"]) for landmark in hand["landmarks"]] == [3] * 21
    tips = {landmark["label"]: np.array(landmark["landmark"][:2]) + offset for landmark in hand["landmarks"]}
    assert tips["IndexFingerTip"] == pytest.approx(FINGERTIP, abs=25)
    assert min(tip[1] for label, tip in tips.items() if not label.startswith("Index")) > FINGERTIP[1] + 100
    assert viewer.predict("palm", zoo.picture("astronaut")) == []
    assert viewer.predict("hand", zoo.picture("astronaut")) == []


def test_a_persons_mask_is_the_shape_of_the_person(viewer):
    (person,) = viewer.predict("person_mask", zoo.picture("astronaut"))
    code = person["mask"]
    runs = np.frombuffer(base64.b64decode(code["data"]), np.uint32)
    values, lengths = np.split(runs, 2)
    mask = np.repeat(values, lengths).reshape(code["height"], code["width"])
    assert person["bbox"] == pytest.approx([0, 12, 364, 512], abs=15)
    assert mask.mean() == pytest.approx(0.42, abs=0.04)
    assert mask[62, 112], "the nose"
    assert mask[220, 100], "the suit"
    assert not mask[40, 210], "the shuttle"


@pytest.mark.parametrize("degrees", [0, 20, -35])
def test_a_text_is_found_turned_and_read(viewer, degrees):
    image = plate(degrees=degrees)
    (text,) = viewer.predict("ocr_det", image)
    assert text["label"] == "text"
    assert math.degrees(text["angle"]) == pytest.approx(-degrees, abs=4), "clockwise, as the picture's rows go down"
    x1, y1, x2, y2 = text["bbox"]
    assert [(x1 + x2) / 2, (y1 + y2) / 2] == pytest.approx([318, 240], abs=8)
    assert [x2 - x1, y2 - y1] == pytest.approx([185, 48], abs=20), "as if it were not turned"
    upright = cv2.getRotationMatrix2D(((x1 + x2) / 2, (y1 + y2) / 2), math.degrees(text["angle"]), 1)
    line, _ = cut(cv2.warpAffine(image, upright, (640, 480)), text["bbox"])
    (read,) = viewer.predict("ocr_rec", line)
    assert (read["label"], read["score"] > 0.8) == ("EDGE 42", True)
    (way,) = viewer.predict("ocr_cls", line)
    assert way["label"] == "upright"
    (way,) = viewer.predict("ocr_cls", np.ascontiguousarray(line[::-1, ::-1]))
    assert way["label"] == "upside down"


def test_where_there_is_no_text_none_is_found(viewer):
    assert viewer.predict("ocr_det", zoo.picture("astronaut")) == []
    assert viewer.predict("ocr_rec", np.zeros((48, 320, 3), np.uint8)) == []


@pytest.mark.parametrize(
    ("name", "label", "box"), [("astronaut", "person", (9, 8, 369, 512)), ("coffee", "cup", (170, 15, 416, 267))]
)
def test_everyday_objects_are_found(viewer, name, label, box):
    (found,) = viewer.predict("coco", zoo.picture(name))
    assert found["label"] == label
    assert found["bbox"] == pytest.approx(box, abs=12)


def test_a_face_leads_to_its_age_and_emotion(viewer):
    image = zoo.picture("astronaut")
    (face,) = viewer.predict("face", image)
    part, _ = cut(image, face["bbox"], 0.15)
    other = np.ascontiguousarray(zoo.picture("grace_hopper")[OTHER_FACE])
    (age,), (older,) = viewer.predict("face_age", part), viewer.predict("face_age", other)
    assert age["label"] == "age"
    assert 25 < age["score"] < 48, "in her thirties"
    assert 55 < older["score"] < 85, "77 years"
    gender, years = viewer.predict("face_attributes", part)
    assert (gender["classifier"], gender["results"][0]["label"]) == ("gender", "female")
    assert (years["classifier"], years["results"]) == ("age", [{"label": str(round(age["score"]))}]), "without a score"
    best = max(viewer.predict("face_emotion", part), key=lambda emotion: emotion["score"])
    assert (best["label"], best["score"] > 0.8) == ("happy", True)


def test_embeddings_of_the_same_face_are_alike(viewer):
    image = zoo.picture("astronaut")
    darker = cv2.convertScaleAbs(image[62:190, 170:285], alpha=0.8)
    tensors = [
        viewer.predict("face_embedding", np.ascontiguousarray(face))[0]
        for face in (image[FACE], darker, zoo.picture("grace_hopper")[OTHER_FACE])
    ]
    assert [tensor["shape"] for tensor in tensors] == [[1, 1024]] * 3
    one, same, other = (tensor["data"].reshape(-1) / np.linalg.norm(tensor["data"]) for tensor in tensors)
    assert one @ same > 0.9
    assert one @ other < 0.8
