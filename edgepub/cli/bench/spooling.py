"""Events through the disk: events per second, and the delay of one event."""

import asyncio
import functools
import threading
import time
from pathlib import Path
from statistics import median

import uvloop
from rich.table import Table

from edgepub.camera.analysis.presence import Moment, Sighting
from edgepub.camera.analysis.rules import Occurrence
from edgepub.camera.payloads import build_event
from edgepub.cli.bench.outgoing import make_publisher
from edgepub.cli.bench.tables import table
from edgepub.mqtt.messages import Message, event_message, json_format
from edgepub.mqtt.outbox.durable import DurableLane
from edgepub.mqtt.outbox.outbox import Outbox
from edgepub.mqtt.outbox.spool import Spool
from edgepub.mqtt.payloads import event

_ROUNDS = 5
_EVENTS = 10_000
_ONE_BY_ONE = 200
_STOP_TIMEOUT_S = 60.0
_TOPIC = "bench/camera/events"


def spooling(port: int, directory: Path) -> Table:
    """Measure events written, delayed and replayed, and return the table."""
    size = len(_make_event(1).encoded())
    rows = table(f"{_EVENTS} events of {size} bytes through the disk to the broker, median of {_ROUNDS}", "", "")
    spooled, replayed, waited_ms, bytes_per_event = [], [], [], []
    for number in range(_ROUNDS):
        path = directory / f"spool-{number}" / "events.sqlite"
        waited_ms.append(1000 * _wait_s(path))
        spooled.append(_EVENTS / _spool_s(path))
        bytes_per_event.append(path.stat().st_size / _EVENTS)
        replayed.append(_EVENTS / _replay_s(path, port))
    rows.add_row("written to disk per second", f"{median(spooled):.0f}")
    rows.add_row("bytes on disk per event", f"{median(bytes_per_event):.0f}")
    rows.add_row("sent after an outage, per second, without replay_rate_hz", f"{median(replayed):.0f}")
    rows.add_row("one at a time: milliseconds until an event is on disk and can be sent", f"{median(waited_ms):.1f}")
    return rows


def _make_event(seq: int) -> Message:
    return event_message(_TOPIC, event.encode(_build_event(), seq), json_format(event.SCHEMA))


@functools.cache
def _build_event() -> event.Event:
    thing = {
        "label": "person",
        "score": 0.9346,
        "track_id": 17,
        "bbox": [47.9, 44.43, 97.87, 94.41],
        "bbox_norm": [0.27214, 0.30857, 0.55606, 0.65559],
    }
    sighting = Sighting(Moment(120, time.time(), 4.8, 176, 144), thing)
    occurrence = Occurrence("zone_left", ("person", 17), sighting, zone="driveway", dwell_s=3.67)
    return build_event(
        occurrence, 12, {"node": "garage", "camera": "porch", "boot_id": "18caa70378ad4d6790b13e8364cfb8"}
    )


def _wait_s(path: Path) -> float:
    """Return the median time from `put` until an event can be sent, one event at a time."""
    ready = threading.Event()
    lane = DurableLane(Spool(path))
    lane.open(ready.set)
    took_s = []
    for _ in range(_ONE_BY_ONE):
        ready.clear()
        began_s = time.monotonic()
        lane.put(_TOPIC, _make_event)
        ready.wait()
        took_s.append(time.monotonic() - began_s)
        if message := lane.take():
            lane.done(message)
    lane.close(_STOP_TIMEOUT_S)
    return median(took_s)


def _spool_s(path: Path) -> float:
    """Return the time until all events are on disk."""
    lane = DurableLane(Spool(path), max_messages=_EVENTS)
    lane.open(lambda: None)
    began_s = time.monotonic()
    for _ in range(_EVENTS):
        lane.put(_TOPIC, _make_event)
    lane.close(_STOP_TIMEOUT_S)
    return time.monotonic() - began_s


def _replay_s(path: Path, port: int) -> float:
    """Return the time from the start of the session until the broker has all events."""
    lane = DurableLane(Spool(path), max_messages=_EVENTS)
    outbox = Outbox(256, lane)
    publisher = make_publisher(outbox, port)
    outbox.open()
    outbox.drain()
    began_s = time.monotonic()
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(publisher.run())
    took_s = time.monotonic() - began_s
    lane.close(_STOP_TIMEOUT_S)
    return took_s
