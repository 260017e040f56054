"""No picture leaves a camera that shows what must be blurred: echo models find persons, and faces in them."""

import asyncio
import json
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
import pytest

from edgepub.config.effective import EffectiveSettings, InForce
from edgepub.config.settings import Settings
from edgepub.daemon.camera_wiring import CameraWiring
from edgepub.http.pictures import PictureEncoders
from edgepub.mqtt.store import Store
from edgepub.mqtt.topics import Topics
from edgepub.telemetry.metrics import MetricsByCamera
from edgepub.telemetry.status import Status
from tests.support.recorder import Tape
from tests.support.scenes import film, square

pytestmark = pytest.mark.slow
FPS = 20
WIDTH, HEIGHT = SIZE = 640, 480
NOISE = np.random.default_rng(1).integers(0, 255, (HEIGHT, WIDTH, 3), np.uint8)
PERSON, OTHER = (160, 150, 320, 420), (400, 150, 560, 420)
SEEN_FACE = {"bbox": [16, 32, 48, 48], "label": "face", "score": 0.8}
"""In the 64 x 64 pixels that a model gets of a person."""
NOTHING_BEFORE = 12
"""The first frames, in which a test's problem is: an object appears in the third."""


def person(box, score=0.9):
    x1, y1, x2, y2 = box
    return {"bbox": [x1 / 10, y1 / 7.5, x2 / 10, y2 / 7.5], "label": "person", "score": score}


def face_of(box):
    """Return the inner part of a person's face, as a slice of the frame."""
    x1, y1, x2, y2 = box
    width, height = x2 - x1, y2 - y1
    x, y = slice(x1 + width // 4 + 8, x2 - width // 4 - 8), slice(y1 + height // 2 + 8, y1 + 3 * height // 4 - 8)
    return y, x


def is_sharp(image, part):
    """Return whether a part of a picture is as in the film; it is 640 pixels wide in both."""
    now, before = (np.abs(np.diff(picture[part].astype(int), axis=1)).mean() for picture in (image, NOISE))
    return now > 0.3 * before


class Shown(NamedTuple):
    """A picture that left the camera."""

    frame: int
    image: np.ndarray


class Shots(NamedTuple):
    """What left a camera."""

    snapshots: list
    cutouts: list
    page: list
    detections: list
    notes: dict

    @property
    def whole(self):
        return [*self.snapshots, *self.page]


def decoded(jpeg):
    at = jpeg.index(b"\xff\xfe")
    comment = json.loads(jpeg[at + 4 : at + 2 + int.from_bytes(jpeg[at + 2 : at + 4], "big")])
    return Shown(comment["frame"], cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR))


@pytest.fixture
def shoot(studio):
    """Return a function that runs a camera on a film with these scenes, and returns what left it."""

    def run(scenes, kinds=None, pipeline=None, **camera):
        source = film(studio.directory / "film.avi", scenes, FPS, background=NOISE)
        pipeline = pipeline or {"detect": "people", "then": [{"on": ["person"], "detect": "faces"}]}
        snapshot = {"blur": ["face"], "boxes": False, "quality": 95, "min_interval_s": 0, **camera.pop("snapshot", {})}
        configuration = {
            "node": "test",
            "mqtt": {"url": "mqtt://127.0.0.1:1"},  # not used
            "models": {name: studio.model(name, **(kinds or {}).get(name, {})) for name in ("people", "faces")},
            "pipelines": {"gate": pipeline},
            "cameras": {"cam": {"source": source, "model": "gate", "realtime": True, "snapshot": snapshot, **camera}},
        }
        return asyncio.run(_shoot(Settings.model_validate(configuration)))

    return run


