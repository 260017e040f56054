"""Models: the only importer of PySDK (degirum, degirum_tools).

PySDK is imported when the first model is loaded: it must find our interpreter on PATH and a HOME that it can write.
"""

import dataclasses
import hashlib
import os
import re
import signal
import sys
import tempfile
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgepub.errors import ModelError, SourceError
from edgepub.frames import Frame, Result
from edgepub.redaction import one_line
from edgepub.settings import ModelSettings

if TYPE_CHECKING:
    from degirum.model import Model as PysdkModel
    from degirum_tools import ModelSpec

_HTTP_LIBRARY = re.compile(r": HTTPS?ConnectionPool\(.*", re.DOTALL)
_PLACE = re.compile(r"\w+\.(h|cpp): \d+ \[")
_LOCAL = "@local"
_END: Any = object()
_COPYING = threading.Lock()
_COLOUR = (255, 255, 0)
_TIMINGS = {
    "CorePreprocessDuration_ms": "preprocess",
    "CoreInferenceDuration_ms": "inference",
    "CorePostprocessDuration_ms": "postprocess",
}


class Model:
    """A loaded model; for one thread at a time.

    Args:
        pysdk: the PySDK model.

    """

    def __init__(self, pysdk: "PysdkModel") -> None:
        self._pysdk = pysdk
        # On the CPU, frames in flight at once take the processor from each other: one after another is faster there,
        # while an accelerator idles unless the next frame is on its way (`edgepub bench` measures both).
        self._overlaps = not str(pysdk.device_type).endswith("/CPU")

    def infer(self, frames: Iterable[Frame], *, live: bool) -> Iterator[Result]:
        """Yield the result of each frame, in order.

        Args:
            frames: the frames.
            live: give each result as soon as it is there, and ask for a frame only when the one before has its result.

        Raises:
            ModelError: the model failed.
            SourceError: what `frames` raised.

        """
        return self._together(frames) if self._overlaps and not live else self._one_by_one(frames)

    def _one_by_one(self, frames: Iterable[Frame]) -> Iterator[Result]:
        for frame in frames:
            began_s = time.monotonic()
            try:
                answer = self._pysdk.predict(frame.image)
            except Exception as error:  # noqa: BLE001  (PySDK raises Exception itself, and more)
                raise ModelError(_words(error)) from None
            yield _result(frame, began_s, answer)

    def _together(self, frames: Iterable[Frame]) -> Iterator[Result]:
        lost: list[SourceError] = []

        def feed() -> Iterator[tuple[Any, tuple[Frame, float]]]:
            try:
                for frame in frames:
                    yield frame.image, (frame, time.monotonic())
            except SourceError as error:
                lost.append(error)  # PySDK would turn it into its own, and lose the frames that are on their way

        answers = self._pysdk.predict_batch(feed())
        while True:
            try:
                answer = next(answers, _END)
            except Exception as error:  # noqa: BLE001  (as above)
                raise ModelError(_words(error)) from None
            if answer is _END:
                break
            if answer is not None:  # of a model with `non_blocking_batch_predict`
                frame, began_s = answer.info
                yield _result(frame, began_s, answer)
        if lost:
            raise lost[0]


@contextmanager
def loaded(settings: ModelSettings) -> Iterator[Model]:
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
        raise ModelError(_words(error)) from None
    with pysdk:
        yield Model(pysdk)


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


def _words(error: Exception) -> str:
    """Return what PySDK says, without the places in its sources and without the inside of its HTTP library."""
    text = _HTTP_LIBRARY.sub("; is there a network?", str(error)).replace("[ERROR]", "")
    return one_line("; ".join(line for line in text.splitlines() if line and not _PLACE.match(line)))


def _result(frame: Frame, began_s: float, answer: Any) -> Result:  # noqa: ANN401  (PySDK is untyped)
    timing = getattr(answer, "timing", None) or {}
    timing_ms = {ours: round(timing[key], 3) for key, ours in _TIMINGS.items() if key in timing}
    return Result(frame, answer.results, timing_ms, began_s, time.monotonic())
