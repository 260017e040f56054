"""Every kind of source and fault in one table: what the owner writes, and the pictures or the line that come of it.

Each picture is compared with the one that was drawn: its number, the colours of its corners, its orientation.
"""

import functools
import http.server
import itertools
import socket
import ssl
import sys
import threading
from contextlib import ExitStack, closing
from itertools import islice
from urllib.parse import urlsplit

import av
import cv2
import numpy as np
import pytest
import trustme
from pydantic import ValidationError

from edgepub.cli.bench.camera_films import Kind, encode
from edgepub.cli.bench.live_camera import LiveStream
from edgepub.core.errors import SourceError
from tests.support import films
from tests.support.jpeg_camera import JpegCamera, part, png
from tests.support.rtsp import RtspCamera, can_serve, play
from tests.support.sources import PACED, listening, open_camera
from tests.support.waiting import free_port

UPRIGHT = ["top left", "top right", "bottom right", "bottom left"]
ALL, LIVE = 50, 20
JPEG = {"qmin": "2", "qmax": "4", "huffman": "default"}  # the tables that RTP takes for granted


class Site:
    """What a case needs: a directory, films, and servers that end with the test."""

    def __init__(self, directory, stack):
        self.directory = directory
        self._stack = stack

    def film(self, name="film.mp4", count=ALL, **how):
        return films.encode(self.directory / name, range(count), **how)

    def rtsp(self, *options, film=None, pipeline=play):
        camera = RtspCamera(pipeline(film or self.film(count=400)), *options)
        return self._stack.enter_context(camera).url

    def live(self, pieces, fps=25):
        return self._stack.enter_context(LiveStream(b"", pieces, fps)).url

    def http(self, *parts, path="", answer=None):
        camera = self._stack.enter_context(JpegCamera(list(parts)))
        if answer:
            camera.responses[path] = answer
        return camera.url(path) if path else camera.url()

    def web(self):
        """Serve the directory."""
        quiet = type("Quiet", (http.server.SimpleHTTPRequestHandler,), {"log_message": lambda *_: None})
        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(quiet, directory=self.directory))
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        self._stack.callback(thread.join)
        self._stack.callback(server.server_close)
        self._stack.callback(server.shutdown)
        return f"http://127.0.0.1:{server.server_port}"

    def answering(self, answer, context=None):
        """Return the port of a server that gives one answer to everybody."""

        def reply(connection):
            with context.wrap_socket(connection, server_side=True) if context else connection as end:
                end.recv(4000)
                end.sendall(answer)

        return self._stack.enter_context(listening(reply))

    def send(self, url, film):
        """Send a film by UDP at its own rate, again and again."""
        ended = threading.Event()
        host = urlsplit(url)

        def run():
            pieces = film.read_bytes()
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as end:
                for place in itertools.cycle(range(0, len(pieces), 7 * 188)):
                    if ended.wait(0.02):
                        return
                    end.sendto(pieces[place : place + 7 * 188], (host.hostname, host.port))

        thread = threading.Thread(target=run)
        thread.start()
        self._stack.callback(thread.join)
        self._stack.callback(ended.set)
        return url


def h264(count=400, **how):
    """Return the pieces of a live stream."""
    pictures = (av.VideoFrame.from_ndarray(films.picture(number), format="bgr24") for number in range(count))
    options = {"preset": "ultrafast", "tune": "zerolatency"}
    return encode(Kind(how.get("codec", "libx264"), 320, 240, 25), pictures, 25, options | how.get("options", {}))


def hls(site):
    parts = []
    for place in range(3):
        films.encode(site.directory / f"{place}.ts", range(50 * place, 50 * place + 50), container="mpegts")
        parts.append(f"#EXTINF:2.0,\n{place}.ts\n")
    head = "#EXTM3U\n#EXT-X-VERSION:3\n#EXT-X-TARGETDURATION:2\n#EXT-X-MEDIA-SEQUENCE:0\n"
    (site.directory / "live.m3u8").write_text(head + "".join(parts))
    return f"{site.web()}/live.m3u8"


