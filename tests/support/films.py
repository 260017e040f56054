"""Films made for tests: each picture shows its number, and a colour in each corner that tells its orientation."""

import os
from contextlib import contextmanager
from fractions import Fraction
from itertools import pairwise

import av
import cv2
import numpy as np

BITS = 16
LOSSLESS = {"codec": "libx264rgb", "pix_fmt": "bgr24", "options": {"qp": "0"}}
"""How to encode H.264 whose pixels stay exactly as they are: for the echo model."""
CORNERS = {
    "top left": (0, 0, 200),
    "top right": (0, 200, 0),
    "bottom left": (200, 0, 0),
    "bottom right": (200, 200, 200),
}
"""The colour of each corner, as blue, green and red."""


def picture(number, width=320, height=240):
    """Return a picture, shape (height, width, 3): the number's bits in the middle, the colours around."""
    image = np.full((height, width, 3), 90, np.uint8)
    top, left = height // 4, width // 4
    image[:top, :left], image[:top, -left:] = CORNERS["top left"], CORNERS["top right"]
    image[-top:, :left], image[-top:, -left:] = CORNERS["bottom left"], CORNERS["bottom right"]
    for bit, columns in enumerate(_columns(width)):
        image[height // 3 : 2 * height // 3, columns] = 235 if number >> bit & 1 else 20
    return image


def noisy_picture(number, width=320, height=240):
    """Return a picture with a background that is expensive to decode: noise, moved by its number."""
    noise = np.random.default_rng(number % 7).integers(0, 200, (height, width, 1), np.uint8)
    image = np.repeat(np.roll(noise, 4 * number, axis=1), 3, axis=2)
    rows = slice(height // 4, 3 * height // 4)
    image[rows] = picture(number, width, height)[rows]
    return image


def noisy_edges(number, width=320, height=240):
    """Return a picture with a strip on each side that changes with its number, so that a wrong one shows."""
    image = picture(number, width, height)
    strip = np.full((height, width // 8, 3), (number * 37) % 200, np.uint8)
    rows = slice(height // 3, 2 * height // 3)
    image[rows, : width // 8] = strip[rows]
    image[rows, -(width // 8) :] = 255 - strip[rows]
    return image


def read_number(image):
    """Return the number in a picture; raise AssertionError if it is not clear."""
    height, width = image.shape[:2]
    number = 0
    for bit, columns in enumerate(_columns(width)):
        middle = slice((columns.start * 3 + columns.stop) // 4, (columns.start + columns.stop * 3) // 4 or None)
        shade = image[height * 4 // 10 : height * 6 // 10, middle].mean()
        assert not 100 < shade < 156, f"bit {bit} has a shade of {shade:.0f}"
        number |= int(shade > 128) << bit
    return number


def read_corners(image):
    """Return the name of the colour in each corner: clockwise from the top left."""
    height, width = image.shape[:2]
    y, x = height // 16 + 1, width // 16 + 1
    found = []
    for row, column in ((y, x), (y, -x), (-y, -x), (-y, x)):
        colour = image[row, column].astype(int)
        found.append(min(CORNERS, key=lambda name: np.abs(colour - CORNERS[name]).sum()))
    return found


def encode(
    path,
    numbers,
    *,
    codec="libx264",
    size=(320, 240),
    fps=25,
    gop=25,
    container=None,
    rotation=0,
    times=None,
    options=None,
    pix_fmt="yuv420p",
    interlaced=False,
    draw=picture,
    colorspace=None,
    color_range=None,
):
    """Write a film of these numbers.

    Args:
        path: the file.
        numbers: the number in each picture.
        codec: FFmpeg's name of the encoder.
        size: (width, height).
        fps: pictures a second.
        gop: pictures from one key frame to the next.
        container: the format's name; None: by the file's name.
        rotation: what the film says about how to turn it, in degrees counterclockwise.
        times: each picture's time in seconds; None: evenly.
        options: the encoder's options.
        pix_fmt: the pixel format.
        interlaced: encode it in fields.
        draw: draws a picture.
        colorspace: the colour matrix, ITU-T H.273; None: not said.
        color_range: 1: 16 to 235; 2: 0 to 255.


    """
    options = (
        {"preset": "ultrafast", "tune": "zerolatency"} | (options or {})
        if codec.startswith("libx264")
        else options or {}
    )
    if interlaced:
        options |= {"flags": "+ildct+ilme", "x264-params": "tff=1"}
    rate = Fraction(fps).limit_denominator(1001)
    time_base = 1 / rate if times is None else Fraction(1, 30_000)
    with _scheduling_kept(), av.open(str(path), "w", format=container) as film:
        stream = film.add_stream(codec, rate=rate, options=options)
        stream.width, stream.height = size
        stream.pix_fmt = pix_fmt
        stream.codec_context.gop_size = gop
        stream.codec_context.thread_count = 1  # else x264 makes several slices
        stream.codec_context.time_base = time_base
        if colorspace:
            stream.codec_context.colorspace, stream.codec_context.color_range = colorspace, color_range
        if rotation:
            stream.set_display_rotation(rotation)
        for place, number in enumerate(numbers):
            frame = av.VideoFrame.from_ndarray(draw(number, *size), format="bgr24")
            if colorspace:
                frame = frame.reformat(format=pix_fmt, dst_colorspace=colorspace, dst_color_range=color_range)
            frame.pts = place if times is None else round(times[place] / time_base)
            frame.time_base = time_base
            film.mux(stream.encode(frame))
        film.mux(stream.encode())
    return path


@contextmanager
def _scheduling_kept():
    """Undo what SVT-AV1 does as root: it gives this thread, and so all that it starts later, real-time priority."""
    policy, parameters = os.sched_getscheduler(0), os.sched_getparam(0)
    try:
        yield
    finally:
        os.sched_setscheduler(0, policy, parameters)


def change(film, path, changes):
    """Write a film with changed packets.

    Args:
        film: the film.
        path: the changed one.
        changes: by a packet's place: a function from its content to the new one, or None to lose it.

    """
    with av.open(str(film)) as source, av.open(str(path), "w") as target:
        video = source.streams.video[0]
        copy = target.add_stream_from_template(video)
        for place, packet in enumerate(source.demux(video)):
            content = changes.get(place, bytes)(bytes(packet))
            if content:
                changed = av.Packet(content)
                changed.pts, changed.dts, changed.time_base = packet.pts, packet.dts, packet.time_base
                changed.is_keyframe, changed.stream = packet.is_keyframe, copy
                target.mux(changed)
    return path


def repeat(film, path, times):
    """Write an H.264 film that repeats another one; the timestamps go on."""
    with av.open(str(film)) as source, av.open(str(path), "w") as target:
        video = source.streams.video[0]
        copy = target.add_stream_from_template(video)
        packets = [packet for packet in source.demux(video) if packet.size]
        length = packets[-1].dts + packets[-1].duration - packets[0].dts
        content = [(bytes(packet), packet.pts, packet.dts, packet.is_keyframe, packet.time_base) for packet in packets]
        for round_ in range(times):
            for data, pts, dts, is_key, time_base in content:
                packet = av.Packet(data)
                packet.pts, packet.dts, packet.time_base = pts + round_ * length, dts + round_ * length, time_base
                packet.is_keyframe, packet.stream = is_key, copy
                target.mux(packet)
    return path


def _columns(width):
    edges = [width // 8 + place * (width * 3 // 4) // BITS for place in range(BITS + 1)]
    return [slice(begin, end) for begin, end in pairwise(edges)]


def jpeg_picture(number, width=320, height=240):
    """Return a picture as JPEG."""
    return cv2.imencode(".jpg", picture(number, width, height))[1].tobytes()


def png_picture(number, width=320, height=240):
    """Return a picture as PNG."""
    return cv2.imencode(".png", picture(number, width, height))[1].tobytes()
