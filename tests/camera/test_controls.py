"""Settings that are set while the daemon runs: which commands are executed, rejected and stored."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgepub.camera.controls import Controls
from edgepub.config.camera import CameraSettings
from edgepub.mqtt.commands import SETTINGS, CommandHandler, decode_value
from edgepub.mqtt.messages import Received
from edgepub.mqtt.outbox.outbox import Outbox
from edgepub.mqtt.store import Store
from edgepub.mqtt.topics import Topics

TOPICS = Topics("site/edgepub", "garage")


class Node:
    """A node with one camera, `porch`."""

    def __init__(self, store=None, **camera):
        self.outbox = Outbox(9)
        self.timers = []
        self.store = store or Store(None)
        settings = CameraSettings(source="cam.mp4", model="m", **camera)
        self.applied = []
        setters = {name: lambda value, name=name: self.applied.append((name, value)) for name in SETTINGS}
        self.controls = Controls("porch", settings, TOPICS, self.outbox, self.store, setters)
        self.started_with = self.states()
        self.command_handler = CommandHandler(TOPICS, {"porch": self.controls}, call_later=self.call_later)

    def call_later(self, seconds, function):
        self.timers.append((seconds, function))

    def end_interval(self):
        """Advance the clock by a second."""
        timers, self.timers = self.timers, []
        for seconds, function in timers:
            assert seconds == 1
            function()

    def send(self, name, payload, retained=False):
        self.command_handler.handle(Received(f"site/edgepub/garage/porch/{name}/set", payload, retained))

    def states(self):
        states = {}
        while message := self.outbox.take():
            self.outbox.done(message)
            assert (message.qos, message.retain) == (1, True)
            states[message.topic.removeprefix("site/edgepub/garage/porch/")] = message.payload.decode()
        return states


def test_at_the_start_every_setting_has_its_state():
    node = Node(min_score=0.25, max_fps=None)
    assert node.started_with == {
        "enabled": "ON",
        "snapshot_enabled": "ON",
        "min_score": "0.25",
        "max_fps": "None",
    }
    assert Node(snapshot={"enabled": False}).started_with["snapshot_enabled"] == "OFF"


@pytest.mark.parametrize(
    ("name", "payload", "value", "shown"),
    [
        ("enabled", b"OFF", False, "OFF"),
        ("enabled", b" on\n", True, "ON"),
        ("min_score", b"0.75", 0.75, "0.75"),
        ("min_score", b"1", 1.0, "1"),
        ("max_fps", b"12.5", 12.5, "12.5"),
        ("max_fps", b"None", None, "None"),
        ("max_fps", b"null", None, "None"),
    ],
)
def test_a_setting_is_set_published_and_stored(name, payload, value, shown):
    node = Node(max_fps=3)
    node.send(name, payload)
    assert node.applied == [(name, value)]
    assert node.states() == {name: shown}
    again = Node(node.store, max_fps=3)
    assert again.controls.value(name) == value
    again.send(name, b"")
    assert again.applied == [(name, {"enabled": True, "min_score": 0.5, "max_fps": 3}[name])], "the configuration's"
    assert Node(node.store, min_score=0.1).controls.value("min_score") in (0.1, 0.75, 1.0)
    assert node.store.setting("porch", name) is None


@pytest.mark.parametrize(
    ("name", "payload", "why"),
    [
        ("enabled", b"maybe", "must be ON or OFF"),
        ("enabled", b"1", "must be ON or OFF"),
        ("min_score", b"1.5", "must be a number from 0 to 1"),
        ("min_score", b"high", "must be a number from 0 to 1"),
        ("min_score", b"nan", "must be a number from 0 to 1"),
        ("min_score", b"None", "must be a number from 0 to 1"),
        ("max_fps", b"0", "must be a number from 0.001 to 1000, or None for no limit"),
        ("max_fps", b"-inf", "must be a number from 0.001"),
        ("max_fps", b"9" * 2000, "must have at most 1024 bytes, not 2000"),
        ("max_fps", b"\xff\xfe", "must be UTF-8 text"),
    ],
)
def test_an_invalid_command_changes_nothing_and_is_answered(caplog, name, payload, why):
    node = Node(min_score=0.5, max_fps=10)
    node.send(name, payload)
    assert node.applied == []
    assert node.states() == {name: {"enabled": "ON", "min_score": "0.5", "max_fps": "10"}[name]}
    assert [(r.levelname, r.camera) for r in caplog.records] == [("WARNING", "porch")]
    assert name in caplog.messages[0]
    assert why in caplog.messages[0]
    assert len(caplog.messages[0]) < 200


@pytest.mark.parametrize(
    "topic",
    [
        "site/edgepub/garage/porch/source/set",
        "site/edgepub/garage/garden/enabled/set",
        "site/edgepub/garage/porch/enabled",
        "site/edgepub/another/porch/enabled/set",
        "status",
    ],
)
def test_other_topics_are_ignored(caplog, topic):
    node = Node()
    node.command_handler.handle(Received(topic, b"OFF", retained=False))
    assert node.applied == []
    assert node.states() == {}
    assert [r.levelname for r in caplog.records] == ["WARNING"]


def test_a_retained_command_is_ignored(caplog):
    node = Node()
    node.send("enabled", b"OFF", retained=True)
    assert node.applied == []
    assert [r.levelname for r in caplog.records] == ["WARNING"]


def test_an_invalid_stored_value_falls_back_to_the_configuration(caplog):
    node = Node()
    node.store.save_setting("porch", "max_fps", "fast")
    assert node.controls.value("max_fps") is None
    assert [(r.levelname, r.camera) for r in caplog.records] == [("WARNING", "porch")]
    assert "max_fps" in caplog.messages[0]


@given(st.sampled_from(sorted(SETTINGS)), st.binary(max_size=30))
def test_any_payload_is_a_value_or_is_rejected(name, payload):
    try:
        value = SETTINGS[name].parse(decode_value(payload))
    except ValueError as error:
        assert str(error)
    else:
        shown = SETTINGS[name].format(value)
        assert SETTINGS[name].format(SETTINGS[name].parse(shown)) == shown, "what is published can be sent back"


def test_of_many_commands_the_newest_counts(caplog):
    node = Node()
    for number in range(1000):
        node.send("min_score", f"0.{number:03}".encode())
    assert [value for _, value in node.applied] == [0, 0.001, 0.002, 0.003, 0.004], "a few are applied immediately"
    node.send("max_fps", b"7")
    assert node.applied[-1] == ("max_fps", 7), "other settings are not affected"
    node.end_interval()
    assert node.applied[-1] == ("min_score", 0.999)
    for _ in range(100):
        node.send("min_score", b"0.5")
    assert node.applied[-1] == ("min_score", 0.999)
    node.end_interval()
    assert node.applied[6:] == [("min_score", 0.999), ("min_score", 0.5)]
    node.end_interval()
    assert node.states() == {"min_score": "0.5", "max_fps": "7"}
    (line,) = [record for record in caplog.records if record.levelname == "WARNING"]
    assert line.getMessage().endswith(": 1093")  # 1,100 without those that were applied
    node.send("min_score", b"0.25")
    assert node.applied[-1] == ("min_score", 0.25), "and all is as before"


def test_wrong_commands_do_not_replace_right_ones(caplog):
    node = Node()
    for number in range(1000):
        node.send("min_score", b"0.7")
        node.send("min_score", f"wrong {number}".encode())
    node.end_interval()
    assert node.applied[-1] == ("min_score", 0.7)
    assert node.states() == {"min_score": "0.7"}
    wrong = [record.getMessage() for record in caplog.records if "cannot be set" in record.getMessage()]
    assert len(wrong) == 6
    assert "wrong 999" in wrong[-1]


def test_a_stop_applies_what_waits():
    node = Node()
    for number in range(1000):
        node.send("max_fps", f"{number + 1}".encode())
    node.command_handler.flush()
    assert node.controls.value("max_fps") == 1000
    node.end_interval()
    assert len(node.applied) == 6, "once"


def test_a_camera_that_a_reload_removes_gets_no_command():
    controls = {"porch": Node().controls}
    timers = []
    handler = CommandHandler(TOPICS, controls, call_later=lambda _, function: timers.append(function))
    for _ in range(10):
        handler.handle(Received("site/edgepub/garage/porch/enabled/set", b"ON", False))
    del controls["porch"]
    timers[0]()
