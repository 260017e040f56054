"""OpenCV's VideoCapture, opened without noise and closed for certain."""

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import cv2

from edgepub.errors import SourceError

_QUIET = "-8"  # AV_LOG_QUIET


@contextmanager
def opened(name: str | int, backend: int, parameters: Sequence[int], why_not: str) -> Iterator[cv2.VideoCapture]:
    """Open a capture, and release it at the end.

    Raises:
        SourceError: with `why_not`, when OpenCV cannot open it.

    """
    # Both write to stderr past our log, and FFmpeg may name the URL with its password.
    os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", _QUIET)
    cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)
    try:
        capture = cv2.VideoCapture(name, backend, parameters)
    except cv2.error:
        raise SourceError(why_not) from None
    try:
        if not capture.isOpened():
            raise SourceError(why_not)
        yield capture
    finally:
        capture.release()
