"""Frames from real files and from a real stream over HTTP."""

import errno
import functools
import http.server
import os
import re
import subprocess
import sys
import threading
import time
from contextlib import ExitStack, closing, suppress
from itertools import islice, pairwise
from pathlib import Path

import cv2
import numpy as np
import pytest

from edgepub.camera.frames import NO_PIXELS, Frame, Picture, Shot
from edgepub.camera.sources.factory import make_source
from edgepub.camera.sources.gate import Gate
from edgepub.camera.sources.newest import NewestFrameSource
from edgepub.cli.bench import echo
from edgepub.cli.bench.live_camera import LiveCamera
from edgepub.core.errors import SourceError
from edgepub.core.threads import native_threads
from edgepub.telemetry.metrics import CameraMetrics
from tests.support import films
from tests.support.waiting import wait_until


def make(source, *, loop=False, realtime=False, max_fps=None, stall_timeout_s=10, metrics=None):
    metrics = metrics or CameraMetrics()
    more = {"loop": loop, "realtime": realtime, "stall_timeout_s": stall_timeout_s, "metrics": metrics}
    return make_source("cam", source, Gate(max_fps, metrics), **more)


def read(source, number=None):
    with closing(source.frames(threading.Event())) as frames:
        return list(islice(frames, number))


def capture_threads():
    return [thread for thread in native_threads() if thread.name == "camera-cam-capture"]


@pytest.fixture(autouse=True)
def _no_thread_is_left_behind():
    yield
    wait_until(lambda: not capture_threads(), "the end of the threads that read")


@pytest.fixture
def video(tmp_path):
    """Ten frames, each with a text of its own."""
    path = tmp_path / "ten.avi"
    echo.make_video(path, range(10), fps=50)
    return path


def text_of(frame):
    return int(frame.image.tobytes().decode())


def test_every_frame_of_a_file_in_order(video):
    frames = read(make(video))
    assert [text_of(frame) for frame in frames] == list(range(10))
    assert [frame.number for frame in frames] == list(range(1, 11))
    assert frames[0].image.shape == (64, 64, 3)
    assert abs(frames[-1].timestamp - time.time()) < 60
    assert all(a.captured_s <= b.captured_s for a, b in pairwise(frames))


def test_a_loop_continues_the_frame_numbers(video):
    frames = read(make(video, loop=True), 25)
    assert [text_of(frame) for frame in frames] == [n % 10 for n in range(25)]
    assert [frame.number for frame in frames] == list(range(1, 26))


def test_real_time_never_gives_a_frame_before_its_time(video):
    began = time.monotonic()
    for frame in make(video, realtime=True).frames(threading.Event()):
        assert frame.captured_s - began >= (frame.number - 1) / 50


def test_real_time_leaves_out_frames_that_a_slow_consumer_missed(video):
    frames = []
    for frame in make(video, realtime=True).frames(threading.Event()):
        frames.append(frame)
        if len(frames) == 1:
            time.sleep(0.1)  # five frames long
    numbers = [frame.number for frame in frames]
    assert numbers[1] >= min(numbers[0] + 4, 10)
    assert [text_of(frame) + 1 for frame in frames] == numbers, "the numbers are those of the file"


def test_stopping_ends_it(video):
    stopping = threading.Event()
    frames = make(video, loop=True, realtime=True).frames(stopping)
    next(frames)
    stopping.set()
    assert len(list(frames)) <= 1


@pytest.mark.parametrize(
    ("content", "why"), [(None, "no such file"), (b"this is no video", "not a video that FFmpeg can read")]
)
def test_a_file_that_is_missing_or_no_video(tmp_path, content, why):
    path = tmp_path / "film.mp4"
    if content:
        path.write_bytes(content)
    with pytest.raises(SourceError, match=f"{why}: {path}"):
        read(make(path))


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("x" * 300, "cannot be read: File name too long"),
        ("closed/film.mp4", "cannot be read: Permission denied"),
        ("film\0.mp4", "no such file"),
        ("pipe", "a directory, a device or a pipe, not a file"),
        ("", "no pictures in the folder"),
    ],
)
def test_a_path_that_cannot_be_a_video(tmp_path, monkeypatch, name, why):
    """Such as a film in the home directory of a user, which the service may not enter."""
    os.mkfifo(tmp_path / "pipe")
    stat = Path.stat

    def closed_stat(path, **options):  # the user that runs the tests may be root
        if path.parent.name == "closed":
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
        return stat(path, **options)

    monkeypatch.setattr(Path, "stat", closed_stat)
    with pytest.raises(SourceError, match=f"^{why}: {re.escape(str(tmp_path / name))}$"):
        read(make(tmp_path / name))


