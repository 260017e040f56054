"""The right picture, or none: interlaced, turned, in any colours, damaged or lost on the way; from real streams."""

import json
import os
import subprocess
import sys
import threading
from contextlib import closing
from functools import cache
from itertools import islice

import cv2
import pytest

from edgepub.camera.sources.factory import make_source
from edgepub.camera.sources.gate import Gate
from edgepub.config.capture import CaptureSettings
from edgepub.core.threads import native_threads
from edgepub.telemetry.metrics import CameraMetrics
from tests.support import films
from tests.support.rtsp import RtspCamera, needs_rtsp_server, play
from tests.support.waiting import wait_until

CLOCKWISE = ["top left", "top right", "bottom right", "bottom left"]


@pytest.fixture(autouse=True)
def _no_thread_is_left_behind():
    yield
    wait_until(lambda: not [t for t in native_threads() if t.name == "camera-cam-capture"], "the end of the reads")


def frames_of(source, number=None, *, metrics=None, **capture):
    metrics = metrics or CameraMetrics()
    more = {
        "loop": False,
        "realtime": False,
        "capture": CaptureSettings(**capture),
        "stall_timeout_s": 10,
        "metrics": metrics,
    }
    with closing(make_source("cam", source, Gate(None, metrics), **more).frames(threading.Event())) as frames:
        return list(islice(frames, number))


def difference(image, number, draw=films.picture):
    """Return how far a picture is from the drawn one, a mean of 0 to 255."""
    height, width = image.shape[:2]
    return cv2.absdiff(image, draw(number, width, height)).mean()


def woven(number, width, height):
    """An interlaced picture: its even lines show one moment, the odd ones another."""
    image = films.picture(number, width, height)
    image[1::2] = films.picture(number + 0x5555, width, height)[1::2]
    return image


def test_an_interlaced_film_shows_one_moment_at_a_time(tmp_path):
    film = films.encode(tmp_path / "inter.mp4", range(50), size=(640, 480), interlaced=True, draw=woven)
    frames = frames_of(film)
    assert [films.read_number(frame.image) for frame in frames] == list(range(50))
    assert {frame.image.shape for frame in frames} == {(480, 640, 3)}
    assert films.read_corners(frames[30].image) == CLOCKWISE


@needs_rtsp_server
@pytest.mark.parametrize("transport", ["tcp", "udp"])
def test_two_interlaced_rtsp_cameras_show_their_own_pictures(tmp_path, transport):
    first = films.encode(tmp_path / "1.mp4", range(100, 300), size=(640, 480), interlaced=True, draw=woven)
    second = films.encode(tmp_path / "2.mp4", range(1000, 1200), size=(640, 480), interlaced=True, draw=woven)
    with RtspCamera(play(first)) as one:
        frames_of(one.url, 5, transport=transport)  # and is lost
    with RtspCamera(play(second)) as other:
        numbers = [films.read_number(frame.image) for frame in frames_of(other.url, 40, transport=transport)]
    assert numbers == sorted(set(numbers))
    assert 1000 <= numbers[0] <= numbers[-1] < 1200


@needs_rtsp_server
@pytest.mark.parametrize("transport", ["tcp", "udp"])
def test_key_frames_that_come_in_several_packets(tmp_path, transport):
    """GStreamer's payloader puts parameter sets before each slice of a key frame; FFmpeg takes each for a picture."""
    film = films.encode(tmp_path / "film.mp4", range(200), options={"x264-params": "slices=4"}, draw=films.noisy_edges)
    metrics = CameraMetrics()
    with RtspCamera(play(film)) as camera:
        frames = frames_of(camera.url, 80, metrics=metrics, transport=transport)
    numbers = [films.read_number(frame.image) for frame in frames]
    assert numbers == sorted(set(numbers))
    assert (
        max(difference(frame.image, number, films.noisy_edges) for number, frame in zip(numbers, frames, strict=True))
        < 8
    )
    assert not metrics.read().sampled.get("undecodable")
    clocks = [frame.clock for frame in frames]
    assert "arrival" not in clocks[clocks.index("rtcp") :], "key frames have the camera's report, too"


