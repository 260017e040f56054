"""Labels that a configuration names and no model gives: found where that is certain, and nowhere else."""

import pytest

from edgepub.config.model_labels import find_unfindable, find_unknown_of_camera, find_unknown_of_pipeline
from edgepub.config.pipelines import PipelineSettings

KNOWN = {"coco": ["person", "car"], "plates": ["plate"], "hands": ["left", "right"], "odd": []}


def pipeline(detect, *then):
    return PipelineSettings.model_validate({"detect": detect, "then": then})


def unknown(labels, *arguments):
    return list(find_unknown_of_camera(labels, pipeline(*arguments), KNOWN))


def unfindable(labels, *arguments):
    return list(find_unfindable(labels, pipeline(*arguments), KNOWN))


def test_of_a_model_alone():
    assert unknown(["person", "Car"], "coco") == ["the model has no label 'Car'; did you mean 'car'?"]
    assert unknown(["tree"], "coco") == ["the model has no label 'tree'; it has: person, car"]


def test_a_model_of_a_stage_gives_labels_too():
    then = {"on": ["car"], "detect": "plates"}
    assert unknown(["plate", "person"], "coco", then) == []
    assert unknown(["tree"], "coco", then) == ["its models give no label 'tree'; they give: person, car, plate"]


def test_a_stage_that_never_gets_an_object_gives_none():
    assert unfindable(["plate"], "coco", {"on": ["Car"], "detect": "plates"}) == [
        "the model has no label 'plate'; it has: person, car"
    ]
    only_persons = [{"model": "coco", "labels": ["person"]}]
    assert len(unfindable(["plate"], only_persons, {"on": ["car"], "detect": "plates"})) == 1
    chain = {"on": ["person"], "detect": "hands"}, {"on": ["left"], "detect": "plates"}
    assert unfindable(["plate"], only_persons, *chain) == []
    assert len(unfindable(["plate"], only_persons, *chain[::-1])) == 1, "in their order"


@pytest.mark.parametrize("model", ["odd", "missing"])
def test_a_model_that_lists_no_labels_may_give_any(model):
    assert unknown(["tree"], "coco", {"on": ["car"], "detect": model}) == []
    assert unknown(["tree"], [{"model": model, "labels": ["bird"]}]) == [
        "the model has no label 'tree'; it has: bird"
    ], "unless it is said which are kept"


def test_labels_that_edgepub_makes_are_known():
    """A model of hands lists none of them."""
    assert unknown(["hand"], "coco", {"on": ["person"], "detect": "hands"}) == []


def test_what_a_stage_is_applied_to_is_found_before():
    later = [{"on": ["plate"], "detect": "coco"}, {"on": ["car"], "detect": "plates"}]
    keys = [key for key, _ in find_unknown_of_pipeline(pipeline("coco", *later), KNOWN)]
    assert keys == ["then.0.on"], "plates are found only in the next stage"
    classified = [{"on": ["plate"], "classify": "odd", "as": "text"}, {"on": ["car"], "detect": "plates"}]
    assert list(find_unknown_of_pipeline(pipeline("coco", *classified), KNOWN)) == [], "asked when all is found"
