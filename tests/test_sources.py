"""Frames from real files and from a real stream over HTTP."""

import functools
import http.server
import subprocess
import sys
import threading
import time
from itertools import islice, pairwise

import cv2
import numpy as np
import pytest

from edgepub.bench import echo
from edgepub.errors import SourceError
from edgepub.sources import source_of


def read(source, number=None, stopping=None):
    return list(islice(source.frames(stopping or threading.Event()), number))


@pytest.fixture
def video(tmp_path):
    """Ten frames, each of them told apart by its text."""
    path = tmp_path / "ten.avi"
    echo.make_video(path, range(10), fps=50)
    return path


def text_of(frame):
    return int(frame.image.tobytes().decode())


def test_every_frame_of_a_file_in_order(video):
    frames = read(source_of(video, loop=False, realtime=False))
    assert [text_of(frame) for frame in frames] == list(range(10))
    assert [frame.number for frame in frames] == list(range(1, 11))
    assert frames[0].image.shape == (64, 64, 3)
    assert abs(frames[-1].timestamp - time.time()) < 60
    assert all(a.captured_s <= b.captured_s for a, b in pairwise(frames))


def test_a_loop_counts_on(video):
    frames = read(source_of(video, loop=True, realtime=False), 25)
    assert [text_of(frame) for frame in frames] == [n % 10 for n in range(25)]
    assert [frame.number for frame in frames] == list(range(1, 26))


def test_real_time_never_gives_a_frame_before_its_time(video):
    began = time.monotonic()
    for frame in source_of(video, loop=False, realtime=True).frames(threading.Event()):
        assert frame.captured_s - began >= (frame.number - 1) / 50


def test_real_time_leaves_out_what_a_slow_reader_missed(video):
    frames = []
    for frame in source_of(video, loop=False, realtime=True).frames(threading.Event()):
        frames.append(frame)
        if frame.number == 1:
            time.sleep(0.1)  # five frames long
    numbers = [frame.number for frame in frames]
    assert numbers[1] >= 5
    assert [text_of(frame) + 1 for frame in frames] == numbers, "the numbers are those of the file"


def test_stopping_ends_it(video):
    stopping = threading.Event()
    frames = source_of(video, loop=True, realtime=True).frames(stopping)
    next(frames)
    stopping.set()
    assert len(list(frames)) <= 1


@pytest.mark.parametrize(
    ("content", "why"), [(None, "no such file"), (b"this is no video", "not a video that OpenCV can read")]
)
def test_a_file_that_is_none(tmp_path, content, why):
    path = tmp_path / "film.mp4"
    if content:
        path.write_bytes(content)
    with pytest.raises(SourceError, match=f"{why}: {path}"):
        read(source_of(path, loop=False, realtime=False))


def test_a_truncated_file_gives_what_it_has(tmp_path):
    whole, short = tmp_path / "whole.avi", tmp_path / "short.avi"
    echo.make_video(whole, range(100))
    content = whole.read_bytes()
    short.write_bytes(content[: len(content) * 3 // 4])
    frames = read(source_of(short, loop=False, realtime=False))
    assert 50 <= len(frames) < 100
    assert [text_of(frame) for frame in frames[:-1]] == list(range(len(frames) - 1))


TRY = """
import sys, threading
from pathlib import Path
from edgepub.errors import SourceError
from edgepub.sources import source_of
for source in (Path(sys.argv[1]), "rtsp://user:s3cret@127.0.0.1:9/stream", 77):
    try:
        list(source_of(source, loop=False, realtime=False).frames(threading.Event()))
    except SourceError as error:
        print(error)
"""


def test_nothing_is_said_but_our_own_line_and_no_secret_in_it(tmp_path):
    """OpenCV and FFmpeg write to stderr past every log; in a process of its own, for they settle that once."""
    (tmp_path / "x.mp4").write_bytes(b"no video")
    done = subprocess.run([sys.executable, "-c", TRY, tmp_path / "x.mp4"], capture_output=True, text=True, check=True)
    assert done.stderr == ""
    assert done.stdout.splitlines() == [
        f"not a video that OpenCV can read: {tmp_path / 'x.mp4'}",
        "rtsp://127.0.0.1:9: cannot be opened: not there, refused, or not a video",
        "webcam 77: cannot be opened: not there, refused, or not a video",
    ]


@pytest.fixture
def http_server(tmp_path):
    """A server of the test's folder on loopback."""

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
    with pytest.raises(SourceError, match="gives no more frames"):
        for frame in source_of(f"{http_server}/{video.name}", loop=False, realtime=False).frames(threading.Event()):
            frames.append(frame)
    assert [text_of(frame) for frame in frames] == list(range(10))


def test_a_url_that_is_not_there(http_server):
    with pytest.raises(SourceError, match="cannot be opened"):
        read(source_of(f"{http_server}/none.avi", loop=False, realtime=False))


def test_a_small_picture_and_a_large_one_are_the_same_video(tmp_path):
    """Small ones are decoded in one thread."""
    for side in (64, 1280):
        path = tmp_path / f"{side}.avi"
        writer = cv2.VideoWriter(str(path), cv2.CAP_FFMPEG, cv2.VideoWriter.fourcc(*"MJPG"), 25, (side, side))
        for shade in (0, 80, 160, 240):
            writer.write(np.full((side, side, 3), shade, np.uint8))
        writer.release()
        frames = read(source_of(path, loop=False, realtime=False))
        assert [round(float(frame.image.mean()), -1) for frame in frames] == [0, 80, 160, 240]
