"""The environment variables that PySDK needs."""

import os
import sys
from pathlib import Path

_WORKER_SITE = str(Path(__file__).with_name("worker_site"))


def set_pysdk_variables() -> None:
    """Set the variables that are not set yet."""
    # PySDK runs the postprocessors of models with the first `python3` on PATH; it must be this interpreter.
    _put_first("PATH", str(Path(sys.executable).parent))
    # This makes its worker listen on loopback only: it unpickles whatever any sender sends.
    _put_first("PYTHONPATH", _WORKER_SITE)
    # PySDK itself sets this one with each model, in the model's thread.
    os.environ.setdefault("HAILORT_CONSOLE_LOGGER_LEVEL", "critical")


def _put_first(name: str, directory: str) -> None:
    others = os.environ.get(name, "").split(os.pathsep)
    if others[0] != directory:
        os.environ[name] = os.pathsep.join(filter(None, [directory, *others]))
