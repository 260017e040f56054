"""A daemon with very many events, a subscriber that checks them all, and a relay to the broker that fails."""

import contextlib
import json
import socket
import sqlite3
import threading
import time
from collections import Counter

from tests.support.waiting import free_port

LINES = {f"line{n}": {"from": [x, 0.0], "to": [x, 1.0]} for n in range(20) for x in [0.25 + 0.026 * n]}
CAMERAS = ("north", "south")


def mill(studio, url, **mqtt):
    """Return a configuration with two cameras, each with three people who walk to and fro over twenty lines.

    Together that is more than 50 events a second, for as long as it runs.
    """
    there = [12 + 40 * n / 50 for n in range(50)]  # the middle of a person, in pixels of 64
    script = [
        [{"bbox": [x - 10, y, x + 10, y + 15], "label": "person", "score": 0.9, "category_id": 0} for y in (2, 22, 42)]
        for x in [*there, *reversed(there)]
    ]
    settings = studio.settings(
        url, studio.video(script, "mill.avi"), realtime=True, loop=True, tracking=True, lines=LINES
    )
    settings["cameras"] = dict.fromkeys(CAMERAS, settings["cameras"]["cam"])
    settings["mqtt"] = {"url": url, "keepalive_s": 5, **mqtt}
    settings["stats"] = {"interval_s": 1}
    return settings


class ReceivedMessages:
    """Everything that the node published to several subscribers, one after the other."""

    def __init__(self):
        self.events = []  # (camera, seq, event_id) in the order of their arrival
        self.stats = []
        self.detections = Counter()
        self.statuses = []
        self.changed = threading.Condition()

    def take(self, topic, payload):
        camera = topic.split("/")[2]
        with self.changed:
            if topic.endswith("/events"):
                event = json.loads(payload)
                self.events.append((camera, event["seq"], event["event_id"]))
            elif topic.endswith("/detections"):
                self.detections[camera] += 1
            elif topic.endswith("test/stats"):
                self.stats.append(json.loads(payload))
            elif topic.endswith("test/status"):
                self.statuses.append(payload.decode())
            self.changed.notify_all()

    def wait_for(self, condition, what, seconds=60):
        with self.changed:
            assert self.changed.wait_for(condition, seconds), f"did not come: {what}; {self.summary()}"

    def wait_for_events(self, number):
        """Wait for this number of further events."""
        wanted = len(self.events) + number
        self.wait_for(lambda: len(self.events) >= wanted, f"{number} events")

    def wait_until_all_is_sent(self, seconds=60):
        """Wait for the next stats with an empty outbox."""
        seen = len(self.stats)
        is_empty = lambda: self.stats[seen:] and self.stats[-1]["outbox"]["durable"] < 5  # noqa: E731
        self.wait_for(is_empty, "an empty outbox", seconds)

    def summary(self):
        return {camera: len(self.numbers(camera)) for camera in CAMERAS}, self.statuses[-3:], self.stats[-1:]

    def numbers(self, camera):
        return [seq for name, seq, _ in self.events if name == camera]

    def rate(self, seconds):
        """Return the number of different events per second, over this many seconds."""
        return len({id_ for _, _, id_ in self.events}) / seconds

    def duplicates(self):
        return len(self.events) - len({id_ for _, _, id_ in self.events})

    def check(self, lost=()):
        """Check that each event arrived, in the order of its camera, except those of `lost`: (camera, seq)."""
        for camera in CAMERAS:
            numbers = list(dict.fromkeys(self.numbers(camera)))
            missing = sorted(
                set(range(1, max(numbers) + 1)) - set(numbers) - {seq for name, seq in lost if name == camera}
            )
            assert not missing, f"{camera}: {len(missing)} of {max(numbers)} are missing: {missing[:20]}"
            assert numbers == sorted(numbers), f"{camera}: not in order"
            identities = {(seq, id_) for name, seq, id_ in self.events if name == camera}
            assert len(identities) == len(numbers), f"{camera}: two events have one number"


class Gate:
    """A TCP relay to a local port. It can be closed, lose what it gets, or pass it on late."""

    def __init__(self, port):
        self._port = port
        self._open = threading.Event()
        self._flowing = threading.Event()
        self._flowing.set()
        self._pairs = []
        self._listener = None
        self.port = free_port()

    def open(self):
        """Pass on everything from now on."""
        self._open.set()
        self._flowing.set()
        if self._listener is None:
            self._listener = socket.create_server(("127.0.0.1", self.port))
            threading.Thread(target=self._accept, args=(self._listener,), name="gate", daemon=True).start()

    def swallow(self):
        """Pass on nothing any more, but keep the connections open."""
        self._open.clear()

    def hold(self):
        """Pass on nothing for now. Everything is passed on, late, when it is opened again."""
        self._flowing.clear()

    def close(self):
        """Close all connections, and refuse new ones."""
        listener, self._listener = self._listener, None
        for end in [listener, *(end for pair in self._pairs for end in pair)]:
            if end is not None:
                with contextlib.suppress(OSError):
                    end.shutdown(socket.SHUT_RDWR)
                end.close()
        self._pairs = []
        self._open.set()
        self._flowing.set()

    def _accept(self, listener):
        with contextlib.suppress(OSError):
            while True:
                client, _ = listener.accept()
                pair = client, socket.create_connection(("127.0.0.1", self._port))
                self._pairs.append(pair)
                for one, other in (pair, pair[::-1]):
                    threading.Thread(target=self._carry, args=(one, other), name="gate", daemon=True).start()

    def _carry(self, one, other):
        with contextlib.suppress(OSError):
            while data := one.recv(65536):
                if not self._open.is_set():
                    self._open.wait()
                    return  # what was swallowed is lost
                self._flowing.wait()
                other.sendall(data)
        for end in (one, other):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)


class Reader:
    """A subscriber at QoS 0. It sends nothing itself, so all that a broker wrote before a kill reaches it."""

    qos = 0

    def __init__(self, port, received):
        import paho.mqtt.client as paho
        from paho.mqtt.enums import CallbackAPIVersion

        self.received = received
        self._ready = threading.Event()
        self._ended = threading.Event()
        self._client = paho.Client(CallbackAPIVersion.VERSION2, reconnect_on_failure=False)
        self._client.on_connect = lambda client, *_: client.subscribe("edgepub/test/#", qos=self.qos)
        self._client.on_subscribe = lambda *_: self._ready.set()
        self._client.on_message = lambda _c, _u, message: self.take(message.topic, message.payload)
        self._client.on_disconnect = lambda *_: self._ended.set()
        self._client.connect("127.0.0.1", port, keepalive=3600)
        self._client.loop_start()
        assert self._ready.wait(30)

    def take(self, topic, payload):
        self.received.take(topic, payload)

    def wait_for_the_end(self):
        """Wait until everything is read that the broker had written before its end."""
        assert self._ended.wait(30)
        self._client.loop_stop()

    def close(self):
        self._client.disconnect()
        self._client.loop_stop()


def until(moment_s):
    """Sleep until a moment of the monotonic clock."""
    time.sleep(max(0.0, moment_s - time.monotonic()))


_EVENTS = "SELECT payload FROM events WHERE topic LIKE '%/events'"


def on_disk(path):
    """Return the ids of the events in the file."""
    database = sqlite3.connect(path)
    try:
        return {json.loads(payload)["event_id"] for (payload,) in database.execute(_EVENTS)}
    except sqlite3.OperationalError:  # it is just being made
        return set()
    finally:
        database.close()
