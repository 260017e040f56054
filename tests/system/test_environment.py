"""Environment variables: none is added once there are threads, because C libraries in them read the environment."""

import json
import subprocess
import sys

import pytest
import yaml

COMMAND = """
import runpy, sys, threading

def check(event, arguments):
    if event in ("os.putenv", "os.unsetenv") and threading.active_count() > 1:
        print("changed:", arguments[0], file=sys.stderr, flush=True)

sys.addaudithook(check)
runpy.run_module("edgepub", run_name="__main__")
"""
LIBRARIES = """
import ctypes, json, sys, threading
from pathlib import Path
from edgepub.camera.environment import prepare_environment
from edgepub.camera.inference.loading import load_model
from edgepub.camera.sources.gate import Gate
from edgepub.camera.sources.contents import FileContents
from edgepub.camera.sources.file import FileSource
from edgepub.config.settings import ModelSettings
from edgepub.telemetry.metrics import CameraMetrics

def environment():
    variables = ctypes.POINTER(ctypes.c_char_p).in_dll(ctypes.CDLL(None), "environ")
    names = set()
    while variables[len(names)]:
        names.add(variables[len(names)].split(b"=")[0])
    return names

prepare_environment()
before = environment()
with load_model(ModelSettings(**json.loads(sys.argv[1]))) as model:
    source = FileSource(FileContents(Path(sys.argv[2])), Gate(None, CameraMetrics()), loop=False, realtime=False)
    assert len(list(model.infer(source.frames(threading.Event()), live=False))) == 3
print(*environment() ^ before)
"""


def run_python(code, *arguments):
    command = [sys.executable, "-c", code, *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)


@pytest.mark.mosquitto
@pytest.mark.parametrize("command", [["run"], ["check", "--connect"]])
def test_a_command_changes_none_once_it_has_threads(mosquitto, studio, tmp_path, command):
    file = tmp_path / "edgepub.yaml"
    file.write_text(yaml.safe_dump(studio.settings(mosquitto.url, studio.video([[]] * 3))))
    done = run_python(COMMAND, *command, "-c", str(file))
    assert done.returncode == 0, done.stderr
    assert "changed:" not in done.stderr


def test_the_libraries_add_none_when_a_model_and_a_source_are_opened(studio):
    libraries = run_python(LIBRARIES, json.dumps(studio.model()), studio.video([[]] * 3))
    assert libraries.returncode == 0, libraries.stderr
    assert libraries.stdout.strip() == ""
