"""Checks for the system libraries that PySDK and its OpenCV need, and that a minimal Debian lacks."""

import ctypes
import importlib
import sys

from edgepub.core.errors import MissingLibraryError

_PYTHON = f"{sys.version_info.major}.{sys.version_info.minor}"
_OPENCV = {"libGL.so.1": "libgl1", "libglib-2.0.so.0": "libglib2.0-0"}
_PYSDK = {f"libpython{_PYTHON}.so.1.0": f"libpython{_PYTHON}"}


def check() -> None:
    """Check that the libraries are installed.

    Raises:
        MissingLibraryError: with the command that installs them.

    """
    missing = {name: package for name, package in {**_OPENCV, **_PYSDK}.items() if not _can_load(name)}
    if missing.keys() & _OPENCV.keys() and _opencv_works():
        missing = {name: package for name, package in missing.items() if name not in _OPENCV}
    if missing:
        raise MissingLibraryError(
            f"PySDK needs system libraries that are not installed: {', '.join(missing)}; "
            f"on Debian or Ubuntu: sudo apt-get install {' '.join(missing.values())}"
        )


def _can_load(name: str) -> bool:
    try:
        ctypes.CDLL(name)
    except OSError:
        return False
    return True


def _opencv_works() -> bool:
    """Return whether OpenCV can be imported without its libraries, as its headless variant can."""
    try:
        importlib.import_module("cv2")
    except ImportError:
        return False
    return True
