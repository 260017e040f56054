"""Prepares the process for the first import of PySDK.

At its import, PySDK looks for plug-ins, and aborts the process if it cannot write below HOME.
"""

import os
import sys
from pathlib import Path

from edgepub.camera.inference.environment import set_pysdk_variables
from edgepub.camera.inference.plugins import load_onnx_runtime
from edgepub.core.errors import ModelError


def data_dir() -> Path:
    """Return the directory that PySDK writes to; it ignores XDG."""
    return Path(os.environ.get("HOME", "~")).expanduser() / ".local" / "share" / "DeGirum"


def prepare_import() -> None:
    """Prepare the process for PySDK, before its first import.

    Raises:
        ModelError: HOME cannot be written; PySDK would abort the process.

    """
    set_pysdk_variables()
    load_onnx_runtime()
    if "degirum" in sys.modules:
        return
    directory = data_dir()
    try:
        directory.mkdir(parents=True, exist_ok=True)
        writable = os.access(directory, os.W_OK)
    except OSError:
        writable = False
    if not writable:
        raise ModelError(f"PySDK cannot write {directory}; set HOME to a directory that this user can write")
