"""Pictures and parts that are too large, and addresses that lead elsewhere; from real servers and files."""

import socketserver
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, contextmanager
from itertools import islice

import cv2
import numpy as np
import psutil
import pytest

from edgepub.camera.sources.factory import make_source
from edgepub.camera.sources.gate import Gate
from edgepub.camera.sources.limits import MAX_PIXELS
from edgepub.cli.bench import echo
from edgepub.core.errors import SourceError
from edgepub.core.threads import native_threads
from edgepub.telemetry.metrics import CameraMetrics
from tests.support.jpeg_camera import JpegCamera, empty_picture, huge_part, jpeg, jpeg_that_says, part, png
from tests.support.waiting import wait_until

GOOD = part(empty_picture())
SIDE = 512  # of a good picture


@pytest.fixture(autouse=True)
def _no_thread_is_left_behind():
    yield
    wait_until(lambda: not [t for t in native_threads() if t.name == "camera-cam-capture"], "the end of the reads")


@pytest.fixture
def camera():
    with JpegCamera([GOOD]) as server:
        yield server


@pytest.fixture(scope="module")
def huge():
    return part(jpeg(16_000, 16_000))


@pytest.fixture
def rss_growth():
    """Return a function that gives the bytes by which the memory of this process grew since the start of the test."""
    before = psutil.Process().memory_info().rss
    return lambda: psutil.Process().memory_info().rss - before


def frames_of(source, number, *, metrics=None, realtime=False, stall_timeout_s=5):
    metrics = metrics or CameraMetrics()
    gate = Gate(None, metrics)
    more = {"loop": False, "realtime": realtime, "stall_timeout_s": stall_timeout_s, "metrics": metrics}
    with closing(make_source("cam", source, gate, **more).frames(threading.Event())) as frames:
        return list(islice(frames, number))


def test_a_stream_of_pictures_that_are_too_large_is_refused_by_their_size_and_comes_back(camera, huge, rss_growth):
    camera.parts = [huge]
    metrics = CameraMetrics()
    for refused in (1, 2):
        with pytest.raises(SourceError, match=r"127\.0\.0\.1:\d+: .*16000 x 16000 .*35,651,584"):
            frames_of(camera.url(), 1, metrics=metrics)
        assert metrics.read().sampled == {"undecodable": refused}
    assert rss_growth() < 50_000_000
    camera.parts = [GOOD]
    (frame,) = frames_of(camera.url(), 1, metrics=metrics)
    assert frame.image.shape == (SIDE, SIDE, 3)


@pytest.mark.parametrize(("width", "height"), [(7680, 4320), (8192, 4352), (6000, 5900), (65_000, 540)])
def test_pictures_up_to_the_limit_are_accepted(camera, width, height):
    assert width * height <= MAX_PIXELS
    camera.parts = [part(jpeg(width, height))]
    (frame,) = frames_of(camera.url(), 1)
    assert frame.image.shape == (height, width, 3)


@pytest.mark.parametrize(("width", "height"), [(8192, 4353), (6000, 6000), (65_000, 600)])
def test_pictures_beyond_the_limit_are_refused(camera, width, height):
    camera.parts = [part(jpeg(width, height))]
    with pytest.raises(SourceError, match=f"{width} x {height}"):
        frames_of(camera.url(), 1)


def test_a_picture_that_is_too_large_among_others_is_skipped_and_counted(camera, huge, rss_growth):
    camera.parts = [GOOD, GOOD, huge]
    metrics = CameraMetrics()
    frames = frames_of(camera.url(), 10, metrics=metrics)
    assert {frame.image.shape for frame in frames} == {(SIDE, SIDE, 3)}
    counts = metrics.read()
    assert counts.sampled["undecodable"] >= 4
    assert counts.captured >= 10 + counts.sampled["undecodable"]
    assert rss_growth() < 100_000_000


def test_a_stream_whose_pictures_grow_is_refused(camera, huge, rss_growth):
    with closing(
        make_source(
            "cam",
            camera.url(),
            Gate(None, CameraMetrics()),
            loop=False,
            realtime=False,
            stall_timeout_s=2,
            metrics=CameraMetrics(),
        ).frames(threading.Event())
    ) as frames:
        next(frames)
        camera.parts = [huge]
        with pytest.raises(SourceError, match="none that can be decoded"):
            list(frames)
    with pytest.raises(SourceError, match="16000 x 16000"):
        frames_of(camera.url(), 1)
    assert rss_growth() < 100_000_000


