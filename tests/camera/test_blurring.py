"""What must be blurred in pictures, and whether a frame may be shown; without models."""

import logging
from types import SimpleNamespace

import numpy as np
import pytest

from edgepub.camera.frames import Frame, Result
from edgepub.camera.pipeline.scene import Scene
from edgepub.camera.pipeline.stages import MAX_CROPS, Stage
from edgepub.camera.results.budget import MAX_OBJECTS
from edgepub.camera.results.filters import Filters
from edgepub.camera.results.objects import Objects, Wanted, read_objects
from edgepub.camera.snapshot_thread import SnapshotThread
from edgepub.camera.viewfinder import Viewfinder
from edgepub.config.areas import IgnoreSettings
from edgepub.config.camera import CameraSettings
from edgepub.config.labels import LabelSettings
from edgepub.config.pipelines import StageSettings
from edgepub.config.searching import find_searching
from edgepub.daemon.picture_wiring import PictureWiring
from edgepub.mqtt.outbox.outbox import Outbox
from edgepub.mqtt.topics import Topics
from edgepub.telemetry.metrics import CameraMetrics
from edgepub.telemetry.status import CameraState

ON_PERSON = StageSettings(on=["person"], detect="faces")


def read(objects, **wanted):
    frame = Frame(np.zeros((480, 640, 3), np.uint8), 1, 0.0, 0.0, 0.0)
    return read_objects(Result(frame, objects, {}, 0.0, 0.0), Wanted(blur=["face"], **wanted))


