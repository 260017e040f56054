"""Decoding by the system's ffmpeg: the real one, which finds no hardware here, and a stand-in for what it would do."""

import os
import shutil
import sys
import threading
from contextlib import closing
from itertools import islice
from pathlib import Path

import psutil
import pytest
from pydantic import ValidationError

from edgepub.core.errors import SourceError
from tests.support import films
from tests.support.rtsp import RtspCamera, needs_rtsp_server, play
from tests.support.sources import open_camera

needs_ffmpeg = pytest.mark.skipif(not shutil.which("ffmpeg"), reason="no ffmpeg here: apt-get install ffmpeg")
FFMPEG = """#!{python}
import pathlib, shutil, sys
pathlib.Path("{directory}/arguments").write_text("\\n".join(sys.argv[1:]))
pathlib.Path("{directory}/input").write_bytes(sys.stdin.buffer.read())
shutil.copyfileobj(open("{directory}/film.nut", "rb"), sys.stdout.buffer)
"""


def read(url, count, **capture):
    with closing(open_camera(source=url, capture=capture).frames(threading.Event())) as frames:
        return list(islice(frames, count))


@pytest.fixture
def camera(tmp_path):
    film = films.encode(tmp_path / "film.mp4", range(400))
    with RtspCamera(play(film), "digest=u:S3cret") as camera:
        yield camera.url.replace("//", "//u:S3cret@")


@needs_ffmpeg
@needs_rtsp_server
def test_the_real_ffmpeg_reads_a_camera(camera):
    frames = read(camera, 25, hardware="auto")
    numbers = [films.read_number(frame.image) for frame in frames]
    assert numbers == sorted(set(numbers))
    assert films.read_corners(frames[-1].image) == ["top left", "top right", "bottom right", "bottom left"]
    assert {frame.image.shape for frame in frames} == {(240, 320, 3)}


@needs_ffmpeg
@needs_rtsp_server
def test_pictures_are_made_smaller_and_never_squeezed(camera):
    frames = read(camera, 5, hardware="auto", size=[160, 160], rotate=90)
    assert {frame.image.shape for frame in frames} == {(160, 120, 3)}


@needs_ffmpeg
@needs_rtsp_server
def test_key_frames_only(camera):
    numbers = [films.read_number(frame.image) for frame in read(camera, 4, hardware="auto", decode="keyframes")]
    assert [number % 25 for number in numbers] == [0] * 4


@needs_ffmpeg
@needs_rtsp_server
def test_the_password_is_in_no_argument_of_the_process_which_ends(camera):
    with closing(open_camera(source=camera, capture={"hardware": "auto"}).frames(threading.Event())) as frames:
        next(frames)
        (child,) = [child for child in psutil.Process().children() if child.name() == "ffmpeg"]
        assert "S3cret" not in " ".join(child.cmdline())
    child.wait(10)


@needs_ffmpeg
@needs_rtsp_server
def test_a_wrong_password_is_said_and_not_shown(camera):
    with pytest.raises(SourceError) as caught:
        read(camera.replace("S3cret", "S3crets"), 1, hardware="auto")
    assert "401" in str(caught.value)
    assert "S3cret" not in str(caught.value)


@pytest.mark.parametrize(
    ("url", "capture", "wanted", "script"),
    [
        (
            "rtsp://u:p@10.0.0.5/s",
            {"hardware": "vaapi", "size": [1280, 720]},
            "-hwaccel vaapi -hwaccel_output_format vaapi|"
            "scale_vaapi=w=1280:h=720:force_original_aspect_ratio=decrease:format=nv12,hwdownload,format=nv12",
            "file 'rtsp://u:p@10.0.0.5/s'|option rtsp_flags prefer_tcp|option timeout 8000000",
        ),
        ("rtsp://10.0.0.5/s", {"hardware": "vaapi"}, "-vf scale_vaapi=format=nv12,hwdownload,format=nv12", ""),
        (
            "rtsps://10.0.0.5/s",
            {"hardware": "drm", "transport": "udp", "tls_insecure": True},
            "-hwaccel drm|-vf format=nv12",
            "option rtsp_transport udp|option tls_verify 0",
        ),
        (
            "https://10.0.0.5/it's",
            {"hardware": "v4l2m2m", "fps": 5, "size": [640, 360]},
            "-c:v h264_v4l2m2m -f concat|-vf fps=5,scale=w=640:h=360:force_original_aspect_ratio=decrease,format=nv12",
            r"file 'https://10.0.0.5/it'\''s'|option rw_timeout 8000000|option tls_verify 1",
        ),
        ("rtsp://10.0.0.5/s", {"hardware": "auto", "decode": "keyframes"}, "-skip_frame nokey -hwaccel auto", ""),
    ],
)
def test_what_ffmpeg_is_asked_for(tmp_path, monkeypatch, url, capture, wanted, script):
    """With a stand-in, which gives the pictures that hardware would."""
    films.encode(tmp_path / "film.nut", range(30), codec="rawvideo", pix_fmt="nv12")
    (tmp_path / "ffmpeg").write_text(FFMPEG.format(python=sys.executable, directory=tmp_path))
    (tmp_path / "ffmpeg").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    (frame,) = read(url, 1, **capture)
    assert films.read_number(frame.image) < 30
    arguments = Path(tmp_path, "arguments").read_text().replace("\n", " ")
    given = Path(tmp_path, "input").read_text().splitlines()
    assert all(part in arguments for part in wanted.split("|"))
    assert given[0] == "ffconcat version 1.0"
    assert all(line in given for line in script.split("|") if line)
    assert "10.0.0.5" not in arguments


def test_without_ffmpeg_it_is_named(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(SourceError, match="no such program: ffmpeg"):
        read("rtsp://10.0.0.5/s", 1, hardware="auto")


@pytest.mark.parametrize(
    ("source", "capture", "line"),
    [
        (0, {}, "capture.hardware is for URLs only"),
        ("film.mp4", {}, "capture.hardware is for URLs only"),
        ("rtsp://10.0.0.5/s", {"decode": "adaptive"}, "capture.decode: adaptive does not go with capture.hardware"),
    ],
)
def test_where_it_does_not_apply(source, capture, line):
    with pytest.raises(ValidationError, match=line):
        open_camera(source=source, capture={"hardware": "vaapi", **capture})
