"""Runs a camera as the daemon does, to the end of its film, and keeps each of its messages: none replaces another."""

import asyncio
import contextlib
import json
from concurrent.futures import ProcessPoolExecutor
from functools import cached_property
from itertools import groupby
from multiprocessing import get_context
from pathlib import Path

from edgepub.camera.environment import prepare_environment
from edgepub.config.effective import EffectiveSettings, InForce
from edgepub.config.settings import Settings
from edgepub.daemon.camera_wiring import CameraWiring
from edgepub.mqtt.outbox.outbox import Outbox
from edgepub.mqtt.store import Store
from edgepub.mqtt.topics import Topics
from edgepub.telemetry.metrics import MetricsByCamera
from edgepub.telemetry.status import Status

_ROOT = "edgepub/test/cam/"


class Recording:
    """The messages of one camera, in order.

    Args:
        messages: each as its topic below the camera's, and its payload.

    """

    def __init__(self, messages):
        self._messages = messages

    def values(self, topic):
        """Return all values of a topic: whole numbers, else text."""
        return [value for name, value in self.states() if name == topic]

    def states(self):
        """Yield the topic and the value of each message that is a value, in order."""
        for name, payload in self._messages:
            if not payload.startswith(b"{"):
                text = payload.decode(errors="replace")
                yield name, int(text) if text.isdecimal() else text

    def batches(self):
        """Yield the counts that change together, each as its topic and its value."""
        for is_count, messages in groupby(self._messages, lambda message: "objects/" in message[0]):
            if is_count:
                yield list(Recording(list(messages)).states())

    def last_values(self):
        """Return the last value of each topic that has values."""
        return dict(self.states())

    def _parsed(self, topic):
        return [json.loads(payload) for name, payload in self._messages if name == topic]

    @cached_property
    def detections(self):
        return self._parsed("detections")

    @cached_property
    def events(self):
        return self._parsed("events")

    @cached_property
    def visits(self):
        return self._parsed("visits")

    def stories(self, fps):
        """Return the events of each visit in short, in the order of their first events.

        Args:
            fps: frames per second of the film.

        Returns:
            For each visit its events: the type, the second of the film, and the zone or the direction, if it has one.

        """
        stories = {}
        for event in self.events:
            more = [event[key] for key in ("zone", "direction") if key in event]
            stories.setdefault(event["visit_id"], []).append((event["event_type"], event["frame"] / fps, *more))
        return list(stories.values())

    def seen(self, label):
        """Return how many objects with this label are in each frame."""
        return [sum(found["label"] == label for found in payload["detections"]) for payload in self.detections]


class Recorder:
    """Records cameras in a process of its own: ONNX Runtime must be loaded before the first model."""

    def __init__(self):
        self._pool = ProcessPoolExecutor(1, get_context("spawn"))

    def record(self, model, source, **camera):
        """Return the recording of a camera with this model, as a configuration has it, and with this film."""
        quiet = {"snapshot": {"enabled": False}}
        configuration = {
            "node": "test",
            "mqtt": {"url": "mqtt://127.0.0.1:1"},  # not used
            "models": {"m": model},
            "cameras": {"cam": {"source": str(source), "model": "m", **quiet, **camera}},
        }
        return Recording(self._pool.submit(_record, configuration).result())

    def close(self):
        """End the process."""
        self._pool.shutdown()


class Tape(Outbox):
    """An outbox that keeps all messages as they come."""

    def __init__(self):
        super().__init__(stream_size=1)
        self.messages = []

    def put(self, message):
        self._keep(message)
        super().put(message)

    def put_numbered(self, messages, values=()):
        kept = [(topic, lambda seq, make=make: self._keep(make(seq))) for topic, make in messages]
        super().put_numbered(kept, dict(values))

    def _keep(self, message):
        self.messages.append((message.topic.removeprefix(_ROOT), message.encoded()))
        return message


def _record(configuration):
    prepare_environment()
    settings = Settings.model_validate(configuration)
    in_force = InForce(EffectiveSettings(settings, Path(), {}, Path(), settings))
    tape = Tape()
    wiring = CameraWiring(
        in_force,
        "boot",
        Topics("edgepub", "test"),
        tape,
        Store(None),
        Status(settings.cameras),
        MetricsByCamera(),
        list,
        lambda: None,
        lambda: None,
    )
    with contextlib.closing(asyncio.Runner()) as runner:
        runner.run(wiring.add("cam").run())
    return tape.messages