def faces(count):
    return [
        {"bbox": [n % 600, n // 600, n % 600 + 9, 9], "label": "face", "score": 0.9 - n / 1e5} for n in range(count)
    ]


def test_more_faces_than_a_message_has_are_blurred():
    found = read([*faces(MAX_OBJECTS + 100), {"bbox": [0, 0, 9, 9], "label": "dog", "score": 0.1}], min_score=0.5)
    assert (len(found.objects), found.too_many) == (MAX_OBJECTS, 100)
    assert found.is_complete
    assert len({face["bbox_norm"] for face in found.blurred}) == MAX_OBJECTS + 100


def test_far_too_many_faces_make_a_frame_incomplete():
    found = read(faces(5 * MAX_OBJECTS))
    assert not found.is_complete
    assert "set a higher min_score" in found.missing


def test_a_face_whose_landmarks_are_too_many_is_blurred():
    marks = [{"landmark": [10, 10]}] * 4000
    found = read([{**face, "landmarks": marks} for face in faces(3)])
    assert (len(found.objects), found.too_many) == (1, 2)
    assert found.is_complete
    assert len(found.blurred) == 3


def test_faces_of_the_cameras_min_score_are_blurred_whatever_their_label_needs():
    low = [{"bbox": [0, 0, 9, 9], "label": "face", "score": score} for score in (0.2, 0.4, 0.6)]
    assert len(read(low, min_score=0.3).blurred) == 2
    assert len(read(low, min_score=0.3, min_scores={"face": 0.5}).blurred) == 2
    assert len(read(low, min_score=0.5, min_scores={"face": 0.3}).blurred) == 2


@pytest.mark.parametrize("wrong", [{"embedding": ["?"]}, {"plate": "x" * 10**6}], ids=["unreadable", "too large"])
def test_an_object_that_cannot_be_published_is_blurred_or_known_as_lost(wrong):
    for label, count in {"face": 1, "person": 0}.items():
        found = read([{"bbox": [0, 0, 9, 9], "label": label, "score": 0.9, **wrong}, *faces(1)], include=[*wrong])
        assert found.is_complete
        assert (len(found.objects), len(found.blurred)) == (1, 1 + count)
        assert found.lost == {label}


def test_a_face_without_a_place_makes_a_frame_incomplete():
    found = read([{"bbox": [0, 0, 9], "label": "face", "score": 0.9}, *faces(1)])
    assert "cannot be read" in found.missing


@pytest.mark.parametrize("label", [[], None])
def test_what_has_no_label_may_be_a_face(label):
    """Also if it is not converted, because others are better."""
    found = read([*faces(MAX_OBJECTS), {"bbox": [0, 0, 9, 9], "label": label, "score": 0.1}])
    assert len(found.objects) == MAX_OBJECTS
    assert "cannot be read" in found.missing


AREA = IgnoreSettings(polygon=[[0, 0], [1, 0], [1, 1], [0, 1]])
FILTERS = {
    "an ignore area": Filters({}, [AREA]),
    "too small": Filters({"face": LabelSettings(min_area=0.5)}, []),
    "too wide": Filters({"face": LabelSettings(max_ratio=0.5)}, []),
}


@pytest.mark.parametrize("filters", FILTERS.values(), ids=FILTERS)
def test_a_face_that_filters_leave_out_is_blurred_without_a_pipeline(filters):
    found = read([{"bbox": [0, 0, 60, 60], "label": "face", "score": 0.9}], filters=filters)
    assert (found.objects, len(found.blurred)) == ([], 1)
    assert found.is_complete


def one(box, label="person", score=0.9):
    return {"label": label, "score": score, "bbox": box, "bbox_norm": [x / 1000 for x in box]}


def scene_of(*by_detector, wanted=None, lost=()):
    """Return the scene of what each detector has found in each tile."""
    frame = Frame(np.zeros((1000, 1000, 3), np.uint8), 1, 0.0, 0.0, 0.0)
    results = [[Objects(objects, {}, 0, (), lost=lost) for objects in by_tile] for by_tile in by_detector]
    return Scene(frame, results, wanted or Wanted(blur=["face"]), {})


def searched(scene):
    return [crop.detection["bbox"] for crop in scene.crops(ON_PERSON, also_left_out=True)]


UPPER, LOWER, INSIDE = (400, 260, 600, 550), (400, 340, 600, 900), (420, 400, 580, 600)


def test_of_a_person_cut_by_a_border_of_a_tile_both_parts_are_searched_unless_one_contains_the_other():
    scene = scene_of([[one(UPPER)], [one(LOWER)], [one(INSIDE)]])
    assert [person["bbox"] for person in scene.objects] == [LOWER]
    assert searched(scene) == [LOWER, UPPER]


def test_of_a_person_whom_two_models_find_all_is_searched():
    torso, whole = (400, 400, 600, 700), (400, 250, 600, 700)
    scene = scene_of([[one(torso, score=0.95)]], [[one(whole)]])
    assert [person["bbox"] for person in scene.objects] == [torso]
    assert searched(scene) == [torso, whole]


def test_a_part_with_too_low_a_score_takes_the_place_of_none_that_is_wanted():
    """The larger part is kept otherwise."""
    wanted = Wanted(min_score=0.3, min_scores={"person": 0.6}, blur=["face"])
    scene = scene_of([[one(UPPER)], [one(LOWER, score=0.5)]], wanted=wanted)
    assert [person["bbox"] for person in scene.objects] == [UPPER]
    assert searched(scene) == [UPPER, LOWER]


def test_persons_that_are_too_many_to_be_compared_are_searched_all_the_same():
    persons = [one((n * 10, 0, n * 10 + 5, 5)) for n in range(16)]
    scene = scene_of([persons, *[[]] * 64])
    assert len(scene.objects) == 15, "of 1,000 that are compared, in 65 results"
    assert len(searched(scene)) == 16


@pytest.mark.parametrize(
    ("count", "lost", "why"),
    [
        (MAX_CROPS, "car", ""),
        (MAX_CROPS, "person", "too many objects, or some that cannot be read"),
        (MAX_CROPS + 1, "car", f"more objects than the {MAX_CROPS} of a frame"),
    ],
)
def test_why_faces_may_be_missing_in_persons(count, lost, why):
    """Of each of the 65 results, only 15 persons are compared with those of other tiles."""
    scene = scene_of([[one((n * 10, 0, n * 10 + 5, 5)) for n in range(count)], *[[]] * 64], lost={lost})
    Stage(ON_PERSON, SimpleNamespace(name="faces"), must_search=True).pick(scene, None)
    missing = scene.result(None).missing
    assert why in missing
    assert bool(why) == bool(missing)


def test_faces_that_are_too_many_for_a_message_are_blurred():
    frame = Frame(np.zeros((1000, 1000, 3), np.uint8), 1, 0.0, 0.0, 0.0)
    results = [[read(faces(400))], [read([{**face, "bbox": [0, 500, 9, 509]} for face in faces(400)])]]
    found = Scene(frame, results, Wanted(blur=["face"]), {}).result(None)
    assert (len(found.objects), found.too_many, len(found.blurred)) == (MAX_OBJECTS, 300, 800)


@pytest.mark.parametrize(
    ("stages", "searching"),
    [
        ([{"detect": "faces"}], [True]),
        ([{"detect": "faces", "labels": ["hat"]}], [False]),
        ([{"classify": "age", "as": "age"}, {"detect": "faces", "labels": ["face", "hat"]}], [False, True]),
        ([{"detect": "heads", "labels": ["head"]}, {"detect": "faces", "on": ["head"]}], [True, True]),
        ([{"detect": "heads", "labels": ["head"]}, {"detect": "faces", "on": ["person"]}], [False, True]),
        ([{"detect": "heads", "labels": ["head"]}, {"detect": "faces"}], [True, True]),
        ([{"detect": "faces", "on": ["head"]}, {"detect": "heads", "labels": ["head"]}], [True, False]),
    ],
)
def test_which_stages_must_work_for_a_picture(stages, searching):
    stages = [StageSettings.model_validate(stage) for stage in stages]
    assert find_searching(stages, ["face"]) == searching
    assert find_searching(stages, []) == [False] * len(stages)


class Display:
    """Shows frames without pixels, with times of its own."""

    def __init__(self):
        self.state = CameraState()
        self.notes = self.state.notes
        self.viewfinder = Viewfinder()
        camera = CameraSettings(source="cam.mp4", model="m", snapshot={"enabled": False, "blur": ["face"]})
        identity = {"node": "test", "camera": "cam", "boot_id": "boot"}
        wiring = PictureWiring(identity, camera, Topics("edgepub", "test"), Outbox(9), list, lambda: None, is_on=False)
        self.pictures = wiring.make_pictures(
            SnapshotThread(), CameraMetrics(), lambda _level: True, self.viewfinder, self.state
        )

    def show(self, number, now_s, missing=""):
        frame = Frame(np.zeros((9, 9, 3), np.uint8), number, 0.0, 0.0, 0.0)
        self.pictures.show(frame, Objects([], {}, 0, (), missing=missing), now_s, {}, ())


def test_the_page_keeps_the_last_complete_frame():
    display = Display()
    with display.viewfinder.watch():
        display.show(1, 0.0)
        display.show(2, 0.1, "no faces")
        assert display.viewfinder.newest.frame.number == 1
        display.show(3, 0.2)
        assert display.viewfinder.newest.frame.number == 3


def test_it_is_said_when_there_are_no_pictures_for_long_and_only_now_and_then(caplog):
    caplog.set_level(logging.INFO)
    display = Display()
    for second in range(9):
        display.show(second, second, "the stage faces does not work")
    assert (display.notes, caplog.messages) == ({}, []), "a few frames"
    for second in range(9, 900):
        display.show(second, second, "the stage faces does not work")
    line = "no new pictures, because not all that must be blurred is looked for: the stage faces does not work"
    assert list(display.notes.values()) == [line]
    assert [message.count(line) for message in caplog.messages] == [1, 1], "every ten minutes"
    display.show(900, 900)
    assert display.notes == {}
    assert "new pictures again" in caplog.messages[-1]


@pytest.mark.parametrize("end", ["they are switched off", "the camera goes offline"])
def test_that_pictures_are_waited_for_is_not_said_any_more_if(end, caplog):
    caplog.set_level(logging.INFO)
    display = Display()
    for second in range(20):
        display.show(second, second, "no faces")
    assert display.notes
    caplog.clear()
    if end == "the camera goes offline":
        display.pictures.reset()
    else:
        display.viewfinder.shows_pixels = False
        display.show(20, 20, "no faces")
    assert (display.notes, caplog.messages) == ({}, []), "there are no new pictures either"