@pytest.mark.parametrize(
    ("rotation", "corners"),
    [
        (0, CLOCKWISE),
        (90, ["top right", "bottom right", "bottom left", "top left"]),
        (180, ["bottom right", "bottom left", "top left", "top right"]),
        (-90, ["bottom left", "top left", "top right", "bottom right"]),
    ],
)
def test_a_film_of_a_turned_camera_is_upright(tmp_path, rotation, corners):
    """A telephone that was held upright: the film says by how much it is to be turned."""
    film = films.encode(tmp_path / "turned.mp4", range(5), size=(320, 240), rotation=rotation)
    for frame in frames_of(film):
        assert films.read_corners(frame.image) == corners
        assert frame.image.shape == ((240, 320, 3) if rotation in {0, 180} else (320, 240, 3))
        assert frame.image.flags.c_contiguous


@pytest.mark.parametrize(
    ("rotation", "rotate", "corners"),
    [
        (0, 90, ["bottom left", "top left", "top right", "bottom right"]),
        (0, 180, ["bottom right", "bottom left", "top left", "top right"]),
        (0, 270, ["top right", "bottom right", "bottom left", "top left"]),
        (90, 90, CLOCKWISE),  # the film says to turn it to the other side
    ],
)
def test_a_camera_that_is_mounted_turned(tmp_path, rotation, rotate, corners):
    film = films.encode(tmp_path / "film.mp4", range(5), rotation=rotation)
    for frame in frames_of(film, rotate=rotate):
        assert films.read_corners(frame.image) == corners
        assert frame.image.shape == ((240, 320, 3) if (rotation + rotate) % 180 == 0 else (320, 240, 3))


FORMATS = {
    "H.264": {},
    "H.264, 4:2:2": {"pix_fmt": "yuv422p"},
    "H.264, 10 bits": {"pix_fmt": "yuv420p10le"},
    "H.264, B-frames": {"options": {"tune": "film", "x264-params": "bframes=3"}},
    "H.264, intra refresh": {"options": {"x264-params": "intra-refresh=1:keyint=25"}},
    "H.265": {"codec": "libx265", "options": {"x265-params": "log-level=none"}},
    "AV1": {"codec": "libsvtav1", "options": {"preset": "8", "crf": "20", "svtav1-params": "lp=1"}},
    "VP8": {"codec": "libvpx", "container": "matroska"},
    "VP9": {"codec": "libvpx-vp9", "options": {"cpu-used": "8"}},
    "MPEG-4": {"codec": "mpeg4"},
    "MPEG-2": {"codec": "mpeg2video"},
    "MJPEG": {"codec": "mjpeg", "pix_fmt": "yuvj420p", "options": {"qmin": "2", "qmax": "4"}},
    "lossless": {"codec": "ffv1", "pix_fmt": "yuv420p"},
}


@pytest.mark.parametrize("size", [(320, 240), (322, 242), (1280, 720)])
@pytest.mark.parametrize("kind", FORMATS)
def test_every_frame_of_every_format_is_right(tmp_path, kind, size):
    film = films.encode(tmp_path / "film.mkv", range(40), size=size, **FORMATS[kind])
    frames = frames_of(film)
    assert [films.read_number(frame.image) for frame in frames] == list(range(40))
    assert [frame.number for frame in frames] == list(range(1, 41))
    assert max(difference(frame.image, number) for number, frame in enumerate(frames)) < 8


@pytest.mark.parametrize("codec", ["qtrle", "msvideo1"])
def test_a_codec_that_does_not_say_which_frames_are_key_frames(tmp_path, codec):
    how = {"qtrle": ("mov", "rgb24"), "msvideo1": ("avi", "rgb555le")}[codec]
    film = films.encode(tmp_path / f"film.{how[0]}", range(6), codec=codec, pix_fmt=how[1])
    assert [films.read_number(frame.image) for frame in frames_of(film)] == list(range(6))


@pytest.mark.parametrize("colours", ["bt709", "bt601", "full range"])
def test_colours_are_those_that_were_filmed(tmp_path, colours):
    film = films.encode(
        tmp_path / "film.mkv",
        range(3),
        colorspace={"bt709": 1, "bt601": 6}.get(colours, 6),
        color_range=2 if colours == "full range" else 1,
    )
    for number, frame in enumerate(frames_of(film)):
        assert difference(frame.image, number) < 4


