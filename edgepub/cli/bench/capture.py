"""What it costs to read a camera: processor time of each way to decode, compared with OpenCV's capture.

``python -m edgepub.cli.bench.capture {opencv,all,keyframes,idle,busy} URL SECONDS`` reads a live stream with
`max_fps: 5` and prints the processor time of the process and the seconds that it took. `idle` and `busy` are
`adaptive`: nothing is detected, or always something.
"""

import io
import subprocess
import sys
import threading
import time
from contextlib import closing
from statistics import median
from typing import Any

import av
import cv2
from numpy.typing import NDArray
from rich.console import Group
from rich.table import Table

from edgepub.camera.attention import Attention
from edgepub.camera.frames import Fit
from edgepub.camera.rates import RateLimiter
from edgepub.camera.sources.factory import make_source
from edgepub.camera.sources.gate import Gate
from edgepub.camera.sources.picture import Converter
from edgepub.cli.bench.camera_films import Kind, make_film
from edgepub.cli.bench.live_camera import LiveStream
from edgepub.cli.bench.tables import table
from edgepub.config.capture import CaptureSettings, DecodeMode
from edgepub.telemetry.metrics import CameraMetrics

_KINDS = (
    Kind("libx264", 1920, 1080, 25),
    Kind("libx264", 3840, 2160, 15),
    Kind("libx265", 1920, 1080, 25),
    Kind("libx264", 1280, 720, 30),
    Kind("libx264", 640, 360, 25),
)
_WAYS: dict[str, tuple[DecodeMode, bool]] = {
    "all": ("all", False),
    "keyframes": ("keyframes", False),
    "idle": ("adaptive", False),
    "busy": ("adaptive", True),
}
_OPENCV = "opencv"
_MAX_FPS = 5.0
_WARM_UP_S = 1.5
_SECONDS = 6.0
_ROUNDS = 3
_FIT = Fit(640, 640, keeps_aspect=True)
_CONVERSION_ROUNDS = 5


def capture() -> Group:
    """Return the tables of what decoding and converting cost."""
    return Group(_decoding(), _conversion())


def _conversion() -> Table:
    title = f"Converting a picture for a model of {_FIT.width}x{_FIT.height}: processor time in ms"
    rows = table(title, "camera", "at full size, then made smaller as PySDK does", "straight", "ratio")
    for width, height in ((3840, 2160), (1920, 1080), (1280, 720), (960, 540)):
        film = io.BytesIO(b"".join(make_film(Kind("libx264", width, height, 25), 1.0)))
        with av.open(film, "r") as container:
            pictures = list(container.decode(video=0))
        converter = Converter(Gate(None, CameraMetrics()), "bench", 0)
        whole_ms, straight_ms = [], []
        for _ in range(_CONVERSION_ROUNDS):
            whole_ms.append(_convert(converter, pictures, None))
            straight_ms.append(_convert(converter, pictures, _FIT))
        ratio = median(straight / whole for straight, whole in zip(straight_ms, whole_ms, strict=True))
        rows.add_row(f"{width}x{height}", f"{median(whole_ms):.1f}", f"{median(straight_ms):.1f}", f"{ratio:.2f}")
    return rows


def _convert(converter: Converter, pictures: list[av.VideoFrame], fit: Fit | None) -> float:
    """Convert pictures, and make them fit as PySDK does, also if they do already; return milliseconds for each."""
    began_s = time.process_time()
    for decoded in pictures:
        picture = converter.convert(decoded, fit)
        if picture is not None:
            _reduce(picture.image)
    return 1000 * (time.process_time() - began_s) / len(pictures)


def _reduce(image: NDArray[Any]) -> None:
    """Make a picture smaller for the model, as PySDK does."""
    height, width = image.shape[:2]
    scale = min(_FIT.width / width, _FIT.height / height)
    cv2.resize(image, (round(width * scale), round(height * scale)), interpolation=cv2.INTER_LINEAR)


def _decoding() -> Table:
    title = (
        f"Reading a camera for a model of {_FIT.width}x{_FIT.height} (max_fps: {_MAX_FPS:.0f}, a key frame every 2 s):"
        " % of a core (ratio to OpenCV's capture)"
    )
    rows = table(title, "camera", "OpenCV", "all", "keyframes", "adaptive, idle", "adaptive, busy", "ms a frame, all")
    for kind in _KINDS:
        film = make_film(kind, _WARM_UP_S + _SECONDS + 2)
        rounds = [{way: _measure(way, kind, film) for way in (_OPENCV, *_WAYS)} for _ in range(_ROUNDS)]
        shares = {way: median(figures[way] for figures in rounds) for way in rounds[0]}
        ratios = {way: median(figures[way] / figures[_OPENCV] for figures in rounds) for way in _WAYS}
        cells = [f"{100 * shares[way]:.1f} ({ratios[way]:.2f})" for way in _WAYS]
        rows.add_row(str(kind), f"{100 * shares[_OPENCV]:.1f}", *cells, f"{1000 * shares['all'] / kind.fps:.1f}")
    return rows


def _measure(way: str, kind: Kind, film: list[bytes]) -> float:
    """Return the share of a core that a way takes."""
    with LiveStream(b"", film, kind.fps) as camera:
        command = [sys.executable, "-m", "edgepub.cli.bench.capture", way, camera.url, str(_SECONDS)]
        done = subprocess.run(command, check=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    cpu_s, seconds = map(float, done.stdout.split())
    return cpu_s / seconds


def _main(way: str, url: str, seconds: str) -> None:
    stopping = threading.Event()
    read = _read_opencv if way == _OPENCV else _read_edgepub
    reader = threading.Thread(target=read, args=(way, url, stopping))
    reader.start()
    time.sleep(_WARM_UP_S)
    cpu_s, began_s = time.process_time(), time.monotonic()
    time.sleep(float(seconds))
    print(time.process_time() - cpu_s, time.monotonic() - began_s)
    stopping.set()
    reader.join()


def _read_opencv(_way: str, url: str, stopping: threading.Event) -> None:
    limiter = RateLimiter(_MAX_FPS)
    reader = cv2.VideoCapture(url, cv2.CAP_FFMPEG, [cv2.CAP_PROP_N_THREADS, 1])
    while not stopping.is_set() and reader.grab():
        if limiter.admit(time.monotonic()):
            _reduce(reader.retrieve()[1])
    reader.release()


def _read_edgepub(way: str, url: str, stopping: threading.Event) -> None:
    mode, is_busy = _WAYS[way]
    metrics, attention = CameraMetrics(), Attention()
    source = make_source(
        "camera",
        url,
        Gate(_MAX_FPS, metrics),
        loop=False,
        realtime=False,
        capture=CaptureSettings(decode=mode),
        attention=attention,
        stall_timeout_s=10,
        metrics=metrics,
    )
    with closing(source.frames(stopping, _FIT)) as frames:
        for frame in frames:
            if frame:
                _reduce(frame.image)
            if is_busy:
                attention.extend(time.monotonic())


if __name__ == "__main__":
    _main(*sys.argv[1:])
