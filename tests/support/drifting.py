"""Films of real pictures that drift a little, as before a camera that shakes: what is in them can be tracked."""

import math

import av
import cv2
import numpy as np

DRIFT_PX = 6
"""How far a film's pictures drift to each side."""
_FRAMES, _FPS = 30, 10
_GREY, _BRIGHT, _DARK = 90, 235, 20
_TEXT_SHARE = 0.4  # of a sign's height
_FONT = cv2.FONT_HERSHEY_SIMPLEX


def film(path, image):
    """Write an H.264 film in which a picture drifts in a circle, and return its path as text. It can be looped.

    Args:
        path: the file.
        image: the picture, BGR; its width and its height are even.

    """
    height, width = image.shape[:2]
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=_FPS, width=width, height=height, pix_fmt="yuv420p")
        stream.options = {"crf": "18", "preset": "veryfast"}
        for number in range(_FRAMES):
            angle = 2 * math.pi * number / _FRAMES
            shift = np.array([[1, 0, DRIFT_PX * math.cos(angle)], [0, 1, DRIFT_PX * math.sin(angle)]])
            moved = cv2.warpAffine(image, shift, (width, height), borderMode=cv2.BORDER_REPLICATE)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(moved, format="bgr24")))
        container.mux(stream.encode())
    return str(path)


def scene(width, height, *pictures):
    """Return a grey picture with others in it, each given as `(picture, left, top)`."""
    whole = np.full((height, width, 3), _GREY, np.uint8)
    for picture, left, top in pictures:
        whole[top : top + picture.shape[0], left : left + picture.shape[1]] = picture
    return whole


def sign(text, height):
    """Return a picture of a bright sign with a dark text, as wide as the text needs it."""
    scale = cv2.getFontScaleFromHeight(_FONT, int(_TEXT_SHARE * height), thickness := max(1, height // 20))
    (width, high), _ = cv2.getTextSize(text, _FONT, scale, thickness)
    picture = np.full((height, width + height, 3), _BRIGHT, np.uint8)
    place = (height // 2, (height + high) // 2)
    return cv2.putText(picture, text, place, _FONT, scale, (_DARK, _DARK, _DARK), thickness, cv2.LINE_AA)
