"""The commands, their output and their exit codes."""

import json
import re
import subprocess
import sys

import jsonschema
import pytest
import yaml

from tests.support.studio import BOX
from tests.support.waiting import free_port

GOOD = {
    "node": "garage",
    "models": {"coco": {"model_name": "yolo", "zoo_url": "degirum/hailo", "inference_host_address": "@local"}},
    "cameras": {"porch": {"source": "rtsp://u:s3cret@10.0.0.5/s", "model": "coco"}},
}


@pytest.fixture
def configuration(tmp_path):
    path = tmp_path / "edgepub.yaml"
    path.write_text(yaml.safe_dump(GOOD))
    return path


def test_check_accepts_a_valid_configuration(cli, configuration):
    done = cli("check", "-c", configuration)
    assert (done.returncode, done.stderr) == (0, "")
    good, entities = done.stdout.splitlines()
    assert good == f"{configuration}: good: 1 camera, 1 model, broker mqtt://127.0.0.1:1883"
    assert re.fullmatch(
        r".*: Home Assistant gets 18 entities, 13 of them enabled: 5 of the node, 13 of porch; without labels, .*",
        entities,
    )


def test_check_says_how_many_entities_home_assistant_gets(cli, configuration):
    zones = {name: {"polygon": [[0, 0], [1, 0], [1, 1]]} for name in "abc"}
    camera = {**GOOD["cameras"]["porch"], "labels": ["person"]}
    cameras = dict.fromkeys(("front", "back", "left", "right"), camera) | {"yard": {**camera, "zones": zones}}
    configuration.write_text(yaml.safe_dump({**GOOD, "cameras": cameras}))
    described = cli("check", "-c", configuration).stdout.splitlines()[1]
    assert described.endswith("5 of the node, 34 of yard, 16 of back, 16 of front, 32 of 2 more")
    configuration.write_text(yaml.safe_dump({**GOOD, "home_assistant": {"enabled": False}}))
    assert "entities" not in cli("check", "-c", configuration).stdout


@pytest.mark.parametrize(
    ("prefix", "zones", "slashes"),
    [
        ("edgepub", True, None),
        ("site1/edgepub", False, None),
        ("site1/edgepub", True, 8),
        ("a/b/c/d", False, 8),
        ("a/b/c/d", True, 10),
    ],
)
def test_check_counts_the_slashes_of_topics(cli, configuration, prefix, zones, slashes):
    """AWS IoT Core ends the session over a topic with more than 7."""
    porch = GOOD["cameras"]["porch"] | ({"zones": {"door": {"polygon": [[0, 0], [1, 0], [1, 1]]}}} if zones else {})
    configuration.write_text(
        yaml.safe_dump(
            GOOD | {"mqtt": {"topic_prefix": prefix}, "cameras": {"yard": porch | {"zones": {}}, "porch": porch}}
        )
    )
    done = cli("check", "-c", configuration)
    assert (done.returncode, done.stderr) == (0, "")
    _, _, *notes = done.stdout.splitlines()
    assert len(notes) == bool(slashes)
    if slashes:
        assert "mqtt.topic_prefix" in notes[0]
        assert f"{slashes} slashes" in notes[0]


def test_check_names_labels_with_the_same_topic(cli, configuration):
    porch = GOOD["cameras"]["porch"] | {"labels": ["Car", "person", "犬", "car", "猫", "CAR"]}
    configuration.write_text(yaml.safe_dump(GOOD | {"cameras": {"porch": porch}}))
    done = cli("check", "-c", configuration)
    assert done.returncode == 0
    _, _, cars = done.stdout.splitlines()
    assert all(text in cars for text in ("cameras.porch", "'Car' and 'car' and 'CAR'"))


@pytest.mark.parametrize(
    ("limits", "key", "fps"),
    [({"max_fps": 0.25}, "max_fps", "0.25"), ({"capture": {"poll_s": 5}, "max_fps": 0.4}, "capture.poll_s", "0.2")],
)
def test_check_names_cameras_that_are_too_slow_to_follow_what_moves(cli, configuration, limits, key, fps):
    porch = GOOD["cameras"]["porch"] | {"source": "http://10.0.0.5/still.jpg"} | limits
    configuration.write_text(yaml.safe_dump(GOOD | {"cameras": {"porch": porch}}))
    done = cli("check", "-c", configuration)
    assert done.returncode == 0
    *_, note = done.stdout.splitlines()
    assert f"cameras.porch.{key}: at {fps} frames per second, what moves cannot be followed" in note