async def _shoot(settings):
    in_force = InForce(EffectiveSettings(settings, Path(), {}, Path(), settings))
    tape, topics, status = Tape(), Topics("edgepub", "test"), Status(settings.cameras)
    stores = Store(None), status, MetricsByCamera(), list, lambda: None, lambda: None
    wiring = CameraWiring(in_force, "boot", topics, tape, *stores)
    page, ended = [], asyncio.Event()

    async def watch(viewfinder):
        with PictureEncoders(WIDTH, 95, boxes=False).watch(viewfinder) as encoder:
            while not ended.is_set():
                if picture := await encoder.picture(0.0):
                    page.append(decoded(picture.jpeg))
                await asyncio.sleep(0.01)

    camera = wiring.add("cam")
    watching = asyncio.create_task(watch(wiring.views["cam"].viewfinder))
    await camera.run()
    ended.set()
    await watching
    await wiring.snapshot_thread.wait_idle(10)
    await wiring.snapshot_thread.stop(10)
    pictures = {"snapshot": [], "objects/person/snapshot": []}
    detections = []
    for topic, payload in tape.messages:
        if topic in pictures and payload:
            pictures[topic].append(decoded(payload))
        elif topic == "detections":
            detections += json.loads(payload)["detections"]
    return Shots(*pictures.values(), page, detections, status.cameras["cam"].notes)


def test_without_blur_the_face_is_seen(shoot):
    """So that the other tests can fail."""
    shots = shoot([{None: [person(PERSON)], PERSON: [SEEN_FACE]}] * 15, snapshot={"blur": None})
    assert shots.snapshots
    assert shots.cutouts
    assert shots.page
    assert all(is_sharp(shown.image, face_of(PERSON)) for shown in shots.whole)
    assert shots.snapshots[0].frame < NOTHING_BEFORE


