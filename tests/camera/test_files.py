"""Pictures in folders, and video files at a URL."""

import functools
import http.server
import threading
import time
from contextlib import closing
from itertools import islice

import cv2
import numpy as np
import pytest

from edgepub.core.errors import SourceError
from edgepub.telemetry.metrics import CameraMetrics
from tests.support import films
from tests.support.sources import open_source


def frames_of(source, count=None, **options):
    with closing(open_source(source, **options).frames(threading.Event())) as frames:
        return list(islice(frames, count))


def numbers_of(source, count=None, **options):
    return [films.read_number(frame.image) for frame in frames_of(source, count, **options)]


def why(source, **options):
    with pytest.raises(SourceError) as caught:
        frames_of(source, **options)
    return str(caught.value)


@pytest.fixture
def folder(tmp_path):
    """Twelve pictures, with numbers that do not sort as texts, and something else."""
    folder = tmp_path / "shots"
    folder.mkdir()
    for number in range(1, 13):
        name = f"shot {number}.jpg" if number % 2 else f"shot {number}.PNG"
        draw = films.jpeg_picture if number % 2 else films.png_picture
        (folder / name).write_bytes(draw(number))
    (folder / "Thumbs.db").write_bytes(b"no picture")
    (folder / "more").mkdir()
    return folder


def test_a_folder_gives_its_pictures_in_the_order_of_their_numbers(folder):
    frames = frames_of(folder)
    assert [films.read_number(frame.image) for frame in frames] == list(range(1, 13))
    assert [frame.number for frame in frames] == list(range(1, 13))
    assert {frame.clock for frame in frames} == {"file"}


def test_a_pattern_gives_what_matches(folder):
    assert numbers_of(folder / "shot *.jpg") == [1, 3, 5, 7, 9, 11]
    assert numbers_of(folder / "shot [1-3].*") == [1, 2, 3]


def test_a_file_whose_name_looks_like_a_pattern(tmp_path):
    film = films.encode(tmp_path / "film [1].mp4", range(5))
    films.encode(tmp_path / "film 1.mp4", range(50))
    assert numbers_of(film) == list(range(5))


def test_a_pattern_of_films_plays_one_after_the_other(tmp_path):
    for part in range(3):
        films.encode(tmp_path / f"part{part}.mp4", range(10 * part, 10 * part + 10))
    frames = frames_of(tmp_path / "part*.mp4")
    assert [films.read_number(frame.image) for frame in frames] == list(range(30))
    assert [round(25 * frame.source_s) for frame in frames] == list(range(30))


def test_pictures_are_a_second_apart_or_as_fps_says(folder):
    assert [frame.source_s for frame in frames_of(folder, 3)] == [0, 1, 2]
    assert [frame.source_s for frame in frames_of(folder, 3, fps=4)] == [0, 0.25, 0.5]
    assert numbers_of(folder, fps=4, max_fps=2) == [1, 3, 5, 7, 9, 11]
    began_s = time.monotonic()
    assert len(frames_of(folder, fps=20, realtime=True)) >= 1
    assert 0.5 < time.monotonic() - began_s < 5


def test_a_picture_that_is_damaged_or_no_picture_is_left_out(folder):
    (folder / "shot 4.PNG").write_bytes(b"no picture")
    (folder / "shot 5.jpg").write_bytes(films.jpeg_picture(5)[:1000])
    (folder / "shot 6.PNG").unlink()
    (folder / "shot 6.PNG").symlink_to("nowhere")
    metrics = CameraMetrics()
    assert numbers_of(folder, metrics=metrics) == [1, 2, 3, 7, 8, 9, 10, 11, 12]
    assert metrics.read().sampled["undecodable"] == 3


def test_a_loop_finds_new_pictures_and_sizes(folder):
    source = open_source(folder / "shot 1*", loop=True)
    with closing(source.frames(threading.Event())) as frames:
        assert [films.read_number(next(frames).image) for _ in range(4)] == [1, 10, 11, 12]
        (folder / "shot 13.jpg").write_bytes(films.jpeg_picture(13, 640, 480))
        rest = [next(frames) for _ in range(5)]
    assert [films.read_number(frame.image) for frame in rest] == [1, 10, 11, 12, 13]
    assert rest[-1].image.shape == (480, 640, 3)
    assert [frame.number for frame in rest] == [5, 6, 7, 8, 9]


def test_nothing_to_show(tmp_path):
    assert why(tmp_path) == f"no pictures in the folder: {tmp_path}"
    assert why(tmp_path / "*.jpg") == f"no file matches: {tmp_path}/*.jpg"
    for name in ("1.jpg", "2.jpg"):
        (tmp_path / name).write_bytes(b"no picture")
    assert why(tmp_path, loop=True) == f"none of 2 files can be decoded: {tmp_path}"
    (tmp_path / "3.jpg").symlink_to("nowhere")
    assert why(tmp_path).endswith(
        f"none of 3 files can be decoded: {tmp_path}; the last: no such file: {tmp_path}/3.jpg"
    )


def test_patterns_with_odd_names(tmp_path):
    """The folder's own name is no pattern; folders are in the order of their numbers, too; texts are no pictures."""
    site = tmp_path / "site [north]"
    for day in (9, 10):
        (site / f"day{day}").mkdir(parents=True)
        for number in (2, 10):
            (site / f"day{day}" / f"{number}.jpg").write_bytes(films.jpeg_picture(100 * day + number))
        (site / f"day{day}" / "notes.txt").write_text("no picture")
    metrics = CameraMetrics()
    assert numbers_of(site / "day*" / "*", metrics=metrics) == [902, 910, 1002, 1010]
    assert metrics.read().sampled["undecodable"] == 2
    assert numbers_of(site / "**" / "1*.jpg") == [910, 1010]
    assert why(site / "day**.jpg").startswith("not a pattern: ")
    assert why(site / "day9" / "notes.txt").startswith("not a video that FFmpeg can read: ")


