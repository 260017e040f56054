"""Pipelines of echo models: with the real PySDK, the real daemon and a real broker."""

import json
import os
import re
import shutil
import signal
from pathlib import Path
from urllib.error import HTTPError
from urllib.parse import urlsplit
from urllib.request import urlopen

import jsonschema
import pytest

from edgepub.cli.bench.ai_server import ai_server
from edgepub.cli.bench.live_camera import LiveCamera
from tests.support.one_client import OneClient
from tests.support.scenes import film, square
from tests.support.waiting import free_port

pytestmark = pytest.mark.mosquitto
CAR, PLATE = (200, 240), (300, 320)
"""Upper left corners of squares of 64 pixels in the frame."""
CAR_BOX = {"bbox": square(*CAR), "label": "car", "score": 0.9}
PERSON = {"bbox": [40, 32, 60, 60], "label": "person", "score": 0.8}
IN_THE_CAR = {"bbox": [16, 32, 48, 48], "label": "plate", "score": 0.7}
MODELS = ["people", "plates", "reader"]
QUIET = {"snapshot": {"enabled": False}, "loop": True, "realtime": True}


@pytest.fixture
def start(mosquitto, subscribe, run_daemon, studio):
    """Return a function that starts a daemon with one camera, and returns its messages' reader and the daemon."""

    def run(scenes, pipeline, models=MODELS, kinds=None, servers=(), properties=None, **camera):
        """Start it with these additional keys of the models' devices; the model `reader` at these AI servers."""
        reader = subscribe(mosquitto.port)
        settings = studio.settings(mosquitto.url, "")
        settings["models"] = {name: studio.model(name, **(kinds or {}).get(name, {})) for name in models}
        for model in settings["models"].values() if properties else ():
            model["model_properties"] = properties
        if servers:
            raw = {"input_image_format": "RAW"}  # JPEG would change the text in the picture
            settings["models"]["reader"] = {
                "model_name": "reader",
                "inference_host_address": servers,
                "model_properties": raw,
            }
        settings["pipelines"] = {"gate": pipeline}
        source = film(studio.directory / "film.avi", scenes)
        settings["cameras"] = {"cam": {"source": source, "model": "gate", "tracking": True, **QUIET, **camera}}
        settings["stats"] = {"interval_s": 1}
        return reader, run_daemon(settings)

    return run


def last(reader, number=5):
    reader.wait_for(lambda r: len(r.detections()) >= number, "detections")
    return reader.detections()[-1]


def test_objects_are_found_in_objects_and_named(start, cli):
    scene = {None: [CAR_BOX, PERSON], CAR: [IN_THE_CAR]}
    then = [{"on": ["car"], "detect": "plates"}]
    reader, daemon = start([scene] * 50, {"detect": "people", "then": then})
    payload = last(reader)
    jsonschema.validate(payload, json.loads(cli("schema", "detections").stdout))
    car, person, plate = payload["detections"]
    assert (car["label"], person["label"], plate["label"]) == ("car", "person", "plate")
    assert car["bbox"] == [200, 240, 264, 304]
    assert plate["bbox"] == [216, 272, 248, 288], "in pixels of the frame"
    assert plate["parent"] == 0
    assert "parent" not in car
    assert all("track_id" in one for one in payload["detections"])
    assert set(payload["timing_ms"]["stages"]) == {"people", "plates"}
    reader.wait_for(lambda r: r.stats() and "stage/plates" in r.stats()[-1]["cameras"]["cam"]["model_ms"], "stats")
    assert daemon.terminate() == 0
    assert "internal error" not in daemon.log


