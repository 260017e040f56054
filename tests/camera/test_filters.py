"""What is left out by its label's filter, or because it is in an ignore area, and nothing else."""

import math
import time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgepub.camera.frames import Frame, PixelMap, Result
from edgepub.camera.results.filters import Filters
from edgepub.camera.results.objects import Wanted, read_objects
from edgepub.config.areas import Anchor, IgnoreSettings
from edgepub.config.labels import LabelSettings

WIDTH, HEIGHT = 1000, 500
FRAME = Frame(np.zeros((HEIGHT, WIDTH, 3), np.uint8), 7, 0.0, 0.0, 0.0)
LEFT_HALF = [[0, 0], [0.5, 0], [0.5, 1], [0, 1]]
ALONG = {"left": 0, "top": 0, "center": 0.5, "right": 1, "bottom": 1}


def one(label, box, score=0.9, **more):
    return {"label": label, "bbox": box, "score": score, **more}


def filters(labels=None, ignore=()):
    labels = {label: LabelSettings(**settings) for label, settings in (labels or {}).items()}
    return Filters(labels, [IgnoreSettings(**area) for area in ignore])


def read(objects, to_frame=None, **wanted):
    """Return the labels and scores of the objects that are kept."""
    found = read_objects(Result(FRAME, objects, {}, 0.0, 0.0, to_frame), Wanted(**wanted))
    assert (found.invalid, found.too_many) == ({}, 0)
    return found.objects


def kept(objects, **wanted):
    return [(found["label"], found["score"]) for found in read(objects, **wanted)]


def test_a_label_has_its_own_score_instead_of_the_cameras():
    scores = (0.2, 0.3, 0.5, 0.7)
    objects = [one(label, [0, 0, 9, 9], score) for label in ("car", "dog", "person") for score in scores]
    own = {"car": 0.6, "person": 0.3}
    assert kept(objects, min_score=0.4, min_scores=own) == [
        ("car", 0.7), ("dog", 0.5), ("dog", 0.7), ("person", 0.3), ("person", 0.5), ("person", 0.7),
    ]  # fmt: skip


def test_a_score_that_is_published_is_never_below_its_own():
    assert kept([one("car", [0, 0, 9, 9], 0.59996), one("car", [0, 0, 9, 9], 0.59994)], min_scores={"car": 0.6}) == [
        ("car", 0.6)
    ]


BOX = [100, 100, 300, 200]  # 0.2 x 0.2 of the frame, twice as wide as high


@pytest.mark.parametrize(
    ("settings", "is_kept"),
    [
        ({}, True),
        ({"min_area": 0.039}, True),
        ({"min_area": 0.041}, False),
        ({"max_area": 0.041}, True),
        ({"max_area": 0.039}, False),
        ({"min_ratio": 2}, True),
        ({"min_ratio": 2.01}, False),
        ({"max_ratio": 2}, True),
        ({"max_ratio": 1.99}, False),
        ({"min_area": 0.03, "max_area": 0.05, "min_ratio": 1, "max_ratio": 3}, True),
        ({"min_area": 0.03, "max_area": 0.05, "min_ratio": 1, "max_ratio": 1.5}, False),
    ],
)
def test_the_size_and_the_shape_of_a_labels_boxes(settings, is_kept):
    found = kept([one("car", BOX), one("person", BOX)], filters=filters({"car": settings}))
    assert found == [("car", 0.9)] * is_kept + [("person", 0.9)]


@pytest.mark.parametrize(("box", "is_kept"), [([100, 100, 100, 200], False), ([100, 100, 100, 100], True)])
def test_a_box_without_a_width_has_no_ratio_that_fails(box, is_kept):
    assert len(kept([one("car", box)], filters=filters({"car": {"min_ratio": 0.1}}))) == is_kept


@pytest.mark.parametrize(("angle", "is_kept"), [(0.0, True), (math.pi / 2, False), (math.pi / 4, False)])
def test_a_rotated_object_has_the_extent_of_its_corners(angle, is_kept):
    """Turned by 90 degrees it is upright; by 45 degrees its extent is a square."""
    flat = filters({"boat": {"min_ratio": 1.5}})
    assert len(read([one("boat", BOX, angle=angle)], filters=flat)) == is_kept


def test_a_rotated_object_stands_at_the_bottom_of_its_extent():
    below = [[0.1, 0.45], [0.3, 0.45], [0.3, 0.55], [0.1, 0.55]]  # the box ends at 0.4, its extent if turned at 0.5
    ignoring = filters(ignore=[{"polygon": below}])
    assert [len(read([one("boat", BOX, angle=angle)], filters=ignoring)) for angle in (0.0, math.pi / 2)] == [1, 0]


