"""From the outbox to the broker: CPU time per message with edgepub, paho alone, and aiomqtt one at a time.

``python -m edgepub.cli.bench.delivery {edgepub,paho,aiomqtt} PORT QOS`` prints microseconds of CPU time per message and
messages per second. Each runs in a separate process, so that all of its threads are counted, and nothing else.
"""

import asyncio
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from statistics import median
from typing import Literal

import aiomqtt
import paho.mqtt.client as paho
import uvloop
from paho.mqtt.enums import CallbackAPIVersion
from rich.table import Table

from edgepub.cli.bench.outgoing import make_publisher
from edgepub.cli.bench.tables import ROUNDS, table
from edgepub.mqtt.messages import Message, json_format
from edgepub.mqtt.outbox.outbox import Outbox

_MESSAGES = 10_000
_BURST = 100
_TOPIC = "bench/camera/detections"
_PAYLOAD = b"x" * 400
_WAYS = ("edgepub", "paho", "aiomqtt")


def delivery(port: int) -> Table:
    """Measure CPU time per message and messages per second, and return the table."""
    rows = table(
        f"From the outbox to the broker, {len(_PAYLOAD)} bytes in bursts of {_BURST}: CPU time per message, us "
        "(messages/s)",
        "MQTT 5",
        "edgepub",
        "paho alone",
        "aiomqtt, one at a time",
        "CPU time: edgepub / paho",
        "edgepub / aiomqtt",
    )
    for qos in (0, 1):
        rounds = []
        for number in range(ROUNDS):
            first = number % len(_WAYS)
            rounds.append({way: _measure(way, port, qos) for way in (*_WAYS[first:], *_WAYS[:first])})
        figures = [
            f"{median(measured[way][0] for measured in rounds):.0f} "
            f"({median(measured[way][1] for measured in rounds):.0f})"
            for way in _WAYS
        ]
        ratios = [
            f"{median(measured['edgepub'][0] / measured[way][0] for measured in rounds):.2f}" for way in _WAYS[1:]
        ]
        rows.add_row(f"QoS {qos}", *figures, *ratios)
    return rows


def _measure(way: str, port: int, qos: int) -> tuple[float, float]:
    command = [sys.executable, "-m", "edgepub.cli.bench.delivery", way, str(port), str(qos)]
    us, rate = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout.split()
    return float(us), float(rate)


class _BurstReceipt:
    """A receipt that signals when a whole burst has been sent."""

    queued_s = 0.0

    def __init__(self) -> None:
        self._number = 0
        self.burst_is_sent = threading.Event()

    def count_sent(self, taken_s: float) -> None:  # noqa: ARG002
        self._number += 1
        if self._number % _BURST == 0:
            self.burst_is_sent.set()

    def count_dropped(self, reason: str, number: int = 1) -> None:  # noqa: ARG002
        raise AssertionError(reason)


def _time_bursts(burst: Callable[[], None]) -> tuple[float, float]:
    burst()  # the connection, and everything that is done once
    began_s, began_cpu_s = time.monotonic(), time.process_time()
    for _ in range(_MESSAGES // _BURST):
        burst()
    return time.process_time() - began_cpu_s, time.monotonic() - began_s


def _edgepub(port: int, qos: Literal[0, 1]) -> tuple[float, float]:
    outbox, receipt = Outbox(_BURST), _BurstReceipt()
    publisher = make_publisher(outbox, port)
    message = Message(
        _TOPIC, _PAYLOAD, qos, receipt=receipt, payload_format=json_format("edgepub.detections/1"), expiry_s=60
    )
    took: list[tuple[float, float]] = []

    def burst() -> None:
        receipt.burst_is_sent.clear()
        for _ in range(_BURST):
            outbox.put(message)
        receipt.burst_is_sent.wait()

    def produce() -> None:
        took.append(_time_bursts(burst))
        outbox.drain()

    async def run() -> None:
        threading.Thread(target=produce, name="producer", daemon=True).start()
        await publisher.run()

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(run())
    return took[0]


def _paho(port: int, qos: Literal[0, 1]) -> tuple[float, float]:
    client = paho.Client(CallbackAPIVersion.VERSION2, protocol=paho.MQTTv5)
    client.connect("127.0.0.1", port)
    client.loop_start()

    def burst() -> None:
        for _ in range(_BURST):
            sent = client.publish(_TOPIC, _PAYLOAD, qos)
        sent.wait_for_publish()

    took = _time_bursts(burst)
    client.loop_stop()
    return took


def _aiomqtt(port: int, qos: Literal[0, 1]) -> tuple[float, float]:
    async def run() -> tuple[float, float]:
        async with aiomqtt.Client("127.0.0.1", port, protocol=aiomqtt.ProtocolVersion.V5) as client:
            began_s, began_cpu_s = time.monotonic(), time.process_time()
            for _ in range(_MESSAGES):
                await client.publish(_TOPIC, _PAYLOAD, qos)
            return time.process_time() - began_cpu_s, time.monotonic() - began_s

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(run())


if __name__ == "__main__":
    cpu_s, wall_s = {"edgepub": _edgepub, "paho": _paho, "aiomqtt": _aiomqtt}[sys.argv[1]](
        int(sys.argv[2]),
        1 if int(sys.argv[3]) else 0,
    )
    print(1e6 * cpu_s / _MESSAGES, _MESSAGES / wall_s)
