"""Any result gives a valid payload, or an error with the reason."""

import base64
import json
import math
import time

import jsonschema
import numpy as np
import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgepub.camera.frames import Frame, PixelMap, Result
from edgepub.camera.payloads import DetectionsBuilder
from edgepub.camera.pipeline.crops import Part
from edgepub.camera.results.budget import MAX_BYTES, MAX_PIXELS, limit_objects
from edgepub.camera.results.objects import Wanted, read_objects
from edgepub.config.detection_fields import MESSAGE_KEYS, OBJECT_KEYS
from edgepub.core.errors import InvalidResultError
from edgepub.mqtt.payloads import detections
from edgepub.mqtt.payloads.schema import json_schema

VALIDATOR = jsonschema.Draft202012Validator(json_schema(detections.VALIDATOR))
IDENTITY = {"node": "garage", "camera": "porch", "boot_id": "boot"}
WIDTH, HEIGHT = 640, 480
FRAME = Frame(np.zeros((HEIGHT, WIDTH, 3), np.uint8), 7, 1700000000.25, 50.0, 0.0)


def build(objects, labels=None, min_score=0.0, timing=None):
    builder = DetectionsBuilder(IDENTITY, Wanted(labels, min_score))
    result = Result(FRAME, objects, timing or {}, 0.0, 0.0)
    return builder.build(result, builder.read(result).objects, 3)


def read(objects, labels=None, min_score=0.0, to_frame=None):
    return read_objects(Result(FRAME, objects, {}, 0.0, 0.0, to_frame), Wanted(labels, min_score))


def on_the_wire(objects, **more):
    """Return the payload as a reader of the topic sees it, checked against the printed schema."""
    payload = json.loads(detections.encode(build(objects, **more), 12.3456, 2), parse_constant=pytest.fail)
    VALIDATOR.validate(payload)
    return payload


def test_a_detection_of_a_model_becomes_this_payload():
    payload = on_the_wire(
        [{"bbox": [64.0, 48, 320.126, 500], "category_id": 0, "label": "person", "score": 0.912345}],
        timing={"preprocess": 0.1, "inference": 5.25},
    )
    assert payload == {
        "timestamp": 1700000000.25,
        "time": "2023-11-14T22:13:20.250Z",
        "detections": [
            {
                "label": "person",
                "score": 0.9123,
                "bbox": [64.0, 48.0, 320.13, 480.0],
                "bbox_norm": [0.1, 0.1, 0.5002, 1.0],
                "category_id": 0,
            }
        ],
        "schema": "edgepub.detections/1",
        "node": "garage",
        "camera": "porch",
        "boot_id": "boot",
        "seq": 3,
        "frame": 7,
        "width": 640,
        "height": 480,
        "clock": "arrival",
        "timing_ms": {"preprocess": 0.1, "inference": 5.25, "capture_to_publish": 12.346},
        "dropped": 2,
    }
    assert list(payload)[:2] == ["timestamp", "detections"], "as in DeGirum's streaming example"


def test_an_empty_result_gives_a_payload():
    assert on_the_wire([])["detections"] == []


@pytest.mark.parametrize("number", [np.float32, np.float64, np.int64, np.uint8, int, float])
def test_numpy_values_become_plain_json(number):
    (detection,) = on_the_wire(
        [
            {
                "bbox": np.array([1, 2, 3, 4], dtype=number),
                "category_id": np.int64(5),
                "label": np.str_("cat"),
                "score": number(1),
            }
        ]
    )["detections"]
    assert detection["bbox"] == [1, 2, 3, 4]
    assert (detection["label"], detection["category_id"], detection["score"]) == ("cat", 5, 1)