def test_an_attribute_is_asked_for_a_few_times_and_then_settled(start):
    scene = {None: [CAR_BOX], CAR: [{"label": "B-AB 123", "score": 0.75}]}
    then = [{"on": ["car"], "classify": "reader", "as": "text"}]
    reader, daemon = start([scene] * 100, {"detect": "people", "then": then})
    reader.wait_for(
        lambda r: any(
            one["attributes"]["text"]["settled"]
            for d in r.detections()
            for one in d["detections"]
            if "attributes" in one
        ),
        "a settled attribute",
    )
    reader.wait_for(lambda r: len(r.detections()) > 50, "more detections")
    payloads = reader.detections()
    (car,) = payloads[-1]["detections"]
    assert (car["label"], car["score"], car["bbox"]) == ("car", 0.9, [200, 240, 264, 304]), "its own are untouched"
    assert car["attributes"] == {"text": {"label": "B-AB 123", "score": 0.75, "settled": True}}
    asked = [payload for payload in payloads if "reader" in payload["timing_ms"]["stages"]]
    assert len(asked) == 3, "until three answers agree"
    reader.wait_for(lambda r: r.payloads("edgepub/test/cam/events")[1:], "two events")
    events = [json.loads(payload) for payload in reader.payloads("edgepub/test/cam/events")]
    assert [event["event_type"] for event in events] == ["appeared", "recognized"]
    assert (events[1]["attribute"], events[1]["value"], events[1]["score"]) == ("text", "B-AB 123", 0.75)
    assert events[1]["label"] == "car"
    reader.wait_for(lambda r: r.last("edgepub/test/cam/attributes/text") == b"B-AB 123", "its topic")
    assert daemon.terminate() == 0


def test_a_value_is_a_number_and_the_median_of_five_answers(start, cli):
    """The model is far off in every fifth answer, with whichever frame a busy computer begins."""
    ages = [34.25, 90, 34.25, 34.25, 34.25, 34.25, 1, 34.25, 34.25, 34.25]
    scenes = [{None: [CAR_BOX], CAR: [{"category_id": 0, "label": "years", "score": age}]} for age in ages]
    then = [{"on": ["car"], "regress": "reader", "as": "age"}]
    film_of_answers = [scene for scene in scenes for _ in range(5)] * 2  # asked every half second
    reader, daemon = start(film_of_answers, {"detect": "people", "then": then}, publish={"mode": "changes"})
    reader.wait_for(lambda r: r.last("edgepub/test/cam/attributes/age"), "the age")
    assert reader.last("edgepub/test/cam/attributes/age") == b"34.25"
    reader.wait_for(lambda r: r.payloads("edgepub/test/cam/events")[1:], "the event")
    event = json.loads(reader.payloads("edgepub/test/cam/events")[1])
    assert (event["event_type"], event["attribute"], event["value"]) == ("recognized", "age", 34.25)
    assert event["score"] == 0.9, "of the object: a value has none"
    jsonschema.validate(event, json.loads(cli("schema", "event").stdout))

    def is_settled(reader):
        return any(one.get("attributes", {}).get("age", {}).get("settled") for one in seen(reader))

    reader.wait_for(is_settled, "a settled value")
    assert daemon.terminate() == 0
    schema = json.loads(cli("schema", "detections").stdout)
    for payload in reader.detections():
        jsonschema.validate(payload, schema)
    (car,) = reader.detections()[-1]["detections"]
    assert (car["label"], car["score"]) == ("car", 0.9), "its own are untouched"
    assert car["attributes"] == {"age": {"value": 34.25, "settled": True}}


def seen(reader):
    return [one for payload in reader.detections() for one in payload["detections"]]


def test_several_values_of_one_model_have_its_labels(start):
    values = [{"label": "age", "score": 34.2}, {"label": "Smile %", "score": 0}]
    then = [{"on": ["car"], "regress": "reader", "as": "face"}]
    pipeline = {"detect": "people", "then": then}
    reader, _ = start([{None: [CAR_BOX], CAR: values}] * 50, pipeline, tracking=False)
    (car,) = last(reader)["detections"]
    assert car["attributes"] == {"face_age": {"value": 34.2}, "face_smile": {"value": 0}}


def test_a_model_that_gives_no_value_is_counted_and_named(start):
    """An embedding, where a value is wanted."""
    scene = {None: [CAR_BOX], CAR: [{"name": "out", "shape": [3], "data": [1, 2, 3]}]}
    then = [{"on": ["car"], "regress": "reader", "as": "age"}]
    reader, daemon = start([scene] * 50, {"detect": "people", "then": then}, kinds={"reader": {"kind": "None"}})
    assert all("attributes" not in one for one in last(reader, 10)["detections"])
    assert daemon.terminate() == 0
    assert "a value is missing: use a model of regression" in daemon.log


