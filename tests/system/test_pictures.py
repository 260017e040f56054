"""A camera that sends pictures and parts that are far too large, beside an ordinary one; through the real daemon."""

import threading
import time

import psutil
import pytest

from tests.support.health import read_health
from tests.support.jpeg_camera import JpegCamera, empty_picture, huge_part, jpeg, part
from tests.support.waiting import free_port, wait_until

pytestmark = pytest.mark.mosquitto
MAX_RSS_BYTES = 800_000_000
"""On a busy computer an abandoned read still holds its part when the next begins. Without limits: 1.1 to 2.4 GB."""
GOOD = part(empty_picture())


class PeakMemory:
    """The most memory that a process and its children had, measured every 20 ms; a context manager."""

    def __init__(self, pid):
        self._process = psutil.Process(pid)
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self.peak_bytes = 0

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._done.set()
        self._thread.join()

    def _run(self):
        while not self._done.wait(0.02):
            self.peak_bytes = max(self.peak_bytes, self._process.memory_info().rss)


@pytest.fixture
def odd():
    with JpegCamera([GOOD], fps=10) as camera:
        yield camera


ATTACKS = {
    "pictures of 16,000 x 16,000": (lambda: [part(jpeg(16_000, 16_000))], "16000 x 16000"),
    "parts of a gigabyte": (lambda: [huge_part(10**9, with_length=True)], ""),
    "a part without an end": (lambda: [huge_part(10**10, with_length=False)], ""),
}


@pytest.mark.parametrize("attack", ATTACKS)
def test_pictures_and_parts_that_are_far_too_large(mosquitto, subscribe, run_daemon, studio, live, odd, attack):
    make_parts, named = ATTACKS[attack]
    parts = make_parts()
    ordinary, port = live(10), free_port()
    settings = studio.settings(mosquitto.url, ordinary.url)
    settings["cameras"]["odd"] = {**settings["cameras"]["cam"], "source": odd.url(), "stall_timeout_s": 2}
    settings["http"] = {"listen": port}
    settings["stats"] = {"interval_s": 1}
    reader = subscribe(mosquitto.port)
    daemon = run_daemon(settings)
    status = "edgepub/test/odd/status"
    reader.wait_for(lambda r: r.last(status) == b"online", "online")
    reader.wait_for(lambda r: r.payloads("edgepub/test/cam/detections"), "the ordinary camera")
    with PeakMemory(daemon.process.pid) as memory:
        odd.parts = [GOOD, *parts]  # one picture among good ones
        if named:
            reader.wait_for(
                lambda r: r.stats() and r.stats()[-1]["cameras"]["odd"]["sampled"].get("undecodable", 0) > 2, "counts"
            )
            reader.wait_for(lambda r: r.last(status) == b"online", "online among them")
        odd.parts = parts
        reader.wait_for(lambda r: r.last(status) == b"offline", "offline")
        before, began_s = len(reader.payloads("edgepub/test/cam/detections")), time.monotonic()
        wait_until(
            lambda: named in (read_health(port)[1]["cameras"]["odd"].get("fault") or ""), "the reason in /healthz"
        )
        wait_until(lambda: time.monotonic() > began_s + 5, "some more tries")
        seen = len(reader.payloads("edgepub/test/cam/detections")) - before
        # This process sends both, so on a busy computer the ordinary pictures are late, too.
        assert seen > 0.3 * 10 * (time.monotonic() - began_s), "the ordinary camera goes on"
        assert reader.last("edgepub/test/cam/status") == b"online"
        odd.parts = [GOOD]
        reader.wait_for(lambda r: r.last(status) == b"online", "online again", seconds=60)
    assert memory.peak_bytes < MAX_RSS_BYTES
    assert daemon.terminate() == 0
