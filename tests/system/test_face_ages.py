"""A chain of real models in the real daemon: faces, and their ages as numbers."""

import shutil
from pathlib import Path

import pytest
import yaml

from tests.support import zoo
from tests.support.zoo_files import HAS_NPM

pytestmark = [
    pytest.mark.mosquitto,
    pytest.mark.slow,  # the first use downloads the models
    pytest.mark.skipif(not HAS_NPM, reason="no npm here: apt-get install npm"),
]
PICTURE = Path(zoo.__file__).parent / "pictures" / "astronaut.jpg"


def test_the_age_of_a_face_is_published_as_a_number(mosquitto, subscribe, run_daemon, cli, tmp_path):
    models = zoo.make(tmp_path / "zoo", "face", "face_age")
    (tmp_path / "pictures").mkdir()
    shutil.copy(PICTURE, tmp_path / "pictures")
    then = {"on": ["face"], "regress": "face_age", "as": "age", "margin": 0.15}
    settings = {
        "node": "test",
        "mqtt": {"url": mosquitto.url, "protocol": "3.1.1"},
        "models": {
            name: {"model_name": name, "zoo_url": str(models), "inference_host_address": "@local"}
            for name in ("face", "face_age")
        },
        "pipelines": {"visitors": {"detect": "face", "then": [then]}},
        "cameras": {
            "door": {
                "source": str(tmp_path / "pictures"),
                "model": "visitors",
                "loop": True,
                "realtime": True,
                "capture": {"fps": 5},
            }
        },
    }
    reader = subscribe(mosquitto.port)
    daemon = run_daemon(settings)
    reader.wait_for(lambda r: r.last("edgepub/test/door/attributes/age"), "the age")
    age = float(reader.last("edgepub/test/door/attributes/age"))
    assert 25 < age < 48, "in her thirties"
    assert daemon.terminate() == 0
    (face,) = reader.detections("door")[-1]["detections"]
    assert face["attributes"] == {"age": {"value": age, "settled": True}}
    path = tmp_path / "edgepub.yaml"
    path.write_text(yaml.safe_dump(settings))
    done = cli("check", "--connect", "-c", path)
    assert done.returncode == 0, done.stdout
    assert "model face_age: good: ONNX/CPU, " in done.stdout
