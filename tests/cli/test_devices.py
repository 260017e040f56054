"""`edgepub devices`: the real PySDK of this machine."""

import json
import re

import pytest
import yaml

from edgepub.camera.inference.runtimes import group_devices
from edgepub.config.settings import ModelSettings
from tests.support.onnx_zoo import needs_onnx, other_onnx_runtime
from tests.support.pages import blocks

pytestmark = pytest.mark.process


@pytest.fixture
def listed(cli):
    """Return the runtimes of `edgepub devices --json`, by name."""
    done = cli("devices", "--json")
    assert done.returncode == 0, done.stderr
    return {runtime["name"]: runtime for runtime in json.loads(done.stdout)["runtimes"]}


def test_a_cpu_without_an_accelerator(listed):
    (cpu,) = listed["TFLITE"]["devices"]
    assert (cpu["device_type"], cpu["model"]["model_name"]) == ("TFLITE/CPU", "blazeface")
    assert cpu["count"] == len(cpu["details"]) >= 1
    assert listed["TFLITE"]["problem"] is None
    assert "DUMMY" not in listed, "PySDK's own, for tests"


@needs_onnx
def test_a_runtime_with_the_version_that_is_wanted(listed):
    onnx = listed["ONNX"]
    assert (onnx["found"], onnx["wanted"], onnx["problem"]) == ("1.20.1", ["1.20.1"], None)
    (cpu,) = onnx["devices"]
    assert cpu["device_type"] == "ONNX/CPU"
    assert cpu["details"][0]["ONNXRuntimeVersion"] == "1.20.1", "as PySDK itself says"
    assert cpu["model"] is None


def test_a_runtime_that_is_not_installed(listed):
    akida = listed["AKIDA"]
    assert (akida["found"], akida["wanted"], akida["devices"]) == (None, ["2.11.0"], [])
    assert akida["problem"] == (
        "BrainChip's runtime (Akida) 2.11.0 is not installed; run: degirum install-runtime akida"
    )


def test_a_runtime_of_another_version(cli, tmp_path):
    done = cli("devices", **other_onnx_runtime(tmp_path, "1.21.0"))
    assert done.returncode == 0
    (line,) = [line for line in done.stdout.splitlines() if re.match(r" +ONNX ", line)]
    assert line.split(maxsplit=1)[1] == (
        "ONNX Runtime 1.21.0 is installed, but PySDK needs 1.20.1; run: pip install 'edgepub[onnx]'"
    )


def test_each_model_can_be_pasted_into_a_configuration(cli):
    done = cli("devices")
    assert done.returncode == 0
    found = re.findall(r"(?m)^# (\S+): .*\n(models:\n(?:  .*\n?)+)", done.stdout)
    assert "TFLITE/CPU" in dict(found)
    for device_type, text in found:
        (model,) = yaml.safe_load(text)["models"].values()
        assert ModelSettings(**model).inference_host_address == "@local"
        assert model.get("model_properties", {}).get("device_type", [device_type]) == [device_type]


def test_the_lines_are_aligned(cli):
    first, *rows = cli("devices").stdout.partition("\n\n")[0].splitlines()
    assert re.fullmatch(r"PySDK [\d.]+ finds these devices:", first)
    assert len({row.index(" device") for row in rows if " 1 device" not in row}) <= 1
    assert len({re.match(r"  \S+ +\d+ devices? +", row).end() for row in rows}) == 1


def test_an_unwritable_home_gives_one_line(cli):
    done = cli("devices", HOME="/proc/none")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.splitlines() == [
        "edgepub: PySDK cannot write /proc/none/.local/share/DeGirum; set HOME to a directory that this user can write"
    ]


def test_the_example_in_the_docs_has_the_same_keys(listed):
    """So that who reads it by program can rely on it."""
    (example,) = [
        content
        for block in blocks("json")
        if block.page == "docs/install.md" and "runtimes" in (content := json.loads(block.text))
    ]
    assert example.keys() == {"pysdk", "runtimes"}
    (runtime,) = example["runtimes"]
    assert runtime.keys() == listed["TFLITE"].keys()
    assert runtime["devices"][0].keys() == listed["TFLITE"]["devices"][0].keys()


def test_devices_of_a_runtime_that_only_pysdk_knows_are_listed():
    grouped = group_devices({"NEWCHIP/X1": [{}, {}], "NEWCHIP/X2": [{}], "TFLITE/CPU": [{}], "DUMMY/DUMMY": [{}]})
    found = {
        runtime.runtime.title: [device.device_type for device in runtime.devices]
        for runtime in grouped
        if runtime.devices
    }
    assert found == {
        "TFLite": ["TFLITE/CPU"],
        "NEWCHIP, for which edgepub has no advice": ["NEWCHIP/X1", "NEWCHIP/X2"],
    }
    assert grouped[-1].probe.problem is None