def folder(site):
    for number in range(ALL):
        name = f"{number}.{'jpg' if number % 2 else 'png'}"
        draw = films.jpeg_picture if number % 2 else films.png_picture
        (site.directory / name).write_bytes(draw(number))
    return site.directory


def raw(site):
    path = site.directory / "raw"
    with path.open("wb") as file:
        for number in range(ALL):
            file.write(cv2.cvtColor(films.picture(number), cv2.COLOR_BGR2YUV_I420).tobytes())
    return [sys.executable, "-c", PACED, str(path)]


def jpegs(*, count=400):
    return [part(films.jpeg_picture(number)) for number in range(count)]


def payloader(name):
    return lambda film: f"filesrc location={film} ! matroskademux ! {name} name=pay0"


# What the owner has: the source, further settings, and whether every picture comes or as many as a live camera gives.
STREAMS = {
    "file: MP4, H.264": (lambda site: site.film(), {}, ALL),
    "file: MKV, H.265": (
        lambda site: site.film("f.mkv", codec="libx265", options={"x265-params": "log-level=none"}),
        {},
        ALL,
    ),
    "file: AVI, MJPEG": (
        lambda site: site.film("f.avi", codec="mjpeg", pix_fmt="yuvj420p", options=JPEG),
        {},
        ALL,
    ),
    "file: TS, MPEG-2": (lambda site: site.film("f.ts", codec="mpeg2video", container="mpegts"), {}, ALL),
    "file: MPEG-4": (lambda site: site.film(codec="mpeg4"), {}, ALL),
    "file: WebM, VP9": (lambda site: site.film("f.webm", codec="libvpx-vp9", options={"cpu-used": "8"}), {}, ALL),
    "file: B-frames": (lambda site: site.film(options={"tune": "film", "x264-params": "bframes=3"}), {}, ALL),
    "file: 10 bits": (lambda site: site.film(pix_fmt="yuv420p10le"), {}, ALL),
    "file: 4:4:4": (lambda site: site.film(pix_fmt="yuv444p"), {}, ALL),
    "file: interlaced": (lambda site: site.film(interlaced=True), {}, ALL),
    "file: odd size": (lambda site: site.film(size=(322, 242)), {}, ALL),
    "file: full range": (lambda site: site.film(colorspace=1, color_range=2), {}, ALL),
    "file: at its own rate": (lambda site: site.film(fps=25), {"realtime": True}, LIVE),
    "file: turned by hand": (lambda site: site.film(rotation=90), {"capture": {"rotate": 90}}, ALL),
    "file: uneven times": (lambda site: site.film(times=[n / 25 + 0.01 * (n % 3) for n in range(ALL)]), {}, ALL),
    "folder of pictures": (folder, {}, ALL),
    "pattern": (lambda site: folder(site) / "*.[jp][pn]g", {}, ALL),
    "command: MPEG-TS": (lambda site: [sys.executable, "-c", PACED, str(site.film("f.ts"))], {}, LIVE),
    "command: raw": (raw, {"capture": {"format": "yuv420p", "size": [320, 240]}}, LIVE),
    "http: MJPEG": (lambda site: site.http(*jpegs()), {}, LIVE),
    "http: one JPEG": (
        lambda site: site.http(path="/a.jpg", answer=(200, "image/jpeg", films.jpeg_picture(7))),
        {"capture": {"poll_s": 0.1}},
        1,
    ),
    "http: one PNG": (
        lambda site: site.http(path="/a.png", answer=(200, "image/png", films.png_picture(7))),
        {"capture": {"poll_s": 0.1}},
        1,
    ),
    "http: live H.264": (lambda site: site.live(h264()), {}, LIVE),
    "http: live H.265": (
        lambda site: site.live(h264(codec="libx265", options={"x265-params": "log-level=none"})),
        {},
        LIVE,
    ),
    "http: key frames only": (lambda site: site.live(h264(), 100), {"capture": {"decode": "keyframes"}}, 4),
    "http: a file": (lambda site: f"{site.web()}/{site.film().name}", {}, ALL),
    "http: HLS": (hls, {}, LIVE),
    "udp: MPEG-TS": (
        lambda site: site.send(f"udp://127.0.0.1:{free_port()}", site.film("f.ts", 400, container="mpegts")),
        {},
        LIVE,
    ),
    "rtsp: TCP": (lambda site: site.rtsp("tcp"), {}, LIVE),
    "rtsp: only UDP": (lambda site: site.rtsp("udp"), {}, LIVE),
    "rtsp: UDP asked for": (lambda site: site.rtsp(), {"capture": {"transport": "udp"}}, LIVE),
    "rtsp: basic login": (lambda site: site.rtsp("basic=u:p@ss").replace("//", "//u:p@ss@"), {}, LIVE),
    "rtsp: digest login": (lambda site: site.rtsp("digest=u:p#ss").replace("//", "//u:p#ss@"), {}, LIVE),
    "rtsp: no RTCP": (lambda site: site.rtsp("no-rtcp"), {}, LIVE),
    "rtsp: lost packets": (lambda site: site.rtsp("lose=61"), {}, 5),
    "rtsp: MJPEG": (
        lambda site: site.rtsp(
            film=site.film("f.mkv", 400, codec="mjpeg", pix_fmt="yuvj420p", options=JPEG),
            pipeline=payloader("rtpjpegpay"),
        ),
        {},
        LIVE,
    ),
    "rtsp: H.265": (
        lambda site: site.rtsp(
            film=site.film("f.mkv", 400, codec="libx265", options={"x265-params": "log-level=none"}),
            pipeline=payloader("h265parse ! rtph265pay"),
        ),
        {},
        LIVE,
    ),
    "rtsp: VP8": (
        lambda site: site.rtsp(
            film=site.film("f.mkv", 400, codec="libvpx", container="matroska"), pipeline=payloader("rtpvp8pay")
        ),
        {},
        LIVE,
    ),
    # Parameter sets before each slice, from GStreamer's payloader.
    "rtsp: several slices": (
        lambda site: site.rtsp(film=site.film(count=400, options={"x264-params": "slices=4"})),
        {},
        LIVE,
    ),
    "rtsp: interlaced": (lambda site: site.rtsp(film=site.film(count=400, interlaced=True)), {}, LIVE),
}


