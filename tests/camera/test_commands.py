"""Commands whose output is a video, a Raspberry Pi's camera (a stand-in), and addresses of single pictures."""

import logging
import os
import sys
import threading
import time
from contextlib import closing, suppress
from itertools import islice
from pathlib import Path

import psutil
import pytest

from edgepub.config.source import RpiCamera
from edgepub.core.errors import SourceError
from edgepub.core.threads import native_threads
from edgepub.telemetry.metrics import CameraMetrics
from tests.support import films
from tests.support.jpeg_camera import JpegCamera
from tests.support.sources import PACED, open_source
from tests.support.waiting import wait_until

CAT = "import shutil, sys; shutil.copyfileobj(open(sys.argv[1], 'rb'), sys.stdout.buffer); sys.stdout.flush()"


@pytest.fixture(autouse=True)
def _nothing_is_left_behind():
    before = psutil.Process().children()  # of tests before: their brokers
    yield
    wait_until(lambda: not [t for t in native_threads() if t.name == "camera-cam-capture"], "the end of the reads")
    wait_until(lambda: set(psutil.Process().children()) <= set(before), "the end of the commands")


def python(code, *arguments):
    return [sys.executable, "-c", code, *map(str, arguments)]


def collect(source):
    """Return the frames until the source ends, and why it did."""
    found = []
    with pytest.raises(SourceError) as caught, closing(source.frames(threading.Event())) as frames:
        found += frames
    return found, str(caught.value)


@pytest.mark.parametrize("container", ["mkv", "ts", "h264", "mjpeg"])
def test_the_video_of_a_command_is_read(tmp_path, container):
    codec = {"codec": "mjpeg", "pix_fmt": "yuvj420p"} if container == "mjpeg" else {}
    film = films.encode(tmp_path / f"film.{container}", range(30), **codec)
    metrics = CameraMetrics()
    frames, why = collect(
        open_source(python(PACED, film), metrics=metrics, format=container if container in {"h264", "mjpeg"} else None)
    )
    numbers = [films.read_number(frame.image) for frame in frames]
    assert numbers == sorted(set(numbers))
    assert numbers[-1] == 29
    assert len(numbers) + metrics.read().sampled.get("busy", 0) == 30
    assert why == f"{Path(sys.executable).name}: the video has ended"


def test_raw_pictures_of_a_command(tmp_path):
    raw = tmp_path / "raw"
    raw.write_bytes(b"".join(films.picture(number, 64, 48).tobytes() for number in range(10)))
    frames, _ = collect(open_source(python(CAT, raw), format="bgr24", size=[64, 48], fps=25))
    assert films.read_number(frames[-1].image) == 9
    assert (frames[-1].image == films.picture(9, 64, 48)).all()


@pytest.mark.parametrize(
    ("command", "why"),
    [
        (["/no/such/program"], "program: no such program: /no/such/program"),
        (["/etc/passwd"], "passwd: cannot be run: Permission denied: /etc/passwd"),
        (
            python("import sys; sys.exit('cannot open the sensor')"),
            ": has ended with exit code 1: cannot open the sensor",
        ),
        (python("print('hello' * 5000)"), ": cannot be opened: it answers, but not with a video"),
        (python("import os; os.kill(os.getpid(), 40)"), ": was ended by Real-time signal 6"),
        (python("import os; os.abort()"), ": was ended by Aborted"),
    ],
)
def test_a_command_that_gives_no_video_says_why(command, why):
    _, line = collect(open_source(command))
    assert line.endswith(why)


def test_what_a_command_says_is_in_the_log_without_secrets_and_limited(caplog):
    code = "import sys; [print(f'line {n} rtsp://u:S3cret@h/x', file=sys.stderr) for n in range(500)]; sys.exit(3)"
    _, line = collect(open_source(python(code, "password=S3cret")))
    lines = [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]
    assert 0 < len(lines) <= 10
    assert "line 0 rtsp://***@h/x" in lines[0]
    assert "line 499 rtsp://***@h/x" in line
    assert "S3cret" not in " ".join([line, *lines])


def test_a_line_that_comes_in_pieces_is_logged_as_one(caplog):
    code = """
import sys, time
for piece in ("open rtsp://u:S3", "cret@10.0.0.5/x failed\\n"):
    sys.stderr.write(piece)
    sys.stderr.flush()
    time.sleep(0.5)
sys.exit(3)
"""
    _, line = collect(open_source(python(code)))
    assert line.endswith("open rtsp://***@10.0.0.5/x failed")
    assert "cret" not in caplog.text


def test_a_format_that_there_is_not_is_named():
    _, line = collect(open_source(python("print(1)"), format="nonsense"))
    assert line.endswith(": FFmpeg does not know the format nonsense")


def test_a_command_does_not_get_the_passwords_of_the_environment(monkeypatch):
    monkeypatch.setenv("EDGEPUB_MQTT__PASSWORD", "S3cret")
    _, line = collect(
        open_source(python("import os, sys; sys.exit(os.environ.get('EDGEPUB_MQTT__PASSWORD', 'nothing'))"))
    )
    assert line.endswith("nothing")


SILENT = """
import subprocess, sys, time
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
content = open(sys.argv[1], "rb").read()
for _ in range(3):
    for at in range(0, len(content), len(content) // 30):
        sys.stdout.buffer.write(content[at : at + len(content) // 30])
        sys.stdout.flush()
        time.sleep(0.03)
time.sleep(600)
"""
"""Sends three seconds of video, and then nothing any more."""


def is_running(process):
    """Return whether a process runs; one that has ended may wait for its new parent."""
    try:
        return process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