def test_labels_that_no_model_gives_are_logged_once(start):
    then = [{"on": ["cra"], "detect": "plates"}]
    kinds = {"people": {"labels": ["person", "car"]}, "plates": {"labels": ["plate"]}}
    scene = {None: [CAR_BOX, PERSON]}
    pipeline = {"detect": {"model": "people", "labels": ["person", "car", "bus"]}, "then": then}
    reader, daemon = start([scene] * 50, pipeline, kinds=kinds, labels=["person", "plaet"])
    last(reader)
    assert daemon.terminate() == 0
    warnings = [line for line in daemon.log.splitlines() if "no label" in line]
    assert [line.partition(" cam: ")[2] for line in warnings] == [
        "pipelines.gate.detect.0.labels: the model has no label 'bus'; it has: person, car",
        "pipelines.gate.then.0.on: the models before it give no label 'cra'; did you mean 'car'?",
        "its models give no label 'plaet'; did you mean 'plate'?",
    ]


def test_without_tracking_every_frame_is_asked(start):
    scene = {None: [CAR_BOX], CAR: [{"label": "B-AB 123", "score": 0.75}]}
    then = [{"on": ["car"], "classify": "reader", "as": "text"}]
    reader, _ = start([scene] * 100, {"detect": "people", "then": then}, tracking=False)
    last(reader, 10)
    assert all("reader" in payload["timing_ms"]["stages"] for payload in reader.detections())
    (car,) = reader.detections()[-1]["detections"]
    assert car["attributes"] == {"text": {"label": "B-AB 123", "score": 0.75}}


def test_a_stage_that_fails_costs_its_attribute_and_not_the_frame(start):
    scene = {None: [CAR_BOX], CAR: [{"label": "B-AB 123", "score": 0.75}]}
    then = [{"on": ["car"], "classify": "reader", "as": "text"}]
    kinds = {"reader": {"SimulateFail": 1}}
    reader, daemon = start([scene] * 100, {"detect": "people", "then": then}, kinds=kinds)
    (car,) = last(reader, 20)["detections"]
    assert "attributes" not in car
    assert reader.last("edgepub/test/cam/status") == b"online"
    assert daemon.terminate() == 0
    assert "stage reader: " in daemon.log


def test_a_stage_whose_model_is_not_there_yet_costs_its_attribute_and_comes_later(start, studio):
    scene = {None: [CAR_BOX], CAR: [{"label": "B-AB 123", "score": 0.75}]}
    then = [{"on": ["car"], "classify": "reader", "as": "text"}]
    studio.model("reader")
    (studio.zoo / "reader").rename(studio.directory / "reader")
    (studio.zoo / "reader").mkdir()
    reader, daemon = start([scene] * 50, {"detect": "people", "then": then})
    (car,) = last(reader, 10)["detections"]
    assert "attributes" not in car
    assert reader.last("edgepub/test/cam/status") == b"online"
    (studio.zoo / "reader").rmdir()
    (studio.directory / "reader").rename(studio.zoo / "reader")
    reader.wait_for(lambda r: r.last("edgepub/test/cam/attributes/text") == b"B-AB 123", "the attribute")
    assert reader.payloads("edgepub/test/cam/status").count(b"offline") <= 1, "before the first frame"
    assert daemon.terminate() == 0
    assert "cam: stage reader: " in daemon.log
    assert "cam: stage reader: works again" in daemon.log


def test_labels_of_a_model_that_is_loaded_late_are_compared(start, studio):
    """Without its labels nobody knows what it finds."""
    studio.model("plates", labels=["plate"])
    (studio.zoo / "plates").rename(studio.directory / "plates")
    (studio.zoo / "plates").mkdir()
    then = [{"on": ["car"], "detect": "plates", "labels": ["plaet"]}]
    scene = {None: [CAR_BOX], CAR: [IN_THE_CAR]}
    reader, daemon = start([scene] * 50, {"detect": "people", "then": then})
    last(reader)
    assert "no label" not in daemon.log
    shutil.rmtree(studio.zoo / "plates")
    (studio.directory / "plates").rename(studio.zoo / "plates")
    daemon.wait_for_log("the model has no label 'plaet'; did you mean 'plate'?")


