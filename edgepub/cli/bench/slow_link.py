"""A broker behind a slow link, and its effect on the daemon."""

import contextlib
import json
import socket
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from rich.table import Table

from edgepub.cli.bench import echo
from edgepub.cli.bench.live_camera import LiveCamera
from edgepub.cli.bench.tables import table
from edgepub.cli.bench.watching import edgepub_run, run_watched

SLOW_BYTES_PER_S = 20_000
_FPS = 200.0
_FREE_S = 20.0
_SLOW_S = 60.0
_CHUNK_BYTES = 512


class SlowLink:
    """A TCP relay to a local port with a limited rate; replies are not limited. A context manager.

    Args:
        port: the destination.
        bytes_per_s: the rate limit; 0: no limit.

    """

    def __init__(self, port: int, bytes_per_s: int) -> None:
        self.bytes_per_s = bytes_per_s
        self.target_port = port
        self._listener = socket.create_server(("127.0.0.1", 0))
        # Bytes that the kernel buffers count as sent for the client; a slow link buffers little.
        self._listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        self.port: int = self._listener.getsockname()[1]
        self._open: list[socket.socket] = []
        self._threads = [threading.Thread(target=self._accept, name="slow-link")]

    def __enter__(self) -> Self:
        self._threads[0].start()
        return self

    def __exit__(self, *_: object) -> None:
        for connection in (self._listener, *self._open):
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
            connection.close()
        for thread in self._threads:
            thread.join()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                server = socket.create_connection(("127.0.0.1", self.target_port))
                self._open += [client, server]
                self._relay(client, server, limited=True)
                self._relay(server, client, limited=False)

    def _relay(self, one: socket.socket, other: socket.socket, *, limited: bool) -> None:
        def work() -> None:
            with contextlib.suppress(OSError):
                while data := one.recv(_CHUNK_BYTES if limited else 65536):
                    other.sendall(data)
                    if limited and self.bytes_per_s:
                        time.sleep(len(data) / self.bytes_per_s)
                other.shutdown(socket.SHUT_WR)

        self._threads.append(threading.Thread(target=work, name="slow-link"))
        self._threads[-1].start()


def slow_link(port: int, directory: Path) -> Table:
    """Measure the daemon with a free and with a slow link, and return the table."""
    rows = table(
        f"A camera at {_FPS:g} fps, and a broker behind a link of {SLOW_BYTES_PER_S // 1000} kB/s for {_SLOW_S:g} s",
        "link",
        "frames inferred/s",
        "memory MB",
        "inferred",
        "= published",
        "+ sampled",
        "+ dropped",
        "received",
    )
    video = directory / "link.avi"
    box = {"bbox": [1, 2, 30, 40], "label": "person", "score": 0.9, "category_id": 0}
    echo.make_video(video, [[box]] * 200, _FPS)
    echo.make_model(directory / "link-zoo", "link")
    figures = measure(video, directory / "link-zoo", "link", port, directory)
    rows.add_row("free", f"{figures.free_fps:.1f}", f"{figures.free_rss_bytes / 1e6:.0f}")
    rows.add_row(
        "slow",
        f"{figures.slow_fps:.1f}",
        f"{figures.slow_rss_bytes / 1e6:.0f}",
        str(figures.camera["inferred"]),
        str(figures.camera["published"]),
        str(sum(number for reason, number in figures.camera["sampled"].items() if reason not in {"busy", "max_fps"})),
        str(sum(figures.camera["dropped"].values())),
        str(figures.received),
    )
    return rows


@dataclass(frozen=True, slots=True)
class Figures:
    """The figures with a free link, and then with a slow link."""

    free_fps: float
    """Frames inferred per second."""
    slow_fps: float
    free_rss_bytes: int
    slow_rss_bytes: int
    camera: dict[str, Any]
    """The camera's stats at the end, after everything was sent."""
    received: int
    """Detections messages that a subscriber received."""


def measure(video: Path, zoo: Path, model: str, port: int, directory: Path) -> Figures:
    """Run the daemon with a camera that produces more than the slow link carries."""
    camera_stats: list[dict[str, Any]] = []
    received = 0

    def take(topic: str, payload: bytes) -> None:
        nonlocal received
        if topic.endswith("/detections"):
            received += 1
        elif topic.endswith("/stats"):
            camera_stats.append(json.loads(payload)["cameras"]["camera"])

    def fps(seconds: float) -> float:
        """Return the mean of the published rates over a time."""
        first = len(camera_stats)
        time.sleep(seconds)
        rates = [stats["fps_inferred"] for stats in camera_stats[first:]]
        return float(sum(rates) / len(rates))

    with SlowLink(port, 0) as link, LiveCamera(video, _FPS) as camera:
        cameras = {"camera": {"source": camera.url}}
        command = edgepub_run(directory, link.port, zoo, model, cameras, stats={"interval_s": 1})
        with run_watched(command, port, "edgepub/bench/#", directory, take) as process:
            while not (camera_stats and camera_stats[-1]["inferred"]):
                process.wait_for_first()
                time.sleep(0.1)
            free_fps, free_rss_bytes = fps(_FREE_S), process.rss_bytes()
            link.bytes_per_s = SLOW_BYTES_PER_S
            slow_fps, slow_rss_bytes = fps(_SLOW_S), process.rss_bytes()
            link.bytes_per_s = 0
            camera.paused.set()
            while camera_stats[-1]["fps_inferred"] or any(stats["fps_published"] for stats in camera_stats[-2:]):
                time.sleep(0.1)
            return Figures(free_fps, slow_fps, free_rss_bytes, slow_rss_bytes, camera_stats[-1], received)