def test_a_truncated_file_gives_the_frames_it_has(tmp_path):
    whole, short = tmp_path / "whole.avi", tmp_path / "short.avi"
    echo.make_video(whole, range(100))
    content = whole.read_bytes()
    short.write_bytes(content[: len(content) * 3 // 4])
    frames = read(make(short))
    assert 50 <= len(frames) < 100
    assert [text_of(frame) for frame in frames[:-1]] == list(range(len(frames) - 1))


TRY = """
import sys, threading
from pathlib import Path
from edgepub.core.errors import SourceError
from edgepub.core.threads import native_threads
from edgepub.telemetry.metrics import CameraMetrics
from edgepub.camera.sources.gate import Gate
from edgepub.camera.sources.factory import make_source
from edgepub.config.source import Webcam
metrics = CameraMetrics()
kind = {"loop": False, "realtime": False, "stall_timeout_s": 10, "metrics": metrics}
for source in (Path(sys.argv[1]), "rtsp://user:s3cret@127.0.0.1:9/stream", Webcam(Path("/dev/video77"))):
    try:
        list(make_source("cam", source, Gate(None, metrics), **kind).frames(threading.Event()))
    except SourceError as error:
        print(error)
"""


def test_only_our_own_error_is_printed_without_secrets(tmp_path):
    """OpenCV and FFmpeg write to stderr past every log. In a process of its own: they read their settings once."""
    (tmp_path / "x.mp4").write_bytes(b"no video")
    done = subprocess.run([sys.executable, "-c", TRY, tmp_path / "x.mp4"], capture_output=True, text=True, check=True)
    assert done.stderr == ""
    assert done.stdout.splitlines() == [
        f"not a video that FFmpeg can read: {tmp_path / 'x.mp4'}",
        "rtsp://127.0.0.1:9: cannot be opened: refused: nothing listens on port 9 there",
        "webcam 77: cannot be opened: there is no /dev/video77",
    ]


@pytest.fixture
def http_server(tmp_path):
    """A server of the test's directory on loopback."""

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=tmp_path)) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def test_a_url_gives_frames_until_it_is_lost(http_server, video):
    frames = []
    stream = video.rename(video.with_suffix(""))  # by its name, it is no file
    with pytest.raises(SourceError):
        for frame in make(f"{http_server}/{stream.name}").frames(threading.Event()):
            frames.append(frame)
    numbers = [text_of(frame) for frame in frames]
    assert numbers == sorted(set(numbers))
    assert numbers[-1] == 9, "the last one is never left out"


def test_a_url_that_does_not_exist(http_server):
    with pytest.raises(SourceError):
        read(make(f"{http_server}/none.avi"))


def test_a_small_picture_and_a_large_one_are_the_same_video(tmp_path):
    """Small ones are decoded in one thread."""
    for side in (64, 1280):
        path = tmp_path / f"{side}.avi"
        writer = cv2.VideoWriter(str(path), cv2.CAP_FFMPEG, cv2.VideoWriter.fourcc(*"MJPG"), 25, (side, side))
        for shade in (0, 80, 160, 240):
            writer.write(np.full((side, side, 3), shade, np.uint8))
        writer.release()
        frames = read(make(path))
        assert [round(float(frame.image.mean()), -1) for frame in frames] == [0, 80, 160, 240]


# Live sources.


@pytest.fixture
def start_camera(tmp_path):
    """Return a function that starts a camera on loopback, whose frames contain their place in a video of 100."""
    video = tmp_path / "hundred.avi"
    echo.make_video(video, range(100), fps=25)
    with ExitStack() as stack:
        yield lambda fps: stack.enter_context(LiveCamera(video, fps))


def test_a_slow_consumer_gets_the_newest_frame_and_the_others_are_counted(start_camera):
    camera, metrics = start_camera(50), CameraMetrics()
    with closing(make(camera.url, metrics=metrics).frames(threading.Event())) as frames:
        numbers = [next(frames).number]
        for _ in range(4):
            seen = metrics.read().captured
            wait_until(lambda n=seen: metrics.read().captured >= n + 10, "ten more frames")
            frame = next(frames)
            assert frame.number >= seen + 9, "the last one counted may not be there yet"
            assert text_of(frame) == (frame.number - 1) % 100
            numbers.append(frame.number)
    wait_until(lambda: not capture_threads(), "the end")
    read = metrics.read()
    assert read.sampled["busy"] >= numbers[-1] - len(numbers), "the frames between those that were taken"
    assert read.sampled["busy"] + len(numbers) == read.captured, "all of them"


