"""A real ONNX model on PySDK's ONNX/CPU, with the library of the package onnxruntime."""

import json
import subprocess
import sys

import pytest
import yaml
from packaging.requirements import Requirement

from edgepub.camera.frames import Frame
from edgepub.camera.inference.loading import load_model
from edgepub.camera.inference.plugins import RUNTIMES, probe
from edgepub.config.settings import ModelSettings
from edgepub.core.errors import ModelError
from tests.support import onnx_zoo
from tests.support.onnx_zoo import needs_onnx
from tests.support.pages import ROOT

BOXES = [(40, 20, 100, 60), None, (0, 0, 2, 128), (126, 126, 128, 128)]
LOAD = """
import json, sys
from edgepub.camera.inference.loading import load_model
from edgepub.config.settings import ModelSettings
try:
    with load_model(ModelSettings(**json.loads(sys.argv[1]))) as model:
        print(model.device)
except Exception as error:
    print(type(error).__name__, error)
"""


def copy_model(directory, device_types):
    """Write a zoo with the model, for other device types."""
    model = directory / "zoo" / "square"
    model.mkdir(parents=True)
    for file in (onnx_zoo.ZOO / "square").iterdir():
        if file.is_file():
            (model / file.name).write_bytes(file.read_bytes())
    description = json.loads((model / "square.json").read_text())
    agent, device = device_types[0].split("/")
    types = ", ".join(device_types)
    description["DEVICE"] = [{"RuntimeAgent": agent, "DeviceType": device, "SupportedDeviceTypes": types}]
    (model / "square.json").write_text(json.dumps(description))
    return {**onnx_zoo.MODEL, "zoo_url": str(directory / "zoo")}


@needs_onnx
def test_the_model_finds_each_rectangle_exactly():
    frames = (Frame(onnx_zoo.picture(box), n, 0.0, 0.0, 0.0) for n, box in enumerate(BOXES))
    with load_model(ModelSettings(**onnx_zoo.MODEL)) as model:
        assert model.device == "ONNX/CPU"
        found = [[each["bbox"] for each in result.objects] for result in model.infer(frames, live=False)]
    half = [[[side / 2 for side in box]] if box else [] for box in BOXES]
    assert found == half, "in pixels of the model's input, which is half as large"


@needs_onnx
@pytest.mark.mosquitto
def test_the_daemon_publishes_what_the_model_finds(mosquitto, subscribe, run_daemon, tmp_path):
    reader = subscribe(mosquitto.port)
    daemon = run_daemon(
        {
            "node": "test",
            "mqtt": {"url": mosquitto.url, "protocol": "3.1.1"},
            "models": {"square": onnx_zoo.MODEL},
            "cameras": {
                "cam": {
                    "source": onnx_zoo.film(tmp_path / "film.avi", BOXES),
                    "model": "square",
                    "tracking": False,
                    "snapshot": {"enabled": False},
                }
            },
        }
    )
    assert daemon.wait() == 0, daemon.log
    reader.wait_for(lambda r: r.last("edgepub/test/status") == b"offline", "the end")
    detections = [payload["detections"] for payload in reader.detections()]
    assert [[(each["label"], *each["bbox"]) for each in found] for found in detections] == [
        [("square", *map(float, box))] if box else [] for box in BOXES
    ]


def test_another_version_of_the_library_gives_one_line(tmp_path):
    """It is not loaded: PySDK's plug-in would refuse it, and then also the right one."""
    variables = onnx_zoo.other_onnx_runtime(tmp_path, "1.21.0")
    done = subprocess.run(
        [sys.executable, "-c", LOAD, json.dumps(onnx_zoo.MODEL)],
        capture_output=True,
        text=True,
        check=False,
        timeout=100,
        env={"HOME": str(tmp_path), "PATH": "/bin", **variables},
    )
    assert done.stdout.splitlines() == [
        "ModelError the model needs ONNX/CPU: ONNX Runtime 1.21.0 is installed, but PySDK needs 1.20.1; "
        "run: pip install 'edgepub[onnx]'"
    ]


@pytest.mark.parametrize("device_types", [["AKIDA/AKD1000"], ["AKIDA/*", "AXELERA/METIS"]])
def test_a_runtime_that_is_not_installed_gives_one_line(tmp_path, device_types):
    model = ModelSettings(**copy_model(tmp_path, device_types))
    with pytest.raises(ModelError) as caught, load_model(model):
        pass
    needed = " or ".join(device_types)
    assert str(caught.value) == (
        f"the model needs {needed}: BrainChip's runtime (Akida) 2.11.0 is not installed; "
        "run: degirum install-runtime akida"
    )


def test_an_unknown_runtime_gives_the_words_of_pysdk(tmp_path):
    model = ModelSettings(**copy_model(tmp_path, ["ABACUS/CPU"]))
    with pytest.raises(ModelError, match="does not have any supported runtime/device combinations"), load_model(model):
        pass


def test_the_extra_is_the_version_that_the_plugin_was_built_for():
    """A newer PySDK may need another one."""
    project = (ROOT / "pyproject.toml").read_text()
    (line,) = [line for line in project.splitlines() if line.startswith("onnx = ")]
    (pin,) = Requirement(yaml.safe_load(line.partition(" = ")[2])[0]).specifier
    onnx = next(runtime for runtime in RUNTIMES if runtime.name == "ONNX")
    assert (pin.operator, (pin.version,)) == ("==", probe(onnx).wanted)
