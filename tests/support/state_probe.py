"""Starts what keeps state, on state directories that a test has damaged, each in a process of its own.

`python -m tests.support.state_probe` reads the paths of directories from its input, one a line, and writes a line of
JSON for each: what came out of two starts. Each start is in a forked process, so that nothing but the files is left of
it, and so that 300 of them take a minute.
"""

import contextlib
import itertools
import json
import logging
import os
import select
import signal
import sys
import threading
import time
import traceback
from pathlib import Path

from edgepub.camera.analysis.saved_visits import end_visits
from edgepub.camera.payloads import build_event, build_visit
from edgepub.camera.visit_store import encode_visits, saved_visits
from edgepub.config import overrides
from edgepub.config.areas import Areas
from edgepub.core.errors import InvalidResultError
from edgepub.core.identity import open_identity
from edgepub.core.machine import machine_key
from edgepub.core.state_dir import lock_state_dir
from edgepub.mqtt.messages import EventReceipt, event_message, json_format
from edgepub.mqtt.outbox.durable import DurableLane
from edgepub.mqtt.outbox.outbox import Outbox
from edgepub.mqtt.outbox.row import find_event_damage
from edgepub.mqtt.outbox.spool import Spool
from edgepub.mqtt.store import open_store
from edgepub.mqtt.topics import camera_of_events
from edgepub.telemetry.metrics import MetricsByCamera
from tests.support.durable_lane import an_event, read_payloads

FILES = (
    *("events.sqlite", "events.sqlite-wal", "events.sqlite-shm"),
    *("state.json", "overrides.yaml", "identity.json"),
)
TOPICS = [f"edgepub/test/{camera}/events" for camera in ("cam", "porch")]
EVENTS = 200
"""In the file, and as many in its write-ahead log."""
_TIMEOUT_S = 30
_SIGHTING = {
    "frame": 7,
    "timestamp": 1.8e9,
    "width": 640,
    "height": 480,
    "score": 0.9,
    "bbox": (64.0, 48.0, 128.0, 96.0),
    "bbox_norm": (0.1, 0.1, 0.2, 0.2),
}
_VISIT = {
    "visit_id": "01a20426-1ca9-74bc-a773-f80af7933441",
    "label": "car",
    "is_reported": True,
    "stay_s": 60.0,
    **dict.fromkeys(("first", "last", "best"), _SIGHTING),
    "home": (0.1, 0.1, 0.2, 0.2),
    "stood_s": 50.0,
    "missed_s": 1.0,
    "has_moved": True,
    "stationary_s": 0.0,
    "zones": {"drive": {"stay_s": 55.0, "is_loitering": False}},
    "dwells": {"gate": 2.0},
    "crossings": [("line", "left", 1.8e9)],
    "path": [(0.0, 0.1, 0.2), (5.0, 0.15, 0.2)],
    "attributes": {"text": {"label": "B-AB 123", "score": 0.9, "settled": True}},
}
_VISITS = [_VISIT, {**_VISIT, "visit_id": "01a20426-1ca9-74bc-a773-f80af7933442"}]
_IDENTITY = {"node": "test", "camera": "cam", "boot_id": "boot"}
_AREAS = {"zones": {"drive": {"polygon": [[0, 0], [1, 0], [1, 1]], "labels": ["person"]}}}


def make_directory(directory):
    """Make a good state directory, as a daemon leaves it that is killed during an outage."""
    open_identity(directory, [], "test", machine_key())
    overrides.write(directory, {"cam": Areas.model_validate(_AREAS), "porch": Areas()})
    with open_store(directory) as store:
        store.save_setting("cam", "min_score", "0.7")
        for topic in ("status", "info", "cam/status", "cam/objects/person"):
            store.add_retained(f"edgepub/test/{topic}")
    for is_killed in (False, True):
        pid = os.fork()
        if pid == 0:
            lane = _open_lane(directory, MetricsByCamera())
            lane.put_all([], encode_visits("cam", {visit["visit_id"]: visit for visit in _VISITS}))
            for number in range(EVENTS):
                _put(lane, TOPICS[number % 2])
            while len(read_payloads(directory / "events.sqlite")) < EVENTS * (1 + is_killed):
                time.sleep(0.01)
            if is_killed:
                os.kill(os.getpid(), signal.SIGKILL)
            lane.close(30)
            os._exit(0)
        os.waitpid(pid, 0)


