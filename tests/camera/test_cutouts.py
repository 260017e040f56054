"""Cut-outs of objects: what they show, whose they are, and when they are made."""

import json
from itertools import count
from typing import NamedTuple

import cv2
import numpy as np
import pytest

from edgepub.camera.analysis.presence import Moment, Sighting, Stay
from edgepub.camera.analysis.rules import Occurrence
from edgepub.camera.analysis.visits import Visits
from edgepub.camera.cutouts import Cutouts, find_cut
from edgepub.camera.frames import Frame
from edgepub.camera.picture_switch import PictureSwitch
from edgepub.camera.viewfinder import Seen
from edgepub.config.publishing import SnapshotSettings
from edgepub.mqtt.outbox.outbox import Outbox

IDENTITY = {"node": "garage", "camera": "porch", "boot_id": "boot"}
WIDTH, HEIGHT = 1920, 1080
GREY, RED, GREEN = 128, (0, 0, 255), (0, 255, 0)


class Thing(NamedTuple):
    """An object of the world: a coloured box."""

    track: int
    box: tuple[int, int, int, int]
    label: str = "person"
    score: float = 0.9
    colour: tuple[int, int, int] = RED

    @property
    def key(self):
        return self.label, self.track

    @property
    def detection(self):
        x1, y1, x2, y2 = self.box
        norm = [x1 / WIDTH, y1 / HEIGHT, x2 / WIDTH, y2 / HEIGHT]
        known = {"label": self.label, "track_id": self.track, "score": self.score}
        return {**known, "bbox": list(self.box), "bbox_norm": norm}


class Immediate:
    """A snapshot thread that works in the caller's thread, or has work that waits."""

    busy = False

    def submit(self, _owner, work):
        if not self.busy:
            work()
        return not self.busy


class FullPicture(NamedTuple):
    """A picture of which the model gets a smaller one."""

    pixels: np.ndarray
    width: int = WIDTH
    height: int = HEIGHT

    def image(self):
        return self.pixels


class Camera:
    """Shows frames to `Cutouts`, with the visits of the objects in them, and keeps the pictures."""

    def __init__(self, zones=None, blur=(), **settings):
        self.blur = blur
        self.thread = Immediate()
        self.made = []
        self.labels = {"person", "dog", "face"}
        self.switch = PictureSwitch(Outbox(10), list, is_on=True)
        numbers = count(1)
        self.visits = Visits(zones, lambda: f"visit-{next(numbers)}")
        self.cutouts = Cutouts(
            IDENTITY,
            SnapshotSettings(**settings),
            self.thread,
            self.switch,
            self.labels.__contains__,
            self.made.append,
        )
        self.frame = 0

    def show(self, now_s, *things):
        """Show a frame with objects; those that are new appear in it. Return the cut-outs that are made of it."""
        self.frame += 1
        image = np.full((HEIGHT, WIDTH, 3), GREY, np.uint8)
        for thing in things:
            x1, y1, x2, y2 = thing.box
            image[y1:y2, x1:x2] = thing.colour
        small = np.zeros((18, 32, 3), np.uint8)
        frame = Frame(small, self.frame, 1e9 + now_s, now_s, now_s, full=FullPicture(image))
        moment = Moment(self.frame, frame.timestamp, now_s, WIDTH, HEIGHT)
        present = {thing.key: Sighting(moment, thing.detection) for thing in things}
        for key, sighting in present.items():
            if self.visits.get(key) is None:
                self.visits.start(key, Stay(sighting, sighting, present=True))
        self.visits.see(present)
        before = len(self.made)
        detections = [thing.detection for thing in things]
        blurred = [thing.detection for thing in things if thing.label in self.blur]
        self.cutouts.update(Seen(frame, detections, blurred), present, self.visits)
        return self.made[before:]

    def leave(self, thing):
        """End the visit of an object; return it."""
        sighting = Sighting(Moment(self.frame, 0.0, 0.0, WIDTH, HEIGHT), thing.detection)
        _, (ended,) = self.visits.add([Occurrence("left", thing.key, sighting, dwell_s=1.0)])
        return ended.visit


def decoded(jpeg):
    return cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR)


def comment(picture):
    at = picture.index(b"\xff\xfe")
    return json.loads(picture[at + 4 : at + 2 + int.from_bytes(picture[at + 2 : at + 4], "big")])


def share(image, colour):
    """Return the part of an image that has a colour."""
    return (np.abs(image.astype(int) - colour).max(axis=2) < 60).mean()


LARGE, SMALL = (600, 300, 1000, 900), (900, 500, 960, 620)


def test_a_cut_out_shows_its_object_at_full_size_with_a_margin():
    (cutout,) = Camera().show(0.0, Thing(1, LARGE), Thing(2, (1300, 300, 1500, 500), "dog", colour=GREEN))[:1]
    image = decoded(cutout.jpeg)
    assert image.shape == (780, 520, 3), "1.3 times the box, at each side 15 %"
    assert share(image[92:688, 62:458], RED) > 0.99
    assert share(image, RED) == pytest.approx(400 * 600 / (520 * 780), abs=0.01)
    assert share(image, GREEN) == 0
    says = comment(cutout.jpeg)
    assert (says["visit_id"], says["label"], says["track_id"]) == ("visit-1", "person", 1)
    assert (says["frame"], says["timestamp"], says["camera"]) == (1, 1e9, "porch")
    assert (says["bbox"], says["crop"]) == (list(LARGE), [540, 210, 1060, 990])


def test_a_small_object_is_shown_in_its_surroundings_and_not_enlarged():
    (cutout,) = Camera().show(0.0, Thing(1, SMALL))
    image = decoded(cutout.jpeg)
    assert image.shape == (300, 300, 3)
    assert share(image, RED) == pytest.approx(60 * 120 / 300**2, abs=0.01)


