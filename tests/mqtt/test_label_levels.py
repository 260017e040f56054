"""Labels as topic levels: unique, the same after every restart, and those of 0.1.0 for all common labels."""

import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from edgepub.mqtt.label_levels import former_level, is_label_level, label_text, topic_level

LABELS = st.text(st.characters(), min_size=1) | st.text("aB1_-+# .(é犬\0\ud800/", min_size=1)
SAME = re.compile(r"[_ (),.'/&]+")


def spelling(label):
    """Return what is the same for labels that are counted together, as docs/topics.md says."""
    if re.fullmatch(r"[A-Za-z0-9_ (),.'/&-]*", label) and re.search("[A-Za-z0-9]", label) and len(label) <= 256:
        return SAME.sub("_", label.lower())
    return None


@pytest.mark.parametrize(
    ("label", "level"),
    [
        ("person", "person"),
        ("traffic light", "traffic_light"),
        ("Traffic Light", "traffic_light"),
        ("t-shirt", "t-shirt"),
        ("T-shirt/top", "t-shirt_top"),
        ("Bat (Animal)", "bat_animal_"),
        ("Kitchen & dining room table", "kitchen_dining_room_table"),
        ("jack-o'-lantern", "jack-o_-lantern"),
        ("tench, Tinca tinca", "tench_tinca_tinca"),
        ("Speed limit (20km/h)", "speed_limit_20km_h_"),
        ("3.5 t", "3_5_t"),
        ("foo--bar", "foo--bar"),
        ("0", "0"),
    ],
)
def test_common_labels_keep_their_level(label, level):
    assert topic_level(label) == former_level(label) == level
    assert is_label_level(level)


def test_labels_that_had_one_level_have_their_own_and_show_their_label():
    labels = ["犬", "猫", "C++", "C#", "C", "_", "__", "-", "café", "cafè", "c--imvsw", "😀", "a\0b", "a\nb"]
    levels = [topic_level(label) for label in labels]
    assert len(set(levels)) == len(labels)
    assert [label_text(topic_level(label)) for label in ("犬", "C++", "café")] == ["犬", "C++", "café"]
    assert topic_level("C++") == "c--imvsw", "never change it: it is part of topics and of ids in Home Assistant"
    assert topic_level("犬" * 100) == "--0" + topic_level("犬" * 100)[3:]


@given(st.lists(LABELS, min_size=2, max_size=2, unique=True))
@example(["C++", "c--imvsw"])
@example(["c--imvsw", topic_level("c--imvsw")])
@example(["x" * 300, "x" * 301])
def test_no_two_labels_share_a_level_but_those_that_differ_in_capitals_and_marks(labels):
    one, other = labels
    are_same = spelling(one) is not None and spelling(one) == spelling(other)
    assert (topic_level(one) == topic_level(other)) == are_same


@given(LABELS)
@example("x" * 1000)
@example("\U0010ffff" * 256)
def test_a_level_is_valid_and_bounded_and_its_text_can_be_shown(label):
    level = topic_level(label)
    assert re.fullmatch("[a-z0-9_-]{1,256}", level)
    assert is_label_level(level)
    assert label_text(level)
    assert topic_level.__wrapped__(label) == level


@given(st.from_regex(r"[a-z0-9_-]{1,40}(--)?[a-z0-7]{0,30}", fullmatch=True))
def test_a_label_of_the_characters_of_a_level_keeps_them_unless_it_is_the_code_of_another(level):
    if re.search("[a-z0-9]", level) and "--" not in level:
        assert topic_level(level) == level
    assert topic_level(topic_level(level)) in {topic_level(level), topic_level.__wrapped__(topic_level(level))}
    assert label_text(level)
