"""Films as cameras send them, in pieces for a live stream: a still scene with a sensor's noise, and a moving object."""

import io
from collections.abc import Iterable, Iterator
from fractions import Fraction
from itertools import chain
from typing import TYPE_CHECKING, NamedTuple, cast

import av
import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from av.video.stream import VideoStream

_NOISE = 2.0  # standard deviation, of 255
_BITS = 16
_NOISE_PATTERNS = 8  # encoded in turn: making noise takes longer than encoding it


class Kind(NamedTuple):
    """What a camera sends."""

    codec: str
    """FFmpeg's name of the encoder."""
    width: int
    height: int
    fps: int

    def __str__(self) -> str:
        names = {"libx264": "H.264", "libx265": "H.265"}
        return f"{names[self.codec]}, {self.width}x{self.height}, {self.fps} frames/s"


def make_film(kind: Kind, seconds: float, gop_s: float = 2.0, noise: float = _NOISE) -> list[bytes]:
    """Make a film as a camera would; return a piece for each frame. Each picture shows its number, from 0.

    Args:
        kind: what to send.
        seconds: how long.
        gop_s: seconds from one key frame to the next.
        noise: of the sensor, standard deviation of 255. With more, a film takes longer to decode.

    """
    options = {"preset": "superfast", "tune": "zerolatency"}
    if kind.codec == "libx265":
        options |= {"x265-params": "log-level=none"}
    return encode(kind, _pictures(kind, round(seconds * kind.fps), noise), round(gop_s * kind.fps), options)


def encode(kind: Kind, pictures: Iterable[av.VideoFrame], gop: int, options: dict[str, str]) -> list[bytes]:
    """Encode pictures as MPEG-TS; return a piece for each.

    Args:
        kind: what they are.
        pictures: the pictures.
        gop: pictures from one key frame to the next.
        options: of the encoder.

    """
    buffer, pieces = io.BytesIO(), []
    with av.open(buffer, "w", format="mpegts", options={"flush_packets": "1"}) as film:
        stream = cast("VideoStream", film.add_stream(kind.codec, rate=Fraction(kind.fps), options=options))
        stream.width, stream.height, stream.pix_fmt = kind.width, kind.height, "yuv420p"
        stream.codec_context.gop_size = gop
        for place, picture in enumerate(chain(pictures, [None])):
            if picture is not None:
                picture.pts = place
            for packet in stream.encode(picture):
                film.mux(packet)
                pieces.append(buffer.getvalue())
                buffer.seek(0)
                buffer.truncate()
    return pieces


def read_number(image: NDArray[np.uint8]) -> int:
    """Return the number that a picture shows.

    Args:
        image: pixels, shape (height, width, 3).

    """
    height, width = image.shape[:2]
    rows = image[height // 64 : height // 32].mean(axis=(0, 2))  # in the middle of the marks
    return sum(
        1 << bit for bit in range(_BITS) if rows[(2 * bit + 1) * width // (2 * _BITS)] > np.iinfo(np.uint8).max / 2
    )


def _show_number(luma: NDArray[np.int16], number: int) -> None:
    height, width = luma.shape
    for bit in range(_BITS):
        luma[: height // 16, bit * width // _BITS : (bit + 1) * width // _BITS] = 235 if number >> bit & 1 else 16


def _pictures(kind: Kind, number: int, deviation: float) -> Iterator[av.VideoFrame]:
    """Yield pictures of a street of coloured bands, with a bright object that crosses it."""
    random = np.random.default_rng(1)
    height, width = kind.height, kind.width
    scene = 60 + 120 * (np.add.outer(np.arange(height), np.arange(width)) // (height // 6) % 2)
    noise = [random.normal(0, deviation, (height, width)).astype(np.int16) for _ in range(_NOISE_PATTERNS)]
    colours = np.full((height // 2, width), 128, np.uint8)
    side = height // 4
    for place in range(number):
        luma = scene + noise[place % _NOISE_PATTERNS]
        left = place * width // max(number, 1) % (width - side)
        luma[height // 2 : height // 2 + side, left : left + side] += 40
        _show_number(luma, place)
        image = np.vstack([luma.clip(16, 235).astype(np.uint8), colours])
        yield av.VideoFrame.from_ndarray(image, format="yuv420p")