def audio(site):
    path = site.directory / "sound.mp3"
    with av.open(str(path), "w") as sound:
        stream = sound.add_stream("mp3", rate=48_000, layout="mono")
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 4800), np.float32), format="fltp", layout="mono")
        frame.rate = 48_000
        sound.mux(stream.encode(frame))
        sound.mux(stream.encode())
    return path


def self_signed(site):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    trustme.CA().issue_cert("127.0.0.1").configure_cert(context)
    return f"rtsps://u:S3cret@127.0.0.1:{site.answering(b'', context)}/S3cret"


def written(path, content):
    path.write_bytes(content)
    return path


# What is wrong, and the line that is said; its beginning is the source, or the path is in it.
FAULTS = {
    "no such file": (lambda site: site.directory / "none.mp4", {}, "no such file: "),
    "empty file": (lambda site: written(site.directory / "a.mp4", b""), {}, "an empty file: "),
    "no video": (
        lambda site: written(site.directory / "a.mp4", b"text" * 99),
        {},
        "not a video that FFmpeg can read: ",
    ),
    "sound only": (audio, {}, "has no video, only audio: use another of the camera's streams"),
    "empty folder": (lambda site: site.directory, {}, "no pictures in the folder: "),
    "pattern without a match": (lambda site: site.directory / "*.jpg", {}, "no file matches: "),
    "no webcam": (lambda _: 77, {}, "cannot be opened: there is no /dev/video77"),
    "no camera at the device": (lambda _: "/dev/null", {}, "it gives no pictures: a webcam often has two devices"),
    "no such program": (lambda _: ["no-such-program", "S3cret"], {}, "no such program: no-such-program"),
    "command fails": (
        lambda _: ["sh", "-c", "echo 'no sensor' >&2; exit 3", "S3cret"],
        {},
        "has ended with exit code 3: no sensor",
    ),
    "too large": (
        lambda site: site.http(path="/a.png", answer=(200, "image/png", png(16_000, 16_000))),
        {},
        "at most 35,651,584 pixels are allowed",
    ),
    "refused": (lambda _: "rtsp://u:S3cret@127.0.0.1:9/s", {}, "refused: nothing listens on port 9 there"),
    "no such host": (lambda _: "rtsp://u:S3cret@camera.invalid/s", {}, "no such host: camera.invalid"),
    "http 401": (
        lambda site: site.http(path="/v", answer=(401, "", b"")).replace("//", "//u:S3cret@"),
        {},
        "wrong user or password (401)",
    ),
    "http 404": (lambda site: site.http(path="/v", answer=(404, "", b"")), {}, "no such path (404)"),
    "a web page": (
        lambda site: site.http(path="/v", answer=(200, "", b"<html>")),
        {},
        "it answers, but not with a video",
    ),
    "live, not a file": (lambda site: site.live(h264(50)), {"loop": True}, "it is live, not a file: remove loop"),
    "not RTSP": (
        lambda site: f"rtsp://127.0.0.1:{site.answering(b'SSH-2.0-OpenSSH_9.2' + bytes(99))}/S3cret",
        {},
        "it answers, but not with a video",
    ),
    "TLS: its own certificate": (self_signed, {}, "TLS: this computer does not trust its certificate"),
    "rtsp: 401": (
        lambda site: site.rtsp("digest=u:p").replace("//", "//u:S3cret@"),
        {},
        "wrong user or password (401)",
    ),
    "rtsp: 404": (lambda site: site.rtsp().replace("/live", "/S3cret"), {}, "no such path (404)"),
    "rtsp: 461": (
        lambda site: site.rtsp("udp"),
        {"capture": {"transport": "tcp"}},
        "the camera does not send in this way (461)",
    ),
    "onvif": (lambda _: "onvif://u:S3cret@10.0.0.5", {}, "onvif:// is no stream"),
    "no scheme": (lambda _: "u:S3cret@10.0.0.5:554/s", {}, "looks like a URL without its protocol"),
    "no colon": (lambda _: "rtsp//u:S3cret@10.0.0.5/s", {}, "looks like a URL without its protocol"),
    "file protocol": (lambda _: "file:///etc/passwd", {}, "'file' is no protocol of a camera"),
    "loop of a camera": (lambda _: "rtsp://10.0.0.5/s", {"loop": True}, "loop is for files only"),
}


