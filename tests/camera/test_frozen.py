"""A camera that goes on sending the same picture, over real HTTP."""

import threading
import time
from contextlib import closing

import pytest

from edgepub.camera.sources.factory import make_source
from edgepub.camera.sources.gate import Gate
from edgepub.telemetry.metrics import CameraMetrics
from tests.support.films import jpeg_picture
from tests.support.jpeg_camera import JpegCamera, part
from tests.support.waiting import wait_until

pytestmark = pytest.mark.slow


@pytest.fixture
def notes():
    return {}


@pytest.fixture
def camera(notes):
    """A camera that is read, until the end of the test."""
    metrics, stopping = CameraMetrics(), threading.Event()
    how = {"loop": False, "realtime": False, "stall_timeout_s": 3, "metrics": metrics, "notes": notes}
    with JpegCamera([part(jpeg_picture(1))]) as camera:
        source = make_source("cam", camera.url(), Gate(None, metrics), **how)

        def read():
            with closing(source.frames(stopping)) as frames:
                for _ in frames:
                    pass

        thread = threading.Thread(target=read)
        thread.start()
        yield camera
        stopping.set()
        thread.join()


def test_a_picture_that_stays_the_same_is_said_to_be_frozen_until_it_changes(camera, notes, caplog):
    wait_until(lambda: notes, "a note")
    assert notes == {"frozen": "the picture is frozen: it has not changed for 3 s; restart the camera"}
    assert [record.getMessage() for record in caplog.records] == [notes["frozen"]]
    camera.parts = [part(jpeg_picture(2))]
    wait_until(lambda: not notes, "another picture")


def test_pictures_that_differ_are_not_frozen(camera, notes):
    camera.parts = [part(jpeg_picture(number)) for number in range(200)]
    time.sleep(4.5)  # longer than the note takes; nothing is to be seen
    assert not notes