def test_check_says_that_it_cannot_know_the_rate_of_key_frames(cli, configuration):
    porch = GOOD["cameras"]["porch"] | {"capture": {"decode": "keyframes"}}
    configuration.write_text(yaml.safe_dump(GOOD | {"cameras": {"porch": porch}}))
    done = cli("check", "-c", configuration)
    assert done.returncode == 0
    *_, note = done.stdout.splitlines()
    assert "cameras.porch.capture.decode: how often key frames come is set in the camera" in note


@pytest.mark.parametrize(
    ("pipeline", "camera", "says"),
    [
        (
            {"then": [{"detect": "m", "labels": ["plate"]}]},
            {},
            ["its models give no label 'face'; they give: person, plate"],
        ),
        ({"then": [{"detect": "m", "labels": ["face"]}]}, {}, []),
        ({"then": [{"detect": "m"}]}, {}, []),
        ({"then": [{"classify": "m", "as": "hat"}]}, {}, ["the model has no label 'face'; it has: person"]),
        (
            {"then": [{"detect": "m"}]},
            {"region": [0, 0, 1, 0.5]},
            ["outside of the region, so pictures are blurred there"],
        ),
        ({"then": [{"detect": "m"}]}, {"ignore": {"all": {"polygon": [[0, 0], [1, 0], [1, 1]]}}}, []),
    ],
)
def test_check_says_what_cannot_be_blurred(cli, configuration, pipeline, camera, says):
    (model,) = GOOD["models"].values()
    people = {"model": "m", "labels": ["person"]}
    porch = GOOD["cameras"]["porch"] | {"model": "gate", "snapshot": {"blur": ["face"]}, **camera}
    settings = {
        "models": {"m": model},
        "pipelines": {"gate": {"detect": people, **pipeline}},
        "cameras": {"porch": porch},
    }
    configuration.write_text(yaml.safe_dump(GOOD | settings))
    done = cli("check", "-c", configuration)
    assert done.returncode == 0
    _, _, *notes = done.stdout.splitlines()
    assert len(notes) == len(says)
    assert all(text in note for text, note in zip(says, notes, strict=True))


def test_check_says_that_a_model_which_does_not_see_the_borders_gives_no_pictures(cli, configuration):
    models = {
        name: model | {"model_properties": {"input_pad_method": "crop-first"}} for name, model in GOOD["models"].items()
    }
    porch = GOOD["cameras"]["porch"] | {"snapshot": {"blur": ["face"]}}
    configuration.write_text(yaml.safe_dump(GOOD | {"models": models, "cameras": {"porch": porch}}))
    _, _, note = cli("check", "-c", configuration).stdout.splitlines()
    assert "no picture of cameras.porch will leave the node; use letterbox" in note


def test_check_notes_a_directory_of_events_that_cannot_be_used(cli, configuration, tmp_path):
    (tmp_path / "there").mkdir()
    for path, is_noted in {"/proc": True, "/proc/nope/below": True, "new/below": False, "there": False}.items():
        configuration.write_text(yaml.safe_dump(GOOD | {"outbox": {"durable": {"path": path}}}))
        done = cli("check", "-c", configuration)
        assert done.returncode == 0
        _, _, *notes = done.stdout.splitlines()
        assert [("outbox.durable.path" in note, path in note) for note in notes] == [(True, True)] * is_noted
    assert not [*(tmp_path / "there").iterdir()]
    assert not (configuration.parent / "new").exists(), "the check leaves nothing behind"


def test_check_finds_the_configuration_from_the_environment(cli, configuration):
    assert cli("check", EDGEPUB_CONFIG=str(configuration)).stdout.startswith(f"{configuration}: good")


