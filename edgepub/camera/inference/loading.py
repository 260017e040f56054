"""Loading a model, in a process made as PySDK needs it.

PySDK is imported when the first model is loaded: it must find our interpreter on PATH and a HOME that it can write.
"""

import dataclasses
import hashlib
import os
import signal
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgepub.camera.inference.error_text import clean_error
from edgepub.camera.inference.model import Model
from edgepub.config.settings import ModelSettings
from edgepub.core.errors import ModelError

if TYPE_CHECKING:
    from degirum_tools import ModelSpec

_LOCAL = "@local"
_COPYING = threading.Lock()
_WORKER_SITE = str(Path(__file__).with_name("worker_site"))
_COLOUR = (255, 255, 0)


@contextmanager
def load_model(settings: ModelSettings) -> Iterator[Model]:
    """Load a model, and let go of its device at the end.

    Raises:
        ModelError: no such device, no such model, no network...; one line.

    """
    _prepare()
    try:
        from degirum_tools import ModelSpec

        spec = ModelSpec(**spec_fields(settings))
        if spec.inference_host_address == _LOCAL and not spec.zoo_url.startswith(("/", "file:")):
            spec = dataclasses.replace(spec, model_url="", zoo_url=str(_copy(spec)))
        pysdk = spec.load_model()
        pysdk.measure_time = True
        if "overlay_color" not in settings.model_properties:
            # PySDK copies its colours, one for each label, deeply into every result: a single one costs little.
            pysdk.overlay_color = _COLOUR
    except Exception as error:  # noqa: BLE001  (PySDK raises DegirumException, RuntimeError, ValueError and Exception)
        raise ModelError(clean_error(error)) from None
    with pysdk:
        # On this machine's own CPU, frames under way at once take the processor from each other: one after another is
        # faster there, while an accelerator or a server idles unless the next is on its way (`edgepub bench`).
        is_cpu = spec.inference_host_address == _LOCAL and str(pysdk.device_type).endswith("/CPU")
        yield Model(pysdk, overlaps=not is_cpu)


def spec_fields(settings: ModelSettings) -> dict[str, Any]:
    """Return the arguments of `degirum_tools.ModelSpec` for a model."""
    fields = settings.model_dump()
    fields["token"] = settings.token.get_secret_value() if settings.token else None
    return fields


def _copy(spec: "ModelSpec") -> Path:
    """Return the folder of this machine's copy of a cloud zoo's model, which needs no network once it is there.

    Like `ModelSpec.ensure_local`, but each zoo has its own copies, and a copy is whole or not there.
    """
    copies = _data_folder() / "edgepub" / hashlib.sha256(spec.zoo_url.encode()).hexdigest()[:16]
    copy = copies / str(spec.model_name)
    with _COPYING:
        if not copy.is_dir():
            copies.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryDirectory(dir=copies) as folder:
                Path(spec.download_model(folder)).rename(copy)
    return copy


def _keep_worker_at_home() -> None:
    """Let PySDK's postprocessor worker listen on loopback alone: it unpickles what it is sent, by whomever."""
    paths = os.environ.get("PYTHONPATH", "").split(os.pathsep)
    if _WORKER_SITE not in paths:
        os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [_WORKER_SITE, *paths]))


def _data_folder() -> Path:
    """Return the folder that PySDK writes to, whatever XDG says."""
    return Path(os.environ.get("HOME", "~")).expanduser() / ".local" / "share" / "DeGirum"


def _prepare() -> None:
    """Make the process as PySDK needs it; before its first import.

    Raises:
        ModelError: HOME cannot be written; PySDK would end the process.

    """
    # Ctrl-C signals the whole foreground group; a postprocessor that dies of it leaves `predict` waiting for
    # ever. What is blocked here is blocked in what this thread starts; our own main thread still hears it.
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    # PySDK runs the postprocessors of models with the `python3` that it finds on PATH; it must be this one.
    ours = str(Path(sys.executable).parent)
    if os.environ.get("PATH", "").split(os.pathsep)[0] != ours:
        os.environ["PATH"] = os.pathsep.join(filter(None, [ours, os.environ.get("PATH")]))
    _keep_worker_at_home()
    if "degirum" in sys.modules:
        return
    folder = _data_folder()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        writable = os.access(folder, os.W_OK)
    except OSError:
        writable = False
    if not writable:
        raise ModelError(f"PySDK needs a HOME that it can write, for {folder}; set HOME to a folder of this user")
