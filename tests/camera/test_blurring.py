"""What must be blurred in pictures, and whether a frame may be shown; without models."""

import logging

import numpy as np
import pytest

from edgepub.camera.frames import Frame, Result
from edgepub.camera.results.budget import MAX_OBJECTS
from edgepub.camera.results.objects import Objects, Wanted, read_objects
from edgepub.camera.snapshot_thread import SnapshotThread
from edgepub.camera.viewfinder import Viewfinder
from edgepub.config.camera import CameraSettings
from edgepub.config.pipelines import StageSettings
from edgepub.config.searching import find_searching
from edgepub.daemon.picture_wiring import PictureWiring
from edgepub.mqtt.outbox.outbox import Outbox
from edgepub.mqtt.topics import Topics
from edgepub.telemetry.metrics import CameraMetrics
from edgepub.telemetry.status import CameraState


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
        self._pictures = wiring.make_pictures(
            SnapshotThread(), CameraMetrics(), lambda _level: True, self.viewfinder, self.state
        )

    def show(self, number, now_s, missing=""):
        frame = Frame(np.zeros((9, 9, 3), np.uint8), number, 0.0, 0.0, 0.0)
        self._pictures.show(frame, Objects([], {}, 0, (), missing=missing), now_s, {}, ())


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
