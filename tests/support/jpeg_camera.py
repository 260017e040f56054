"""A camera that sends multipart JPEG over HTTP, as old ones do, and whatever else a test wants it to send."""

import http.server
import struct
import threading
import time
import zlib
from contextlib import suppress
from functools import lru_cache

import cv2
import numpy as np

from edgepub.cli.bench.echo import SIDE

_LOSSLESS = [
    *(cv2.IMWRITE_JPEG_QUALITY, 100),
    *(cv2.IMWRITE_JPEG_SAMPLING_FACTOR, cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444),
]
# Blue, green and red: each colour is one that JPEG keeps exactly, and together they are `[]` and white space in JSON.
_OPEN, _CLOSE, _SPACE = (91, 32, 13), (92, 9, 13), (32, 32, 32)  # encoded as 92, the first becomes 93
_ZEROS = 1_000_000
_MIN_BLOCK = 8  # JPEG's blocks have 8 x 8 pixels


def empty_picture(columns=_MIN_BLOCK, rows=_MIN_BLOCK):
    """Return a JPEG for which the echo model returns no objects: 64 times this number of columns and rows.

    Both are multiples of 8, so that each pixel of the model is a number of whole blocks of JPEG.
    """
    image = np.full((SIDE * rows, SIDE * columns, 3), _SPACE, np.uint8)
    image[:rows, :columns] = _OPEN
    image[:rows, columns : 2 * columns] = _CLOSE
    return cv2.imencode(".jpg", image, _LOSSLESS)[1].tobytes()


@lru_cache
def jpeg(width, height):
    """Return a JPEG of this size, black."""
    return cv2.imencode(".jpg", np.zeros((height, width, 3), np.uint8))[1].tobytes()


def jpeg_that_says(width, height):
    """Return a JPEG whose head says this size; it has the data of a small picture."""
    small = jpeg(64, 64)
    at = small.index(b"\xff\xc0") + 5  # SOF0: marker, length, precision, height, width
    return small[:at] + struct.pack(">HH", height, width) + small[at + 4 :]


def png(width, height, colour_type=2):
    """Return a PNG of this size, black; a few kilobytes, whatever the size is."""
    size = height * (1 + {0: 1, 2: 3}[colour_type] * width)
    packer = zlib.compressobj(wbits=-15)  # without head and sum, so that a compressed block can be repeated
    block, blocks = packer.compress(bytes(_ZEROS)) + packer.flush(zlib.Z_FULL_FLUSH), size // _ZEROS
    packed = block * blocks + packer.compress(bytes(size % _ZEROS)) + packer.flush()
    data = b"\x78\x9c" + packed + struct.pack(">HH", size % 65_521, 1)  # with the sum of that many zeros

    def chunk(kind, content):
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    head = struct.pack(">IIBBBBB", width, height, 8, colour_type, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", data) + chunk(b"IEND", b"")


def part(picture, length=None):
    """Return a part of a multipart stream; `length` is what its Content-Length says."""
    head = (
        f"--frame\r\nContent-Type: image/jpeg\r\nContent-Length: {len(picture) if length is None else length}\r\n\r\n"
    )
    return head.encode() + picture + b"\r\n"


def huge_part(size, *, with_length):
    """Return a function that yields a part of that many bytes, which begins like a JPEG."""
    length = f"Content-Length: {size}\r\n" if with_length else ""
    head = f"--frame\r\nContent-Type: image/jpeg\r\n{length}\r\n".encode()

    def send():
        yield head + jpeg(64, 64)[:-2]
        for _ in range(size // 1_000_000):
            yield bytes(1_000_000)

    return send


class JpegCamera:
    """A camera on 127.0.0.1; a context manager.

    Attributes:
        parts: what it sends in an endless loop: bytes, or functions that yield bytes. May be replaced at any time.
        responses: what else it serves: by path the status, the content type or the new location, and the body.

    """

    def __init__(self, parts, fps=25):
        self.parts = parts
        self.fps = fps
        self.responses = {}
        self.requests = []
        self._server = _Server(("127.0.0.1", 0), _Handler)
        self._server.camera = self
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), name="jpeg-camera")

    def url(self, path="/video.mjpg"):
        return f"http://127.0.0.1:{self._server.server_port}{path}"

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._server.stopping.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


class _Server(http.server.ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, *arguments):
        super().__init__(*arguments)
        self.stopping = threading.Event()

    def handle_error(self, *_):
        """Ignore clients that have disconnected."""


class _Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        camera = self.server.camera
        camera.requests.append(self.path)
        if self.path in camera.responses:
            status, kind, body = camera.responses[self.path]
            self.send_response(status)
            self.send_header("Location" if status // 100 == 3 else "Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)
            return
        self.send_response(200)
        self.send_header("Content-Type", "multipart/x-mixed-replace; boundary=frame")
        self.end_headers()
        with suppress(OSError):
            number = 0
            while not self.server.stopping.is_set():
                parts = camera.parts
                self._send(parts[number % len(parts)])
                number += 1
                time.sleep(1 / camera.fps)

    def _send(self, content):
        for data in [content] if isinstance(content, bytes) else content():
            if not self.server.stopping.is_set():
                self.wfile.write(data)

    def log_message(self, *_):
        """Do not log."""