@pytest.mark.slow
@pytest.mark.parametrize("ignores", [False, True])
def test_a_command_and_its_children_end_with_the_source(tmp_path, ignores):
    film = films.encode(tmp_path / "film.h264", range(30))
    code = ("import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN)" if ignores else "") + SILENT
    stopping = threading.Event()
    with closing(open_source(python(code, film), format="h264").frames(stopping)) as frames:
        next(frames)
        (command,) = [
            child for child in filter(is_running, psutil.Process().children()) if child.cmdline()[2:3] == [code]
        ]
        wait_until(command.children, "the command's child")
        children = [command, *command.children()]
        stopping.set()
        with suppress(StopIteration):
            next(frames)
    wait_until(lambda: not any(map(is_running, children)), "the end of both")


@pytest.mark.slow
def test_a_command_that_goes_silent_is_stopped_and_started_again(tmp_path):
    film = films.encode(tmp_path / "film.h264", range(30))
    source = open_source(python(SILENT, film), format="h264", stall_timeout_s=2)
    for _ in range(2):
        _, why = collect(source)
        assert "no frame for 2 s" in why


@pytest.fixture
def rpicam(tmp_path, monkeypatch):
    """A program in the place of Raspberry Pi's: it writes what it was asked for, and its arguments into a file."""
    program = tmp_path / "rpicam-vid"
    program.write_text(
        f"""#!{sys.executable}
import sys
sys.path[:0] = {sys.path!r}
from pathlib import Path
from tests.support import films
arguments = sys.argv[1:]
Path({str(tmp_path / "arguments")!r}).write_text(" ".join(arguments))
width, height = (int(arguments[arguments.index(key) + 1]) for key in ("--width", "--height"))
if "yuv420" in arguments:
    import av
    for number in range(10):
        picture = av.VideoFrame.from_ndarray(films.picture(number, width, height), format="bgr24")
        sys.stdout.buffer.write(picture.reformat(format="yuv420p").to_ndarray().tobytes())
else:
    film = films.encode({str(tmp_path / "film.h264")!r}, range(10), size=(width, height))
    sys.stdout.buffer.write(film.read_bytes() if hasattr(film, "read_bytes") else open(film, "rb").read())
"""
    )
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    return tmp_path / "arguments"


def test_a_raspberry_pis_camera(rpicam):
    frames, why = collect(open_source(RpiCamera(1)))
    assert films.read_number(frames[-1].image) == 9
    assert frames[-1].image.shape == (720, 1280, 3)
    assert why == "rpicam 1: the video has ended"
    arguments = rpicam.read_text()
    assert "--camera 1 " in arguments
    assert "--codec yuv420" in arguments
    frames, _ = collect(open_source(RpiCamera(0), size=[640, 480], fps=30, format="h264"))
    assert films.read_number(frames[-1].image) == 9
    assert frames[-1].image.shape == (480, 640, 3)
    assert "--framerate 30 --codec h264 --inline" in rpicam.read_text()


def test_without_the_program_of_raspberry_pi_it_is_named(monkeypatch):
    monkeypatch.setenv("PATH", "/nowhere")
    _, why = collect(open_source(RpiCamera(0)))
    assert why == "rpicam 0: no such program: rpicam-vid"


def test_a_single_picture_is_asked_for_again_and_again():
    metrics = CameraMetrics()
    with JpegCamera([]) as camera:
        camera.responses["/snap.jpg"] = 200, "image/jpeg", films.jpeg_picture(1)
        with closing(
            open_source(camera.url("/snap.jpg"), metrics=metrics, poll_s=0.2).frames(threading.Event())
        ) as frames:
            began_s, found = time.monotonic(), []
            for frame in islice(frames, 10):
                found.append((frame.number, films.read_number(frame.image)))
                camera.responses["/snap.jpg"] = 200, "image/jpeg", films.jpeg_picture(len(found) + 1)
            assert time.monotonic() - began_s > 9 * 0.2 - 0.1
    assert found == [(number, number) for number in range(1, 11)]
    assert "undecodable" not in metrics.read().sampled


@pytest.mark.slow
def test_a_picture_every_few_seconds_is_no_stall():
    with JpegCamera([]) as camera:
        camera.responses["/snap.png"] = 200, "image/png", films.png_picture(1)
        with closing(
            open_source(camera.url("/snap.png"), stall_timeout_s=1, poll_s=2.5).frames(threading.Event())
        ) as frames:
            assert [frame.number for frame in islice(frames, 3)] == [1, 2, 3]


@pytest.mark.slow
@pytest.mark.parametrize("content", [b"<html>log in</html>", films.jpeg_picture(1)[:-500]])
def test_an_address_that_gives_no_picture_says_so(content):
    with JpegCamera([]) as camera:
        camera.responses["/snap.jpg"] = 200, "image/jpeg", content
        _, why = collect(open_source(camera.url("/snap.jpg"), stall_timeout_s=1, poll_s=0.1))
    assert "not with a picture that can be decoded" in why or "not with a video" in why


def test_an_address_of_pictures_that_is_lost_says_why():
    with JpegCamera([]) as camera:
        camera.responses["/snap.jpg"] = 200, "image/jpeg", films.jpeg_picture(1)
        with closing(open_source(camera.url("/snap.jpg"), poll_s=0.1).frames(threading.Event())) as frames:
            next(frames)
            del camera.responses["/snap.jpg"]
            camera.responses["/snap.jpg"] = 404, "text/plain", b""
            with pytest.raises(SourceError, match="no such path"):
                list(frames)