@pytest.mark.slow
@pytest.mark.parametrize("with_length", [True, False])
@pytest.mark.parametrize("first", [True, False])
def test_a_part_of_a_gigabyte_takes_little_memory(camera, rss_growth, with_length, first):
    camera.parts = [*([] if first else [GOOD] * 3), huge_part(10**9, with_length=with_length)]
    peak = 0

    def watch():
        nonlocal peak
        while not done.wait(0.02):
            peak = max(peak, rss_growth())

    done = threading.Event()
    thread = threading.Thread(target=watch)
    thread.start()
    try:
        with pytest.raises(SourceError):
            frames_of(camera.url(), 100, stall_timeout_s=2)
    finally:
        done.set()
        thread.join()
    assert peak < 350_000_000
    camera.parts = [GOOD]
    wait_until(lambda: not [t for t in native_threads() if t.name == "camera-cam-capture"], "the end of the read")
    assert len(frames_of(camera.url(), 5)) == 5


@pytest.mark.parametrize("size", [(16_000, 16_000, 2), (16_000, 16_000, 0), (1, 50_000_000, 2)])
def test_a_small_file_that_decodes_to_a_huge_picture(camera, tmp_path, rss_growth, size):
    content = png(*size)
    assert len(content) < 2_000_000
    camera.responses["/still.png"] = 200, "image/png", content
    (tmp_path / "still.png").write_bytes(content)
    for source, options in [
        (camera.url("/still.png"), {}),
        (tmp_path / "still.png", {}),
        (tmp_path / "still.png", {"realtime": True}),
    ]:
        with pytest.raises(SourceError):
            frames_of(source, 1, stall_timeout_s=1, **options)
    assert rss_growth() < 100_000_000


@pytest.mark.parametrize(
    ("width", "height"), [(1, 1), (1, 100_000), (100_000, 1), (17, 3), (3, 501), (641, 479), (16_001, 9)]
)
def test_any_shape_within_the_limit_is_a_frame(tmp_path, width, height):
    (tmp_path / "still.png").write_bytes(png(width, height))
    (frame,) = frames_of(tmp_path / "still.png", 2)
    assert frame.image.shape == (height, width, 3)


@pytest.mark.slow
def test_a_picture_without_a_size_is_no_frame():
    """Each of the cameras is given up after as long as a camera may take for its first picture."""
    with ExitStack() as stack:
        pictures = [jpeg_that_says(*size) for size in ((0, 0), (0, 480), (640, 0))]
        cameras = [stack.enter_context(JpegCamera([part(picture)])) for picture in pictures]
        pool = stack.enter_context(ThreadPoolExecutor())
        reads = [pool.submit(frames_of, camera.url(), 1, stall_timeout_s=1) for camera in cameras]
        assert [type(read.exception()) for read in reads] == [SourceError] * 3


