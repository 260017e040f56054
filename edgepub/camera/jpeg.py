"""Encodes a frame as a JPEG: scaled down, with boxes and labels, and with a JSON comment that describes it."""

from collections.abc import Iterable, Mapping
from typing import Any

import cv2
import orjson

from edgepub.camera.drawing import Image, blur_objects, draw_objects

_SOI_BYTES = 2
_OBJECT_KEYS = ("label", "score", "track_id", "bbox")
_COMMENT = b"\xff\xfe"
_MAX_COMMENT_BYTES = 65_533  # a length of two bytes, which counts itself


def encode_jpeg(
    image: Image,
    objects: Iterable[Mapping[str, Any]],
    max_width: int,
    quality: int,
    comment: Mapping[str, Any],
    *,
    labels: bool = True,
    blurred: Iterable[Mapping[str, Any]] = (),
) -> bytes:
    """Encode a frame as a JPEG.

    Args:
        image: the frame, shape (height, width, 3), blue, green, red; not changed.
        objects: the detections to draw, in the payload's form.
        max_width: the picture's width in pixels, at most; a wider frame is scaled down.
        quality: the JPEG's quality, 1 to 100.
        comment: written into the file as JSON, in its comment segment. Of its `objects`, the last ones are left out if
            it would be too long for that.
        labels: whether to write labels, texts and scores at the boxes.
        blurred: the detections that must not be recognized.

    Raises:
        ValueError: OpenCV cannot encode the picture.

    """
    height, width = image.shape[:2]
    if width > max_width:
        size = max_width, max(1, round(height * max_width / width))
        picture = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
    else:
        picture = image.copy()
    blur_objects(picture, blurred)
    draw_objects(picture, objects, picture.shape[1] / width, labels=labels)
    ok, encoded = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, quality])
    if not ok:
        raise ValueError("OpenCV cannot encode it")
    return _add_comment(encoded.tobytes(), _encode_comment(comment))


def list_object(detection: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a picture's comment says of a detection."""
    return {key: detection[key] for key in _OBJECT_KEYS if key in detection}


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
