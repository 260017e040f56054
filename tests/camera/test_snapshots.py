"""Pictures: what is in them, and when they are made."""

import asyncio
import json
import threading
from collections import Counter

import cv2
import numpy as np
import pytest

from edgepub.camera.analysis.presence import Moment, Sighting
from edgepub.camera.drawing import label_colour
from edgepub.camera.frames import Frame
from edgepub.camera.jpeg import encode_jpeg
from edgepub.camera.picture_switch import PictureSwitch
from edgepub.camera.snapshot_thread import SnapshotThread
from edgepub.camera.snapshots import Snapshots
from edgepub.camera.viewfinder import Seen
from edgepub.config.publishing import SnapshotSettings
from edgepub.core.threads import native_threads
from edgepub.mqtt.outbox.outbox import Outbox
from edgepub.telemetry.metrics import CameraMetrics
from tests.support.waiting import wait_until

IDENTITY = {"node": "garage", "camera": "porch", "boot_id": "boot"}


def an_object(box, label="person", score=0.9):
    return {"label": label, "score": score, "bbox_norm": box}


def comment(picture):
    """Return what is written into a JPEG's comment (marker COM)."""
    at = picture.index(b"\xff\xfe")
    return json.loads(picture[at + 4 : at + 2 + int.from_bytes(picture[at + 2 : at + 4], "big")])


def decoded(picture):
    return cv2.imdecode(np.frombuffer(picture, np.uint8), cv2.IMREAD_COLOR)


def is_near(pixel, colour):
    return np.abs(pixel.astype(int) - colour).max() < 60  # JPEG halves the resolution of colours


