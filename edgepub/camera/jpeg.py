"""Encodes a frame as a JPEG: scaled down, with boxes and labels, and with a JSON comment that describes it."""

import zlib
from collections.abc import Iterable, Mapping
from typing import Any

import cv2
import numpy as np
import orjson
from numpy.typing import NDArray

Image = NDArray[Any]

_SOI_BYTES = 2
_COMMENT = b"\xff\xfe"
_MAX_COMMENT_BYTES = 65_533  # a length of two bytes, which counts itself
_FONT = cv2.FONT_HERSHEY_SIMPLEX
_BLACK, _WHITE = (0, 0, 0), (255, 255, 255)
_PIXELS_PER_THICKNESS = 480  # of the picture's width, for each pixel of a line's thickness
_MIN_THICKNESS = 2  # a JPEG loses the colour of thinner lines
_HUES = 180  # in OpenCV


def encode_jpeg(
    image: Image,
    objects: Iterable[Mapping[str, Any]],
    max_width: int,
    quality: int,
    comment: Mapping[str, Any],
    *,
    labels: bool = True,
) -> bytes:
    """Encode a frame as a JPEG.

    Args:
        image: the frame, shape (height, width, 3), blue, green, red; not changed.
        objects: the detections to draw, in the payload's form.
        max_width: the picture's width in pixels, at most; a wider frame is scaled down.
        quality: the JPEG's quality, 1 to 100.
        comment: written into the file as JSON, in its comment segment. Of its `objects`, the last ones are left out if
            it would be too long for that.
        labels: whether to write labels and scores at the boxes.

    Raises:
        ValueError: OpenCV cannot encode the picture.

    """
    height, width = image.shape[:2]
    if width > max_width:
        size = max_width, max(1, round(height * max_width / width))
        picture = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
    else:
        picture = image.copy()
    draw_boxes(picture, objects, labels=labels)
    ok, encoded = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, quality])
    if not ok:
        raise ValueError("OpenCV cannot encode it")
    return _add_comment(encoded.tobytes(), _encode_comment(comment))


def draw_boxes(picture: Image, objects: Iterable[Mapping[str, Any]], *, labels: bool = True) -> None:
    """Draw the boxes of detections, then their labels with scores, so that no box hides a label."""
    height, width = picture.shape[:2]
    thickness = max(_MIN_THICKNESS, round(width / _PIXELS_PER_THICKNESS))
    texts = []
    for detection in objects:
        x1, y1, x2, y2 = detection["bbox_norm"]
        corner = round(x1 * (width - 1)), round(y1 * (height - 1))
        colour = label_colour(detection["label"])
        cv2.rectangle(picture, corner, (round(x2 * (width - 1)), round(y2 * (height - 1))), colour, thickness)
        texts.append((f"{detection['label']} {detection['score']:.2f}", corner, colour))
    for text, corner, colour in texts if labels else []:
        _write(picture, text, corner, colour, thickness)


def label_colour(label: str) -> tuple[int, int, int]:
    """Return a label's colour, blue, green, red: always the same, bright, and rarely that of another label."""
    hue = zlib.crc32(label.encode()) % _HUES
    blue, green, red = cv2.cvtColor(np.array([[[hue, 255, 255]]], np.uint8), cv2.COLOR_HSV2BGR)[0, 0].tolist()
    return blue, green, red


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


def _encode_comment(comment: Mapping[str, Any]) -> bytes:
    """Return a comment as JSON that fits into a segment."""
    text = orjson.dumps(comment)
    excess = len(text) - _MAX_COMMENT_BYTES
    if excess <= 0:
        return text
    objects = list(comment["objects"])
    while excess > 0:
        excess -= len(orjson.dumps(objects.pop())) + len(",")
    return orjson.dumps({**comment, "objects": objects})


def _add_comment(encoded: bytes, text: bytes) -> bytes:
    """Return a JPEG with a comment (ISO/IEC 10918-1, B.2.4.5) after its first segment, which must be the JFIF one."""
    at = _SOI_BYTES + 2 + int.from_bytes(encoded[4:6], "big")
    return encoded[:at] + _COMMENT + (len(text) + 2).to_bytes(2, "big") + text + encoded[at:]