def test_a_frame_is_there_before_the_next_is_sent(start_camera):
    """With a decoder thread for each processor every frame would come that many frames late."""
    camera, late = start_camera(8), 0
    for frame in read(make(camera.url), 10):
        following = camera.sent_s.get((text_of(frame) + 1) % 100)
        late += following is not None and frame.captured_s > following
    assert late <= 3, "not as a rule; a busy machine may be late sometimes"


def test_the_first_frame_of_a_slow_camera_comes_immediately(start_camera):
    """FFmpeg would watch it for five seconds, to learn its frame rate."""
    camera = start_camera(4)
    (frame,) = read(make(camera.url), 1)
    assert text_of(frame) <= 1
    assert len(camera.sent_s) <= 8


def test_max_fps_leaves_out_frames_evenly_before_they_are_decoded(start_camera):
    camera, metrics = start_camera(40), CameraMetrics()
    frames = read(make(camera.url, max_fps=10, metrics=metrics), 12)
    gaps_s = [b.captured_s - a.captured_s for a, b in pairwise(frames)]
    assert min(gaps_s) > 0.0499, "never nearer than half a period"
    assert sum(gaps_s) > 1.0499, "nor more often on average"
    assert sum(gaps_s) < 5, "but about as often, on a machine of any speed"
    wait_until(lambda: not capture_threads(), "the end")
    sampled = metrics.read().sampled
    assert sampled["max_fps"] >= frames[-1].number - len(frames) - sampled.get("busy", 0) > 20


def test_a_max_fps_below_the_stall_timeout_is_no_stall(start_camera):
    camera = start_camera(25)
    frames = read(make(camera.url, max_fps=0.5, stall_timeout_s=1), 2)
    assert frames[1].number - frames[0].number > 25


def test_max_fps_of_a_file_uses_the_files_own_clock(video):
    metrics = CameraMetrics()
    frames = read(make(video, max_fps=10, metrics=metrics))  # ten frames at 50 a second
    assert [text_of(frame) for frame in frames] == [0, 5]
    frames = read(make(video, loop=True, max_fps=10, metrics=metrics), 6)
    assert [frame.number for frame in frames] == [1, 6, 11, 16, 21, 26]
    assert metrics.read().sampled == {"max_fps": 8 + 20}


def test_a_silent_source_fails_in_time_and_recovers(start_camera):
    camera = start_camera(25)
    source = make(camera.url, stall_timeout_s=1)
    for _ in range(2):
        with closing(source.frames(threading.Event())) as frames:
            last = next(frames)
            camera.paused.set()
            with pytest.raises(SourceError, match=r"127\.0\.0\.1:\d+"):
                for frame in frames:
                    last = frame
            assert time.monotonic() - last.captured_s < 5, "one second, on a machine that may be busy"
            camera.paused.clear()


def shot(number):
    frame = Frame(NO_PIXELS, number, 0.0, time.monotonic(), 0.0)
    return Shot(lambda _fit: Picture(NO_PIXELS), frame)


class Hanging:
    """A source whose reads hang, each until it is released: FFmpeg's do that, but not on demand."""

    def __init__(self):
        self.hangs = []

    def __str__(self):
        return "hanging"

    def shots(self, stopping):
        yield shot(1)
        hang = threading.Event()
        self.hangs.append(hang)
        hang.wait()
        if not stopping.is_set():
            yield shot(2)


def test_hung_reads_are_abandoned_up_to_a_limit():
    hanging = Hanging()
    source = NewestFrameSource(hanging, "cam", 0.1, CameraMetrics())
    for _ in range(4):
        with pytest.raises(SourceError, match="hanging: "):
            read(source)
    assert len(capture_threads()) == 4
    with pytest.raises(SourceError, match="hanging: "):
        read(source)
    assert len(capture_threads()) == 4
    hanging.hangs[2].set()
    wait_until(lambda: len(capture_threads()) == 3, "the end of the read that came back")
    assert [frame.number for frame in read(source, 1)] == [1]
    for hang in hanging.hangs:
        hang.set()


def test_stopping_does_not_wait_for_a_hung_read():
    hanging, stopping = Hanging(), threading.Event()
    with closing(NewestFrameSource(hanging, "cam", 60, CameraMetrics()).frames(stopping)) as frames:
        next(frames)
        wait_until(lambda: hanging.hangs, "the hang")
        stopping.set()
        assert list(frames) == []
    hanging.hangs[0].set()


def test_an_error_in_the_reading_thread_is_raised_in_the_consumer():
    class Wrong:
        def shots(self, _stopping):
            yield shot(1)
            raise KeyError("a mistake of ours")

    frames = NewestFrameSource(Wrong(), "cam", 60, CameraMetrics()).frames(threading.Event())
    assert next(frames).number == 1
    with pytest.raises(KeyError, match="a mistake of ours"):
        next(frames)


