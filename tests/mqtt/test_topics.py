"""The topic tree."""

from edgepub.mqtt.topics import Topics


def test_the_topic_tree():
    topics = Topics("site/edge", "garage")
    assert topics.status == "site/edge/garage/status"
    assert topics.info == "site/edge/garage/info"
    assert topics.camera_status("porch") == "site/edge/garage/porch/status"
    assert topics.detections("porch") == "site/edge/garage/porch/detections"