def test_pictures_that_are_far_apart_are_no_stall(folder):
    source = open_source(folder, realtime=True, stall_timeout_s=1, fps=0.4)
    with closing(source.frames(threading.Event())) as frames:
        assert [films.read_number(next(frames).image) for _ in range(2)] == [1, 2]


@pytest.mark.parametrize("bits", [np.uint8, np.uint16])
def test_tiff_as_opencv_writes_it(tmp_path, bits):
    image = films.picture(7).astype(bits) * (257 if bits is np.uint16 else 1)
    cv2.imwrite(str(tmp_path / "7.tif"), image)
    assert numbers_of(tmp_path / "7.tif") == [7]


@pytest.fixture
def web(tmp_path):
    """A server of a directory.

    Without a length (/endless/... and /chunked/...), that ends in the middle (/cut/...) or becomes slow (/drip/...).
    """

    ended = threading.Event()

    class Handler(http.server.SimpleHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *_):
            pass

        def do_GET(self):
            _, kind, name = f"/{self.path}".rsplit("/", 2)
            if kind not in {"endless", "chunked", "cut", "drip"}:
                super().do_GET()
                return
            content = (tmp_path / name).read_bytes()
            self.close_connection = True
            self.send_response(200)
            if kind in {"cut", "drip"}:
                self.send_header("Content-Length", str(len(content)))
                content = content[: len(content) // 2]
            if kind == "chunked":
                self.send_header("Transfer-Encoding", "chunked")
                content = b"%x\r\n%b\r\n0\r\n\r\n" % (len(content), content)
            self.end_headers()
            for place in range(0, len(content), 500):
                self.wfile.write(content[place : place + 500])
                self.wfile.flush()
                time.sleep(0.01 if kind == "endless" else 0)  # as a camera does
            while kind == "drip" and not ended.wait(0.2):
                self.wfile.write(b"0")

    handler = functools.partial(Handler, directory=tmp_path)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        ended.set()
        server.shutdown()
        thread.join()


@pytest.mark.parametrize("name", ["film.mp4", "film.mkv", "film.avi", "film.ts"])
def test_a_file_at_a_url_gives_every_frame(web, tmp_path, name):
    films.encode(tmp_path / name, range(100), container="mpegts" if name.endswith(".ts") else None)
    source = open_source(f"{web}/{name}")
    frames = []
    with closing(source.frames(threading.Event())) as playing:
        for frame in playing:
            frames.append(frame)
            time.sleep(0.005)  # a slow model
    assert not source.live
    assert [films.read_number(frame.image) for frame in frames] == list(range(100))
    assert {frame.clock for frame in frames} == {"file"}


def test_a_file_at_a_url_loops_and_plays_at_its_own_rate(web, tmp_path):
    films.encode(tmp_path / "film.mp4", range(10))
    assert numbers_of(f"{web}/film.mp4", 25, loop=True) == [*range(10), *range(10), *range(5)]
    began_s = time.monotonic()
    source = open_source(f"{web}/film.mp4?token=S3cret", loop=True, realtime=True)
    with closing(source.frames(threading.Event())) as playing:
        frames = list(islice(playing, 15))
    assert source.live
    assert time.monotonic() - began_s > 0.5
    assert [frame.number for frame in frames] == sorted({frame.number for frame in frames})


def test_an_address_with_the_name_of_a_file_that_is_live(web, tmp_path):
    """As restreamers have them: /api/stream.mp4?src=porch."""
    films.encode(tmp_path / "film.ts", range(100), container="mpegts")
    source = open_source(f"{web}/endless/film.ts")
    with closing(source.frames(threading.Event())) as frames:
        frame = next(frames)
    assert source.live
    assert frame.clock == "arrival"
    assert why(f"{web}/endless/film.ts", realtime=True) == f"{web}: it is live, not a file: remove loop and realtime"


def test_a_file_at_a_url_that_is_missing_or_lost(web, tmp_path):
    films.encode(tmp_path / "film.ts", range(500), container="mpegts")
    line = why(f"{web}/S3cret.mp4")
    assert (
        line == f"{web}: cannot be opened: no such path (404): the host answers, but has nothing at the path in the URL"
    )
    assert why(f"{web}/cut/film.ts").startswith(f"{web}: the stream was lost: ")


@pytest.mark.slow
def test_a_file_at_a_url_whose_server_gives_a_byte_now_and_then_is_left_in_time(web, tmp_path):
    films.encode(tmp_path / "film.ts", range(500), container="mpegts")
    began_s = time.monotonic()
    assert why(f"{web}/drip/film.ts") == f"{web}: the stream was lost: silent"
    assert time.monotonic() - began_s < 15


def test_what_is_no_film_at_a_url(web, tmp_path):
    """A playlist has a length, and is live all the same; so is a picture that is asked for again."""
    (tmp_path / "live.m3u8").write_text("#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\nfilm.ts\n")
    films.encode(tmp_path / "film.ts", range(25), container="mpegts")
    (tmp_path / "a.jpg").write_bytes(films.jpeg_picture(7))
    for name in ("live.m3u8", "a.jpg"):
        assert why(f"{web}/{name}", loop=True) == f"{web}: it is live, not a file: remove loop and realtime"


def test_a_film_at_a_url_without_a_length(web, tmp_path):
    films.encode(tmp_path / "film.mkv", range(50))
    assert numbers_of(f"{web}/chunked/film.mkv") == list(range(50))
