"""Draws detections into a picture, and blurs what must not be recognized."""

import zlib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

Image = NDArray[Any]
Colour = tuple[int, int, int]

_FONT = cv2.FONT_HERSHEY_SIMPLEX
_BLACK, _WHITE = (0, 0, 0), (255, 255, 255)
_PIXELS_PER_THICKNESS = 480  # of the picture's width, for each pixel of a line's thickness
_MIN_THICKNESS = 2  # a JPEG loses the colour of thinner lines
_HUES = 180  # in OpenCV
_MASK_OPACITY = 0.4
_BLUR_MARGIN = 0.1  # of the box's width and height, at each side: boxes are rarely exact
_BLUR_CELLS = 6  # across a blurred object: too few to recognize a face or to read a plate
_HALF = 0.5


def draw_objects(
    picture: Image, objects: Iterable[Mapping[str, Any]], scale: float = 1.0, *, labels: bool = True
) -> None:
    """Draw detections: masks, boxes with their angle, landmarks; then labels, so that nothing hides them.

    Args:
        picture: shape (height, width, 3), blue, green, red; it is changed.
        objects: the detections, in the payload's form.
        scale: pixels of the picture for each pixel of the detections' frame.
        labels: whether to write labels, texts and scores at the boxes.

    """
    thickness = max(_MIN_THICKNESS, round(picture.shape[1] / _PIXELS_PER_THICKNESS))
    texts = []
    for detection in objects:
        colour = label_colour(detection["label"])
        if mask := detection.get("mask"):
            _draw_mask(picture, _to_pixels(mask, scale), colour, thickness)
        corner = _draw_box(picture, detection, scale, colour, thickness)
        _draw_landmarks(picture, detection.get("landmarks", ()), scale, colour, thickness)
        texts.append((describe(detection), corner, colour))
    for text, corner, colour in texts if labels else []:
        _write(picture, text, corner, colour, thickness)


def blur_objects(picture: Image, objects: Iterable[Mapping[str, Any]]) -> None:
    """Blur the boxes of detections, so that nothing in them can be recognized; the picture is changed.

    More than the box is blurred, in parts of its size at each side: `blur_margin` of the detection, if it has one.
    """
    height, width = picture.shape[:2]
    for detection in objects:
        x1, y1, x2, y2 = detection["bbox_norm"]
        margin = detection.get("blur_margin", _BLUR_MARGIN)
        margin_x, margin_y = margin * (x2 - x1), margin * (y2 - y1)
        left, right = max(0, int((x1 - margin_x) * width)), min(width, int((x2 + margin_x) * width) + 1)
        top, bottom = max(0, int((y1 - margin_y) * height)), min(height, int((y2 + margin_y) * height) + 1)
        part = picture[top:bottom, left:right]
        if part.size:
            few = cv2.resize(part, (_BLUR_CELLS, _BLUR_CELLS), interpolation=cv2.INTER_AREA)
            part[:] = cv2.resize(few, (right - left, bottom - top), interpolation=cv2.INTER_LINEAR)


def label_colour(label: str) -> Colour:
    """Return a label's colour, blue, green, red: always the same, bright, and rarely that of another label."""
    hue = zlib.crc32(label.encode()) % _HUES
    blue, green, red = cv2.cvtColor(np.array([[[hue, 255, 255]]], np.uint8), cv2.COLOR_HSV2BGR)[0, 0].tolist()
    return blue, green, red


def describe(detection: Mapping[str, Any]) -> str:
    """Return what is written at a detection: its label, its texts and values, and its score."""
    texts = [
        attribute["label"] if "label" in attribute else f"{name} {attribute['value']:.4g}"
        for name, attribute in detection.get("attributes", {}).items()
    ]
    if "text" in detection:
        texts.append(detection["text"])
    if "handedness" in detection:
        texts.append("right" if detection["handedness"] > _HALF else "left")
    if "share" in detection:
        return f"{detection['label']} {100 * detection['share']:.0f}%"
    return " ".join([detection["label"], *texts, f"{detection['score']:.2f}"])


def _draw_box(
    picture: Image, detection: Mapping[str, Any], scale: float, colour: Colour, thickness: int
) -> tuple[int, int]:
    """Draw the box of a detection, turned by its angle; return its upper left corner."""
    height, width = picture.shape[:2]
    x1, y1, x2, y2 = detection["bbox_norm"]
    corner = round(x1 * (width - 1)), round(y1 * (height - 1))
    if corners := detection.get("corners"):
        cv2.polylines(picture, [_to_pixels(corners, scale)], isClosed=True, color=colour, thickness=thickness)
    else:
        cv2.rectangle(picture, corner, (round(x2 * (width - 1)), round(y2 * (height - 1))), colour, thickness)
    return corner


def _draw_mask(picture: Image, polygon: NDArray[np.int32], colour: Colour, thickness: int) -> None:
    """Tint what is inside of a polygon."""
    left, top, width, height = cv2.boundingRect(polygon)
    part = picture[max(0, top) : top + height, max(0, left) : left + width]
    if not part.size:
        return
    tinted = part.copy()
    cv2.fillPoly(tinted, [polygon], colour, offset=(-max(0, left), -max(0, top)))
    cv2.addWeighted(tinted, _MASK_OPACITY, part, 1 - _MASK_OPACITY, 0, dst=part)
    cv2.polylines(picture, [polygon], isClosed=True, color=colour, thickness=thickness)


def _draw_landmarks(
    picture: Image, landmarks: Sequence[Mapping[str, Any]], scale: float, colour: Colour, thickness: int
) -> None:
    """Draw landmarks, and the lines between those that the model says are connected."""
    points = [tuple(point) for point in _to_pixels([mark["landmark"] for mark in landmarks], scale).tolist()]
    for point, mark in zip(points, landmarks, strict=True):
        for other in mark.get("connect", ()):
            cv2.line(picture, point, points[other], colour, thickness, cv2.LINE_AA)
    for point in points:
        cv2.circle(picture, point, thickness, colour, cv2.FILLED, cv2.LINE_AA)


def _to_pixels(points: Sequence[Sequence[float]], scale: float) -> NDArray[np.int32]:
    """Return points of the frame in whole pixels of the picture, shape (number of points, 2)."""
    return np.round(np.array(points, float).reshape(-1, 2) * scale).astype(np.int32)


def _write(picture: Image, text: str, corner: tuple[int, int], colour: tuple[int, int, int], thickness: int) -> None:
    """Write a label above the corner of its box, or inside the box where there is no room above."""
    scale, stroke = 0.4 + 0.1 * thickness, (thickness + 1) // 2
    text = text.encode("ascii", "replace").decode()  # the font has no other characters
    (width, height), below = cv2.getTextSize(text, _FONT, scale, stroke)
    height += below + thickness
    x = max(0, min(corner[0], picture.shape[1] - width))
    bottom = corner[1] if corner[1] >= height else corner[1] + height
    cv2.rectangle(picture, (x, bottom - height), (x + width, bottom), colour, cv2.FILLED)
    light = 0.114 * colour[0] + 0.587 * colour[1] + 0.299 * colour[2]  # ITU-R BT.601
    ink = _BLACK if light > 127 else _WHITE  # noqa: PLR2004  (half)
    cv2.putText(picture, text, (x, bottom - below), _FONT, scale, ink, stroke, cv2.LINE_AA)
