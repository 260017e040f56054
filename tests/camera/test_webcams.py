"""Webcams: the program reads them in a process of its own, with a stand-in for the kernel's driver."""

import json
import os
import subprocess
import sys

import pytest

from tests.support.webcam import StandInWebcam, make_driver, needs_webcam

NO_PICTURES = "it gives no pictures: a webcam often has two devices, and the other one does"
READ = """
import json, sys, threading, time
from contextlib import closing
from edgepub.core.errors import SourceError
from tests.support import films
from tests.support.sources import open_camera
source = open_camera(**json.loads(sys.argv[1]))
try:
    with closing(source.frames(threading.Event())) as frames:
        for _ in range(int(sys.argv[2])):
            frame = next(frames)
            print(json.dumps({"number": films.read_number(frame.image), "corners": films.read_corners(frame.image),
                "size": frame.image.shape[1::-1], "age_s": time.time() - frame.timestamp, "clock": frame.clock}),
                flush=True)
except SourceError as error:
    print(json.dumps({"error": str(error)}), flush=True)
"""


def reading(camera, count, source=None, **settings):
    """Start to read a webcam."""
    settings = {"source": str(source or camera.device), **settings}
    command = [sys.executable, "-c", READ, json.dumps(settings), str(count)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env={**os.environ, **camera.environment})


def read(camera, count=10, source=None, **settings):
    """Read a webcam; return what was read."""
    with reading(camera, count, source, **settings) as process:
        lines = [json.loads(line) for line in process.stdout]
    assert process.returncode == 0
    return lines


@pytest.fixture(scope="module")
def driver(tmp_path_factory):
    return make_driver(tmp_path_factory.mktemp("driver"), "YUYV-640x480", "YUYV-1280x720", "MJPG-1280x720")


@pytest.fixture
def webcam(tmp_path, driver):
    with StandInWebcam(tmp_path, driver) as webcam:
        yield webcam


@needs_webcam
@pytest.mark.parametrize(
    ("capture", "size", "fps"),
    [
        ({}, [640, 480], 30),
        ({"size": [1280, 720], "fps": 10}, [1280, 720], 10),
        ({"size": [1280, 720], "format": "mjpeg"}, [1280, 720], 30),
        ({"size": [1280, 720], "format": "yuyv"}, [1280, 720], 30),
        ({"size": [800, 600], "format": "yuyv422"}, [640, 480], 30),  # the nearest that it has
    ],
)
def test_size_rate_and_format_are_those_that_are_asked_for(webcam, capture, size, fps):
    frames = read(webcam, capture=capture)
    numbers = [frame["number"] for frame in frames]
    assert numbers == sorted(set(numbers))
    assert {tuple(frame["size"]) for frame in frames} == {tuple(size)}
    assert frames[-1]["corners"] == ["top left", "top right", "bottom right", "bottom left"]
    assert {frame["clock"] for frame in frames} == {"arrival"}
    assert -0.01 < frames[-1]["age_s"] < 1
    assert webcam.fps == fps


@needs_webcam
def test_a_webcam_by_its_id(webcam, tmp_path):
    by_id = tmp_path / "usb-Acme_Camera-video-index0"
    by_id.symlink_to(webcam.device)
    assert len(read(webcam, source=by_id)) == 10


@needs_webcam
@pytest.mark.parametrize(
    ("fault", "capture", "line"),
    [
        ("busy", {}, "another program uses it"),
        ("metadata", {}, NO_PICTURES),
        (None, {"format": "h264"}, "it does not give h264: `v4l2-ctl --list-formats-ext` shows what it gives"),
        (None, {"format": "nv12"}, "it does not give nv12: `v4l2-ctl --list-formats-ext` shows what it gives"),
        (None, {"format": "nonsense"}, "it does not give nonsense: `v4l2-ctl --list-formats-ext` shows what it gives"),
    ],
)
def test_why_it_does_not_open(webcam, fault, capture, line):
    if fault:
        (webcam.directory / fault).touch()
    assert read(webcam, capture=capture) == [{"error": f"{webcam.device}: cannot be opened: {line}"}]


@needs_webcam
def test_a_device_that_is_not_a_webcam(webcam):
    lines = read(webcam, source="/dev/zero")
    assert lines == [{"error": f"/dev/zero: cannot be opened: {NO_PICTURES}"}]


@needs_webcam
def test_a_webcam_that_is_unplugged(webcam):
    with reading(webcam, 1000) as process:
        process.stdout.readline()
        webcam.unplug()
        last = json.loads(process.stdout.readlines()[-1])
    assert last == {"error": f"{webcam.device}: the stream was lost: no such device"}


AGAIN = """
import sys, threading
from contextlib import closing
from tests.support.sources import open_camera
source, kept = open_camera(source=sys.argv[1]), []
for _ in range(6):
    with closing(source.frames(threading.Event())) as frames:
        kept += [next(frames) for _ in range(8)]
print(len(kept))
"""


@needs_webcam
def test_a_webcam_can_be_opened_again_and_again(webcam):
    """FFmpeg's packets are in the device's memory, which is gone when it is closed."""
    command = [sys.executable, "-c", AGAIN, str(webcam.device)]
    done = subprocess.run(
        command, capture_output=True, text=True, env={**os.environ, **webcam.environment}, check=False
    )
    assert (done.returncode, done.stdout) == (0, "48\n")


@pytest.mark.slow
@needs_webcam
def test_a_webcam_that_hangs_is_left_in_time(webcam):
    with reading(webcam, 1000, stall_timeout_s=4) as process:
        process.stdout.readline()
        webcam.paused.set()
        last = json.loads(process.stdout.readlines()[-1])
    assert last == {"error": f"{webcam.device}: the stream was lost: silent"}, "not abandoned, and held open"


@needs_webcam
def test_frames_that_max_fps_leaves_out_are_not_given(webcam):
    frames = read(webcam, max_fps=5)
    first, *_, last = (frame["number"] for frame in frames)
    assert last - first >= 4 * (len(frames) - 1), "of 25 a second; a busy computer hands some out late"