def test_a_stream_that_changes_its_size_is_followed(tmp_path):
    """Two recordings, one after the other."""
    parts = [
        films.encode(tmp_path / f"{width}.h264", range(begin, begin + 25), size=(width, height))
        for begin, width, height in ((0, 320, 240), (25, 640, 480), (50, 240, 320))
    ]
    whole = tmp_path / "whole.h264"
    whole.write_bytes(b"".join(part.read_bytes() for part in parts))
    frames = frames_of(whole)
    assert [films.read_number(frame.image) for frame in frames] == list(range(75))
    assert [frame.image.shape[1::-1] for frame in frames] == [(320, 240)] * 25 + [(640, 480)] * 25 + [(240, 320)] * 25


# Damage. Memory is filled with a pattern when it is given out: what the decoder leaves as it is shows.

CHANGES = {
    "its second half is missing": lambda content: content[: len(content) // 2],
    "its end is missing": lambda content: content[: -len(content) // 8],
    "it is lost": lambda _: None,
}
NO_NUMBERS = {"MPEG-4", "MPEG-2", "VP8"}  # whose packets do not show that one is lost
DAMAGED = [
    (kind, change)
    for kind in ("H.264", "H.264, B-frames", "H.264, interlaced", "H.265", "VP8", "VP9", "MPEG-4", "MPEG-2", "MJPEG")
    for change in CHANGES
    if not (kind in NO_NUMBERS and change == "it is lost")
    and (kind, change) != ("VP8", "its end is missing")  # VP8 reads nothing as zeros
]
READ = """
import json, sys
from pathlib import Path
from tests.camera.test_right_pictures import difference, frames_of
from tests.support import films

from edgepub.telemetry.metrics import CameraMetrics
for line in sys.stdin:
    metrics = CameraMetrics()
    frames = []
    for frame in frames_of(Path(line.strip()), metrics=metrics):
        number = films.read_number(frame.image)
        frames.append((number, frame.number, difference(frame.image, number, films.noisy_edges)))
    print(json.dumps([frames, metrics.read().sampled.get("undecodable", 0)]), flush=True)
"""


@pytest.fixture(scope="module")
def read():
    """Return a function that reads a film in a process whose memory is filled with a pattern."""
    environment = {**os.environ, "MALLOC_PERTURB_": "85", "PYTHONPATH": os.pathsep.join(sys.path)}
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    with subprocess.Popen([sys.executable, "-c", READ], env=environment, **pipes) as process:

        def read(film):
            process.stdin.write(f"{film}\n")
            process.stdin.flush()
            return json.loads(process.stdout.readline())

        yield read
        process.stdin.close()


@pytest.fixture(scope="module")
def film_of(tmp_path_factory):
    """Return a function that makes the film of a kind, once."""

    @cache
    def make(kind):
        how = FORMATS.get(kind) or ({"interlaced": True} if "interlaced" in kind else {})
        path = tmp_path_factory.mktemp("films") / "film.mkv"
        return films.encode(path, range(75), size=(640, 480), draw=films.noisy_edges, **how)

    return make


@pytest.mark.parametrize(("kind", "change"), DAMAGED)
def test_no_picture_that_was_not_decoded_completely_is_used(tmp_path, film_of, read, kind, change):
    hurt = films.change(film_of(kind), tmp_path / "hurt.mkv", {33: CHANGES[change], 34: CHANGES[change]})
    frames, undecodable = read(hurt)
    numbers = [number for number, _, _ in frames]
    assert max(off for _, _, off in frames) < 12
    assert numbers == sorted(set(numbers))
    assert {*range(28), *range(50, 75)} <= set(numbers), "all of the other groups of pictures"
    assert 34 not in numbers or change == "its end is missing"
    if change != "it is lost":
        assert undecodable


@needs_rtsp_server
@pytest.mark.parametrize("transport", ["tcp", "udp"])
def test_lost_rtp_packets_give_fewer_pictures_and_no_wrong_ones(tmp_path, transport):
    film = films.encode(tmp_path / "film.mp4", range(300), size=(640, 480), draw=films.noisy_edges)
    metrics = CameraMetrics()
    with RtspCamera(play(film), "lose=97") as camera:
        frames = frames_of(camera.url, 100, transport=transport, metrics=metrics)
    for frame in frames:
        assert difference(frame.image, films.read_number(frame.image), films.noisy_edges) < 12
    assert metrics.read().sampled["undecodable"] > 3
