"""A camera to measure with: sends the frames of a video at a pace of its own, and remembers when each was sent.

A lossless video is streamed over HTTP as it stands in its AVI file, one chunk a frame, again and again. With the videos
of ``edgepub.cli.bench.echo`` every result tells which frame it is of, and so how old it is.
"""

import http.server
import struct
import threading
import time
from pathlib import Path
from typing import Self

_MOVIE = b"movi"
_FRAME = b"00dc"


class LiveCamera:
    """A camera on 127.0.0.1; a context manager.

    Args:
        video: an AVI file.
        fps: frames sent a second, to each who looks.

    """

    def __init__(self, video: Path, fps: float) -> None:
        self.fps = fps
        self.head, self.frames = _split(video.read_bytes())
        """The file up to its first frame, and its frames; both may be changed."""
        self.sent_s: dict[int, float] = {}
        """When each frame was sent last, on the monotonic clock, by its place in the file from 0."""
        self.paused = threading.Event()
        """While set, nothing is sent, and the connection stays open."""
        self._server = _Server(("127.0.0.1", 0), _Viewer)
        self._server.camera = self
        self._thread = threading.Thread(target=self._server.serve_forever, name="live-camera")

    @property
    def url(self) -> str:
        """Where to look."""
        return f"http://127.0.0.1:{self._server.server_port}/live.avi"

    def hang_up(self) -> None:
        """End all connections; new ones are welcome."""
        self._server.generation += 1

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.hang_up()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


class _Server(http.server.ThreadingHTTPServer):
    camera: LiveCamera
    generation = 0
    daemon_threads = True

    def handle_error(self, *_: object) -> None:
        """Say nothing of a viewer who has gone."""


class _Viewer(http.server.BaseHTTPRequestHandler):
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
                place = number % len(camera.frames)
                camera.sent_s[place] = time.monotonic()
                self.wfile.write(camera.frames[place])
                number += 1
            due_s += 1 / camera.fps
            time.sleep(max(0.0, due_s - time.monotonic()))

    def log_message(self, *_: object) -> None:
        """Say nothing."""


def _split(content: bytes) -> tuple[bytes, list[bytes]]:
    """Return an AVI file up to its first frame, and its frames (RIFF chunks: tag, length, content, padded)."""
    at = content.index(_MOVIE) + len(_MOVIE)
    head, frames = content[:at], []
    while content[at : at + 4] == _FRAME:
        (length,) = struct.unpack_from("<I", content, at + 4)
        end = at + 8 + length + length % 2
        frames.append(content[at:end])
        at = end
    return head, frames
