"""A camera for measurements: sends the frames of a video at a given rate, and records when each was sent.

It streams the chunks of a lossless AVI file over HTTP, one per frame, in an endless loop. With the videos of
``edgepub.cli.bench.echo``, each result contains the number of its frame, which gives its age.
"""

import http.server
import struct
import threading
import time
from pathlib import Path
from typing import Self

_MOVIE = b"movi"
_FRAME = b"00dc"


class LiveStream:
    """A camera on 127.0.0.1; a context manager.

    Args:
        head: what is sent first.
        frames: the frames, as they are sent.
        fps: frames per second sent to each client.

    """

    def __init__(self, head: bytes, frames: list[bytes], fps: float) -> None:
        self.fps = fps
        self.head, self.frames = head, frames
        """What is sent first, and the frames. Tests may replace both."""
        self.sent_s: dict[int, float] = {}
        """When each frame was last sent, on the monotonic clock, by its index in the file."""
        self.paused = threading.Event()
        """While set, no frame is sent, but the connection stays open."""
        self._server = _Server(("127.0.0.1", 0), _ClientHandler)
        self._server.camera = self
        self._thread = threading.Thread(target=self._server.serve_forever, name="live-camera")

    @property
    def url(self) -> str:
        """The address of the stream."""
        return f"http://127.0.0.1:{self._server.server_port}/live"

    def disconnect_clients(self) -> None:
        """Close all connections. New ones are accepted."""
        self._server.generation += 1

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.disconnect_clients()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


class LiveCamera(LiveStream):
    """A camera that sends a lossless AVI file.

    Args:
        video: the file.
        fps: frames per second sent to each client.

    """

    def __init__(self, video: Path, fps: float) -> None:
        super().__init__(*_split(video.read_bytes()), fps)


class _Server(http.server.ThreadingHTTPServer):
    camera: LiveStream
    generation = 0
    daemon_threads = True

    def handle_error(self, *_: object) -> None:
        """Ignore clients that have disconnected."""


class _ClientHandler(http.server.BaseHTTPRequestHandler):
    server: _Server

    def do_GET(self) -> None:
        camera, generation = self.server.camera, self.server.generation
        self.send_response(200)
        self.send_header("Content-Type", "video/avi")
        self.end_headers()
        self.wfile.write(camera.head)
        number = 0
        due_s = time.monotonic()
        while generation == self.server.generation:
            if not camera.paused.is_set():
                index = number % len(camera.frames)
                camera.sent_s[index] = time.monotonic()
                self.wfile.write(camera.frames[index])
                number += 1
            due_s += 1 / camera.fps
            time.sleep(max(0.0, due_s - time.monotonic()))

    def log_message(self, *_: object) -> None:
        """Do not log."""


def _split(content: bytes) -> tuple[bytes, list[bytes]]:
    """Return an AVI file up to its first frame, and its frames (RIFF chunks: tag, length, content, padding)."""
    at = content.index(_MOVIE) + len(_MOVIE)
    head, frames = content[:at], []
    while content[at : at + 4] == _FRAME:
        (length,) = struct.unpack_from("<I", content, at + 4)
        end = at + 8 + length + length % 2
        frames.append(content[at:end])
        at = end
    return head, frames
