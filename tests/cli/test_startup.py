"""The quick commands import only what they need."""

import os
import subprocess
import sys

import pytest
import yaml

from tests.support.waiting import free_port

HEAVY = ("aiohttp", "cv2", "degirum", "degirum_tools", "edgepub.camera", "edgepub.daemon", "numpy", "rich", "scipy")
CONFIGURATION = {
    "node": "garage",
    "models": {"coco": {"model_name": "yolo", "zoo_url": "degirum/hailo", "inference_host_address": "@local"}},
    "cameras": {"porch": {"source": "rtsp://10.0.0.5/s", "model": "coco"}},
}
LIST_MODULES = """
import sys
from edgepub.__main__ import main
heavy = sys.argv[1].split(",")
sys.argv = ["edgepub", *sys.argv[2:]]
try:
    main()
finally:
    print("imported:", *(name for name in heavy if name in sys.modules))
"""


def heavy_imports(directory, *command):
    """Run a command in a fresh interpreter. Return its exit code and the heavy modules that it imported."""
    done = subprocess.run(
        [sys.executable, "-c", LIST_MODULES, ",".join(HEAVY), *command],
        capture_output=True,
        text=True,
        timeout=100,
        cwd=directory,
        env={**os.environ, "EDGEPUB_MQTT__URL": f"mqtt://127.0.0.1:{free_port()}"},
        check=False,
    )
    *_, last = done.stdout.splitlines()
    assert last.startswith("imported:"), done.stderr
    return done.returncode, set(last.split()[1:])


@pytest.fixture
def directory(tmp_path):
    (tmp_path / "edgepub.yaml").write_text(yaml.safe_dump(CONFIGURATION))
    return tmp_path


@pytest.mark.parametrize(
    ("command", "returncode"),
    [
        ("--version", 0),
        ("check", 0),
        ("schema config", 0),
        ("schema detections", 0),
        ("schema event", 0),
        ("schema info", 0),
        ("schema stats", 0),
        ("discovery", 0),
        ("discovery --purge", 1),  # there is no broker
        ("watch", 1),
    ],
)
def test_a_quick_command_imports_neither_the_daemon_nor_opencv_nor_pysdk(directory, command, returncode):
    assert heavy_imports(directory, *command.split()) == (returncode, set())


def test_the_daemon_imports_them(directory):
    """So the test above would notice them."""
    _, imported = heavy_imports(directory, "run", "-c", "missing.yaml")
    assert {"cv2", "numpy", "edgepub.camera", "edgepub.daemon"} <= imported
