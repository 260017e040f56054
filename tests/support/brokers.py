"""Real brokers, and a client that keeps the messages it receives."""

import contextlib
import functools
import json
import shutil
import signal
import socket
import subprocess
import threading

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion

from tests.support.waiting import WAIT_S, free_port, wait_until

MOSQUITTO = shutil.which("mosquitto") or shutil.which("mosquitto", path="/usr/sbin")
HAS_MOSQUITTO = bool(MOSQUITTO and shutil.which("mosquitto_passwd") and shutil.which("mosquitto_sub"))

parse = functools.lru_cache(maxsize=100_000)(json.loads)
"""Conditions on a subscriber read its messages again whenever one comes."""


class Mosquitto:
    """A real broker that can be started and stopped several times on the same port."""

    def __init__(self, directory, *lines):
        self.port = free_port()
        self.url = f"mqtt://127.0.0.1:{self.port}"
        self._file = directory / "mosquitto.conf"
        text = lines or (f"listener {self.port} 127.0.0.1", "allow_anonymous true")
        self._file.write_text("\n".join(line.format(port=self.port) for line in text) + "\nuser root\nlog_type error\n")
        self.process = None

    def start(self):
        self.process = subprocess.Popen([MOSQUITTO, "-c", self._file], stderr=subprocess.DEVNULL)
        wait_until(self._answers, "a listening Mosquitto")
        return self

    def _answers(self):
        assert self.process.poll() is None, "Mosquitto ended immediately"
        with contextlib.suppress(OSError):
            socket.create_connection(("127.0.0.1", self.port), 1).close()
            return True

    def pause(self):
        self.process.send_signal(signal.SIGSTOP)

    def resume(self):
        self.process.send_signal(signal.SIGCONT)

    def stop(self):
        if self.process:
            self.process.kill()
            self.process.wait()


class Amqtt:
    """The demo's broker, as a test's broker."""

    def __init__(self, port):
        self.port = port
        self.url = f"mqtt://127.0.0.1:{port}"


class Subscriber:
    """A client of the broker that keeps all messages it receives; with `session` in a session that the broker keeps."""

    protocol = paho.MQTTv311

    def __init__(self, port, topic="#", user=None, session=None):
        self.port = port
        self.messages = []  # (topic, payload, retained)
        self._changed = threading.Condition()
        self._ready = threading.Event()
        kept = {"client_id": session, "clean_session": False} if session else {}
        self._client = paho.Client(CallbackAPIVersion.VERSION2, protocol=self.protocol, **kept)
        if user:
            self._client.username_pw_set(*user)
        self._client.on_message = self.take
        self._client.on_connect = lambda client, *_: client.subscribe(topic, qos=1)
        self._client.on_subscribe = lambda *_: self._ready.set()
        self._client.connect("127.0.0.1", port)
        self._client.loop_start()
        assert self._ready.wait(WAIT_S)

    def take(self, _client, _userdata, message):
        with self._changed:
            self.messages.append((message.topic, message.payload, message.retain))
            self._changed.notify_all()

    def wait_for(self, condition, what, seconds=WAIT_S):
        """Return the first true value of a condition on this subscriber, checked after each message."""
        with self._changed:
            value = self._changed.wait_for(lambda: condition(self), seconds)
        assert value, f"did not come: {what}; last: {self.messages[-3:]}"
        return value

    def retained(self):
        """Return the retained messages of this subscriber to `#`, by topic. A message of its own marks their end."""
        self._client.publish("test/end-of-retained", qos=1)
        self.wait_for(lambda r: r.payloads("test/end-of-retained"), "the own message")
        return {topic: payload for topic, payload, retained in self.messages if retained}

    def publish(self, topic, payload, retain=False, qos=1):
        self._client.publish(topic, payload, qos=qos, retain=retain).wait_for_publish(WAIT_S)

    def payloads(self, topic):
        return [payload for name, payload, _ in self.messages if name == topic]

    def stats(self, node="test"):
        return [parse(payload) for payload in self.payloads(f"edgepub/{node}/stats")]

    def detections(self, camera="cam"):
        return [parse(payload) for payload in self.payloads(f"edgepub/test/{camera}/detections")]

    def last(self, topic):
        return (self.payloads(topic) or [None])[-1]

    def close(self):
        self._client.disconnect()
        self._client.loop_stop()