def test_a_wide_cut_out_is_reduced_to_the_maximum_width():
    (cutout,) = Camera(max_width=260).show(0.0, Thing(1, LARGE))
    image = decoded(cutout.jpeg)
    assert image.shape == (390, 260, 3)
    assert share(image, RED) == pytest.approx(400 * 600 / (520 * 780), abs=0.02)


@pytest.mark.parametrize(
    ("box", "size", "wanted"),
    [
        ((0, 0, 60, 60), (1920, 1080), (0, 0, 300, 300)),
        ((1860, 1020, 1920, 1080), (1920, 1080), (1620, 780, 1920, 1080)),
        ((0, 0, 1920, 1080), (1920, 1080), (0, 0, 1920, 1080)),
        ((10.4, 10.4, 60.6, 60.6), (200, 100), (0, 0, 200, 100)),
        ((-5, 400, 500, 1085), (1920, 1080), (0, 189, 657, 1080)),
    ],
)
def test_a_cut_is_inside_of_the_frame(box, size, wanted):
    assert find_cut(box, *size) == wanted


def test_what_must_not_be_recognized_is_blurred():
    face = Thing(2, (700, 350, 900, 550), "face", colour=GREEN)
    sharp, hidden = (
        decoded(next(c.jpeg for c in camera.show(0.0, Thing(1, LARGE), face) if c.level == "person"))
        for camera in (Camera(), Camera(blur=["face"]))
    )
    assert share(sharp, GREEN) > 0.09
    assert share(hidden, GREEN) < share(sharp, GREEN) - 0.02, "its edges are gone"
    assert share(hidden[500:680, 62:458], RED) > 0.99, "the rest is as it was"


def test_a_cut_out_when_an_object_appears_and_when_it_is_seen_better_but_not_too_often():
    camera, wider = Camera(min_interval_s=5), (600, 300, 1100, 900)
    assert [c.frame for c in camera.show(0.0, Thing(1, LARGE))] == [1]
    assert camera.show(10.0, Thing(1, LARGE, score=0.95)) == [], "hardly better"
    assert [c.frame for c in camera.show(11.0, Thing(1, wider))] == [3]
    assert camera.show(13.0, Thing(1, (300, 100, 1500, 1000))) == [], "too soon"
    assert camera.show(20.0, Thing(1, wider)) == [], "no better than in its cut-out"
    assert [c.visit_id for c in camera.show(21.0, Thing(1, wider), Thing(2, SMALL))] == ["visit-2"], "a new visit"
    assert camera.show(30.0, Thing(1, (300, 100, 1500, 1000)), Thing(2, SMALL)) == [], "the newest has the picture"


def test_of_two_that_appear_together_the_later_one_has_the_picture():
    camera = Camera(min_interval_s=0)
    assert [c.visit_id for c in camera.show(0.0, Thing(1, LARGE), Thing(2, SMALL))] == ["visit-2"]
    assert camera.show(1.0, Thing(1, LARGE), Thing(2, SMALL)) == []
    assert camera.show(2.0, Thing(1, LARGE)) == []
    assert camera.cutouts.shown_s("person", "visit-1") is None
    assert camera.cutouts.shown_s("person", "visit-2") is not None


def test_each_label_has_its_own():
    made = Camera().show(0.0, Thing(1, LARGE), Thing(2, SMALL, "dog"))
    assert [(c.level, c.visit_id) for c in made] == [("person", "visit-1"), ("dog", "visit-2")]
    camera = Camera()
    camera.labels.discard("dog")
    assert [c.level for c in camera.show(0.0, Thing(1, LARGE), Thing(2, SMALL, "dog"))] == ["person"]


def test_an_objects_first_cut_out_is_not_lost_while_the_thread_is_busy():
    camera = Camera()
    camera.thread.busy = True
    assert camera.show(0.0, Thing(1, LARGE)) == []
    assert camera.cutouts.shown_s("person", "visit-1") is None, "no event may name it"
    camera.thread.busy = False
    assert [c.frame for c in camera.show(0.04, Thing(1, LARGE))] == [2]


def test_the_best_of_a_visit_is_its_newest_cut_out():
    camera = Camera(min_interval_s=5)
    camera.show(0.0, Thing(1, LARGE))
    camera.show(1.0, Thing(1, (300, 100, 1500, 1000)))
    assert camera.leave(Thing(1, LARGE)).shown.moment.frame == 1, "the second was too soon for a cut-out"
    without = Camera(crop=False)
    assert without.show(0.0, Thing(1, LARGE)) == []
    without.show(1.0, Thing(1, (300, 100, 1500, 1000)))
    assert without.leave(Thing(1, LARGE)).shown.moment.frame == 2


def test_only_objects_with_a_visit_of_the_configured_zones_have_one():
    camera = Camera(zones=["door"])
    assert camera.show(0.0, Thing(1, LARGE)) == []
    sighting = Sighting(Moment(1, 0.0, 0.0, WIDTH, HEIGHT), Thing(1, LARGE).detection)
    camera.visits.add([Occurrence("zone_entered", ("person", 1), sighting, zone="door")])
    assert len(camera.show(1.0, Thing(1, LARGE))) == 1


def test_switched_off_there_are_none_and_then_there_is_one_again():
    camera = Camera()
    camera.show(0.0, Thing(1, LARGE))
    camera.switch.set(False)
    assert camera.cutouts.shown_s("person", "visit-1") is None
    assert camera.show(10.0, Thing(1, LARGE), Thing(2, SMALL)) == []
    camera.switch.set(True)
    assert [c.visit_id for c in camera.show(20.0, Thing(1, LARGE), Thing(2, SMALL))] == ["visit-2"]