@pytest.mark.parametrize(
    ("box", "clamped"),
    [
        ([-10, -20, 700, 500], [0, 0, 640, 480]),
        ([100, 200, 50, 100], [50, 100, 100, 200]),
        ([-50, -50, -10, -10], [0, 0, 0, 0]),
        ([700, 10, 900, 20], [640, 10, 640, 20]),
    ],
)
def test_boxes_are_in_the_frame_and_in_order(box, clamped):
    assert on_the_wire([{"bbox": box, "label": "a", "score": 0.5}])["detections"][0]["bbox"] == clamped


def test_a_classification_covers_the_whole_frame():
    (detection,) = on_the_wire([{"category_id": 3, "label": "cat", "score": 0.8}])["detections"]
    assert detection["bbox"] == [0, 0, 640, 480]
    assert detection["bbox_norm"] == [0, 0, 1, 1]


def test_a_classification_with_several_classifiers():
    nested = [{"classifier": "colour", "results": [{"label": "red", "score": 0.7}, {"label": "blue", "score": 0.2}]}]
    assert [d["label"] for d in on_the_wire(nested)["detections"]] == ["red", "blue"]


def test_a_number_stands_in_for_an_empty_label():
    assert on_the_wire([{"label": "", "category_id": 0, "score": 0.9}])["detections"][0]["label"] == "0"


def test_a_number_stands_in_for_a_missing_label():
    assert on_the_wire([{"bbox": [1, 2, 3, 4], "category_id": 7, "score": 0.5}])["detections"][0]["label"] == "7"


def test_landmarks_keep_degirums_names():
    mark = {"category_id": 0, "label": "nose", "landmark": [np.float32(10.5), 20], "score": 0.9, "connect": [1]}
    (detection,) = on_the_wire([{"bbox": [1, 2, 3, 4], "label": "face", "score": 0.9, "landmarks": [mark]}])[
        "detections"
    ]
    assert detection["landmarks"] == [{"label": "nose", "landmark": [10.5, 20], "score": 0.9}]


def test_labels_and_scores_are_chosen():
    objects = [
        {"bbox": [1, 2, 3, 4], "label": label, "score": score}
        for label, score in [("person", 0.9), ("person", 0.5), ("person", 0.4999), ("car", 0.9)]
    ]
    kept = on_the_wire(objects, labels=["person"], min_score=0.5)["detections"]
    assert [(d["label"], d["score"]) for d in kept] == [("person", 0.9), ("person", 0.5)]


GOOD = {"bbox": [1, 2, 3, 4], "label": "a", "score": 0.5}


@pytest.mark.parametrize(
    ("objects", "why"),
    [
        ({"error": "no device"}, "is a list, this one is of type dict"),
        (None, "is a list, this one is of type NoneType"),
        ("text", "is a list, this one is of type str"),
        ([np.zeros((4, 4))], "is a dictionary, this one is of type ndarray"),
        ([GOOD | {"score": math.nan}], "not finite"),
        ([GOOD | {"score": math.inf}], "not finite"),
        ([GOOD | {"bbox": [1, 2, math.nan, 4]}], "not finite"),
        ([GOOD | {"bbox": [1, 2, 3]}], "no four numbers"),
        ([GOOD | {"bbox": [1, 2, 3, 4, 5]}], "no four numbers"),
        ([GOOD | {"bbox": None}], "no four numbers"),
        ([GOOD | {"score": "high"}], "no number"),
        ([{"bbox": [1, 2, 3, 4], "label": "a"}], "without a score"),
        ([{"bbox": [1, 2, 3, 4], "score": 0.5}], "neither label nor category_id"),
        ([{**GOOD, "label": "", "category_id": None}], "a detection with neither label nor category_id"),
        ([GOOD | {"label": "\ud800"}], "label that is no valid text"),
        ([GOOD | {"category_id": "x"}], "category_id that is no integer"),
        ([GOOD | {"category_id": 2**70}], "category_id that is no integer"),
        ([GOOD | {"score": 10**400}], "no number"),
        ([GOOD | {"landmarks": [[1, 2]]}], "landmark"),
        ([GOOD | {"landmarks": np.zeros((2, 2))}], "landmarks are a list"),
        ([GOOD | {"landmarks": 5}], "landmarks are a list"),
        ([GOOD | {"landmarks": [{"landmark": [10**400, 1]}]}], "landmark"),
        ([GOOD | {"landmarks": [{"landmark": [1, math.nan]}]}], "landmark"),
        ([{"data": np.zeros(4), "results": 5}], "is a list, this one is of type int"),
    ],
)
def test_an_invalid_result_gives_a_reason(objects, why):
    with pytest.raises(InvalidResultError, match=why):
        build(objects)


