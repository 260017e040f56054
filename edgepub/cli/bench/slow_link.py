"""A broker behind a slow link, and what that does to a daemon."""

import contextlib
import json
import socket
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.table import Table

from edgepub.cli.bench import echo
from edgepub.cli.bench.live_camera import LiveCamera
from edgepub.cli.bench.tables import table
from edgepub.cli.bench.watching import edgepub_run, watched

SLOW_BYTES_A_SECOND = 20_000
_FPS = 200.0
_FREE_S = 20.0
_SLOW_S = 60.0
_AT_ONCE_BYTES = 512


class SlowLink:
    """A way to a port of this machine that lets so many bytes a second through, and the answers at any speed.

    Args:
        port: where it leads.
        bytes_a_second: how much it lets through; 0: all.

    """

    def __init__(self, port: int, bytes_a_second: int) -> None:
        self.bytes_a_second = bytes_a_second
        self._to = port
        self._listener = socket.create_server(("127.0.0.1", 0))
        # What the kernel takes is as good as sent for the client; a slow link takes little ahead.
        self._listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        self.port: int = self._listener.getsockname()[1]
        self._open: list[socket.socket] = []
        self._threads = [threading.Thread(target=self._accept, name="slow-link")]
        self._threads[0].start()

    def close(self) -> None:
        """End it."""
        for each in (self._listener, *self._open):
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
            each.close()
        for thread in self._threads:
            thread.join()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                server = socket.create_connection(("127.0.0.1", self._to))
                self._open += [client, server]
                self._carry(client, server, slowly=True)
                self._carry(server, client, slowly=False)

    def _carry(self, one: socket.socket, other: socket.socket, *, slowly: bool) -> None:
        def work() -> None:
            with contextlib.suppress(OSError):
                while data := one.recv(_AT_ONCE_BYTES if slowly else 65536):
                    other.sendall(data)
                    if slowly and self.bytes_a_second:
                        time.sleep(len(data) / self.bytes_a_second)
                other.shutdown(socket.SHUT_WR)

        self._threads.append(threading.Thread(target=work, name="slow-link"))
        self._threads[-1].start()


def slow_link(port: int, folder: Path) -> Table:
    """Return the table of it."""
    rows = table(
        f"A camera at {_FPS:g} fps, and a broker behind a link of {SLOW_BYTES_A_SECOND // 1000} kB/s for {_SLOW_S:g} s",
        "link",
        "frames inferred/s",
        "memory MB",
        "inferred",
        "= published",
        "+ sampled",
        "+ dropped",
        "received",
    )
    video = folder / "link.avi"
    box = {"bbox": [1, 2, 30, 40], "label": "person", "score": 0.9, "category_id": 0}
    echo.make_video(video, [[box]] * 200, _FPS)
    echo.make_model(folder / "link-zoo", "link")
    its = measure(video, folder / "link-zoo", "link", port, folder)
    rows.add_row("free", f"{its.free_fps:.1f}", f"{its.free_rss_bytes / 1e6:.0f}")
    rows.add_row(
        "slow",
        f"{its.slow_fps:.1f}",
        f"{its.slow_rss_bytes / 1e6:.0f}",
        str(its.camera["inferred"]),
        str(its.camera["published"]),
        str(sum(number for reason, number in its.camera["sampled"].items() if reason not in {"busy", "max_fps"})),
        str(sum(its.camera["dropped"].values())),
        str(its.received),
    )
    return rows


@dataclass(frozen=True, slots=True)
class Figures:
    """What a daemon did with the link free, and then with the link slow."""

    free_fps: float
    """Frames inferred a second."""
    slow_fps: float
    free_rss_bytes: int
    slow_rss_bytes: int
    camera: dict[str, Any]
    """What its stats say of the camera at the end, when all is quiet."""
    received: int
    """Detections messages that a subscriber got."""


def measure(video: Path, zoo: Path, model: str, port: int, folder: Path) -> Figures:
    """Run the daemon with a camera that sends more than the slow link takes."""
    told: list[dict[str, Any]] = []
    received = 0

    def take(topic: str, payload: bytes) -> None:
        nonlocal received
        if topic.endswith("/detections"):
            received += 1
        elif topic.endswith("/stats"):
            told.append(json.loads(payload)["cameras"]["camera"])

    def fps(seconds: float) -> float:
        """Return the mean of what the stats tell in so many seconds."""
        first = len(told)
        time.sleep(seconds)
        rates = [each["fps_inferred"] for each in told[first:]]
        return float(sum(rates) / len(rates))

    link = SlowLink(port, 0)
    with contextlib.closing(link), LiveCamera(video, _FPS) as camera:
        cameras = {"camera": {"source": camera.url}}
        command = edgepub_run(folder, link.port, zoo, model, cameras, stats={"interval_s": 1})
        with watched(command, port, "edgepub/bench/#", folder, take) as process:
            while not (told and told[-1]["inferred"]):
                process.wait_for_first()
                time.sleep(0.1)
            free_fps, free_rss_bytes = fps(_FREE_S), process.rss_bytes()
            link.bytes_a_second = SLOW_BYTES_A_SECOND
            slow_fps, slow_rss_bytes = fps(_SLOW_S), process.rss_bytes()
            link.bytes_a_second = 0
            camera.paused.set()
            while not (told[-1]["fps_inferred"] == told[-1]["fps_published"] == 0 == told[-2]["fps_published"]):
                time.sleep(0.1)
            return Figures(free_fps, slow_fps, free_rss_bytes, slow_rss_bytes, told[-1], received)
