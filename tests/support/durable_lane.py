"""A durable lane with a separate file, for tests."""

import threading

from edgepub.mqtt.messages import EventReceipt, event_message, json_format
from edgepub.mqtt.outbox.durable import DurableLane
from edgepub.mqtt.outbox.spool import Spool
from edgepub.telemetry.metrics import CameraMetrics
from tests.support.waiting import wait_until

FORMAT = json_format("edgepub.event/1")


class LaneWithFile:
    """A durable lane with a file, and what it counts."""

    def __init__(self, path, spool=None, **limits):
        self.counts = {topic: CameraMetrics() for topic in "ab"}
        self.spool = spool or Spool(path)
        receipts = {topic: EventReceipt(counts) for topic, counts in self.counts.items()}
        self.lane = DurableLane(self.spool, receipts=receipts, **{"max_messages": 100_000, **limits})
        self.ready = threading.Event()
        self.lane.open(self.ready.set)

    def put(self, topic="a", number=1):
        for _ in range(number):
            self.lane.put(topic, lambda seq: event_message(topic, f"{topic}{seq}".encode(), FORMAT))

    def take(self, number=1):
        """Take messages, when they are there."""
        taken = []
        while len(taken) < number:
            taken.append(wait_until(self.lane.take, f"message {len(taken) + 1} of {number}"))
        return taken

    def texts(self, number, sent=True):
        messages = self.take(number)
        for message in messages:
            if sent:
                self.lane.done(message)
        return [message.payload.decode() for message in messages]

    def wait_until_written(self):
        """Wait until all messages that wait are in the file."""
        wait_until(lambda: not self.lane._queue.has_incoming, "all messages in the file")

    def dropped(self):
        return {topic: counts.read().dropped for topic, counts in self.counts.items() if counts.read().dropped}

    def close(self):
        return self.lane.close(30)