class Raising(dict):
    """A dictionary that cannot be read."""

    def __getitem__(self, key):
        raise RuntimeError(key)

    get = __contains__ = __getitem__


class RaisingList(list):
    def __iter__(self):
        raise RuntimeError


BAD = [
    None,
    5,
    "text",
    [GOOD],
    np.zeros(4),
    Raising(GOOD),
    {},
    {"results": 5},
    {"results": RaisingList([GOOD])},
    GOOD | {"score": math.nan},
    GOOD | {"score": -math.inf},
    GOOD | {"score": None},
    GOOD | {"score": "1" * 5000},
    GOOD | {"bbox": [1, 2, math.inf, 4]},
    GOOD | {"bbox": [1e308, 1, 1e308, 4]},
    GOOD | {"label": None},
    GOOD | {"label": ["a"]},
    GOOD | {"label": 10**5000},
    GOOD | {"category_id": 1.5},
    GOOD | {"category_id": [1]},
    GOOD | {"landmarks": [{"landmark": [1e308, 1]}]},
    GOOD | {"landmarks": [{"landmark": [1, 2], "score": math.nan}]},
    GOOD | {"landmarks": [{"landmark": [1, 2], "label": "\ud800"}]},
    GOOD | {"landmarks": RaisingList([1])},
]


@pytest.mark.parametrize("bad", BAD, ids=range(len(BAD)))
def test_a_bad_object_costs_no_other(bad):
    objects, invalid, too_many, *_ = read([GOOD, bad, {**GOOD, "label": "b"}])
    assert [o["label"] for o in objects] == ["a", "b"]
    assert (sum(invalid.values()), too_many) == (1, 0)
    assert all(len(what) < 100 for what in invalid)


def test_what_is_not_wanted_is_not_bad():
    """A result with objects, none of which is wanted, is a valid one."""
    objects, invalid, *_ = read([{**GOOD, "score": math.nan}, GOOD], min_score=0.6)
    assert (objects, sum(invalid.values())) == ([], 1)
    assert read([{**GOOD, "label": "b", "bbox": None}], labels=["a"])[:3] == ([], {}, 0)


def test_the_best_500_objects_are_kept():
    many = [{**GOOD, "score": n / 10_000, "label": "ab"[n % 2]} for n in range(5000)]
    objects, invalid, too_many, *_ = read(many)
    assert [o["score"] for o in objects] == [n / 10_000 for n in range(4999, 4499, -1)]
    assert (invalid, too_many) == ({}, 4500)
    objects, _, too_many, *_ = read(many, labels=["a"], min_score=0.1)
    assert {o["label"] for o in objects} == {"a"}
    assert (len(objects), too_many) == (500, 1500), "of those that are wanted"
    objects, invalid, too_many, *_ = read([*many, *[{**GOOD, "score": 0.9, "bbox": None}] * 500])
    assert (len(objects), sum(invalid.values()), too_many) == (500, 500, 4500), "the next ones take their places"


def test_up_to_500_objects_are_in_the_order_of_the_model():
    scores = [0.1 + (n * 7 % 500) / 1000 for n in range(500)]
    objects, _, too_many, *_ = read([{**GOOD, "score": score} for score in scores])
    assert [o["score"] for o in objects] == [round(score, 4) for score in scores]
    assert too_many == 0


