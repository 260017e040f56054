"""PySDK's plug-ins: files in its package, one for each version of a vendor's runtime.

A plug-in can be loaded if the library of its runtime is installed, in exactly the version that it was built for.
Nothing here imports PySDK.
"""

import contextlib
import ctypes
import functools
import platform
import re
import sys
import sysconfig
from collections.abc import Iterable
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path

import yaml

_HAS_ONNX_PACKAGE = sys.version_info < (3, 14)  # the last Python for which the version that PySDK needs is packaged


@dataclass(frozen=True, slots=True)
class Runtime:
    """A runtime that PySDK has a plug-in for."""

    name: str
    """As in device types: `HAILORT` of `HAILORT/HAILO8`; or a whole device type, if it needs a library of its own."""
    title: str
    plugin: str
    """The name in PySDK's files; empty if PySDK loads the library without a plug-in."""
    library: str = ""
    """The start of the file name of its shared library; empty if PySDK contains it."""
    install: str = ""
    """What to do to install it, in a few words; empty if PySDK contains it."""


RUNTIMES = (
    Runtime("HAILORT", "HailoRT", "hailo", "libhailort.so", "Raspberry Pi OS: sudo apt install hailo-all"),
    Runtime("AXELERA", "Axelera's runtime", "axelera", "libaxruntime.so", "run: degirum install-runtime axelera"),
    Runtime("MEMRYX", "MemryX's runtime", "memryx", "libmx_accl.so", "run: degirum install-runtime memryx"),
    Runtime("DEEPX", "DEEPX's runtime (DX-RT)", "deepx", "libdxrt.so", "ask DEEPX for it"),
    Runtime("RKNN", "Rockchip's runtime (RKNN)", "rknn", "librknnrt.so", "run: degirum install-runtime rknn"),
    Runtime("TENSORRT", "TensorRT", "tensorrt", "libnvinfer.so", "get it from NVIDIA, with CUDA 12"),
    Runtime("OPENVINO", "OpenVINO", "openvino", "libopenvino.so", "run: degirum install-runtime openvino"),
    Runtime("TFLITE/EDGETPU", "Google's Edge TPU library", "", "libedgetpu.so", "get libedgetpu1-std from Google"),
    Runtime("AKIDA", "BrainChip's runtime (Akida)", "akida", "libakida.so", "run: degirum install-runtime akida"),
    Runtime("EDGECORTIX", "EdgeCortix's runtime (MERA)", "edgecortix", "libmera2_runtime.so", "ask EdgeCortix for it"),
    Runtime("RENESAS", "Renesas's runtime (DRP-AI TVM)", "renesas", "libtvm_runtime.so", "ask Renesas for it"),
    Runtime("TFLITE", "TFLite", "tflite"),
    Runtime("N2X", "N2X", "n2x"),
    Runtime(
        "ONNX",
        "ONNX Runtime",
        "onnx",
        "libonnxruntime.so",
        "run: pip install 'edgepub[onnx]'" if _HAS_ONNX_PACKAGE else "run: degirum install-runtime onnx",
    ),
)
"""The accelerators first, then what runs on a CPU."""


@dataclass(frozen=True, slots=True)
class Probe:
    """Whether the plug-in of a runtime can be loaded."""

    found: str | None
    """The installed version of the runtime, as far as file names and packages tell."""
    wanted: tuple[str, ...]
    """The versions that PySDK can use, newest first; empty if PySDK contains the runtime, or any will do."""
    problem: str | None
    """Why it cannot be loaded, and what to install; one line."""


def runtime_of(device_type: str) -> Runtime | None:
    """Return the runtime of a device type like `ONNX/CPU`."""
    names = (device_type, device_type.partition("/")[0])
    return next((runtime for runtime in RUNTIMES if runtime.name in names), None)


def available_runtimes() -> list[Runtime]:
    """Return the runtimes that this PySDK has plug-ins for; on ARM64 there are others than on x86-64."""
    return [runtime for runtime in RUNTIMES if not runtime.plugin or _plugin_files(runtime)]


