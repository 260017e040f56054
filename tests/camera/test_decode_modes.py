"""Which frames are decoded: all, key frames, or as many as are needed; from real live streams."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing

import av
import pytest

from edgepub.camera.attention import Attention
from edgepub.camera.sources.factory import make_source
from edgepub.camera.sources.gate import Gate
from edgepub.cli.bench import camera_films
from edgepub.cli.bench.live_camera import LiveStream
from edgepub.config.capture import CaptureSettings
from edgepub.core.errors import SourceError
from edgepub.telemetry.metrics import CameraMetrics
from tests.support import films
from tests.support.jpeg_camera import JpegCamera, part

pytestmark = pytest.mark.slow
GOP = FPS = 50


class Watched:
    """The frames that a source gives, each with the time when it was given."""

    def __init__(self, url, mode, *, look=lambda _attention, _number: None):
        self.metrics, self.attention = CameraMetrics(), Attention()
        self._look = look
        self._source = make_source(
            "cam",
            url,
            Gate(None, self.metrics),
            loop=False,
            realtime=False,
            capture=CaptureSettings(decode=mode),
            attention=self.attention,
            stall_timeout_s=10,
            metrics=self.metrics,
        )

    def numbers(self, seconds):
        """Return the numbers of the frames of that many seconds."""
        found, stopping, end_s = [], threading.Event(), time.monotonic() + seconds
        with closing(self._source.frames(stopping)) as frames:
            for frame in frames:
                found.append(films.read_number(frame.image))
                self._look(self.attention, found[-1])
                if time.monotonic() > end_s:
                    return found
        return found


@pytest.fixture(scope="module", params=["without B-frames", "with B-frames"])
def film(request):
    """Thirteen seconds, a key frame every second, each picture with its number."""
    kind = camera_films.Kind("libx264", 320, 240, FPS)
    options = {"preset": "ultrafast", "tune": "film" if request.param == "with B-frames" else "zerolatency"}
    options["x264-params"] = f"scenecut=0:bframes={2 if request.param == 'with B-frames' else 0}"
    pictures = (av.VideoFrame.from_ndarray(films.picture(number), format="bgr24") for number in range(650))
    return camera_films.encode(kind, pictures, GOP, options)


def test_key_frames_only(film):
    with LiveStream(b"", film, FPS) as camera:
        watched = Watched(camera.url, "keyframes")
        numbers = watched.numbers(4)
    assert len(numbers) >= 3
    assert [number % GOP for number in numbers] == [0] * len(numbers)
    sampled = watched.metrics.read().sampled
    assert sampled["decode"] >= (GOP - 1) * (len(numbers) - 1)
    assert set(sampled) == {"decode"}


def test_adaptive_decodes_everything_from_the_key_frame_in_which_something_appears(film):
    """Something is found from the third key frame on, for a second and a half."""

    def look(attention, number):
        if 2 * GOP <= number < 3.5 * GOP:
            attention.extend(time.monotonic())

    with LiveStream(b"", film, FPS) as camera:
        watched = Watched(camera.url, "adaptive", look=look)
        numbers = watched.numbers(12)
    idle = [number for number in numbers if number < 2 * GOP]
    assert [number % GOP for number in idle] == [0] * len(idle)
    busy = [number for number in numbers if 2 * GOP <= number < 3.5 * GOP]
    missed = watched.metrics.read().sampled.get("busy", 0)  # by a busy computer
    assert len(busy) + missed > 0.7 * 1.5 * GOP, "almost every frame, at once"
    assert busy == sorted(set(busy)), "each once"
    after = [number for number in numbers if number > 3.5 * GOP + 5 * FPS + GOP + 10]
    assert [number % GOP for number in after] == [0] * len(after), "5 s later only key frames again"
    assert after


def test_adaptive_goes_on_from_packets_that_came_before_the_model_was_ready(film):
    """A model that takes 0.3 s finds something in a key frame; the next one is still far."""

    def look(attention, number):
        if number == 2 * GOP:
            time.sleep(0.3)
        if number >= 2 * GOP:
            attention.extend(time.monotonic())

    with LiveStream(b"", film, FPS) as camera:
        watched = Watched(camera.url, "adaptive", look=look)
        numbers = watched.numbers(4)
    following = next(number for number in numbers if number > 2 * GOP)
    assert following < 3 * GOP, "before the next key frame"
    begin = 2 * GOP + 40
    assert numbers[-1] > begin
    following = [number for number in numbers if number >= begin]
    assert len(following) > 0.3 * (numbers[-1] - begin), "a busy machine may miss some"


def test_jpeg_streams_are_decoded_whatever_the_mode_is():
    with JpegCamera([part(films.jpeg_picture(number)) for number in range(100)]) as camera:
        watched = Watched(camera.url(), "keyframes")
        assert len(watched.numbers(4)) > 20


@pytest.mark.timeout(120)
def test_a_stream_that_has_no_key_frames_at_all_is_given_up(film):
    """In each mode, after as long as a camera may take for its first picture."""
    endless = film[1:GOP] + [film[place] for place in range(GOP + 1, 2 * GOP)] * 40

    def read(mode):
        with LiveStream(b"", endless, FPS) as camera:
            Watched(camera.url, mode).numbers(60)

    with ThreadPoolExecutor() as pool:
        for given_up in [pool.submit(read, mode) for mode in ("keyframes", "adaptive")]:
            with pytest.raises(SourceError, match="none that can be decoded"):
                given_up.result()
