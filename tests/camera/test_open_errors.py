"""Why a source cannot be opened: one line each, from real servers."""

import threading
from contextlib import closing

import av
import numpy as np
import pytest

from edgepub.core.errors import SourceError
from tests.support import films
from tests.support.jpeg_camera import JpegCamera
from tests.support.rtsp import RtspCamera, needs_rtsp_server, play
from tests.support.sources import listening, open_source

SECRET = "S3cret"


def why(url, *, transport="auto", stall_timeout_s=2):
    """Return the line about a source that gives no frame."""
    source = open_source(url, transport=transport, stall_timeout_s=stall_timeout_s)
    with pytest.raises(SourceError) as caught, closing(source.frames(threading.Event())) as frames:
        next(frames)
    line = str(caught.value)
    assert SECRET not in line
    assert "\n" not in line
    assert line.startswith(str(source))
    return line.removeprefix(f"{source}: ")


@pytest.fixture(scope="module")
def film(tmp_path_factory):
    return films.encode(tmp_path_factory.mktemp("film") / "film.mp4", range(100))


@needs_rtsp_server
@pytest.mark.parametrize("method", ["basic", "digest"])
def test_a_password_that_is_wrong_or_missing(film, method):
    with RtspCamera(play(film), f"{method}=admin:right") as camera:
        address = camera.url.removeprefix("rtsp://")
        assert why(f"rtsp://admin:{SECRET}@{address}") == "cannot be opened: wrong user or password (401)"
        assert why(camera.url) == "cannot be opened: the camera asks for a user and a password (401)"
        good = open_source(f"rtsp://admin:right@{address}")
        with closing(good.frames(threading.Event())) as frames:
            assert next(frames).image.shape == (240, 320, 3)


@needs_rtsp_server
def test_a_path_that_the_camera_does_not_have(film):
    with RtspCamera(play(film)) as camera:
        assert why(camera.url.replace("live", "other")).startswith("cannot be opened: no such path (404)")


@needs_rtsp_server
def test_a_camera_that_only_does_udp(film):
    with RtspCamera(play(film), "udp") as camera:
        line = why(camera.url, transport="tcp")
        assert (
            line
            == "cannot be opened: the camera does not send in this way (461): set capture.transport to auto, tcp or udp"
        )
        source = open_source(camera.url)
        with closing(source.frames(threading.Event())) as frames:
            assert next(frames).image.shape == (240, 320, 3)


@pytest.mark.parametrize("scheme", ["rtsp", "http", "tcp", "rtmp"])
def test_nothing_listens_there(scheme):
    line = why(f"{scheme}://user:{SECRET}@127.0.0.1:9/stream")
    assert line == "cannot be opened: refused: nothing listens on port 9 there"


@pytest.mark.parametrize("scheme", ["rtsp", "http"])
def test_no_such_host(scheme):
    line = why(f"{scheme}://user:{SECRET}@no-such-camera.invalid/stream")
    assert line == "cannot be opened: no such host: no-such-camera.invalid"


@pytest.mark.slow
@pytest.mark.parametrize("scheme", ["rtsp", "http", "tcp"])
def test_a_host_that_accepts_and_is_silent(scheme):
    over = threading.Event()
    with listening(lambda _: over.wait(30)) as port:
        line = why(f"{scheme}://127.0.0.1:{port}/stream", stall_timeout_s=5)
        over.set()
    assert line == "cannot be opened: no answer within 5 s: is the camera on, and is the address right?"


@pytest.mark.parametrize(
    ("status", "line"),
    [
        (401, "the camera asks for a user and a password (401)"),
        (403, "this user may not see it (403)"),
        (404, "no such path (404): the host answers, but has nothing at the path in the URL"),
        (500, "the server answers with an error: 5XX Server Error reply"),
        (503, "the server answers with an error: 5XX Server Error reply"),
    ],
)
def test_what_an_http_server_answers(status, line):
    with JpegCamera([]) as camera:
        camera.responses["/video"] = status, "text/html", b"no"
        assert why(camera.url("/video")) == f"cannot be opened: {line}"


@pytest.mark.parametrize("content", [b"", b"<html><body>Please log in</body></html>", bytes(5000), b"\xff" * 5000])
def test_what_is_not_a_video(content):
    with JpegCamera([]) as camera:
        camera.responses["/"] = 200, "text/html", content
        assert why(camera.url("/")) == "cannot be opened: it answers, but not with a video"


def test_audio_only(tmp_path):
    path = tmp_path / "sound.ts"
    with av.open(str(path), "w") as sound:
        stream = sound.add_stream("mp2", rate=48_000, layout="mono")
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 4800), np.int16), format="s16", layout="mono")
        frame.rate = 48_000
        sound.mux(stream.encode(frame))
        sound.mux(stream.encode())
    with JpegCamera([]) as camera:
        camera.responses["/"] = 200, "video/mp2t", path.read_bytes()
        assert why(camera.url("/")) == "has no video, only audio: use another of the camera's streams"
