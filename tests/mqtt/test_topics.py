"""The topic tree."""

from edgepub.mqtt.topics import Topics


def test_the_topic_tree():
    topics = Topics("site/edge", "garage")
    assert topics.status == "site/edge/garage/status"
    assert topics.info == "site/edge/garage/info"
    assert topics.camera_status("porch") == "site/edge/garage/porch/status"
    assert topics.detections("porch") == "site/edge/garage/porch/detections"


def test_a_command_s_topic_names_a_camera_and_a_setting():
    topics = Topics("site/edge", "garage")
    (topic_filter,) = topics.command_filters(["enabled"])
    assert topics.parse_command(topic_filter.replace("+", "porch")) == ("porch", "enabled")
    for other in ("a/b/c/d", "site/edge/garage/porch/enabled", "site/edge/garage/porch/enabled/x", "porch/enabled/set"):
        assert topics.parse_command(other) is None