@pytest.fixture
def site(tmp_path):
    with ExitStack() as stack:
        yield Site(tmp_path, stack)


def opened(source, settings):
    source = source if isinstance(source, int | list) else str(source)
    return open_camera(source=source, stall_timeout_s=5, **settings)


def skip_without_server(name):
    if name.startswith("rtsp") and not can_serve():
        pytest.skip("no RTSP server here")


def test_the_table_is_long_enough():
    assert len(STREAMS) + len(FAULTS) >= 60


@pytest.mark.slow
@pytest.mark.parametrize("name", STREAMS)
def test_a_stream_gives_its_pictures(site, name):
    skip_without_server(name)
    make, settings, count = STREAMS[name]
    with closing(opened(make(site), settings).frames(threading.Event())) as frames:
        found = list(islice(frames, count + 1 if count == ALL else count))
    numbers = [films.read_number(frame.image) for frame in found]
    if count == ALL:
        assert numbers == list(range(ALL))
    else:
        assert len(numbers) == count
        assert numbers == sorted(set(numbers))
    for number, frame in zip(numbers, found, strict=True):
        height, width = frame.image.shape[:2]
        assert films.read_corners(frame.image) == UPRIGHT
        assert np.abs(frame.image.astype(int) - films.picture(number, width, height)).mean() < 10
    assert len({frame.number for frame in found}) == len(found)


@pytest.mark.slow
@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_gets_its_line_without_the_password(site, name):
    skip_without_server(name)
    make, settings, line = FAULTS[name]
    source = make(site)
    with pytest.raises((SourceError, ValidationError)) as caught:
        next(opened(source, settings).frames(threading.Event()))
    errors = caught.value.errors() if isinstance(caught.value, ValidationError) else [{"msg": str(caught.value)}]
    said = " ".join(error["msg"] for error in errors)
    assert line in said
    assert "S3cret" not in said
    assert "\n" not in said
