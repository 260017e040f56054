"""The age that is said is the age: real RTSP cameras whose reader is held back, or whose clock is wrong."""

import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from contextlib import contextmanager

import pytest

from tests.support import films, wall_clock
from tests.support.rtsp import RtspCamera, needs_rtsp_server, play
from tests.support.waiting import wait_until

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]
FPS = 25
LENGTH = 100  # of the film that is repeated; the numbers begin again after it

READER = """
import json, sys, threading, time
from edgepub.camera.sources.factory import make_source
from edgepub.camera.sources.gate import Gate
from edgepub.telemetry.metrics import CameraMetrics
from tests.support import films
metrics = CameraMetrics()
how = {"loop": False, "realtime": False, "stall_timeout_s": 10, "metrics": metrics}
for frame in make_source("cam", sys.argv[1], Gate(None, metrics), **how).frames(threading.Event()):
    now_s, wall_s = time.monotonic(), time.time()
    reading = metrics.read()
    print(json.dumps([films.read_number(frame.image), now_s, now_s - frame.captured_s, wall_s - frame.timestamp,
                      frame.clock, reading.sampled, reading.behind_s, reading.clock_offset_s]), flush=True)
"""


class Reader:
    """edgepub's source in a process of its own, which can be held back; each row is a frame that it gave."""

    def __init__(self, url):
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
        command = [sys.executable, "-c", READER, url]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment)
        self.rows = []
        self._thread = threading.Thread(target=self._collect)
        self._thread.start()

    def _collect(self):
        for line in self.process.stdout:
            self.rows.append(json.loads(line))

    def hold_back(self, seconds, stop_s, go_s):
        """Stop and continue the reader in turn, so that it runs for only a part of the time."""
        end_s = time.monotonic() + seconds
        while time.monotonic() < end_s:
            self.process.send_signal(signal.SIGSTOP)
            time.sleep(stop_s)
            self.process.send_signal(signal.SIGCONT)
            time.sleep(go_s)

    def ages(self):
        """Return the true age and the one that is said of each frame, and when it was given.

        A frame was taken when the quickest of all frames would have been given, counted back by their numbers.
        """
        rounds, last, times = 0, 0, []
        for number, now_s, said_s, *_ in self.rows:
            rounds += number < last - LENGTH // 2
            last = number
            times.append((now_s, (rounds * LENGTH + number) / FPS, said_s))
        began_s = min(now_s - film_s for now_s, film_s, _ in times)
        return [(now_s - began_s - film_s, said_s, now_s) for now_s, film_s, said_s in times]

    def stop(self):
        self.process.kill()
        self._thread.join()
        self.log = self.process.communicate()[1].decode()


def nearly_all(values):
    """Return what nine of ten values do not exceed: a busy computer holds up the server, too."""
    ordered = sorted(values)
    return ordered[int(0.9 * len(ordered))]


@contextmanager
def reading(url):
    reader = Reader(url)
    try:
        yield reader
    finally:
        reader.stop()


def expensive_film(directory, gop):
    """Return a film of 1920 x 1080 pixels and 40 s that takes several times as long to decode as most."""
    options = {"preset": "superfast", "crf": "23"}
    part = films.encode(
        directory / "part.mp4", range(LENGTH), size=(1920, 1080), gop=gop, options=options, draw=films.noisy_picture
    )
    return films.repeat(part, directory / "film.mp4", 10)


@needs_rtsp_server
def test_a_starved_decoder_leaves_out_frames_and_says_how_old_the_others_are(tmp_path):
    with RtspCamera(play(expensive_film(tmp_path, 50))) as camera, reading(camera.url) as reader:
        wait_until(lambda: len(reader.rows) > 50, "frames")
        before = len(reader.rows)
        reader.hold_back(15, 0.08, 0.05)
        ages = reader.ages()
        sampled, behind_s = reader.rows[-1][5:7]
    log = reader.log
    starved = sorted(true_s for true_s, *_ in ages[before:])
    assert len(starved) > 40
    assert starved[int(0.99 * len(starved))] < 1.5
    assert starved[-1] > 0.5, "it was starved"
    # The server's report of the time when a picture was taken is some 40 ms before its packet is sent.
    assert nearly_all(abs(true_s - said_s) for true_s, said_s, _ in ages[before:]) < 0.15
    assert sampled["late"] > 20
    assert 0.5 < behind_s < 2
    assert re.search(r"decoding is behind by \d", log)
    assert log.count("\n") == 1, "once a minute"


@needs_rtsp_server
@pytest.mark.skipif(bool(wall_clock.why_not()), reason=str(wall_clock.why_not()))
@pytest.mark.parametrize(
    ("offset", "clock"),
    [
        ("+0", "rtcp"),
        ("-1", "rtcp"),
        ("+1h", "arrival"),
        ("-1h", "arrival"),
        ("-56y", "arrival"),
        ("+0 x1.2", "arrival"),
    ],
)
def test_a_cameras_clock_is_believed_only_while_it_is_plausible(tmp_path, offset, clock):
    film = films.encode(tmp_path / "film.mp4", range(500))
    environment = {**os.environ, **wall_clock.WallClock(tmp_path, offset).environment}
    with RtspCamera(play(film), environment=environment) as camera, reading(camera.url) as reader:
        wait_until(lambda: len(reader.rows) > 50 and (reader.rows[-1][7] is not None), "a report of the camera's clock")
        seen = len(reader.rows)
        if "x" in offset:
            wait_until(lambda: reader.rows[-1][4] == "arrival" and len(reader.rows) > seen + 20, "a clock that is off")
            seen = len(reader.rows)
        wait_until(lambda: len(reader.rows) > seen + 50, "frames")
    expected_s = 1 if offset == "-1" else 0
    rows = reader.rows[seen + 10 :]
    assert {row[4] for row in rows} == {clock}
    assert nearly_all(abs(age_s - stamp_age_s) for _, _, age_s, stamp_age_s, *_ in rows) < 0.01
    assert min(row[2] for row in rows) > expected_s - 0.01
    assert nearly_all(row[2] for row in rows) < expected_s + 0.3
    ahead_s = reader.rows[-1][7]
    expected_s = {"-1": -1, "+1h": 3600, "-1h": -3600}.get(offset)
    if expected_s:
        assert abs(ahead_s - expected_s) < 0.5


@needs_rtsp_server
def test_frames_without_rtcp_are_as_old_as_their_packets(tmp_path):
    film = films.encode(tmp_path / "film.mp4", range(500))
    with RtspCamera(play(film), "no-rtcp") as camera, reading(camera.url) as reader:
        wait_until(lambda: len(reader.rows) > 150, "frames")
    assert {row[4] for row in reader.rows} == {"arrival"}
    assert nearly_all(abs(true_s - said_s) for true_s, said_s, _ in reader.ages()) < 0.1


@needs_rtsp_server
def test_what_a_network_held_back_is_not_shown_as_new(tmp_path):
    film = films.encode(tmp_path / "film.mp4", range(1000))
    with RtspCamera(play(film)) as camera, reading(camera.url) as reader:
        wait_until(lambda: len(reader.rows) > 50, "frames")
        camera.freeze()
        time.sleep(3)
        camera.thaw()
        seen = len(reader.rows)
        wait_until(lambda: len(reader.rows) > seen + 50, "frames after it")
    assert nearly_all(abs(true_s - said_s) for true_s, said_s, _ in reader.ages()) < 0.15
    assert nearly_all(true_s for true_s, *_ in reader.ages()) < 1.5
    assert reader.rows[-1][5]["late"] > 20