def test_landmarks_have_a_limit_for_all_objects_together():
    face = {**GOOD, "landmarks": [{"landmark": [1, 2]}] * 468}
    objects, invalid, too_many, *_ = read([face] * 12 + [GOOD])
    assert (len(objects), invalid, too_many) == (11, {}, 2)
    with pytest.raises(InvalidResultError, match="more than 5000 points"):
        read([{**GOOD, "landmarks": [{"landmark": [1, 2]}] * 10**6}])


def test_points_are_scaled_to_the_frame():
    mark = {"landmark": [10, 20, 0.5], "label": "nose"}
    (detection,) = read([{**GOOD, "landmarks": [mark]}], to_frame=PixelMap(2, 3, 0, 0)).objects
    assert detection["bbox"] == (2, 6, 6, 12)
    assert detection["landmarks"] == [{"label": "nose", "landmark": (20, 60), "visibility": 0.5}]


def test_a_result_that_contains_itself_ends():
    cyclic = [GOOD, {"results": []}]
    cyclic[1]["results"] = cyclic
    assert len(read(cyclic).objects) == 1
    wide = [{"results": None} for _ in range(5000)]
    for one in wide:
        one["results"] = wide
    assert read(wide).objects == []
    deep = [GOOD]
    for _ in range(100_000):
        deep = [{"results": deep}]
    assert len(read(deep).objects) == 1


numbers = st.one_of(
    st.floats(),
    st.integers(-(10**6), 10**6),
    st.sampled_from([10**400, -(2**70)]),
    st.floats(width=32).map(np.float32),
    st.integers(0, 255).map(np.uint8),
    st.none(),
    st.text(max_size=3),
)
boxes = st.one_of(
    st.lists(numbers, max_size=6),
    st.lists(st.floats(-2000, 2000), min_size=4, max_size=4).map(np.array),
    st.lists(st.integers(-2000, 2000), min_size=4, max_size=4),
    st.none(),
)
points = st.fixed_dictionaries({}, optional={"landmark": boxes, "label": st.text(max_size=3), "score": numbers})
objects = st.recursive(
    st.fixed_dictionaries(
        {},
        optional={
            "bbox": boxes,
            "score": numbers,
            "label": st.one_of(st.text(), st.none(), st.integers()),
            "category_id": numbers,
            "landmarks": st.one_of(st.none(), numbers, st.just(np.zeros((2, 2))), st.lists(points, max_size=3)),
            "mask": st.just(np.zeros((2, 2))),
        },
    ),
    lambda inner: st.fixed_dictionaries({"classifier": st.text(max_size=3), "results": st.lists(inner, max_size=3)}),
    max_leaves=4,
)


@given(st.one_of(st.lists(st.one_of(objects, numbers), max_size=4), numbers, objects))
@settings(max_examples=600, deadline=None)
def test_any_result_gives_a_valid_payload_or_is_rejected(result):
    try:
        payload = on_the_wire(result)
    except InvalidResultError as error:
        assert len(str(error)) > 5
        return
    for detection in payload["detections"]:
        x1, y1, x2, y2 = detection["bbox"]
        assert 0 <= x1 <= x2 <= WIDTH
        assert 0 <= y1 <= y2 <= HEIGHT
        assert all(0 <= value <= 1 for value in detection["bbox_norm"])
        assert detection["bbox_norm"][2] == pytest.approx(x2 / WIDTH, abs=2e-5)


@given(st.lists(st.tuples(st.floats(0, 1), st.floats(-100, 900, allow_nan=False)), min_size=1, max_size=20))
@settings(max_examples=200, deadline=None)
def test_a_valid_result_loses_nothing(scores_and_places):
    result = [{"bbox": [x, x, x + 10, x + 20], "label": "a", "score": score} for score, x in scores_and_places]
    kept = on_the_wire(result, min_score=0.5)["detections"]
    assert [d["score"] for d in kept] == [s for s in (round(score, 4) for score, _ in scores_and_places) if s >= 0.5]