def probe(runtime: Runtime) -> Probe:
    """Try to load the plug-in of a runtime, as PySDK does."""
    wanted = _wanted_versions(runtime)
    attempts = _plugin_files(runtime) if runtime.plugin else [Path(f"{runtime.library}.1")]
    if not attempts:
        return Probe(None, (), f"PySDK has no plug-in for {runtime.title} on this kind of processor")
    errors = []
    for file in attempts:
        if (error := _load_error(file)) is None:
            return Probe(_loaded_version(runtime, file), wanted, None)
        errors.append(error)
    found = _installed_version(runtime)
    versions = " or ".join(filter(None, [", ".join(wanted[:-1]), *wanted[-1:]]))
    if not found:
        problem = " ".join(filter(None, [runtime.title, versions, "is not installed"]))
    elif wanted and not any(f"{found}.".startswith(f"{number}.") for number in wanted):
        problem = f"{runtime.title} {found} is installed, but PySDK needs {versions}"
    else:
        problem = f"{runtime.title} {found} does not load: {errors[0]}"
    return Probe(found, wanted, f"{problem}; {runtime.install}")


def explain_missing(device_types: Iterable[str]) -> str | None:
    """Return why PySDK has none of these devices: the runtime of the first one that is known to be missing."""
    for device_type in device_types:
        runtime = runtime_of(device_type)
        if runtime and (problem := probe(runtime).problem):
            return problem
    return None


def load_onnx_runtime() -> None:
    """Load the library of the package onnxruntime, if it is installed in the version that PySDK's plug-in needs.

    Linux then gives it to the plug-in. By itself, the plug-in looks for it only where libraries are installed as root.
    """
    for wanted in _wanted_versions(_ONNX):
        with contextlib.suppress(OSError):
            ctypes.CDLL(str(_package_dir("onnxruntime") / "capi" / f"libonnxruntime.so.{wanted}"))


_ONNX = RUNTIMES[-1]


def _plugin_files(runtime: Runtime) -> list[Path]:
    return sorted(_package_dir("degirum").glob(f"lib{runtime.plugin}_runtime_agent*.dgp"), reverse=True)


def _load_error(file: Path) -> str | None:
    try:
        ctypes.CDLL(str(file))
    except OSError as error:
        return str(error).partition("\n")[0]
    return None


def _loaded_version(runtime: Runtime, plugin: Path) -> str | None:
    """Return the version of a runtime whose plug-in has been loaded."""
    if not runtime.library:
        return None
    if runtime is _ONNX:  # the functions of its library carry the version in their names, so no other can be loaded
        return ", ".join(_wanted_versions(runtime)) or None
    _, _, built_for = plugin.stem.partition("--")
    return built_for or _installed_version(runtime)


def _installed_version(runtime: Runtime) -> str | None:
    """Return the version in the name of a runtime's library; of ONNX Runtime, else that of the package."""
    directories = [
        Path("/usr/lib"),
        Path("/usr/lib", sysconfig.get_config_var("MULTIARCH") or ""),
        Path("/usr/local/lib"),
    ]
    versions = []
    if runtime is _ONNX:
        with contextlib.suppress(PackageNotFoundError):
            versions.append(version("onnxruntime"))
    if runtime.library:
        files = [file.resolve().name for folder in directories for file in folder.glob(f"{runtime.library}.*")]
        versions += [match[1] for file in files if (match := re.search(r"\.so\.(\d+(?:\.\d+)+)$", file))]
    return versions[0] if versions else None


@functools.cache
def _package_dir(package: str) -> Path:
    """Return the directory of a package without importing it; one that does not exist if it is not installed."""
    spec = find_spec(package)
    return Path(spec.origin).parent if spec and spec.origin else Path("/nonexistent")


@functools.cache
def _wanted_versions(runtime: Runtime) -> tuple[str, ...]:
    """Return the versions of a runtime that PySDK has plug-ins for, newest first, from a list in its package."""
    if not runtime.library:
        return ()
    try:
        listed = yaml.safe_load((_package_dir("degirum") / "runtime_installers" / "plugin_versions.yaml").read_text())
    except OSError:
        return ()
    systems = listed.get(runtime.plugin) or {}
    processor = "x86" if platform.machine() == "x86_64" else "ARM"
    for system in ("Debian", "All"):
        for architecture in (processor, "All"):
            if versions := (systems.get(system) or {}).get(architecture):
                return tuple(str(number).partition("-")[0] for number in versions)
    return ()