@pytest.mark.parametrize("lie", [0, 1, -5, 10**18, 3, lambda size: size // 3, lambda size: 3 * size])
def test_a_wrong_content_length_does_no_harm(camera, lie):
    picture = empty_picture()
    camera.fps = 200
    camera.parts = [GOOD, GOOD, part(picture, lie(len(picture)) if callable(lie) else lie)]
    try:
        frames = frames_of(camera.url(), 5, stall_timeout_s=2)
    except SourceError:
        camera.parts = [GOOD]
        frames = frames_of(camera.url(), 5)
    assert {frame.image.shape for frame in frames} == {(SIDE, SIDE, 3)}


@pytest.fixture
def film(tmp_path):
    """A file that FFmpeg can play, in a directory of its own."""
    path = tmp_path / "private" / "film.ts"
    path.parent.mkdir()
    writer = cv2.VideoWriter(str(path), cv2.CAP_FFMPEG, cv2.VideoWriter.fourcc(*"mp4v"), 25, (64, 64))
    for shade in range(25):
        writer.write(np.full((64, 64, 3), 10 * shade, np.uint8))
    writer.release()
    return path


def playlist(*entries):
    lines = ["#EXTM3U", "#EXT-X-VERSION:3", "#EXT-X-TARGETDURATION:2"]
    for entry in entries:
        lines += ["#EXTINF:1.0,", entry]
    return "\n".join([*lines, "#EXT-X-ENDLIST", ""]).encode()


ELSEWHERE = ["file://{}", "{}", "concat:{}", "subfile,,start,0,end,0,,:{}", "crypto+file://{}", "cache:{}", "async:{}"]


@pytest.mark.parametrize("target", [target for target in ELSEWHERE if target != "{}"])
def test_a_redirect_to_another_scheme_is_refused(camera, film, target):
    camera.responses["/moved"] = 302, target.format(film), b""
    with pytest.raises(SourceError, match="cannot be opened"):
        frames_of(camera.url("/moved"), 1)


@contextmanager
def tcp_server(content):
    """A server that sends this to each client."""

    class Send(socketserver.BaseRequestHandler):
        def handle(self):
            self.request.sendall(content)

    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Send) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        yield f"tcp://127.0.0.1:{server.server_address[1]}/list.m3u8"
        server.shutdown()
        thread.join()


@pytest.mark.parametrize("target", ELSEWHERE)
@pytest.mark.parametrize("options", [None, "rtsp_transport;udp", "", "nonsense", "protocol_blacklist;udp"])
def test_a_playlist_that_names_local_files_is_refused(camera, film, monkeypatch, target, options):
    """Over plain TCP, FFmpeg would allow it by default."""
    if options is None:
        monkeypatch.delenv("OPENCV_FFMPEG_CAPTURE_OPTIONS", raising=False)
    else:
        monkeypatch.setenv("OPENCV_FFMPEG_CAPTURE_OPTIONS", options)
    content = playlist(target.format(film))
    camera.responses["/list.m3u8"] = 200, "application/vnd.apple.mpegurl", content
    with tcp_server(content) as url:
        for source in (url, camera.url("/list.m3u8")):
            with pytest.raises(SourceError):
                frames_of(source, 1, stall_timeout_s=1)


def test_a_file_cannot_name_other_files(film):
    lists = {
        "list.m3u8": playlist(f"file://{film}", str(film)),
        "list.ffconcat": f"ffconcat version 1.0\nfile {film.name}\n".encode(),
    }
    for name, content in lists.items():
        (film.parent / name).write_bytes(content)
        with pytest.raises(SourceError):
            frames_of(film.parent / name, 1)
    assert len(frames_of(film, 100)) == 25, "the file itself can be played"


def test_a_playlist_over_http_and_redirects_over_http_work(camera, film):
    camera.responses["/film.ts"] = 200, "video/mp2t", film.read_bytes()
    camera.responses["/list.m3u8"] = 200, "application/vnd.apple.mpegurl", playlist(camera.url("/film.ts"))
    camera.responses["/0"] = 301, "/1", b""
    camera.responses["/1"] = 302, camera.url("/2"), b""
    camera.responses["/2"] = 307, camera.url("/list.m3u8"), b""
    (frame,) = frames_of(camera.url("/0"), 1)
    assert frame.image.shape == (64, 64, 3)


def test_redirects_in_a_circle_end(camera):
    camera.responses["/a"] = 302, "/b", b""
    camera.responses["/b"] = 302, "/a", b""
    with pytest.raises(SourceError, match="cannot be opened"):
        frames_of(camera.url("/a"), 1)
    assert len(camera.requests) < 50


def test_the_options_of_the_user_can_allow_another_protocol(monkeypatch, film):
    monkeypatch.setenv("OPENCV_FFMPEG_CAPTURE_OPTIONS", "protocol_whitelist;tcp,file")
    with tcp_server(playlist(f"file://{film}")) as url:
        (frame,) = frames_of(url, 1)
    assert frame.image.shape == (64, 64, 3)


def test_a_file_on_a_failing_disk_ends_there(tmp_path):
    """FFmpeg reads through Python, where an exception would end the process."""
    echo.make_video(tmp_path / "long.avi", range(500))
    whole = (tmp_path / "long.avi").read_bytes()
    (tmp_path / "short.avi").write_bytes(whole[: len(whole) // 2])
    frames = frames_of(tmp_path / "short.avi", 1000)
    assert 200 < len(frames) < 500
