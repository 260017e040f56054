"""A live page whose process is stopped does not slow down others, and does not delay the daemon's stop."""

import contextlib
import signal
import socket
import subprocess
import sys
import time
from typing import NamedTuple

import psutil
import pytest

from edgepub.cli.bench import echo
from edgepub.cli.bench.live_camera import LiveCamera
from edgepub.cli.bench.live_pages import live_pages
from tests.support.mill import until
from tests.support.sockets import queued_bytes
from tests.support.studio import BOX
from tests.support.waiting import free_port, wait_until

pytestmark = [pytest.mark.mosquitto, pytest.mark.faults]

STOPPED_S = 60
SAMPLE_S = 10
FPS = 20
SIZE = (1280, 720)
FRAME_MB = SIZE[0] * SIZE[1] * 3 / 1e6
UPGRADE = (
    b"GET /cameras/cam/live HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
)
REQUEST = bytes([0x81, 0x82, 0, 0, 0, 0]) + b"30"  # RFC 6455: a text frame with a zero mask
GREEDY = f"""
import socket
page = socket.socket()
page.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
page.connect(("127.0.0.1", PORT))
page.sendall({UPGRADE!r})
page.recv(1)
page.sendall(1000 * {REQUEST!r})
print(page.getsockname()[1], flush=True)
input()
try:
    while page.recv(65536):
        pass
except ConnectionError:
    pass
"""


class Sample(NamedTuple):
    """Rates and memory over some seconds."""

    pictures: float  # per second, of the page that keeps running
    messages: float  # per second
    memory_mb: float  # the minimum, because frames in progress come and go


class Site:
    """A daemon with a camera, a live page and a subscriber."""

    def __init__(self, daemon, http, reader, page):
        self.daemon = daemon
        self.http = http
        self.url = f"http://127.0.0.1:{http}/cameras/cam"
        self.page = page
        self._process = psutil.Process(daemon.process.pid)
        self._reader = reader

    def counts(self):
        """Return the number of pictures and messages so far."""
        assert not self.page.close_reasons
        return len(self.page.pictures), len(self._reader.detections())

    def sample(self):
        (pictures, messages), memory, end_s = self.counts(), [], time.monotonic() + SAMPLE_S
        while time.monotonic() < end_s:
            memory.append(self._process.memory_info().rss / 1e6)
            time.sleep(0.1)
        more_pictures, more_messages = self.counts()
        return Sample((more_pictures - pictures) / SAMPLE_S, (more_messages - messages) / SAMPLE_S, min(memory))

    def has_free_slot(self):
        """Return whether one more page would be served."""
        with socket.create_connection(("127.0.0.1", self.http), 30) as page, page.makefile("rb") as answer:
            page.sendall(UPGRADE)
            while answer.readline() != b"\r\n":
                pass
            page.sendall(REQUEST)
            return answer.read(1) == b"\x81"  # a text frame; else the page would be closed

    def connections(self):
        tcp = psutil.net_connections("tcp")
        return [entry for entry in tcp if entry.laddr.port == self.http and entry.status == psutil.CONN_ESTABLISHED]


@pytest.fixture
def site(tmp_path, mosquitto, run_daemon, studio, subscribe):
    video, http, reader = tmp_path / "large.avi", free_port(), subscribe(mosquitto.port)
    echo.make_video(video, [[BOX]] * 60, FPS, SIZE)
    with contextlib.ExitStack() as stack:
        camera = stack.enter_context(LiveCamera(video, FPS))
        settings = studio.settings(mosquitto.url, camera.url, snapshot={"enabled": True})
        daemon = run_daemon({**settings, "http": {"listen": f"127.0.0.1:{http}", "max_viewers": 3}})
        reader.wait_for(lambda r: r.detections(), "detections")
        page = stack.enter_context(live_pages(f"http://127.0.0.1:{http}/cameras/cam", 1, 5))
        wait_until(lambda: len(page.pictures) > 10, "pictures")
        yield Site(daemon, http, reader, page)


@contextlib.contextmanager
def polite(site):
    """Stop a page that requests a picture only after it has received the last."""
    with live_pages(site.url, 1, 5) as pages:
        wait_until(lambda: len(pages.pictures) > 10, "pictures")
        pages.process.send_signal(signal.SIGSTOP)
        yield pages.process


@contextlib.contextmanager
def greedy(site):
    """Stop a page that has requested a thousand pictures and read none, once all buffers are full."""
    command = [sys.executable, "-c", GREEDY.replace("PORT", str(site.http))]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        try:
            port, queued = int(process.stdout.readline()), [0]
            process.send_signal(signal.SIGSTOP)

            def full():
                time.sleep(1)
                queued.append(queued_bytes(site.http, port).sent)
                return queued[-1] == queued[-2] > 100_000

            wait_until(full, "a full send queue")
            process.stdin.write(b"\n")
            process.stdin.flush()
            yield process
        finally:
            process.kill()


def test_pages_stopped_for_a_minute_do_not_slow_down_others(site):
    before = site.sample()
    with greedy(site) as one, polite(site) as other:
        began_s, (pictures, messages) = time.monotonic(), site.counts()
        assert not site.has_free_slot()
        while not site.has_free_slot():
            assert time.monotonic() < began_s + 40, "a slot is freed"
            time.sleep(1)
        wait_until(lambda: len(site.connections()) == 1, "the end of their connections", 30)
        print(f"after {time.monotonic() - began_s:.0f} s their slots are free and their connections closed")
        during = site.sample()
        until(began_s + STOPPED_S - SAMPLE_S)
        after, seconds = site.sample(), time.monotonic() - began_s
        more_pictures, more_messages = site.counts()
        for page in (one, other):
            page.send_signal(signal.SIGCONT)
            page.wait(30)  # it exits when its connection is closed
    print(f"{before}, {during}, {after}")
    assert (more_pictures - pictures) / seconds > before.pictures / 2
    assert (more_messages - messages) / seconds > before.messages / 2
    # The allocator keeps some frames more or less from one sample to the next; a queue would hold hundreds.
    assert after.memory_mb < during.memory_mb + 10 * FRAME_MB, "the memory does not grow"
    assert after.memory_mb < before.memory_mb + 20 * FRAME_MB, "and is at most some pictures above the start"


def test_the_daemon_does_not_wait_for_a_stopped_page(site):
    with greedy(site):
        began_s = time.monotonic()
        assert site.daemon.terminate() == 0
        print(f"stopped after {time.monotonic() - began_s:.1f} s")
        assert time.monotonic() - began_s < 15
