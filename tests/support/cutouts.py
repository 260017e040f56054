"""Things without their background, to be put into clips: cut out of real pictures, or drawn."""

from typing import NamedTuple

import cv2
import numpy as np

from tests.support import zoo

_OUTLINES = {
    "astronaut": [
        (20, 511), (22, 400), (45, 290), (70, 245), (112, 210), (170, 165), (158, 125), (152, 70), (185, 20), (255, 14),
        (295, 55), (302, 110), (270, 165), (308, 225), (340, 245), (355, 300), (362, 345), (300, 385), (280, 440),
        (285, 511),
    ],
    "grace_hopper": [
        (15, 599), (30, 420), (55, 390), (195, 330), (198, 305), (165, 285), (160, 235), (152, 195), (165, 155),
        (152, 115), (178, 70), (225, 28), (262, 22), (310, 36), (350, 78), (372, 105), (370, 155), (378, 200),
        (365, 255), (358, 300), (340, 315), (440, 372), (490, 395), (511, 450), (511, 599),
    ],
}  # fmt: skip
"""The outline of the person in each picture, in its pixels."""
_FINE = 4  # drawn so many times larger


class Cutout(NamedTuple):
    """Something without its background."""

    pixels: np.ndarray
    """BGR, (height, width, 3), 0 to 255."""
    opacity: np.ndarray
    """0 to 1, (height, width, 1)."""


def person(name):
    """Return the person in a picture of `zoo.picture`: `astronaut` or `grace_hopper`, from the hips up."""
    picture, outline = zoo.picture(name), np.array(_OUTLINES[name])
    mask = cv2.fillPoly(np.zeros(picture.shape[:2], np.uint8), [outline], 255)
    opacity = cv2.GaussianBlur(cv2.erode(mask, np.ones((5, 5))), (5, 5), 0) / np.float32(255)
    (left, top), (right, bottom) = outline.min(0), outline.max(0) + 1
    part = np.s_[top:bottom, left:right]
    return Cutout(picture[part].astype(np.float32), opacity[part][..., None])


def stop_sign():
    """Return a stop sign without its pole. Models are very sure of it, at any size."""
    drawing = _Drawing(300, 300)
    angles = np.pi / 8 + np.arange(8) * np.pi / 4
    for radius, colour in ((148, (235, 235, 235)), (138, (35, 30, 180))):
        drawing.polygon(colour, 150 + radius * np.stack([np.cos(angles), np.sin(angles)], 1))
    drawing.text((240, 240, 240), "STOP", (38, 182))
    return drawing.cutout()


def car():
    """Return a drawing of a car. Models are unsure of it: the scores of `coco` are from 0.3 to 0.5."""
    body = (8, 85), (20, 70), (90, 60), (130, 22), (160, 12), (270, 12), (310, 28), (345, 62), (400, 70), (412, 85)
    front = (105, 60), (140, 26), (162, 19), (205, 19), (205, 60)
    back = (213, 60), (213, 19), (266, 19), (300, 33), (325, 60)
    drawing = _Drawing(420, 155)
    drawing.polygon((50, 40, 170), [*body, (414, 118), (400, 125), (10, 125), (5, 110)])
    for window in (front, back):
        drawing.polygon((60, 50, 45), window)
    drawing.polygon((120, 110, 100), [(120, 56), (146, 30), (160, 26), (170, 26), (140, 56)])
    drawing.polygon((20, 20, 20), [(10, 118), (410, 118), (405, 128), (14, 128)])
    for x in (85, 335):
        for radius, shade in ((34, 15), (18, 150), (6, 60)):
            drawing.circle((shade,) * 3, (x, 118), radius)
    drawing.polygon((200, 230, 250), [(400, 78), (412, 84), (412, 95), (398, 90)])
    drawing.polygon((20, 20, 200), [(8, 84), (22, 78), (22, 95), (7, 98)])
    return drawing.cutout()


def board(width, height):
    """Return a wooden board, of a size in pixels: what hides what is behind it."""
    pixels = np.full((height, width, 3), (70, 110, 120), np.float32)
    pixels += np.random.default_rng(3).normal(0, 8, (height, 1, 1))
    pixels[:, ::24] *= 0.6
    return Cutout(pixels, np.ones((height, width, 1), np.float32))


class _Drawing:
    """A drawing on nothing, of a size in pixels."""

    def __init__(self, width, height):
        self._size = width, height
        self._pixels = np.zeros((height * _FINE, width * _FINE, 4), np.uint8)

    def polygon(self, colour, corners):
        cv2.fillPoly(self._pixels, [np.int32(np.array(corners) * _FINE)], (*colour, 255))

    def circle(self, colour, middle, radius):
        cv2.circle(self._pixels, [part * _FINE for part in middle], radius * _FINE, (*colour, 255), -1)

    def text(self, colour, text, start):
        start = [part * _FINE for part in start]
        cv2.putText(self._pixels, text, start, cv2.FONT_HERSHEY_DUPLEX, 2.9 * _FINE, (*colour, 255), 11 * _FINE)

    def cutout(self):
        pixels = cv2.resize(self._pixels, self._size, interpolation=cv2.INTER_AREA).astype(np.float32)
        return Cutout(pixels[..., :3], pixels[..., 3:] / 255)