def test_a_face_is_blurred_in_every_picture(shoot):
    shots = shoot([{None: [person(PERSON)], PERSON: [SEEN_FACE]}] * 15)
    assert shots.snapshots
    assert shots.page
    assert not any(is_sharp(shown.image, face_of(PERSON)) for shown in shots.whole)
    assert all(is_sharp(shown.image, np.s_[:, 350:]) for shown in shots.whole), "the rest is as it was"
    (cutout,) = shots.cutouts
    height, width = cutout.image.shape[:2]
    middle = np.s_[height // 2 : 2 * height // 3, 2 * width // 5 : 3 * width // 5]
    assert not is_sharp(cutout.image, middle)


@pytest.mark.parametrize("stage", ["fails", "is too slow", "is not loaded"])
def test_no_picture_while_faces_cannot_be_looked_for(shoot, stage, studio):
    kinds = {"fails": {"SimulateFail": 1}, "is too slow": {"SimulateTime_ms": 2500}, "is not loaded": {}}[stage]
    studio.model("faces", **kinds)
    if stage == "is not loaded":
        (studio.zoo / "faces" / "faces.json").unlink()
    shots = shoot([{None: [person(PERSON)], PERSON: [SEEN_FACE]}] * 15, stall_timeout_s=5)
    assert [one["label"] for one in shots.detections[:1]] == ["person"]
    assert (shots.whole, shots.cutouts) == ([], [])


@pytest.mark.parametrize(("label", "is_shown"), [("face", True), ("fase", False)])
def test_no_picture_if_no_model_gives_what_must_be_blurred(shoot, label, is_shown):
    kinds = {"people": {"labels": ["person"]}, "faces": {"labels": [label]}}
    shots = shoot([{None: [person(PERSON)], PERSON: [SEEN_FACE]}] * 15, kinds)
    assert (bool(shots.snapshots), bool(shots.page)) == (is_shown, is_shown)


def test_no_picture_if_a_model_does_not_see_the_borders_by_its_own_file(shoot, studio):
    studio.model("faces")
    file = studio.zoo / "faces" / "faces.json"
    file.write_text(file.read_text().replace('"stretch"', '"crop-first"'))
    shots = shoot([{None: []}] * 10)  # a picture without persons is shown otherwise
    assert shots.page == []


def test_a_frame_without_persons_is_shown_although_the_stage_fails(shoot):
    shots = shoot([{None: []}] * 10, {"faces": {"SimulateFail": 1}})
    assert shots.page


def crowd(count):
    """Return this many persons of 64 x 64 pixels, below the detector's text."""
    places = [(x, y) for y in range(110, 470 - 64, 70) for x in range(0, 630 - 64, 70)]
    persons = [{"bbox": square(*place), "label": "person", "score": 0.9} for place in places[:count]]
    return {None: persons, **{place: [] for place in places[:count]}}


def unreadable():
    return {None: [person(PERSON)], PERSON: {"error": "no device"}}


def invalid_face():
    return {None: [person(PERSON)], PERSON: [{**SEEN_FACE, "bbox": [1, 2, 3]}, {**SEEN_FACE, "label": "hat"}]}


@pytest.mark.parametrize(
    ("incomplete", "complete"),
    [
        (unreadable(), {None: [person(PERSON)], PERSON: [SEEN_FACE]}),
        (invalid_face(), {None: [person(PERSON)], PERSON: [SEEN_FACE]}),
        (crowd(21), crowd(20)),
    ],
    ids=["a result that cannot be read", "a face that cannot be read", "more persons than are looked into"],
)
def test_pictures_wait_for_a_complete_frame(shoot, incomplete, complete):
    shots = shoot([incomplete] * NOTHING_BEFORE + [complete] * 8)
    assert shots.snapshots
    assert shots.cutouts
    assert shots.page
    assert min(shown.frame for shown in [*shots.whole, *shots.cutouts]) > NOTHING_BEFORE
    if PERSON in complete:
        assert not any(is_sharp(shown.image, face_of(PERSON)) for shown in shots.whole)


def area_of(box):
    x1, y1, x2, y2 = (x / size for x, size in zip(box, SIZE * 2, strict=True))
    return {"polygon": [[x1, y1], [x2, y1], [x2, y2 + 0.01], [x1, y2 + 0.01]]}


LEFT_OUT = {
    "the person is in an ignore area": {"ignore": {"flag": area_of(PERSON)}},
    "the face is in an ignore area": {"ignore": {"flag": {**area_of(PERSON), "labels": ["face"]}}},
    "the person is too large": {"labels": {"person": {"max_area": 0.13}, "face": {}}},
    "the person has too low a score for its label": {"labels": {"person": {"min_score": 0.95}, "face": {}}},
    "the face is too small": {"labels": {"person": {}, "face": {"min_area": 0.3}}},
    "the face has too low a score for its label": {"labels": {"person": {}, "face": {"min_score": 0.85}}},
    "the stage keeps other labels": {
        "pipeline": {
            "detect": "people",
            "then": [{"on": ["person"], "detect": "faces"}, {"on": ["person"], "detect": "faces", "labels": ["hat"]}],
        }
    },
}


@pytest.mark.parametrize("why", LEFT_OUT)
def test_what_is_left_out_of_the_results_is_blurred_all_the_same(shoot, why):
    """Somebody else, in whom nothing is found, is why there is a picture."""
    smaller = (400, 150, 550, 330)
    scene = {None: [person(PERSON), person(smaller, 0.99)], PERSON: [SEEN_FACE], smaller: []}
    shots = shoot([scene] * 15, **LEFT_OUT[why])
    if why != "the stage keeps other labels":
        assert not any(one["label"] == "face" for one in shots.detections), "it is left out"
    assert shots.snapshots
    assert shots.page
    assert not any(is_sharp(shown.image, face_of(PERSON)) for shown in shots.whole)


def test_a_stage_that_fails_counts_for_persons_that_are_left_out(shoot):
    scene = {None: [person(PERSON)], PERSON: [SEEN_FACE]}
    shots = shoot([scene] * 10, {"faces": {"SimulateFail": 1}}, ignore={"flag": area_of(PERSON)})
    assert shots.detections == []
    assert shots.whole == []


def test_outside_of_the_region_everything_is_blurred(shoot):
    """The region is what the model gets: its results are written there."""
    region = [160 / WIDTH, 150 / HEIGHT, 320 / WIDTH, 420 / HEIGHT]
    scene = {PERSON: [{"bbox": [8, 16, 40, 48], "label": "person", "score": 0.9}]}
    shots = shoot([scene] * 15, pipeline={"detect": "people"}, region=region)
    assert shots.snapshots
    for shown in shots.whole:
        assert is_sharp(shown.image, np.s_[200:380, 200:300])
        assert is_sharp(shown.image, np.s_[160:410, 170:312]), "up to its border"
        assert not is_sharp(shown.image, np.s_[:, 330:])
        assert not is_sharp(shown.image, np.s_[:140])