def test_the_printed_schema_rejects_invalid_payloads():
    jsonschema.Draft202012Validator.check_schema(json_schema(detections.VALIDATOR))
    good = orjson.loads(detections.encode(build([GOOD]), 1.0, 0))
    VALIDATOR.validate(good)
    for wrong in (
        {"schema": "edgepub.detections/2"},
        {"seq": 0},
        {"timestamp": "now"},
        {"detections": [{"label": "a"}]},
    ):
        assert not VALIDATOR.is_valid({**good, **wrong})
    for key in good.keys() - {"clock", "schema", "time"}:
        assert not VALIDATOR.is_valid({k: v for k, v in good.items() if k != key}), key
    for key in ("label", "score", "bbox", "bbox_norm"):
        objects = [{k: v for k, v in detection.items() if k != key} for detection in good["detections"]]
        assert not VALIDATOR.is_valid({**good, "detections": objects}), key


FULL = {**GOOD, "category_id": 2, "angle": 0.5, "speed": 7, "lane": "left"}


def choose_fields(fields, raw=FULL, include=("speed", "lane")):
    """Return the payload of a camera with these `fields`, and without any choice; checked against the schema."""
    payloads = []
    for choice in (fields, "all"):
        builder = DetectionsBuilder(IDENTITY, Wanted(include=include), choice)
        result = Result(FRAME, [raw], {"inference": 5.25}, 0.0, 0.0)
        (detection,) = objects = builder.read(result).objects
        detection |= {"track_id": 4, "zones": ["driveway"]}  # as the analysis does
        payloads.append(json.loads(detections.encode(builder.build(result, objects, 3), 12.3456, 2)))
        VALIDATOR.validate(payloads[-1])
    return payloads


def test_a_lean_payload_is_the_one_of_degirums_example():
    lean, _ = choose_fields("lean")
    assert list(lean) == ["timestamp", "detections"]
    (detection,) = lean["detections"]
    assert list(detection) == ["label", "score", "bbox"]


def test_a_list_of_fields_adds_keys_to_the_lean_ones():
    chosen, full = choose_fields(
        ["seq", "dropped", "timing_ms", "detections.track_id", "detections.speed", "detections"]
    )
    lean, _ = choose_fields("lean")
    (detection,), (full_detection,) = chosen.pop("detections"), full["detections"]
    assert detection == lean.pop("detections")[0] | {"track_id": 4, "speed": 7}
    assert chosen == lean | {"seq": 3, "dropped": 2, "timing_ms": {"inference": 5.25, "capture_to_publish": 12.346}}
    assert full_detection == full_detection | detection
    assert full == full | chosen


def test_each_key_of_the_schema_can_be_chosen_and_no_other():
    schema = json_schema(detections.VALIDATOR)
    assert {*MESSAGE_KEYS} == schema["properties"].keys() - {"schema"}
    assert {*OBJECT_KEYS} == schema["$defs"]["Detection"]["properties"].keys()
    of_objects = [f"detections.{key}" for key in (*OBJECT_KEYS, "speed", "lane")]
    chosen, full = choose_fields([*MESSAGE_KEYS, *of_objects])
    assert chosen == {key: value for key, value in full.items() if key != "schema"}


@pytest.mark.parametrize("fields", ["lean", ["detections.parent"], ["seq", "detections.zones"]])
def test_a_payload_without_schema_has_at_least_the_lean_keys(fields):
    payload, _ = choose_fields(fields)
    for key in ("timestamp", "detections"):
        assert not VALIDATOR.is_valid({k: v for k, v in payload.items() if k != key}), key
    assert not VALIDATOR.is_valid(payload | {"schema": "edgepub.detections/1"}), "that would have all keys"
    assert not VALIDATOR.is_valid(payload | {"detections": [{"label": "a", "score": 0.5}]})


