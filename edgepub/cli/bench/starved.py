"""The age of frames when the decoder gets less processor time than it needs, read from the pictures themselves.

``python -m edgepub.cli.bench.starved {edgepub,opencv} URL`` reads a live stream and prints a line for each frame: its
number, when it was given (monotonic clock), and the age that is said.
"""

import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import closing

import cv2
from rich.table import Table

from edgepub.camera.sources.factory import make_source
from edgepub.camera.sources.gate import Gate
from edgepub.cli.bench.camera_films import Kind, make_film, read_number
from edgepub.cli.bench.live_camera import LiveStream
from edgepub.cli.bench.tables import quantile, table
from edgepub.telemetry.metrics import CameraMetrics

_KIND = Kind("libx264", 1920, 1080, 25)
_NOISE = 14.0  # it takes most of a core then
_FILM_S = 30.0
_STOP_S, _GO_S = 0.08, 0.05
_WARM_UP_S = 5.0
_SECONDS = 20.0


def starved() -> Table:
    """Measure the ages of frames, and return the table."""
    title = (
        f"A starved decoder ({_KIND}; stopped for {1000 * _STOP_S:.0f} of each {1000 * (_STOP_S + _GO_S):.0f} ms): s"
    )
    rows = table(title, "", "true age: p50", "p99", "what is said differs by, at most", "frames/s")
    film = make_film(_KIND, _FILM_S, noise=_NOISE)
    for way in ("edgepub", "opencv"):
        ages = _measure(way, film)
        true_s = [age for age, _ in ages]
        differs = max(abs(age - said) for age, said in ages)
        row = [f"{quantile(true_s, 0.5):.2f}", f"{quantile(true_s, 0.99):.2f}", f"{differs:.2f}"]
        rows.add_row({"edgepub": "edgepub", "opencv": "OpenCV's capture"}[way], *row, f"{len(ages) / _SECONDS:.1f}")
    return rows


def _measure(way: str, film: list[bytes]) -> list[tuple[float, float]]:
    """Return the true age of each frame, and the one that is said."""
    ages: list[tuple[float, float]] = []
    with LiveStream(b"", film, _KIND.fps) as camera:
        command = [sys.executable, "-m", "edgepub.cli.bench.starved", way, camera.url]
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as reader:

            def collect() -> None:
                for line in reader.stdout or ():
                    number, given_s, said_s = line.split()
                    # Not when it was sent, which the network may have held back.
                    taken_s = camera.sent_s[0] + int(number) / _KIND.fps
                    ages.append((float(given_s) - taken_s, float(said_s)))

            collector = threading.Thread(target=collect)
            collector.start()
            _hold_back(reader, _WARM_UP_S)
            ages.clear()
            _hold_back(reader, _SECONDS)
            measured = ages.copy()
            reader.kill()
            collector.join()
    return measured


def _hold_back(process: "subprocess.Popen[str]", seconds: float) -> None:
    end_s = time.monotonic() + seconds
    while time.monotonic() < end_s:
        process.send_signal(signal.SIGSTOP)
        time.sleep(_STOP_S)
        process.send_signal(signal.SIGCONT)
        time.sleep(_GO_S)


def _read_edgepub(url: str) -> Iterator[tuple[int, float, float]]:
    metrics = CameraMetrics()
    source = make_source(
        "camera", url, Gate(None, metrics), loop=False, realtime=False, stall_timeout_s=10, metrics=metrics
    )
    with closing(source.frames(threading.Event())) as frames:
        for frame in frames:
            if frame is not None:
                now_s = time.monotonic()
                yield read_number(frame.image), now_s, now_s - frame.captured_s


def _read_opencv(url: str) -> Iterator[tuple[int, float, float]]:
    reader = cv2.VideoCapture(url, cv2.CAP_FFMPEG, [cv2.CAP_PROP_N_THREADS, 1])
    while reader.grab():
        grabbed_s = time.monotonic()  # the best that can be known of it
        _, image = reader.retrieve()
        now_s = time.monotonic()
        yield read_number(image), now_s, now_s - grabbed_s  # type: ignore[arg-type]


if __name__ == "__main__":
    for row in (_read_edgepub if sys.argv[1] == "edgepub" else _read_opencv)(sys.argv[2]):
        print(*row, flush=True)