@pytest.mark.slow
def test_a_stage_at_an_ai_server_that_is_killed_comes_back_and_the_camera_stays_online(start, studio):
    """A killed server does not say so: PySDK would wait for it without limit. The other address never answers."""
    scene = {None: [CAR_BOX], CAR: [{"label": "B-AB 123", "score": 0.75}]}
    pipeline = {"detect": "people", "then": [{"on": ["car"], "classify": "reader", "as": "text"}]}
    studio.model("reader")

    def answered(r):
        return "attributes" in r.detections()[-1]["detections"][0]

    with ai_server(studio.zoo) as (port, process):
        servers = [f"127.0.0.1:{free_port()}", f"127.0.0.1:{port}"]
        camera = {"tracking": False, "stall_timeout_s": 4}
        reader, daemon = start([scene] * 50, pipeline, servers=servers, **camera)
        reader.wait_for(lambda r: r.detections() and answered(r), "an attribute")
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    reader.wait_for(lambda r: not answered(r), "a frame without it")
    with ai_server(studio.zoo, port):
        reader.wait_for(answered, "the attribute again")
        used = {"reader": f"127.0.0.1:{port}"}
        reader.wait_for(lambda r: r.stats()[-1]["cameras"]["cam"].get("servers") == used, "its server in stats")
        cam = json.loads(reader.last("edgepub/test/info"))["cameras"]["cam"]
        assert (cam["servers"], "server" in cam) == (used, False), "the detector is on the node"
    statuses = reader.payloads("edgepub/test/cam/status")
    assert statuses[statuses.index(b"online") :] == [b"online"]
    assert daemon.terminate() == 0
    assert re.search("stage reader: .*; trying the next AI server\n", daemon.log)
    assert "stage reader: works again" in daemon.log


def test_two_models_that_find_the_same_object_give_it_once(start):
    """Both echo models see the same results; one is asked for cars only."""
    scene = {None: [CAR_BOX, PERSON]}
    detect = ["people", {"model": "plates", "labels": ["car"]}]
    reader, _ = start([scene] * 50, {"detect": detect})
    assert [one["label"] for one in last(reader)["detections"]] == ["car", "person"]


def test_only_the_labels_of_the_camera_are_published(start):
    """The car is needed to find the plate, and is left out in the end; so the plate has no parent."""
    scene = {None: [CAR_BOX, PERSON], CAR: [IN_THE_CAR]}
    then = [{"on": ["car"], "detect": "plates"}]
    reader, _ = start([scene] * 50, {"detect": "people", "then": then}, labels=["plate"])
    (plate,) = last(reader)["detections"]
    assert plate["label"] == "plate"
    assert "parent" not in plate


def test_a_region_is_what_the_model_sees(start):
    """The region is a square of 64 pixels: its results are written there."""
    scene = {PLATE: [{"bbox": [0, 16, 32, 64], "label": "dog", "score": 0.9}]}
    x, y = PLATE
    region = [x / 640, y / 480, (x + 64) / 640, (y + 64) / 480]
    reader, _ = start([scene] * 50, {"detect": "people"}, region=region)
    (dog,) = last(reader)["detections"]
    assert dog["bbox"] == [x, y + 16, x + 32, y + 64]


