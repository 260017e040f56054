"""A page that is stopped in the middle of everything costs the others nothing, and is not waited for."""

import contextlib
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import NamedTuple

import psutil
import pytest

from edgepub.cli.bench import echo
from edgepub.cli.bench.live_camera import LiveCamera
from edgepub.cli.bench.live_pages import live_pages
from tests.support.mill import until
from tests.support.studio import BOX
from tests.support.waiting import free_port, wait_until

pytestmark = [pytest.mark.mosquitto, pytest.mark.faults]

STOPPED_S = 60
LOOK_S = 10
FPS = 20
UPGRADE = (
    b"GET /cameras/cam/live HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
)
QUESTION = bytes([0x81, 0x82, 0, 0, 0, 0]) + b"30"  # RFC 6455: a text, under a mask of zeros
GREEDY = f"""
import socket
page = socket.socket()
page.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
page.connect(("127.0.0.1", PORT))
page.sendall({UPGRADE!r})
page.recv(1)
page.sendall(1000 * {QUESTION!r})
print(page.getsockname()[1], flush=True)
input()
try:
    while page.recv(65536):
        pass
except ConnectionError:
    pass
"""


class Look(NamedTuple):
    """How it goes."""

    pictures: float  # a second, of the page that goes on
    messages: float  # a second
    memory_mb: float  # the least: frames that are under way come and go


class Site:
    """A daemon with a camera, a page that watches it, and a subscriber."""

    def __init__(self, daemon, http, reader, page):
        self.daemon = daemon
        self.http = http
        self.url = f"http://127.0.0.1:{http}/cameras/cam"
        self.page = page
        self._process = psutil.Process(daemon.process.pid)
        self._reader = reader

    def seen(self):
        """Return how many pictures and messages there were."""
        assert not self.page.close_reasons
        return len(self.page.pictures), len(self._reader.detections())

    def look(self):
        (pictures, messages), memory, end_s = self.seen(), [], time.monotonic() + LOOK_S
        while time.monotonic() < end_s:
            memory.append(self._process.memory_info().rss / 1e6)
            time.sleep(0.1)
        more_pictures, more_messages = self.seen()
        return Look((more_pictures - pictures) / LOOK_S, (more_messages - messages) / LOOK_S, min(memory))

    def has_a_seat(self):
        """Return whether one more page would be served."""
        with socket.create_connection(("127.0.0.1", self.http), 30) as page, page.makefile("rb") as answer:
            page.sendall(UPGRADE)
            while answer.readline() != b"\r\n":
                pass
            page.sendall(QUESTION)
            return answer.read(1) == b"\x81"  # a text; it would be told goodbye

    def connections(self):
        tcp = psutil.net_connections("tcp")
        return [each for each in tcp if each.laddr.port == self.http and each.status == psutil.CONN_ESTABLISHED]

    def unread_bytes(self, port):
        """Return what the kernel keeps for the client that has this port."""
        ends = f":{self.http:04X}", f":{port:04X}"
        for line in Path("/proc/net/tcp").read_text().splitlines():
            ours, theirs, _, queues = line.split()[1:5]
            if ours.endswith(ends[0]) and theirs.endswith(ends[1]):
                return int(queues.split(":")[0], 16)
        return 0


@pytest.fixture
def site(tmp_path, mosquitto, run_daemon, studio, subscribe):
    video, http, reader = tmp_path / "large.avi", free_port(), subscribe(mosquitto.port)
    echo.make_video(video, [[BOX]] * 60, FPS, (1280, 720))
    with contextlib.ExitStack() as stack:
        camera = stack.enter_context(LiveCamera(video, FPS))
        settings = studio.settings(mosquitto.url, camera.url)
        daemon = run_daemon({**settings, "http": {"listen": f"127.0.0.1:{http}", "max_viewers": 3}})
        reader.wait_for(lambda r: r.detections(), "detections")
        page = stack.enter_context(live_pages(f"http://127.0.0.1:{http}/cameras/cam", 1, 5))
        wait_until(lambda: len(page.pictures) > 10, "pictures")
        yield Site(daemon, http, reader, page)


@contextlib.contextmanager
def polite(site):
    """Stop a page that asks for the next picture when it has got one."""
    with live_pages(site.url, 1, 5) as pages:
        wait_until(lambda: len(pages.pictures) > 10, "pictures")
        pages.process.send_signal(signal.SIGSTOP)
        yield pages.process


@contextlib.contextmanager
def greedy(site):
    """Stop a page that has asked for a thousand pictures and read none, when all that can be full of them is."""
    command = [sys.executable, "-c", GREEDY.replace("PORT", str(site.http))]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        try:
            port, seen = int(process.stdout.readline()), [0]
            process.send_signal(signal.SIGSTOP)

            def full():
                time.sleep(1)
                seen.append(site.unread_bytes(port))
                return seen[-1] == seen[-2] > 100_000

            wait_until(full, "that no more is taken")
            process.stdin.write(b"\n")
            process.stdin.flush()
            yield process
        finally:
            process.kill()


def test_pages_that_are_stopped_for_a_minute_cost_the_others_nothing(site):
    before = site.look()
    with greedy(site) as one, polite(site) as other:
        began_s, (pictures, messages) = time.monotonic(), site.seen()
        assert not site.has_a_seat()
        while not site.has_a_seat():
            assert time.monotonic() < began_s + 40, "a seat is given back"
            time.sleep(1)
        wait_until(lambda: len(site.connections()) == 1, "the end of their connections", 30)
        print(f"after {time.monotonic() - began_s:.0f} s their seats are given back and their connections have ended")
        meanwhile = site.look()
        until(began_s + STOPPED_S - LOOK_S)
        after, seconds = site.look(), time.monotonic() - began_s
        more_pictures, more_messages = site.seen()
        for page in (one, other):
            page.send_signal(signal.SIGCONT)
            page.wait(30)  # it ends when its connection has ended
    print(f"{before}, {meanwhile}, {after}")
    assert (more_pictures - pictures) / seconds > before.pictures / 2
    assert (more_messages - messages) / seconds > before.messages / 2
    assert after.memory_mb < meanwhile.memory_mb + 8, "it is level"
    assert after.memory_mb < before.memory_mb + 24, "and no more than some pictures above what it was"


def test_a_daemon_does_not_wait_for_a_page_that_is_stopped(site):
    with greedy(site):
        began_s = time.monotonic()
        assert site.daemon.terminate() == 0
        print(f"stopped after {time.monotonic() - began_s:.1f} s")
        assert time.monotonic() - began_s < 5
