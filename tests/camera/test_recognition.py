"""Attributes of tracks: when a model is asked, and when its answers are settled."""

import numpy as np
import pytest

from edgepub.camera.analysis.analysis import Analysis
from edgepub.camera.analysis.recognition import (
    MAX_ANSWERS,
    MAX_CLASSIFIERS,
    MIN_VOTES,
    SETTLING_VALUES,
    Answer,
    Recognition,
    Value,
)
from edgepub.camera.frames import Frame
from edgepub.config.camera import CameraSettings


def answer(recognition, *labels, name="text", start_s=0.0):
    for number, label in enumerate(labels):
        recognition.add(1, name, label and Answer(label, 0.8), 0.1, start_s + number)


def test_what_is_settled_stays():
    recognition = Recognition()
    answer(recognition, *["F"] * MIN_VOTES, *["M"] * 9)
    assert recognition.attributes(1) == {"text": {"label": "F", "score": 0.8, "settled": True}}


def test_a_model_of_several_classifiers_is_asked_until_all_are_settled():
    recognition = Recognition()
    for second in range(MIN_VOTES):
        answer(recognition, "red", name="car_colour", start_s=second)
        answer(recognition, "van" if second else "truck", name="car_type", start_s=second)
        answer(recognition, None, name="car", start_s=second)
    assert recognition.needs_answer(1, "car", 0.1, 100.0)
    answer(recognition, "van", name="car_type", start_s=101)
    assert not recognition.needs_answer(1, "car", 9.0, 200.0)


def test_questions_without_an_answer_do_not_end_the_asking():
    recognition = Recognition()
    answer(recognition, *[None] * 50)
    assert not recognition.needs_answer(1, "text", 0.1, 49.1), "the picture is the same"
    assert recognition.needs_answer(1, "text", 0.1, 60.0)
    assert recognition.needs_answer(1, "text", 0.2, 49.1), "it is seen better"


def test_different_answers_are_not_settled():
    recognition = Recognition()
    answer(recognition, *(f"text {number}" for number in range(MAX_ANSWERS)))
    assert not recognition.attributes(1)["text"]["settled"]
    answer(recognition, "text 3", start_s=20)
    assert recognition.attributes(1)["text"] == {"label": "text 3", "score": 0.8, "settled": True}


def test_the_classifiers_of_a_model_are_bounded():
    recognition = Recognition()
    for number in range(100):
        answer(recognition, None, "yes", name="text")
        answer(recognition, "yes", name=f"text_{number}")
    assert len(recognition.attributes(1)) == 1 + MAX_CLASSIFIERS


def test_each_track_has_its_own_answers_until_it_is_forgotten():
    recognition = Recognition()
    answer(recognition, "a", "a", "a")
    assert recognition.attributes(2) == {}
    recognition.keep({1, 2})
    assert recognition.attributes(1)["text"]["label"] == "a"
    recognition.keep({2})
    assert recognition.attributes(1) == {}


def test_of_values_the_median_counts_and_is_settled_after_a_few():
    recognition = Recognition()
    for number, age in enumerate([34.0, 2.0, 36.0, 99.0]):
        recognition.add(1, "age", Value(age), 0.1, number)
    assert recognition.attributes(1) == {"age": {"value": 35.0, "settled": False}}
    recognition.add(1, "age", Value(35.5), 0.1, SETTLING_VALUES)
    assert recognition.attributes(1) == {"age": {"value": 35.5, "settled": True}}
    assert not recognition.needs_answer(1, "age", 9.0, 100.0)
    recognition.add(1, "age", Value(1.0), 0.1, 100.0)
    assert recognition.attributes(1)["age"]["value"] == 35.5


def test_a_value_of_zero_is_one():
    recognition = Recognition()
    recognition.add(1, "smile", Value(0.0), 0.1, 0.0)
    assert recognition.attributes(1) == {"smile": {"value": 0.0, "settled": False}}


@pytest.mark.parametrize(("away_s", "comes_back"), [(300, True), (700, False)])
def test_a_track_that_comes_back_has_its_attributes_as_before(away_s, comes_back):
    """It may be away for as long as `track_lost_s` says."""
    texts = {"text_labels": {"as": "text", "label": "plate"}, "track_lost_s": 600}
    analysis = Analysis(CameraSettings.model_validate({"source": "a.mp4", "model": "m", "tracking": True, **texts}))
    image = np.zeros((480, 640, 3), np.uint8)

    def update(text, second):
        found = []
        if text:
            known = {"text": {"label": text, "score": 0.9}}
            found = [{"label": "plate", "score": 0.9, "bbox": (300, 200, 400, 240), "attributes": known}]
            found[0]["bbox_norm"] = (0.47, 0.42, 0.62, 0.5)
        analysis.update(found, Frame(image, second + 1, 1e9 + second, second, second))
        return found[0] if found else None

    for second in range(5):
        before = update("B-AB 123", second)
    assert before["attributes"]["text"]["settled"]
    for second in range(5, away_s):
        update(None, second)
    for second in range(away_s, away_s + 2):
        after = update("8-A8 I23", second)
    assert (after["track_id"] == before["track_id"]) is comes_back
    assert after["attributes"]["text"]["label"] == ("B-AB 123" if comes_back else "8-A8 I23")