def _open_lane(directory, metrics):
    lane = DurableLane(
        Spool(directory / "events.sqlite", find_damage=find_event_damage),
        receipt_of=lambda topic: EventReceipt(metrics, camera_of_events(topic)),
        max_ready=50,
    )
    lane.open(threading.Event().set)
    return lane


def _put(lane, topic):
    made = []

    def make(seq):
        made.append(an_event(topic.split("/")[-2], seq))
        return event_message(topic, made[0], json_format("edgepub.event/1"))

    lane.put(topic, make)
    return json.loads(made[0])["event_id"]


class _Log(logging.Handler):
    """Keeps what is logged."""

    def __init__(self):
        super().__init__(logging.WARNING)
        self.lines = []
        self.bugs = []

    def emit(self, record):
        self.lines.append(record.getMessage())
        if record.exc_info:
            self.bugs.append("".join(traceback.format_exception(*record.exc_info)))


def start(directory):
    """Start what keeps state, send all events, and one more; return what came out."""
    log, metrics = _Log(), MetricsByCamera()
    logging.getLogger().addHandler(log)
    with lock_state_dir(directory):
        files = [directory / name for name in ("state.json", "overrides.yaml", "events.sqlite")]
        open_identity(directory, files, "test", machine_key())
        saved = overrides.read_or_set_aside(directory)
        with open_store(directory) as store:
            setting = store.setting("cam", "min_score")
            lane = _open_lane(directory, metrics)
            occurrences, ended = end_visits(saved_visits(Outbox(1, lane), "cam"), itertools.count(1))
            with contextlib.suppress(InvalidResultError):  # it is logged and counted
                for occurrence in occurrences:
                    build_event(occurrence, None, _IDENTITY)
                for visit in ended:
                    build_visit(visit, _IDENTITY)
            wanted = _put(lane, TOPICS[0])
            sent, end_s = [], time.monotonic() + 20
            while wanted not in [event_id for _, event_id, _ in sent[-1:]] and time.monotonic() < end_s:
                if message := lane.take():
                    event = json.loads(message.payload)
                    sent.append((message.topic, event.get("event_id"), event.get("seq")))
                    lane.done(message)
                else:
                    time.sleep(0.002)
            store.add_retained("edgepub/test/new")
            while not store.add_retained("edgepub/test/new") and time.monotonic() < end_s:
                time.sleep(0.002)
            retained = store.retained_topics()
            unsaved, waiting = lane.close(10)
    return {
        "sent": sent,
        "is_new_sent": bool(sent) and sent[-1][1] == wanted,
        "left": [unsaved, waiting],
        "dropped": {camera: reading.read().dropped for camera, reading in metrics.items()},
        "setting": setting,
        "retained": retained,
        "saved": sorted(saved),
        "log": log.lines,
        "bugs": log.bugs,
    }


def _start_in_a_process(directory):
    """Return what came out of a start in a process of its own, or how the process ended."""
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(reader)
        try:
            outcome = start(directory)
        except Exception:  # reported as a bug
            outcome = {"bugs": [traceback.format_exc()]}
        with os.fdopen(writer, "w") as file:
            json.dump(outcome, file)
        os._exit(0)
    os.close(writer)
    with os.fdopen(reader) as file:
        if not select.select([file], [], [], _TIMEOUT_S)[0]:
            os.kill(pid, signal.SIGKILL)
        text = file.read()
    _, status = os.waitpid(pid, 0)
    return json.loads(text) if text else {"bugs": [f"ended with {os.waitstatus_to_exitcode(status)}"]}


def main():
    if sys.argv[1:]:
        make_directory(Path(sys.argv[1]))
        return
    for line in sys.stdin:
        directory = Path(line.rstrip("\n"))
        print(json.dumps([_start_in_a_process(directory) for _ in range(2)]), flush=True)


if __name__ == "__main__":
    main()