def test_a_damaged_frame_does_no_harm(start_camera):
    camera = start_camera(50)
    tag, body = camera.frames[3][:8], camera.frames[3][8:]
    camera.frames[3] = tag + bytes(len(body))
    camera.frames[6] = tag + bytes(reversed(body))
    with closing(make(camera.url).frames(threading.Event())) as frames:
        for frame in frames:
            if frame.image.tobytes().strip() == b"50":
                break


def test_a_damaged_video_gives_its_good_frames(demo_assets, tmp_path):
    content = bytearray(demo_assets.video.read_bytes())
    for at in range(len(content) // 3, len(content) // 2, 997):
        content[at : at + 50] = bytes(50)
    (tmp_path / "holes.mp4").write_bytes(content)
    whole = {frame.number: frame.image for frame in read(make(demo_assets.video))}
    metrics = CameraMetrics()
    frames = read(make(tmp_path / "holes.mp4", metrics=metrics))
    assert len(frames) > 30
    assert all((frame.image == whole[frame.number]).all() for frame in frames), "and no other"
    assert len(frames) + metrics.read().sampled["undecodable"] == len(whole)


@pytest.fixture
def jpegs():
    """An old camera: multipart JPEG, with pictures that change their size."""

    class Pictures(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(200)
            self.send_header("Content-Type", "multipart/x-mixed-replace; boundary=frame")
            self.end_headers()
            with suppress(OSError):
                for number in range(10_000):
                    side = (64, 128, 96)[number // 20 % 3]
                    picture = cv2.imencode(".jpg", np.full((side, 2 * side, 3), number % 256, np.uint8))[1].tobytes()
                    head = f"--frame\r\nContent-Type: image/jpeg\r\nContent-Length: {len(picture)}\r\n\r\n"
                    self.wfile.write(head.encode() + picture + b"\r\n")
                    time.sleep(0.005)

        def log_message(self, *_):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Pictures) as server:
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/video.mjpg"
        server.shutdown()
        thread.join()


def test_a_changed_resolution_is_no_error(jpegs):
    shapes = set()
    with closing(make(jpegs).frames(threading.Event())) as frames:
        for frame in frames:
            number = round(float(frame.image.mean()))
            if number > 100:  # a hundred pictures and five changes later
                break
            shapes.add((frame.image.shape, (64, 128, 96)[number // 20 % 3]))
    assert shapes == {((side, 2 * side, 3), side) for side in (64, 128, 96)}


def test_a_film_that_vanishes_while_it_loops_is_missing(video):
    with closing(make(video, loop=True).frames(threading.Event())) as frames:
        next(frames)
        video.unlink()
        with pytest.raises(SourceError, match=f"^no such file: {video}$"):
            list(frames)


@pytest.mark.parametrize("hole_s", [7, 3600, -3])
def test_real_time_passes_a_hole_in_the_timestamps(tmp_path, hole_s):
    """Two recordings, one after the other, have timestamps of their own."""
    times = [number / 50 + (hole_s if number >= 10 else 0) for number in range(20)]
    parts = [
        films.encode(tmp_path / f"{begin}.ts", range(begin, begin + 10), fps=50, times=times[begin : begin + 10])
        for begin in (0, 10)
    ]
    film = tmp_path / "film.ts"
    film.write_bytes(b"".join(part.read_bytes() for part in parts))
    began = time.monotonic()
    frames = read(make(film, realtime=True))
    assert time.monotonic() - began < 5
    assert frames[-1].number == 20
    gaps_s = [b.source_s - a.source_s for a, b in pairwise(frames)]
    assert max(gaps_s) < 0.2


def test_a_short_hole_in_the_timestamps_is_waited_for(tmp_path):
    film = films.encode(tmp_path / "film.mkv", range(10), times=[number / 50 + (number >= 5) for number in range(10)])
    frames = read(make(film, realtime=True))
    assert frames[-1].source_s == pytest.approx(1.18, abs=0.01)


def test_real_time_uses_the_files_timestamps_not_its_rate(tmp_path):
    """A transport stream has no frame rate; FFmpeg guesses twice the real one."""
    path = tmp_path / "film.ts"
    writer = cv2.VideoWriter(str(path), cv2.CAP_FFMPEG, cv2.VideoWriter.fourcc(*"mp4v"), 50, (64, 64))
    for shade in range(25):
        writer.write(np.full((64, 64, 3), 10 * shade, np.uint8))
    writer.release()
    began = time.monotonic()
    frames = read(make(path, realtime=True))
    assert frames[-1].number == 25
    assert frames[-1].captured_s - began >= 24 / 50