def test_boxes_are_measured_in_the_frame_and_not_in_the_picture_of_the_model():
    """As for a region, a tile or a crop: the model saw the right half at half the size."""
    to_frame = PixelMap(2.0, 2.0, 500.0, 0.0)
    ignoring = filters({"car": {"min_area": 0.1}}, [{"polygon": [[0.9, 0], [1, 0], [1, 1], [0.9, 1]]}])
    large, small, far = [0, 0, 150, 150], [0, 0, 100, 100], [200, 0, 250, 250]
    found = read([one("car", box) for box in (large, small, far)], to_frame, filters=ignoring)
    assert [detection["bbox"] for detection in found] == [(500.0, 0.0, 800.0, 300.0)]


def test_an_ignore_area_may_be_for_some_labels():
    ignoring = filters(ignore=[{"polygon": LEFT_HALF, "labels": ["flag"]}])
    objects = [one("flag", BOX), one("person", BOX), one("flag", [700, 100, 900, 200])]
    assert [found["bbox"][0] for found in read(objects, filters=ignoring)] == [100, 700]


def test_more_objects_than_a_result_may_have_are_no_loss_if_they_are_ignored():
    ignored = [one("flag", BOX)] * 800
    found = read([*ignored, one("flag", [700, 100, 900, 200], 0.5)], filters=filters(ignore=[{"polygon": LEFT_HALF}]))
    assert [detection["bbox"][0] for detection in found] == [700]


def test_what_ignored_objects_have_does_not_count_to_what_a_result_may_have():
    marks = {"landmarks": [{"landmark": [1, 2]}] * 1000}
    objects = [*[one("flag", BOX, **marks)] * 4, *[one("person", [700, 100, 900, 200], **marks)] * 4]
    found = read(objects, filters=filters(ignore=[{"polygon": LEFT_HALF}]))
    assert [detection["label"] for detection in found] == ["person"] * 4


def test_ignored_objects_cost_no_more_than_others():
    marks = {"landmarks": [{"landmark": [1, 2], "connect": [1]}] * 5000}
    result = Result(FRAME, [one("flag", BOX, **marks)] * 500, {}, 0.0, 0.0)
    began_s = time.thread_time()
    found = read_objects(result, Wanted(filters=filters(ignore=[{"polygon": LEFT_HALF}])))
    assert time.thread_time() - began_s < 5, "a tenth of a second on a computer with nothing else to do"
    assert (found.objects, found.too_many) == ([], 498)


def test_a_result_of_which_all_is_left_out_is_a_valid_one():
    result = Result(FRAME, [one("flag", BOX), {"label": "flag", "score": 0.9, "bbox": "?"}], {}, 0.0, 0.0)
    found = read_objects(result, Wanted(filters=filters(ignore=[{"polygon": LEFT_HALF}])))
    assert (found.objects, sum(found.invalid.values())) == ([], 1)


coordinates = st.tuples(*[st.integers(0, WIDTH)] * 2, *[st.integers(0, HEIGHT)] * 2)
boxes = coordinates.map(lambda c: [min(c[:2]), min(c[2:]), max(c[:2]), max(c[2:])])
objects = st.lists(st.builds(one, st.sampled_from(["car", "flag", "person"]), boxes), max_size=8)
corner = st.integers(0, 20).map(lambda n: n / 20)
rectangles = st.tuples(*[corner] * 4).filter(lambda r: r[0] < r[2] and r[1] < r[3])
ignore_areas = st.lists(
    st.tuples(
        rectangles,
        st.none() | st.lists(st.sampled_from(["car", "flag"]), min_size=1, unique=True),
        st.sampled_from(Anchor.__args__),
    ),
    max_size=4,
)


def is_inside(detection, area):
    """Return whether an object is in an ignore area; None: it is too close to the border to say."""
    (left, top, right, bottom), labels, anchor = area
    if labels is not None and detection["label"] not in labels:
        return False
    vertical, _, horizontal = anchor.partition("_")
    x1, y1, x2, y2 = detection["bbox"]
    x = (x1 + ALONG[horizontal or vertical] * (x2 - x1)) / WIDTH
    y = (y1 + ALONG[vertical] * (y2 - y1)) / HEIGHT
    distance = min(x - left, right - x, y - top, bottom - y)
    return None if abs(distance) < 1e-4 else distance > 0


@given(objects, ignore_areas)
def test_no_object_in_an_ignore_area_is_kept_and_no_other_one_is_lost(objects, areas):
    polygons = [
        {"polygon": [[x1, y1], [x2, y1], [x2, y2], [x1, y2]], "labels": labels, "anchor": anchor}
        for (x1, y1, x2, y2), labels, anchor in areas
    ]
    found = [(one["label"], [*one["bbox"]]) for one in read(objects, filters=filters(ignore=polygons))]
    for detection in objects:
        key = detection["label"], detection["bbox"]
        inside = [is_inside(detection, area) for area in areas]
        if True in inside:
            assert key not in found
        elif None not in inside:
            assert found.count(key) == objects.count(detection)
