"""The system libraries that PySDK and its OpenCV need, and that a small Debian lacks."""

import ctypes
import importlib
import sys

from edgepub.core.errors import MissingLibraryError

_PYTHON = f"{sys.version_info.major}.{sys.version_info.minor}"
_OPENCV = {"libGL.so.1": "libgl1", "libglib-2.0.so.0": "libglib2.0-0"}
_PYSDK = {f"libpython{_PYTHON}.so.1.0": f"libpython{_PYTHON}"}


def check() -> None:
    """Look whether the libraries are here.

    Raises:
        MissingLibraryError: with the command that brings them.

    """
    missing = {name: package for name, package in {**_OPENCV, **_PYSDK}.items() if not _is_here(name)}
    if missing.keys() & _OPENCV.keys() and _opencv_works():
        missing = {name: package for name, package in missing.items() if name not in _OPENCV}
    if missing:
        raise MissingLibraryError(
            f"this machine lacks {', '.join(missing)}, which PySDK needs; "
            f"on Debian or Ubuntu: sudo apt-get install {' '.join(missing.values())}"
        )


def _is_here(name: str) -> bool:
    try:
        ctypes.CDLL(name)
    except OSError:
        return False
    return True


def _opencv_works() -> bool:
    """Tell whether this OpenCV does without them, as its headless variant does."""
    try:
        importlib.import_module("cv2")
    except ImportError:
        return False
    return True