@pytest.mark.parametrize(("width", "height", "max_width"), [(1920, 1080, 1280), (640, 480, 1280), (352, 288, 320)])
def test_a_picture_has_the_requested_size_and_its_boxes_in_the_right_place(width, height, max_width):
    image = np.full((height, width, 3), 128, np.uint8)
    box = (0.25, 0.375, 0.75, 0.875)
    picture = decoded(encode_jpeg(image, [an_object(box)], max_width, 95, {}))
    size = min(width, max_width)
    assert picture.shape == (round(size * height / width), size, 3)
    assert (image == 128).all(), "the frame itself is left alone"
    colour = label_colour("person")
    rows, columns = picture.shape[0] - 1, picture.shape[1] - 1
    x1, y1, x2, y2 = (round(part * side) for part, side in zip(box, (columns, rows, columns, rows), strict=True))
    for x, y in [(x1, (y1 + y2) // 2), (x2, (y1 + y2) // 2), ((x1 + x2) // 2, y1), ((x1 + x2) // 2, y2)]:
        assert is_near(picture[y, x], colour), f"a side of the box at {x}, {y}"
    inside = picture[y1 + rows // 4 : y2 - rows // 20, x1 + columns // 20 : x2 - columns // 20]
    assert np.abs(inside.astype(int) - 128).max() < 20, "nothing is drawn inside"


def test_a_label_is_written_where_there_is_room():
    image = np.full((480, 640, 3), 128, np.uint8)
    for box in [(0.5, 0.5, 0.9, 0.9), (0.0, 0.0, 0.2, 0.2), (0.9, 0.0, 1.0, 1.0)]:
        picture = decoded(encode_jpeg(image, [an_object(box, "träffic light")], 640, 95, {}))
        changed = np.argwhere(np.abs(picture.astype(int) - 128).max(axis=2) > 40)
        assert len(changed) > 1000
        without = decoded(encode_jpeg(image, [], 640, 95, {}))
        assert np.abs(without.astype(int) - 128).max() < 3


def test_the_comment_describes_the_picture_and_the_file_stays_a_jpeg():
    picture = encode_jpeg(np.zeros((48, 64, 3), np.uint8), [], 64, 80, {**IDENTITY, "frame": 7})
    assert picture[:4] == b"\xff\xd8\xff\xe0", "JFIF's own segment comes first"
    assert picture[6:10] == b"JFIF"
    assert comment(picture) == {**IDENTITY, "frame": 7}
    assert decoded(picture).shape == (48, 64, 3)


def test_a_higher_quality_gives_a_larger_file():
    noise = np.random.default_rng(1).integers(0, 255, (200, 300, 3), np.uint8)
    sizes = [len(encode_jpeg(noise, [], 1280, quality, {})) for quality in (10, 50, 90)]
    assert sizes == sorted(sizes)
    assert sizes[2] > 2 * sizes[0]


def test_colours_are_bright_and_differ():
    colours = Counter(label_colour(label) for label in ["person", "car", "dog", "cat", "face", "truck", "bicycle"])
    assert len(colours) == 7
    assert all(max(colour) == 255 for colour in colours)


class Immediate:
    """A snapshot thread that works in the caller's thread, or is busy."""

    busy = False

    def submit(self, _owner, work):
        if not self.busy:
            work()
        return not self.busy


class Camera:
    """Shows frames to `Snapshots`, and keeps the pictures."""

    def __init__(self, **settings):
        self.snapshot_thread = Immediate()
        self.pictures = []
        settings = SnapshotSettings(**{"min_interval_s": 5, **settings})
        self.metrics = CameraMetrics()
        self.switch = PictureSwitch(Outbox(10), list, is_on=settings.enabled)
        self.snapshots = Snapshots(
            IDENTITY, settings, self.snapshot_thread, self.switch, self.pictures.append, self.metrics
        )
        self.frame = 0

    def show(self, now_s, *objects):
        """Show a frame with objects; return the frame of the newest picture, if there is a new one."""
        self.frame += 1
        frame = Frame(np.zeros((48, 64, 3), np.uint8), self.frame, 1e9 + now_s, 0.0, now_s)
        moment = Moment(self.frame, 0.0, now_s, 64, 48)
        before = len(self.pictures)
        present = {(detection["label"], n): Sighting(moment, detection) for n, detection in enumerate(objects)}
        self.snapshots.update(Seen(frame, objects), present)
        return [comment(picture)["frame"] for picture in self.pictures[before:]]


FAR, NEAR = (0.4, 0.4, 0.5, 0.6), (0.3, 0.3, 0.6, 0.9)


def test_a_snapshot_when_an_object_appears_and_when_it_is_seen_better_but_not_too_often():
    camera = Camera()
    person = an_object(FAR)
    assert camera.show(0.0) == []
    assert camera.show(1.0, person) == [2]
    assert camera.show(10.0, person) == [], "as before"
    assert camera.show(11.0, an_object(FAR, score=0.95)) == [], "hardly better"
    assert camera.show(12.0, an_object(NEAR)) == [5], "larger"
    assert camera.show(13.0, an_object((0.1, 0.1, 0.9, 1.0))) == [], "too soon"
    assert camera.show(17.0, an_object(NEAR)) == [], "no better than the one there is"
    assert camera.show(18.0, an_object(NEAR), an_object(FAR, "dog")) == [8], "one more"
    assert camera.show(30.0, an_object(FAR), an_object(FAR, "dog")) == [], "smaller again"
    assert camera.metrics.read().snapshots == 3
    assert camera.snapshots.frame_of(("person", 0)) == 8
    camera.snapshots.forget([("person", 0)])
    assert camera.snapshots.frame_of(("person", 0)) is None
    assert camera.show(40.0, an_object(FAR)) == [10], "another person"


def test_a_skipped_snapshot_is_made_of_a_later_frame():
    camera = Camera()
    camera.snapshot_thread.busy = True
    assert camera.show(0.0, an_object(FAR)) == []
    assert camera.snapshots.frame_of(("person", 0)) is None, "no event may name it"
    camera.snapshot_thread.busy = False
    assert camera.show(0.04, an_object(FAR)) == [2]


def test_no_snapshots_when_disabled():
    assert Camera(enabled=False).show(0.0, an_object(FAR)) == []


def test_without_boxes_the_frame_is_unchanged():
    camera = Camera(boxes=False)
    camera.show(0.0, an_object(NEAR))
    assert decoded(camera.pictures[0]).max() < 5


def test_a_new_source_has_its_own_clock():
    camera = Camera()
    camera.show(1000.0, an_object(FAR))
    camera.snapshots.reset()
    camera.snapshots.forget([("person", 0)])
    assert camera.show(0.0, an_object(FAR)) == [2]


def test_a_frame_that_cannot_be_encoded_is_logged_and_the_next_one_works(caplog):
    camera = Camera()
    frame = Frame(np.zeros((0, 0, 3), np.uint8), 1, 0.0, 0.0, 0.0)
    camera.snapshots.update(Seen(frame, []), {("person", 0): Sighting(Moment(1, 0.0, 0.0, 0, 0), an_object(FAR))})
    assert camera.pictures == []
    assert [(r.levelname, r.camera) for r in caplog.records] == [("WARNING", "porch")]
    assert camera.show(6.0, an_object(NEAR)) == [1]


def test_each_owners_work_waits_once_however_busy_the_thread_is():
    snapshot_thread, go, done, threads = SnapshotThread(), threading.Event(), [], []

    def slow():
        threads.append(threading.current_thread())
        go.wait(60)
        done.append("slow")

    def work(name):
        return lambda: (threads.append(threading.current_thread()), done.append(name))

    assert snapshot_thread.submit("porch", slow)
    wait_until(lambda: threads, "that it has begun")
    assert snapshot_thread.submit("porch", work("porch")), "waits"
    assert snapshot_thread.submit("yard", work("yard")), "another camera's does not cost it"
    assert not snapshot_thread.submit("porch", work("later")), "one waits already"
    go.set()
    wait_until(lambda: len(done) == 3, "all that was accepted")
    assert done == ["slow", "porch", "yard"]
    assert threads[0] in native_threads(), "the daemon's end knows of it"
    assert len(set(threads)) == 1
    assert threads[0].daemon, "it keeps no process alive"


async def test_the_end_of_all_work_can_be_waited_for():
    snapshot_thread, go, done = SnapshotThread(), threading.Event(), []
    snapshot_thread.submit("porch", lambda: (go.wait(60), done.append("porch")))
    snapshot_thread.submit("yard", lambda: done.append("yard"))
    asyncio.get_running_loop().call_later(0.05, go.set)
    await asyncio.wait_for(snapshot_thread.wait_idle(60), 60)
    assert done == ["porch", "yard"]


def test_the_snapshot_thread_continues_after_an_internal_error(caplog):
    snapshot_thread, done = SnapshotThread(), threading.Event()
    snapshot_thread.submit("porch", lambda: 1 / 0)
    snapshot_thread.submit("yard", done.set)
    assert done.wait(60)
    assert [record.levelname for record in caplog.records] == ["ERROR"]


async def test_the_snapshot_thread_ends_after_its_current_work():
    snapshot_thread, begun, go, done = SnapshotThread(), threading.Event(), threading.Event(), []

    def slow():
        begun.set()
        go.wait(60)
        done.append(threading.current_thread())

    assert snapshot_thread.submit("porch", slow)
    assert begun.wait(60)
    asyncio.get_running_loop().call_later(0.05, go.set)
    await asyncio.wait_for(snapshot_thread.stop(60), 60)
    assert done, "the stop waits for the work"
    done[0].join(60)
    assert not done[0].is_alive()
    await asyncio.wait_for(SnapshotThread().stop(60), 1)


async def test_stopping_does_not_wait_for_a_hung_snapshot_thread():
    snapshot_thread, go = SnapshotThread(), threading.Event()
    snapshot_thread.submit("porch", go.wait)
    await asyncio.wait_for(snapshot_thread.stop(0.05), 30)
    go.set()