def test_check_lists_the_mistakes_of_a_configuration(cli, configuration):
    configuration.write_text(yaml.safe_dump(GOOD | {"cameras": {"porch": {"source": 0, "model": "coc", "lop": True}}}))
    done = cli("check", "-c", configuration)
    assert (done.returncode, done.stdout) == (78, "")
    assert done.stderr.splitlines() == [
        f"{configuration}: cameras.porch.lop: unknown key; did you mean 'loop'?",
        f"{configuration}: cameras.porch.model: no such model: 'coc'; did you mean 'coco'?",
    ]


@pytest.mark.parametrize("command", ["check", "run"])
def test_a_missing_configuration(cli, command, tmp_path):
    done = cli(command, "-c", tmp_path / "none.yaml")
    assert done.returncode == 78
    assert done.stderr == (
        f"{tmp_path / 'none.yaml'}: cannot be read: No such file or directory; "
        "set another file with -c FILE or EDGEPUB_CONFIG\n"
    )


@pytest.mark.parametrize(
    "arguments", [["walk"], ["run", "--speed"], ["schema", "cat"], ["schema"], ["demo", "--broker", "h"]]
)
def test_usage_errors(cli, arguments):
    done = cli(*arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert "Traceback" not in done.stderr


def test_versions(cli):
    done = cli("--version")
    assert done.returncode == 0
    names = [line.split()[0] for line in done.stdout.splitlines()]
    assert names == ["edgepub", "pysdk", "degirum_tools", "aiomqtt", "paho_mqtt", "python"]


@pytest.mark.parametrize("name", ["config", "detections", "info", "stats"])
def test_schemas(cli, name):
    schema = json.loads(cli("schema", name).stdout)
    assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    jsonschema.Draft202012Validator.check_schema(schema)
    if name == "config":
        jsonschema.validate(GOOD, schema)
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate(GOOD | {"nodes": 1}, schema)


@pytest.mark.parametrize(
    "camera", [{"min_score": 2}, {"max_fps": 0}, {"publish": {"max_rate_hz": 0}}, {"publish": {"heartbeat_s": 1e6}}]
)
def test_the_config_schema_has_the_limits(cli, camera):
    schema = json.loads(cli("schema", "config").stdout)
    wrong = GOOD["cameras"]["porch"] | camera
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(GOOD | {"cameras": {"porch": wrong}}, schema)


def test_help_names_every_command(cli):
    text = cli("--help").stdout
    for command in ("run", "check", "schema", "watch", "demo", "bench"):
        assert command in text


HIDE_LIBRARIES = """
import ctypes, sys
real, hidden = ctypes.CDLL, sys.argv[1].split(",")
def load(name, *rest, **more):
    if name in hidden:
        raise OSError(f"{name}: cannot open shared object file")
    return real(name, *rest, **more)
ctypes.CDLL = load
if sys.argv[2] == "no OpenCV":
    sys.modules["cv2"] = None  # its import fails
sys.argv = ["edgepub", *sys.argv[3:]]
from edgepub.__main__ import main
main()
"""
PYTHON = f"{sys.version_info.major}.{sys.version_info.minor}"


def run_without(libraries, *command, opencv=False):
    """Run a command as on a machine without these libraries: they are hidden from the lookup."""
    arguments = [",".join(libraries), "OpenCV" if opencv else "no OpenCV", *map(str, command)]
    return subprocess.run(
        [sys.executable, "-c", HIDE_LIBRARIES, *arguments], capture_output=True, text=True, timeout=60, check=False
    )


@pytest.mark.parametrize("command", ["run", "demo", "bench", "check --connect"])
def test_a_machine_without_the_system_libraries_gets_the_command_that_installs_them(configuration, command):
    needs_configuration = command.startswith("check")
    arguments = [*command.split(), *(["-c", configuration] if needs_configuration else [])]
    done = run_without(["libGL.so.1", "libglib-2.0.so.0", f"libpython{PYTHON}.so.1.0"], *arguments)
    assert done.returncode == 1
    assert done.stdout.startswith(f"{configuration}: good") if needs_configuration else not done.stdout
    assert done.stderr == (
        f"edgepub: PySDK needs system libraries that are not installed: "
        f"libGL.so.1, libglib-2.0.so.0, libpython{PYTHON}.so.1.0; "
        f"on Debian or Ubuntu: sudo apt-get install libgl1 libglib2.0-0 libpython{PYTHON}\n"
    )


@pytest.mark.parametrize("command", ["--version", "check", "schema info", "discovery"])
def test_a_command_without_video_and_models_needs_no_system_libraries(configuration, command):
    arguments = [*command.split(), *(["-c", configuration] if command in {"check", "discovery"} else [])]
    done = run_without(["libGL.so.1", "libglib-2.0.so.0", f"libpython{PYTHON}.so.1.0"], *arguments)
    assert done.returncode == 0, done.stderr
    assert done.stdout


def test_an_opencv_that_works_needs_no_libgl(tmp_path):
    """Its headless variant."""
    command = ["run", "-c", tmp_path / "none.yaml"]
    done = run_without(["libGL.so.1", "libglib-2.0.so.0"], *command, opencv=True)
    assert done.returncode == 78, "the libraries are not required; only the configuration is missing"
    done = run_without(["libGL.so.1", "libglib-2.0.so.0"], *command)
    assert done.returncode == 1
    assert done.stderr.endswith("apt-get install libgl1 libglib2.0-0\n")


@pytest.mark.mosquitto
def test_check_connect_prints_a_line_for_broker_sources_and_models(cli, studio, mosquitto, tmp_path):
    settings = studio.settings(mosquitto.url, studio.video([[BOX]] * 3))
    path = tmp_path / "edgepub.yaml"
    path.write_text(yaml.safe_dump(settings))
    done = cli("check", "--connect", "-c", path)
    assert done.returncode == 0, done.stderr
    first, broker, source, model = done.stdout.splitlines()
    assert first.endswith(f"good: 1 camera, 1 model, broker {mosquitto.url}")
    assert broker == f"broker {mosquitto.url}: good: MQTT 3.1.1"
    assert source == f"cam: source: good: {settings['cameras']['cam']['source']}, 64x64"
    assert model.startswith("model echo: good: DUMMY/DUMMY, ")


@pytest.mark.mosquitto
def test_check_connect_finds_labels_that_the_model_lacks(cli, studio, mosquitto, demo_assets, tmp_path):
    settings = studio.settings(mosquitto.url, str(demo_assets.video), labels=["Face", "car"])
    settings["models"]["echo"].update(model_name="blazeface", zoo_url=str(demo_assets.zoo))
    path = tmp_path / "edgepub.yaml"
    path.write_text(yaml.safe_dump(settings))
    done = cli("check", "--connect", "-c", path)
    assert done.returncode == 1
    assert done.stdout.splitlines()[-2:] == [
        "cam: FAILED: the model has no label 'Face'; did you mean 'face'?",
        "cam: FAILED: the model has no label 'car'; it has: face",
    ]


@pytest.fixture
def with_a_pipeline(studio, mosquitto, tmp_path):
    """Return a function that writes a configuration with a pipeline of echo models, and returns its path."""

    def write(pipeline, results, kinds=None, **camera):
        source = studio.video([results] * 3)
        settings = studio.settings(mosquitto.url, source, model="gate", **camera)
        labels = {"people": ["person", "car"], "plates": ["plate"], "reader": ["text"]}
        named = [name for name in labels if name in str(pipeline)]
        settings["models"] = {
            name: studio.model(name, labels=labels[name], **(kinds or {}).get(name, {})) for name in named
        }
        settings["pipelines"] = {"gate": pipeline}
        path = tmp_path / "edgepub.yaml"
        path.write_text(yaml.safe_dump(settings))
        return path

    return write


@pytest.mark.mosquitto
def test_check_connect_runs_each_model_of_a_pipeline_on_a_picture_of_its_size(cli, with_a_pipeline):
    then = [{"on": ["car"], "detect": "plates"}, {"on": ["plate"], "classify": "reader", "as": "text"}]
    path = with_a_pipeline({"detect": ["people"], "then": then}, [BOX])
    done = cli("check", "--connect", "-c", path)
    assert done.returncode == 0, done.stdout
    people, plates, reader = done.stdout.splitlines()[-3:]
    assert re.fullmatch(r"model people: good: DUMMY/DUMMY, \d+ ms per frame", people)
    assert re.fullmatch(r"model plates: good: DUMMY/DUMMY, \d+ ms per object", plates)
    assert re.fullmatch(r"model reader: good: DUMMY/DUMMY, \d+ ms per object", reader)


@pytest.mark.mosquitto
def test_check_connect_finds_labels_that_no_model_of_a_pipeline_gives(cli, with_a_pipeline):
    then = [
        {"on": ["plate"], "classify": "reader", "as": "early"},  # all objects are found first
        {"on": ["cra", "plate"], "detect": "plates", "labels": ["Plate"]},
        {"on": ["person", "dog"], "regress": "reader", "as": "age"},
    ]
    detect = ["plates", {"model": "people", "labels": ["cat", "car"]}]
    path = with_a_pipeline({"detect": detect, "then": then}, [BOX], labels=["car", "plaet"])
    done = cli("check", "--connect", "-c", path)
    assert done.returncode == 1
    assert [line for line in done.stdout.splitlines() if "no label" in line] == [
        "pipelines.gate.detect.1.labels: FAILED: the model has no label 'cat'; did you mean 'car'?",
        "pipelines.gate.then.1.on: FAILED: the models before it give no label 'cra'; did you mean 'car'?",
        "pipelines.gate.then.1.labels: FAILED: the model has no label 'Plate'; did you mean 'plate'?",
        "pipelines.gate.then.2.on: FAILED: the models before it give no label 'person'; they give: plate, car",
        "pipelines.gate.then.2.on: FAILED: the models before it give no label 'dog'; they give: plate, car",
        "cam: FAILED: its models give no label 'plaet'; did you mean 'plate'?",
    ]


@pytest.mark.mosquitto
def test_check_connect_names_keys_that_nobody_wants(cli, with_a_pipeline):
    box = {**BOX, "lane": 1, "speed_kmh": 40, "side": "left"}
    path = with_a_pipeline({"detect": "people"}, [box], include=["side"])
    done = cli("check", "--connect", "-c", path)
    assert done.returncode == 0
    (people,) = [line for line in done.stdout.splitlines() if line.startswith("model people:")]
    assert people.endswith("; the model also gives lane, speed_kmh; name what you want in the camera's `include`")


@pytest.mark.mosquitto
def test_check_connect_refuses_a_model_that_cannot_do_what_a_stage_wants(cli, with_a_pipeline):
    tensor = [{"name": "out", "shape": [3], "data": [1, 2, 3]}]
    then = [{"regress": "plates", "as": "age"}, {"embed": "reader"}]
    pipeline = {"detect": "people", "then": then}
    path = with_a_pipeline(pipeline, tensor, kinds={"plates": {"kind": "None"}, "reader": {"kind": "None"}})
    done = cli("check", "--connect", "-c", path)
    assert done.returncode == 1
    _, plates, reader = done.stdout.splitlines()[-3:]
    assert plates.startswith("model plates: FAILED: a value is missing: use a model of regression")
    assert reader.startswith("model reader: good: ")


def test_check_connect_continues_after_failures(cli, studio, demo_assets, tmp_path):
    settings = studio.settings(f"mqtt://127.0.0.1:{free_port()}", f"rtsp://me:secret@127.0.0.1:{free_port()}/x")
    settings["models"]["echo"].update(model_name="blazeface", zoo_url=str(demo_assets.zoo))
    settings["models"]["gone"] = {**studio.model(), "model_name": "gone"}
    path = tmp_path / "edgepub.yaml"
    path.write_text(yaml.safe_dump(settings))
    done = cli("check", "--connect", "-c", path)
    assert done.returncode == 1
    _, broker, source, model, gone = done.stdout.splitlines()
    assert broker.startswith(f"broker {settings['mqtt']['url']}: FAILED: ")
    assert source.startswith("cam: source: FAILED: rtsp://127.0.0.1:")
    assert model.startswith("model echo: good: ")
    assert gone.startswith("model gone: FAILED: ")
    assert "secret" not in done.stdout + done.stderr
    assert "Traceback" not in done.stderr
