"""A durable lane with a file of its own."""

import contextlib
import json
import sqlite3
import threading
import time

from edgepub.core.uuid7 import uuid7
from edgepub.mqtt.messages import EventReceipt, event_message, json_format
from edgepub.mqtt.outbox.durable import DurableLane
from edgepub.mqtt.outbox.spool import Spool
from edgepub.telemetry.metrics import MetricsByCamera
from tests.support.waiting import wait_until

FORMAT = json_format("edgepub.event/1")


def an_event(camera, seq):
    """Return the payload of an event."""
    return json.dumps(
        {
            "event_type": "appeared",
            "event_id": str(uuid7()),
            "seq": seq,
            "timestamp": time.time(),
            "label": "person",
            "track_id": 1,
            "score": 0.9,
            "bbox": [8.0, 16.0, 24.0, 48.0],
            "bbox_norm": [0.125, 0.25, 0.375, 0.75],
            "frame": 4,
            "width": 64,
            "height": 64,
            "schema": "edgepub.event/1",
            "node": "test",
            "camera": camera,
            "boot_id": "0",
        }
    ).encode()


class LaneWithFile:
    """A durable lane with a file, and what it counts."""

    def __init__(self, path, spool=None, **limits):
        self.path = path
        self.spool = spool or Spool(path)
        self.metrics = MetricsByCamera()
        self._newest = {}  # number of each topic
        limits = {"max_messages": 100_000, **limits}
        self._lane = DurableLane(self.spool, receipt_of=lambda topic: EventReceipt(self.metrics, topic), **limits)
        self._lane.open(threading.Event().set)
        self.put_back = self._lane.put_back
        self.done = self._lane.done

    def __len__(self):
        return len(self._lane)

    def put(self, topic="a", number=1, padding=b""):
        """Add events whose payload is the topic and the number, and then the padding."""

        def make(seq):
            self._newest[topic] = seq
            return event_message(topic, f"{topic}{seq}".encode() + padding, FORMAT)

        for _ in range(number):
            self._lane.put(topic, make)

    def take(self, number=1):
        """Take messages, when they are there."""
        taken = []
        while len(taken) < number:
            taken.append(wait_until(self._lane.take, f"message {len(taken) + 1} of {number}"))
        return taken

    def send(self, number):
        """Take messages and mark them as done; return their texts."""
        messages = self.take(number)
        for message in messages:
            self.done(message)
        return [message.payload.decode() for message in messages]

    def wait_until_written(self):
        """Wait until everything that was put is in the file."""
        wait_until(lambda: self._newest.items() <= read_numbers(self.path).items(), "all events in the file")

    def dropped(self):
        """Return how many messages were dropped, by topic and reason."""
        dropped = {topic: metrics.read().dropped for topic, metrics in self.metrics.items()}
        return {topic: reasons for topic, reasons in dropped.items() if reasons}

    def close(self):
        """Close the lane; return how many messages were lost, and how many wait in the file."""
        return self._lane.close(30)


def query(path, statement):
    """Return the rows of a query on a file of events; none while the file is being made."""
    with contextlib.closing(sqlite3.connect(path)) as database, contextlib.suppress(sqlite3.OperationalError):
        return database.execute(statement).fetchall()
    return []


def read_payloads(path):
    """Return the payloads in a file of events, in order."""
    return [payload.decode() for (payload,) in query(path, "SELECT payload FROM events ORDER BY id")]


def read_numbers(path):
    """Return the newest number of each topic in a file of events."""
    return dict(query(path, "SELECT topic, newest FROM numbers"))
