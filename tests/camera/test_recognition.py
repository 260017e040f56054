"""Attributes of tracks: when a model is asked, and when its answers are settled."""

from edgepub.camera.analysis.recognition import MAX_ANSWERS, MIN_VOTES, SETTLING_VALUES, Answer, Recognition, Value


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
    assert recognition.wants(1, "car", 0.1, 100.0)
    answer(recognition, "van", name="car_type", start_s=101)
    assert not recognition.wants(1, "car", 9.0, 200.0)


def test_questions_without_an_answer_do_not_end_the_asking():
    recognition = Recognition()
    answer(recognition, *[None] * 50)
    assert not recognition.wants(1, "text", 0.1, 49.1), "the picture is the same"
    assert recognition.wants(1, "text", 0.1, 60.0)
    assert recognition.wants(1, "text", 0.2, 49.1), "it is seen better"


def test_different_answers_are_not_settled():
    recognition = Recognition()
    answer(recognition, *(f"text {number}" for number in range(MAX_ANSWERS)))
    assert not recognition.attributes(1)["text"]["settled"]
    answer(recognition, "text 3", start_s=20)
    assert recognition.attributes(1)["text"] == {"label": "text 3", "score": 0.8, "settled": True}


def test_each_track_has_its_own_answers_and_is_forgotten_after_a_minute():
    recognition = Recognition()
    answer(recognition, "a", "a", "a")
    assert recognition.attributes(2) == {}
    recognition.see({1}, 0.0)
    recognition.see({2}, 61.0)
    assert recognition.attributes(1) == {}


def test_of_values_the_median_counts_and_is_settled_after_a_few():
    recognition = Recognition()
    for number, age in enumerate([34.0, 2.0, 36.0, 99.0]):
        recognition.add(1, "age", Value(age), 0.1, number)
    assert recognition.attributes(1) == {"age": {"value": 35.0, "settled": False}}
    recognition.add(1, "age", Value(35.5), 0.1, SETTLING_VALUES)
    assert recognition.attributes(1) == {"age": {"value": 35.5, "settled": True}}
    assert not recognition.wants(1, "age", 9.0, 100.0)
    recognition.add(1, "age", Value(1.0), 0.1, 100.0)
    assert recognition.attributes(1)["age"]["value"] == 35.5


def test_a_value_of_zero_is_one():
    recognition = Recognition()
    recognition.add(1, "smile", Value(0.0), 0.1, 0.0)
    assert recognition.attributes(1) == {"smile": {"value": 0.0, "settled": False}}
