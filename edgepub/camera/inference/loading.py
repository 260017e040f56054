"""Loads a model. PySDK is imported with the first one."""

import dataclasses
import hashlib
import re
import signal
import tempfile
import threading
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from fnmatch import fnmatch
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgepub.camera.inference.error_text import clean_error
from edgepub.camera.inference.model import Model
from edgepub.camera.inference.plugins import explain_missing
from edgepub.camera.inference.preparation import data_dir, prepare_import
from edgepub.camera.server_probe import find_problem
from edgepub.config.settings import ModelSettings
from edgepub.core.errors import ModelError

if TYPE_CHECKING:
    from degirum_tools import ModelSpec

_LOCAL = "@local"
_MAX_ANSWER_S = 2.0
_SERVER_LOCKS: defaultdict[str, threading.Lock] = defaultdict(threading.Lock)
_COPY_LOCK = threading.Lock()
_OVERLAY_COLOUR = (255, 255, 0)


@contextmanager
def load_model(settings: ModelSettings, address: str | None = None) -> Iterator[Model]:
    """Load a model, and release its device at the end.

    Args:
        settings: the model.
        address: which of its `inference_hosts` to use; None: the first.

    Raises:
        ModelError: no such device, no such model, no network...; one line of text.

    """
    _prepare_process()
    try:
        from degirum_tools import ModelSpec

        spec = ModelSpec(**make_spec_fields(settings, address or settings.inference_hosts[0]))
        if spec.inference_host_address == _LOCAL and not spec.zoo_url.startswith(("/", "file:")):
            spec = dataclasses.replace(spec, model_url="", zoo_url=str(_ensure_copy(spec)))
        pysdk = _load(spec)
        pysdk.measure_time = True
        # PySDK deep-copies its colours, one for each label, into every result: a single one costs little.
        pysdk.overlay_color = _OVERLAY_COLOUR
        if "Image" in pysdk.model_info.InputType:
            # PySDK takes arrays for RGB as soon as `image_backend` is `pil`.
            pysdk.input_numpy_colorspace = "BGR"
        from edgepub.camera.inference.raw_results import raw_class

        pysdk.custom_postprocessor = raw_class(pysdk.get_inference_results_class())
    except ModelError:
        raise
    except Exception as error:  # noqa: BLE001  (PySDK raises DegirumException, RuntimeError, ValueError and Exception)
        raise ModelError(clean_error(error)) from None
    with pysdk:
        # On this machine's own CPU, frames in flight at the same time compete for the processor: one by one is faster
        # there. An accelerator or a server idles unless the next frame is on its way (`edgepub bench`).
        is_remote = spec.inference_host_address != _LOCAL
        is_cpu = not is_remote and str(pysdk.device_type).endswith("/CPU")
        server = None if spec.inference_host_address.startswith("@") else spec.inference_host_address
        model = Model(pysdk, overlaps=not is_cpu, is_remote=is_remote, server=server)
        try:
            yield model
        finally:
            model.cancel()


def make_spec_fields(settings: ModelSettings, address: str) -> dict[str, Any]:
    """Return the arguments of `degirum_tools.ModelSpec` for a model at one of its `inference_hosts`."""
    fields = settings.model_dump()
    fields["inference_host_address"] = address
    fields["model_properties"] = settings.model_properties.for_pysdk()
    fields["token"] = settings.token.get_secret_value() if settings.token else None
    return fields


def _load(spec: "ModelSpec") -> Any:  # noqa: ANN401  (PySDK is untyped)
    """Return PySDK's model.

    Raises:
        ModelError: the AI server does not answer, or no device of this machine can run the model.

    """
    if not spec.inference_host_address.startswith("@"):
        return _load_at_server(spec)
    zoo = spec.zoo_connect()
    try:
        return spec.load_model(zoo)
    except Exception:  # PySDK has several kinds
        if spec.inference_host_address == _LOCAL and (problem := _describe_missing_runtime(spec, zoo)):
            raise ModelError(problem) from None
        raise


def _load_at_server(spec: "ModelSpec") -> Any:  # noqa: ANN401  (PySDK is untyped)
    """Return PySDK's model, which runs on an AI server.

    Raises:
        ModelError: the server does not answer, or too slowly.

    """
    server = spec.inference_host_address
    if problem := find_problem(server):  # PySDK would try for 31 s
        raise ModelError(problem)
    import degirum

    zoo = spec.zoo_connect()
    # Loading asks the server for its devices, and until it answers, PySDK stops all threads of this process. So ask it
    # something first that stops none. One camera at a time: else this would measure the questions of the others.
    with _SERVER_LOCKS[server]:
        began_s = time.monotonic()
        degirum.connect(server)
        took_s = time.monotonic() - began_s
        if took_s > _MAX_ANSWER_S:
            raise ModelError(
                f"the AI server {server} took {took_s:.1f} s to answer, more than {_MAX_ANSWER_S:.0f} s; "
                "give it less to do, or use a faster network"
            )
        return spec.load_model(zoo)


def _describe_missing_runtime(spec: "ModelSpec", zoo: Any) -> str | None:  # noqa: ANN401  (PySDK is untyped)
    """Return why no device of this machine can run the model, if that is why it cannot be loaded, in one line."""
    model = zoo.model_info(spec.model_name)
    needed = dict.fromkeys(filter(None, re.split(r"[,; ]+", model.SupportedDeviceTypes)))
    needed = needed or {f"{model.RuntimeAgent}/{model.DeviceType}": None}
    if any(fnmatch(there, pattern) for there in zoo.supported_device_types() for pattern in needed):
        return None
    problem = explain_missing(needed)
    return problem and f"the model needs {' or '.join(needed)}: {problem}"


def _ensure_copy(spec: "ModelSpec") -> Path:
    """Return the directory of the local copy of a cloud zoo's model; the network is needed only to make the copy.

    Like `ModelSpec.ensure_local`, but each zoo has its own copies, and a copy is either complete or absent.
    """
    copies = data_dir() / "edgepub" / hashlib.sha256(spec.zoo_url.encode()).hexdigest()[:16]
    copy = copies / str(spec.model_name)
    with _COPY_LOCK:
        if not copy.is_dir():
            copies.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryDirectory(dir=copies) as temporary:
                Path(spec.download_model(temporary)).rename(copy)
    return copy


def _prepare_process() -> None:
    """Prepare this thread and the process for PySDK.

    Raises:
        ModelError: HOME cannot be written; PySDK would abort the process.

    """
    # Ctrl-C signals the whole foreground group; a postprocessor that dies from it leaves `predict` blocked without
    # limit. What this thread starts inherits the blocked signal; our own main thread still gets it.
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    prepare_import()
