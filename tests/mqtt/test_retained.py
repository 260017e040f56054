"""Retained messages of earlier runs: what the configuration still produces stays, and everything else is cleared."""

import pytest

from edgepub.config.camera import CameraSettings
from edgepub.mqtt import retained
from edgepub.mqtt.outbox.outbox import Outbox
from edgepub.mqtt.topics import Topics

ZONE = {"polygon": [[0.1, 0.1], [0.9, 0.1], [0.9, 0.9]]}
CAMERAS = {
    "porch": CameraSettings(
        source="a.mp4",
        model="m",
        labels=["person", "Big dog", "cat"],
        zones={"steps": {**ZONE, "labels": ["cat"]}, "path": ZONE},
        snapshot={"enabled": False},
    ),
    "yard": CameraSettings(source="b.mp4", model="m"),
}

TOPICS = Topics("edgepub", "garage")
FORMER = ["text", "text_old"]
"""Attributes that earlier configurations named."""


@pytest.mark.parametrize(
    ("topic", "expected"),
    [
        ("status", None),
        ("info", None),
        ("porch/status", None),
        ("porch/enabled", None),
        ("porch/max_fps", None),
        ("porch/snapshot_enabled", None),
        ("porch/objects/person", None),
        ("porch/objects/big_dog/occupancy", None),
        ("porch/objects/car", b""),
        ("porch/objects/car/occupancy", b""),
        ("porch/zones/steps/objects/cat", None),
        ("porch/zones/steps/objects/person", b""),
        ("porch/zones/path/objects/person/occupancy", None),
        ("porch/zones/gone/objects/person", b""),
        ("porch/snapshot", None),  # the node clears it, whether it is listed or not
        ("yard/objects/snapshot/snapshot", b""),  # of a label that is not counted
        ("porch/objects/all/snapshot", b""),
        ("porch/zones/path/objects/person/snapshot", b""),
        ("porch/something", b""),
        ("porch/attributes/text", None),
        ("porch/attributes/text_colour", None),  # of a model with several classifiers
        ("porch/attributes/text_old", b""),
        ("porch/attributes/texts", b""),
        ("yard/attributes/text", b""),
        ("yard/objects/occupancy", None),
        ("yard/objects/occupancy/occupancy", None),
        ("porch/objects", b""),
        ("yard/snapshot", None),
        ("yard/objects/something", None),
        ("yard/objects/_", b""),  # of 0.1.0, for all labels without a to z
        ("yard/objects/" + "x" * 257, b""),
        ("gone/status", b""),
        ("gone/objects/person/occupancy", b""),
        ("gone", b""),
    ],
)
def test_each_topic(topic, expected):
    outbox = Outbox(9)
    published = [f"edgepub/garage/{topic}"]
    attributes = {"porch": retained.find_attributes(published, "porch", ["text"], FORMER, TOPICS)}
    retained.clear_obsolete(published, CAMERAS, TOPICS, outbox, attributes)
    message = outbox.take()
    assert (message and message.payload) == expected
    if message:
        assert (message.topic, message.retain, message.qos) == (f"edgepub/garage/{topic}", True, 1)


@pytest.mark.parametrize("topic", ["edgepub/old/status", "other/garage/status", "edgepub/garage2/status", "x"])
def test_topics_of_another_prefix_or_node_are_cleared(topic):
    outbox = Outbox(9)
    retained.clear_obsolete([topic], CAMERAS, TOPICS, outbox)
    assert outbox.take()[:2] == (topic, b"")


def test_of_the_classifiers_of_a_model_the_last_ones_stay():
    published = [f"edgepub/garage/porch/attributes/text_{number:02}" for number in range(30)]
    published.append("edgepub/garage/porch/attributes/text")
    found = retained.find_attributes(published, "porch", ["text"], FORMER, TOPICS)
    assert found == ["text", *(f"text_{number}" for number in range(10, 30))]


@pytest.mark.parametrize(
    ("camera", "clears"), [({}, False), ({"snapshot": {"crop": False}}, True), ({"tracking": False}, True)]
)
def test_a_cut_out_goes_with_its_label_and_when_none_are_made(camera, clears):
    published = [f"edgepub/garage/yard/{topic}" for topic in ("objects/dog", "objects/dog/snapshot")]
    outbox = Outbox(9)
    cameras = {"yard": CameraSettings(source="b.mp4", model="m", **camera)}
    retained.clear_obsolete(published, cameras, TOPICS, outbox)
    assert outbox.clearing() == ({published[1]} if clears else set())