def test_a_key_of_another_kind_costs_no_object():
    """A Python postprocessor may use the names in another sense."""
    raw = {**GOOD, "handedness": "Left", "text": 7, "classifier": {}, "share": 37, "angle": None, "mask": None}
    (detection,) = on_the_wire([raw])["detections"]
    assert detection.keys() == {"label", "score", "bbox", "bbox_norm"}


@pytest.mark.parametrize("place", [math.nan, math.inf])
def test_a_mask_without_a_place_is_invalid(place):
    runs = base64.b64encode(np.array([1, 4], np.uint32).tobytes()).decode()
    mask = {"x_min": place, "y_min": 0, "width": 2, "height": 2, "data": runs}
    with pytest.raises(InvalidResultError, match="not finite"):
        read([{**GOOD, "mask": mask}])


def included(objects, *keys):
    result = Result(FRAME, objects, {}, 0.0, 0.0)
    return read_objects(result, Wanted(include=keys)).objects


def test_included_keys_replace_nothing():
    mark = {"landmark": [10, 20], "label": "nose", "connect": [0, 99], "depth": 3}
    (pose,) = included([{"landmarks": [mark], "action": "run"}], "connect", "landmark", "depth", "action")
    assert (pose["label"], pose["score"], pose["action"]) == ("pose", 1, "run")
    assert pose["landmarks"] == [{"label": "nose", "landmark": (10, 20), "connect": [0], "depth": 3}]


def test_data_can_be_included_as_they_are():
    (found,) = included([{"data": {"queue": 3}}], "data")
    assert (found["label"], found["data"]) == ("result", {"queue": 3})


def test_a_share_is_one_of_the_frame_also_if_the_model_saw_a_part_of_it():
    result = Result(FRAME, [{"data": np.ones((4, 4))}], {}, 0.0, 0.0, visible=(0.0, 0.0, 320.0, 240.0))
    (found,) = read_objects(result, Wanted()).objects
    assert found["share"] == 0.25


def encode_mask(pixels):
    """Return a mask as PySDK encodes it."""
    flat = pixels.ravel()
    starts = np.concatenate([[0], np.flatnonzero(np.diff(flat)) + 1])
    runs = np.concatenate([flat[starts], np.diff(np.concatenate([starts, [flat.size]]))])
    height, width = pixels.shape
    data = base64.b64encode(runs.astype(np.uint32).tobytes()).decode()
    return {"x_min": 0, "y_min": 0, "width": width, "height": height, "data": data}


TRIANGLE = np.tri(20, dtype=np.uint8)
NOISE = np.random.default_rng(1).integers(0, 1000, (1080, 1920))
FULL_HD = encode_mask(np.ones((1080, 1920), np.uint8))
MARK = {"landmark": [1, 2]}
COSTLY = {
    "a category for each pixel": ([{"data": NOISE}], {}),
    "large masks": ([{**GOOD, "mask": FULL_HD}] * 500, {}),
    "a mask of one column": ([{**GOOD, "mask": encode_mask(np.ones((16_000_000, 1), np.uint8))}] * 20, {}),
    "masks full of holes": ([{**GOOD, "mask": encode_mask(NOISE[:255, :255] % 2)}] * 500, {}),
    "large tensors": ([{"name": "e", "shape": [4096], "data": NOISE.ravel()[:4096] / 7}] * 500, {}),
    "landmarks that are all connected": ([GOOD, {**GOOD, "landmarks": [{**MARK, "connect": range(5000)}] * 5000}], {}),
    "landmarks with connections": ([GOOD, {**GOOD, "landmarks": [{**MARK, "connect": [4999] * 50}] * 5000}], {}),
    "landmarks with long labels": ([GOOD, {**GOOD, "landmarks": [{**MARK, "label": "ü" * 256}] * 5000}], {}),
    "bad landmarks": ([GOOD, *[{**GOOD, "landmarks": [*[MARK] * 4999, {}]}] * 500], {}),
    "long values": ([{**GOOD, "x": "y" * 16_000}] * 500, {"include": ["x"]}),
    "long values of landmarks": (
        [GOOD, {**GOOD, "landmarks": [{**MARK, "x": "y" * 16_000}] * 5000}],
        {"include": ["x"]},
    ),
    "too long values": ([GOOD, *[{**GOOD, "x": [0] * 1_000_000}] * 500], {"include": ["x"]}),
}