@pytest.mark.parametrize(("pad", "height"), [("stretch", 64), ("letterbox", 32)])
def test_a_segmentation_of_a_region_is_at_its_place(start, pad, height):
    """The letterbox has 16 rows above and below the region, filled with spaces."""
    x, y = PLATE
    top, bottom = (64 - height) // 16, 4  # of 8 rows of the segmentation: the upper half of the region
    rows = [[0] * 4 + [int(top <= row < bottom)] * 4 for row in range(8)]
    scene = {PLATE: [{"data": rows}]}
    reader, _ = start(
        [scene] * 50,
        {"detect": "areas"},
        models=["areas"],
        kinds={"areas": {"kind": "Segmentation", "labels": ["background", "road"]}},
        properties={"input_pad_method": pad, "input_letterbox_fill_color": [32, 32, 32]},
        region=[x / 640, y / 480, (x + 64) / 640, (y + height) / 480],
    )
    (road,) = last(reader)["detections"]
    assert (road["label"], road["bbox"]) == ("road", [x + 32, y, x + 64, y + height // 2])
    assert road["share"] == pytest.approx(32 * height // 2 / (640 * 480), abs=1e-4)


def test_tiles_find_what_is_in_them_and_an_object_on_a_border_once(start):
    """Two tiles side by side in a region of 128 x 64 pixels, without overlap."""
    left, right = (256, 320), (320, 320)
    scene = {
        left: [{"bbox": [10, 10, 20, 20], "label": "bird", "score": 0.9}],
        right: [{"bbox": [10, 10, 20, 20], "label": "bird", "score": 0.8}],
    }
    region = [256 / 640, 320 / 480, 384 / 640, 384 / 480]
    tiles = {"columns": 2, "rows": 1, "overlap": 0, "whole": False}
    reader, _ = start([scene] * 50, {"detect": "people", "tiles": tiles}, region=region)
    boxes = [one["bbox"] for one in last(reader)["detections"]]
    assert boxes == [[266, 330, 276, 340], [330, 330, 340, 340]]


def area_around(x1, y1, x2, y2, **more):
    """Return an ignore area, from the pixels of its frame."""
    (left, right), (top, bottom) = ([x / 640 for x in (x1, x2)], [y / 480 for y in (y1, y2)])
    return {"polygon": [[left, top], [right, top], [right, bottom], [left, bottom]], **more}


def found_labels(payload):
    return [one["label"] for one in payload["detections"]]


BELOW_THE_CAR = area_around(220, 300, 240, 310)
ON_THE_PLATE = area_around(230, 284, 234, 292)


@pytest.mark.parametrize(
    ("camera", "labels"),
    [
        ({"ignore": {"a": BELOW_THE_CAR}}, ["person"]),
        ({"ignore": {"a": {**BELOW_THE_CAR, "labels": ["person", "plate"]}}}, ["car", "person", "plate"]),
        ({"ignore": {"a": ON_THE_PLATE}}, ["car", "person"]),
        ({"labels": {"plate": {"min_ratio": 1.9, "max_ratio": 2.1}}}, ["plate"]),
        ({"labels": {"plate": {"min_area": 0.002}, "car": {}}}, ["car"]),
        ({"labels": {"plate": None, "car": {"max_area": 0.01}, "person": {}}}, ["person"]),
        ({"labels": {"plate": None, "person": {"min_score": 0.85}}}, ["plate"]),
        ({"labels": {"plate": {"min_score": 0.75}, "car": {"min_score": 0.1}}, "min_score": 0.95}, ["car"]),
    ],
    ids=["the car", "not the car", "the plate", "shape", "size", "the car's size", "a score", "scores"],
)
def test_what_is_left_out_is_not_looked_into_either(start, camera, labels):
    scene = {None: [CAR_BOX, PERSON], CAR: [IN_THE_CAR]}
    reader, _ = start([scene] * 50, {"detect": "people", "then": [{"on": ["car"], "detect": "plates"}]}, **camera)
    payload = last(reader)
    assert found_labels(payload) == labels
    is_looked_into = "car" in labels or "plate" in labels
    assert ("plates" in payload["timing_ms"]["stages"]) == is_looked_into


def test_an_object_in_several_tiles_is_where_it_is_as_a_whole(start):
    """Two tiles in a region, one overlapping the lower half of the other: the upper one sees its upper part only."""
    upper, lower = (256, 320), (256, 352)
    bird = {"label": "bird", "score": 0.9}
    scene = {
        upper: [{"bbox": [10, 34, 30, 64], **bird}],  # to y = 384
        lower: [{"bbox": [10, 2, 30, 60], **bird}, {"bbox": [40, 10, 50, 30], **bird}],  # from y = 354 to 412
    }
    region = [256 / 640, 320 / 480, 320 / 640, 416 / 480]
    tiles = {"columns": 1, "rows": 2, "overlap": 0.5, "whole": False}
    ignore = {"feet": area_around(270, 400, 282, 416)}
    pipeline = {"detect": "people", "tiles": tiles}
    reader, _ = start([scene] * 50, pipeline, region=region, ignore=ignore)
    assert [one["bbox"] for one in last(reader)["detections"]] == [[296, 362, 306, 382]]


def test_an_embedding_is_published_only_where_it_is_asked_for(start):
    scene = {None: [PERSON | {"bbox": square(*CAR)}], CAR: [{"name": "out", "shape": [3], "data": [1, 2, 3]}]}
    then = [{"on": ["person"], "embed": "reader"}]
    reader, _ = start(
        [scene] * 50, {"detect": "people", "then": then}, include=["embedding"], kinds={"reader": {"kind": "None"}}
    )
    reader.wait_for(lambda r: any("embedding" in one for d in r.detections() for one in d["detections"]), "one")
    last(reader, 10)
    found = [one["embedding"] for d in reader.detections() for one in d["detections"] if "embedding" in one]
    assert found == [[1, 2, 3]], "when it is new; then it is not seen better"


def test_what_a_model_alone_reads_is_settled_by_the_votes_of_all_frames(start):
    """It misreads the plate now and then; tracks and counts do not see that."""
    texts = [f"B-AB {number:03}" if number % 11 == 5 else "B-AB 123" for number in range(60)]
    scenes = [{None: [CAR_BOX | {"label": text}]} for text in texts]
    camera = {"model": "people", "text_labels": {"as": "plate", "label": "plate"}}
    reader, daemon = start(scenes, {"detect": "people"}, **camera)
    reader.wait_for(lambda r: r.last("edgepub/test/cam/attributes/plate"), "the plate")
    last(reader, 30)
    assert reader.last("edgepub/test/cam/attributes/plate") == b"B-AB 123"
    plates = [one for payload in reader.detections() for one in payload["detections"]]
    assert {one["label"] for one in plates} == {"plate"}
    assert len({one["track_id"] for one in plates if "track_id" in one}) == 1
    assert plates[-1]["attributes"]["plate"]["label"] == "B-AB 123"
    assert reader.last("edgepub/test/cam/objects/plate") == b"1"
    assert daemon.terminate() == 0


def test_an_embedding_with_a_name_is_asked_for_as_seldom(start):
    scene = {None: [PERSON | {"bbox": square(*CAR)}], CAR: [{"name": "out", "shape": [3], "data": [1, 2, 3]}]}
    then = [{"on": ["person"], "embed": "reader", "as": "reid"}]
    kinds = {"reader": {"kind": "None"}}
    reader, _ = start([scene] * 50, {"detect": "people", "then": then}, kinds=kinds, include=["embedding"])
    last(reader, 15)
    assert sum("embedding" in one for d in reader.detections() for one in d["detections"]) == 1


def test_texts_are_settled_also_in_a_region(start):
    x, y = PLATE
    scene = {PLATE: [{"bbox": [0, 16, 32, 64], "label": "B-AB 123", "score": 0.9}]}
    camera = {
        "model": "people",
        "text_labels": {"as": "text", "label": "plate"},
        "region": [x / 640, y / 480, (x + 64) / 640, (y + 64) / 480],
    }
    reader, _ = start([scene] * 100, {"detect": "people"}, **camera)
    reader.wait_for(lambda r: r.last("edgepub/test/cam/attributes/text") == b"B-AB 123", "the text")


def test_a_detector_without_a_valid_object_costs_the_others_nothing(start):
    """The second one, another echo model of the same frame, is asked for a label whose only object is invalid."""
    scene = {None: [PERSON, {"bbox": [1, 2, 3, 4], "label": "car", "score": "high"}]}
    reader, _ = start([scene] * 50, {"detect": ["people", {"model": "plates", "labels": ["car"]}]})
    assert [one["label"] for one in last(reader)["detections"]] == ["person"]


def test_the_same_object_in_two_overlapping_ones_is_published_once(start):
    """Two cars in the same place: the same plate is found in both."""
    scene = {None: [CAR_BOX, CAR_BOX | {"label": "truck", "score": 0.8}], CAR: [IN_THE_CAR]}
    reader, _ = start([scene] * 50, {"detect": "people", "then": [{"on": ["car", "truck"], "detect": "plates"}]})
    assert [one["label"] for one in last(reader)["detections"]] == ["car", "truck", "plate"]


def test_a_camera_that_serves_one_client_is_read_once_for_two_models(mosquitto, subscribe, run_daemon, studio):
    """Each of the two echo models is asked for one label only."""
    reader = subscribe(mosquitto.port)
    video = Path(film(studio.directory / "film.avi", [{None: [CAR_BOX, PERSON]}] * 10))
    with LiveCamera(video, 10) as camera, OneClient(urlsplit(camera.url).port) as front:
        settings = studio.settings(mosquitto.url, front.url)
        settings["models"] = {name: studio.model(name) for name in ("people", "cars")}
        detect = [{"model": "people", "labels": ["person"]}, {"model": "cars", "labels": ["car"]}]
        settings["pipelines"] = {"gate": {"detect": detect}}
        settings["cameras"]["cam"] |= {"model": "gate", "tracking": True}
        daemon = run_daemon(settings)
        payload = last(reader, 20)
        assert {one["label"] for one in payload["detections"]} == {"person", "car"}
        assert set(payload["timing_ms"]["stages"]) == {"people", "cars"}
        assert front.connections == 1
        with pytest.raises(HTTPError, match="503"):
            urlopen(front.url, timeout=30)
        last(reader, 30)
        assert daemon.terminate() == 0
    assert reader.payloads("edgepub/test/cam/status").count(b"online") == 1
    assert front.connections == 2, "the daemon's and this test's"
