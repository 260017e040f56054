"""What is drawn into a picture for each kind of detection, and what is blurred."""

import cv2
import numpy as np
import pytest

from edgepub.camera.drawing import blur_objects, describe, draw_objects, label_colour

WIDTH, HEIGHT = 640, 480
COLOUR = label_colour("thing")


def grey():
    return np.full((HEIGHT, WIDTH, 3), 128, np.uint8)


def a_thing(box=(160, 120, 480, 360), **more):
    norm = [box[0] / WIDTH, box[1] / HEIGHT, box[2] / WIDTH, box[3] / HEIGHT]
    return {"label": "thing", "score": 0.9, "bbox": box, "bbox_norm": norm, **more}


def drawn(thing, **more):
    picture = grey()
    draw_objects(picture, [thing], labels=False, **more)
    return picture


def is_coloured(picture, x, y, reach=2):
    near = picture[max(0, y - reach) : y + reach + 1, max(0, x - reach) : x + reach + 1].reshape(-1, 3).astype(int)
    return np.abs(near - COLOUR).max(axis=1).min() < 10


def test_a_rotated_object_is_drawn_with_its_corners_and_not_with_its_box():
    thing = a_thing(corners=[(320, 120), (480, 240), (320, 360), (160, 240)], angle=0.6435)
    picture = drawn(thing)
    for x, y in [(400, 180), (400, 300), (240, 300), (240, 180)]:
        assert is_coloured(picture, x, y)
    for x, y in [(160, 120), (480, 120), (320, 240)]:
        assert not is_coloured(picture, x, y)


def test_a_mask_is_tinted_inside_and_only_there():
    picture = drawn(a_thing(mask=[(160, 120), (480, 120), (160, 360)])).astype(int)
    inside, outside = picture[180, 220], picture[320, 440]
    assert (outside == 128).all()
    expected = 0.6 * 128 + 0.4 * np.array(COLOUR)
    assert np.abs(inside - expected).max() < 3


@pytest.mark.parametrize("box", [(-50, -50, 100, 100), (600, 440, 700, 500), (-20, -20, 700, 500)])
def test_a_mask_that_leaves_the_picture_is_drawn_as_far_as_it_is_inside(box):
    x1, y1, x2, y2 = box
    picture = drawn(a_thing(mask=[(x1, y1), (x2, y1), (x2, y2), (x1, y2)])).astype(int)
    x, y = (max(x1, 0) + min(x2, WIDTH)) // 2, (max(y1, 0) + min(y2, HEIGHT)) // 2
    assert np.abs(picture[y, x] - (0.6 * 128 + 0.4 * np.array(COLOUR))).max() < 3


def test_a_skeleton_is_drawn_with_its_connections():
    marks = [
        {"landmark": (200, 200), "connect": [1]},
        {"landmark": (400, 200), "connect": [0]},
        {"landmark": (300, 300)},
    ]
    picture = drawn(a_thing(landmarks=marks))
    for x, y in [(200, 200), (300, 200), (400, 200), (300, 300)]:
        assert is_coloured(picture, x, y)
    assert not is_coloured(picture, 250, 250)


def test_points_are_at_their_place_in_a_smaller_picture():
    picture = np.full((HEIGHT // 2, WIDTH // 2, 3), 128, np.uint8)
    draw_objects(picture, [a_thing(landmarks=[{"landmark": (400, 200)}])], 0.5, labels=False)
    assert is_coloured(picture, 200, 100)


@pytest.mark.parametrize(
    ("more", "text"),
    [
        ({}, "thing 0.90"),
        ({"attributes": {"text": {"label": "B-AB 123", "score": 0.9}}}, "thing B-AB 123 0.90"),
        ({"attributes": {"age": {"value": 34.1834, "settled": True}}}, "thing age 34.18 0.90"),
        ({"text": "EXIT"}, "thing EXIT 0.90"),
        ({"handedness": 0.9}, "thing right 0.90"),
        ({"handedness": 0.1}, "thing left 0.90"),
        ({"share": 0.25}, "thing 25%"),
    ],
)
def test_texts_are_written_at_the_object(more, text):
    assert describe(a_thing(**more)) == text


def test_nothing_can_be_recognized_in_a_blurred_object_and_the_rest_stays_sharp():
    picture = grey()
    for x, letters in ((170, "AB 123"), (10, "OUT")):
        cv2.putText(picture, letters, (x, 250), cv2.FONT_HERSHEY_SIMPLEX, 2.5, (255, 255, 255), 6)
    before = picture.copy()
    blur_objects(picture, [a_thing(box=(165, 180, 470, 260))])
    inside = picture[180:260, 165:470].astype(int)
    assert np.abs(np.diff(inside, axis=1)).max() < 12, "no edge is left"
    assert np.abs(np.diff(before[180:260, 165:470].astype(int), axis=1)).max() > 100
    assert (picture[:, :130] == before[:, :130]).all()


@pytest.mark.parametrize("box", [(0, 0, 640, 480), (0, 0, 0, 0), (639, 479, 640, 480)])
def test_any_box_can_be_blurred(box):
    picture = grey()
    blur_objects(picture, [a_thing(box=box)])
    assert (picture == 128).all()
