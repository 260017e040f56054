"""Clips of a scripted scene: cut-outs of real pictures move over a fixed background, as a camera would film them.

Places are in parts of the frame, x to the right, y down. An actor stands at the middle of its lower edge.
"""

from pathlib import Path
from typing import NamedTuple

import av
import cv2
import numpy as np

WIDTH, HEIGHT = 512, 384
FPS = 10
_NOISE = 3


class _Place(NamedTuple):
    x: float
    y: float
    height: float


class Actor:
    """Something that follows a script, which each call continues.

    Args:
        cutout: what it looks like.
        height: its height in parts of the frame's height.
        fps: frames per second of the clip.

    """

    def __init__(self, cutout, height, fps=FPS):
        self.cutout = cutout
        self.places = []  # one for each frame; None: not there
        self._fps = fps
        self._place = _Place(0.5, 1.0, height)

    def away(self, seconds):
        """Be away."""
        self.places += [None] * round(seconds * self._fps)
        return self

    def at(self, x, y=1.0, height=None):
        """Be at another place from now on, without a way there; or as high as this, if it is not as high as usual."""
        self._place = _Place(x, y, self._place.height if height is None else height)
        return self

    def stay(self, seconds):
        """Stand still."""
        self.places += [self._place] * round(seconds * self._fps)
        return self

    def walk(self, x, seconds, y=None, height=None):
        """Walk to a place, and grow or shrink on the way there."""
        start = self._place
        self._place = _Place(x, start.y if y is None else y, start.height if height is None else height)
        steps = np.linspace(start, self._place, round(seconds * self._fps) + 1)[1:]
        self.places += [_Place(*step) for step in steps]
        return self


class Clip:
    """A scene in which actors follow their scripts; as long as the longest of these.

    Args:
        actors: those further back first.
        fps: frames per second.
        light: returns the brightness of a frame by its index, 1 as usual; None: always that.
        shake: returns how far the camera is turned, in pixels to the right and down, by the frame's index; None: never.

    """

    def __init__(self, *actors, fps=FPS, light=None, shake=None):
        self.fps = fps
        self.frames = max(len(actor.places) for actor in actors)
        self._actors = actors
        self._light = light
        self._shake = shake

    def pictures(self):
        """Yield the frames: BGR, (height, width, 3)."""
        background = _make_background()
        noise = np.random.default_rng(2)
        for index in range(self.frames):
            picture = background.copy()
            for actor in self._actors:
                if index < len(actor.places) and actor.places[index]:
                    _paste(picture, actor.cutout, actor.places[index])
            if self._shake:
                move = np.float32([[1, 0, -self._shake(index)[0]], [0, 1, -self._shake(index)[1]]])
                picture = cv2.warpAffine(picture, move, (WIDTH, HEIGHT), borderMode=cv2.BORDER_REPLICATE)
            picture *= self._light(index) if self._light else 1
            picture += noise.normal(0, _NOISE, (HEIGHT, WIDTH, 1))
            yield picture.clip(0, 255).astype(np.uint8)

    def film(self, path):
        """Write it as a film (H.264), and return its path as text."""
        with av.open(str(path), "w") as container:
            stream = container.add_stream("libx264", rate=self.fps, width=WIDTH, height=HEIGHT, pix_fmt="yuv420p")
            stream.options = {"preset": "veryfast", "crf": "20"}
            for picture in self.pictures():
                container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="bgr24")))
            container.mux(stream.encode())
        return str(path)

    def folder(self, path):
        """Write it as a folder of pictures (JPEG), and return its path as text."""
        Path(path).mkdir()
        for index, picture in enumerate(self.pictures()):
            cv2.imwrite(str(Path(path, f"{index:05}.jpg")), picture, [cv2.IMWRITE_JPEG_QUALITY, 92])
        return str(path)


def _make_background():
    random = np.random.default_rng(1)
    picture = np.zeros((HEIGHT, WIDTH, 3), np.float32)
    for cells, strength in ((4, 40), (16, 20), (64, 10), (256, 8)):
        coarse = random.normal(0, strength, (cells * HEIGHT // WIDTH, cells, 1)).repeat(3, 2).astype(np.float32)
        picture += cv2.resize(coarse, (WIDTH, HEIGHT), interpolation=cv2.INTER_CUBIC)
    picture += np.float32([115, 120, 110])
    picture[HEIGHT * 3 // 4 :] -= 30  # the floor
    return picture


def _paste(picture, cutout, place):
    height = round(place.height * HEIGHT)
    width = round(height * cutout.pixels.shape[1] / cutout.pixels.shape[0])
    pixels, opacity = (cv2.resize(a, (width, height), interpolation=cv2.INTER_AREA) for a in cutout)
    left, top = round(place.x * WIDTH - width / 2), round(place.y * HEIGHT - height)
    x1, y1, x2, y2 = max(left, 0), max(top, 0), min(left + width, WIDTH), min(top + height, HEIGHT)
    if x1 >= x2 or y1 >= y2:
        return
    part = np.s_[y1 - top : y2 - top, x1 - left : x2 - left]
    opacity = opacity[part][..., None]
    picture[y1:y2, x1:x2] = opacity * pixels[part] + (1 - opacity) * picture[y1:y2, x1:x2]