@pytest.mark.parametrize("name", COSTLY)
def test_an_odd_result_costs_neither_seconds_nor_megabytes(name):
    """Each took up to 30 s, or made payloads of up to 120 MB."""
    objects, wanted = COSTLY[name]
    began_s = time.thread_time()
    found = read_objects(Result(FRAME, objects, {}, 0.0, 0.0), Wanted(**wanted))
    assert time.thread_time() - began_s < 10, "a third of a second on a computer with nothing else to do"
    assert found.objects
    assert found.too_many or found.invalid
    assert len(orjson.dumps(found.objects)) < 2**20


def test_the_pixels_of_all_masks_together_are_limited():
    found = read([{**GOOD, "mask": FULL_HD}] * 30)
    assert (len(found.objects), found.too_many) == (MAX_PIXELS // (1920 * 1080), 10)


def test_only_invalid_values_cost_no_other_object():
    objects = [{**GOOD, "x": {1, 2}}] * 100 + [{**GOOD, "mask": "?"}] * 100
    found = read_objects(
        Result(FRAME, [*objects, {**GOOD, "x": 3, "mask": encode_mask(TRIANGLE)}], {}, 0.0, 0.0), Wanted(include=["x"])
    )
    assert (len(found.objects), sum(found.invalid.values()), found.too_many) == (1, 200, 0)


def test_the_objects_of_several_models_together_are_limited_in_bytes():
    one = read([{"name": "e", "shape": [4096], "data": NOISE.ravel()[:4096] / 7}] * 15).objects
    kept, too_many = limit_objects([*one, *one])
    assert len(orjson.dumps(kept)) <= MAX_BYTES + 1000
    assert (len(kept) + too_many, len(kept) > 15) == (30, True)


@pytest.mark.parametrize("size", [(40, 30), (8, 6)])
def test_a_segmentation_of_a_part_of_the_frame_without_scaling_is_at_its_place(size):
    """A model that takes no pictures of a size of its own: its points are pixels of what it was given."""
    part = Part(160, 120, 480, 360)  # a quarter of the frame
    columns, rows = size
    data = np.zeros((rows, columns), int)
    data[: rows // 2, columns // 2 :] = 1
    result = part.place(Result(FRAME, [{"data": data}], {}, 0.0, 0.0, None, None), FRAME)
    (found,) = read_objects(result, Wanted(["1"])).objects
    assert (found["bbox"], found["share"]) == ((320, 120, 480, 240), 0.0625)
    assert np.ptp(found["mask"], axis=0) == pytest.approx((160, 120), abs=2)


@pytest.mark.parametrize(
    ("to_input", "share"),
    [
        (PixelMap(320 / 64, 240 / 64, 0.0, 0.0), 0.0625),  # stretched to the model's input
        (PixelMap(5.0, 5.0, 0.0, -40.0), 0.0625),  # in a letterbox: 8 rows above and below
    ],
    ids=["stretch", "letterbox"],
)
def test_a_segmentation_of_a_part_of_the_frame_with_scaling_is_at_its_place(to_input, share):
    part = Part(160, 120, 480, 360)
    data = np.zeros((32, 32), int)
    top = 4 if to_input.top else 0
    data[top:16, 16:] = 1  # the upper right quarter of what the model was given
    result = part.place(Result(FRAME, [{"data": data}], {}, 0.0, 0.0, to_input, (64, 64)), FRAME)
    (found,) = read_objects(result, Wanted(["1"])).objects
    assert (found["bbox"], found["share"]) == ((320, 120, 480, 240), share)
