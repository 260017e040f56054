"""The JSON Schema of the configuration takes what the program takes: also short forms, and nothing else."""

import jsonschema
import pytest
from pydantic import ValidationError

from edgepub.cli.schemas import json_schema
from edgepub.config.settings import Settings
from edgepub.config.yaml_file import read_yaml
from tests.support.pages import ROOT

VALIDATOR = jsonschema.Draft202012Validator(json_schema("config"))
COCO = {"model_name": "yolo", "zoo_url": "degirum/hailo", "inference_host_address": "@local"}
SERVERS = {"model_name": "yolo", "zoo_url": ""}


def configuration(**sections):
    """Return a configuration with these sections; a mapping is merged into the usual one."""
    usual = {"models": {"coco": COCO}, "cameras": {"porch": {"source": 0, "model": "coco"}}}
    return usual | sections


def camera(**settings):
    return configuration(cameras={"porch": {"source": 0, "model": "coco"} | settings})


def model(**settings):
    return configuration(models={"coco": COCO | settings})


def pipeline(**settings):
    return configuration(pipelines={"gate": settings})


GOOD = [
    pipeline(detect="coco"),
    pipeline(detect={"model": "coco", "labels": ["car"]}),
    pipeline(detect=["coco", {"model": "coco"}]),
    pipeline(detect="coco", then=[{"on": ["car"], "regress": "coco", "as": "age"}]),
    pipeline(detect="coco", tiles={"columns": 3}, then=[]),
    model(model_properties=None),
    model(model_properties={"device_type": "HAILORT/HAILO8", "output_class_set": ["car"]}),
    model(model_properties={"device_type": ["HAILORT/HAILO8"], "output_class_set": [0]}),
    model(metadata=None),
    model(**SERVERS, inference_host_address="10.0.0.8"),
    model(**SERVERS, inference_host_address=["10.0.0.8", "10.0.0.9:8778"]),
    *(configuration(mqtt={"protocol": protocol}) for protocol in ("auto", "5", 5, "3.1.1")),
    *(configuration(mqtt={"retain": retain}) for retain in ("auto", "true", True, "false", False)),
    *(configuration(http={"listen": listen}) for listen in (None, 9464, "9464", "127.0.0.1:9464")),
    *(camera(source=source) for source in (0, "0", "film.mp4", "rpicam:0", ["ffmpeg", "-i", "x"])),
    camera(region=[0, 0.5, 1, 1]),
    camera(text_labels={"as": "text", "label": "plate"}),
    camera(zones={"all": {"polygon": [[0, 0], [1, 0], [1, 1]]}}, lines={"gate": {"from": [0, 0], "to": [1, 1]}}),
    camera(labels=["person"]),
    camera(labels={"person": {"min_score": 0.6, "max_area": None}, "car": {}, "dog": None}),
    camera(ignore={"flag": {"polygon": [[0, 0], [1, 0], [1, 1]], "labels": ["flag"], "anchor": "center"}}),
    camera(capture={"size": [640, 480]}, snapshot={"blur": ["face"]}),
]
BAD = [
    pipeline(detect=[]),
    pipeline(detect=None),
    pipeline(detect=[["coco"]]),
    pipeline(detect={"labels": ["car"]}),
    pipeline(detect="coco", then="coco"),
    pipeline(detect="coco", then=["coco"]),
    pipeline(detect="coco", then=[{"classify": "coco", "name": "text"}]),
    model(model_properties="TFLITE/CPU"),
    model(**SERVERS, inference_host_address=[]),
    model(**SERVERS, inference_host_address=[1]),
    *(configuration(mqtt={"protocol": protocol}) for protocol in (4, "4", 3.1, True, None)),
    *(configuration(mqtt={"retain": retain}) for retain in ("yes", 1, None)),
    *(configuration(http={"listen": listen}) for listen in (0, 65_536, True, [9464])),
    *(camera(source=source) for source in (-1, 1000, True, 0.5, [], ["ffmpeg", 1], [""], None)),
    *(camera(region=region) for region in ([0, 0, 640, 480], [0, 0, 1], [0, 0, True, True], "all")),
    camera(labels="person"),
    camera(labels=[]),
    camera(labels={}),
    camera(labels={"person": 0.6}),
    camera(labels={"person": {"min_area": 2}}),
    camera(labels={"person": {"min_ratio": 0}}),
    camera(ignore={"flag": {"labels": ["flag"]}}),
    camera(text_labels="text"),
    camera(zones={"all": {"polygon": [[0, 0], [1, 0], [1, True]]}}),
]


def is_taken(content, directory):
    try:
        return bool(Settings.model_validate(content, context={"directory": directory}))
    except ValidationError:
        return False


@pytest.mark.parametrize("content", GOOD, ids=str)
def test_what_the_program_takes_the_schema_takes(content, tmp_path):
    assert is_taken(content, tmp_path)
    VALIDATOR.validate(content)


@pytest.mark.parametrize("content", BAD, ids=str)
def test_what_the_program_refuses_the_schema_refuses(content, tmp_path):
    assert not is_taken(content, tmp_path)
    assert not VALIDATOR.is_valid(content)


def test_the_schema_takes_the_example_of_the_container():
    VALIDATOR.validate(read_yaml(ROOT / "docker" / "edgepub.yaml"))
