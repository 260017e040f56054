"""From a result to the socket: CPU time per published message, with edgepub and with the bare loop.

``python -m edgepub.cli.bench.publishing {edgepub,bare} PORT OBJECTS`` prints microseconds per message. Each runs in a
separate process, so that all of its threads are counted, and nothing else.
"""

import asyncio
import functools
import json
import logging
import subprocess
import sys
import threading
import time
from statistics import median
from typing import Any

import numpy as np
import paho.mqtt.client as paho
import uvloop
from paho.mqtt.enums import CallbackAPIVersion
from rich.table import Table

from edgepub.camera.analysis.analysis import Analysis
from edgepub.camera.attention import Attention
from edgepub.camera.attribute_topics import AttributeTopics
from edgepub.camera.counts import ObjectCounts
from edgepub.camera.event_publisher import EventPublisher
from edgepub.camera.frames import Frame, Result
from edgepub.camera.payloads import DetectionsBuilder
from edgepub.camera.reporter import Reporter
from edgepub.camera.results.objects import Wanted
from edgepub.camera.sampler import Sampler
from edgepub.camera.snapshot_thread import SnapshotThread
from edgepub.camera.validity import Validity
from edgepub.camera.viewfinder import Viewfinder
from edgepub.cli.bench.outgoing import make_publisher
from edgepub.cli.bench.tables import measure_pairs, table
from edgepub.config.camera import CameraSettings
from edgepub.config.publishing import SnapshotSettings
from edgepub.daemon.picture_wiring import PictureWiring
from edgepub.mqtt.outbox.outbox import Outbox
from edgepub.mqtt.topics import Topics
from edgepub.telemetry.logs import camera_logger
from edgepub.telemetry.metrics import CameraMetrics
from edgepub.telemetry.status import CameraState

_MESSAGES = 20_000
_BURST = 100


def publishing(port: int) -> Table:
    """Measure CPU time per message, and return the table."""
    rows = table(
        "From a result to the socket: CPU time per published message, microseconds",
        "objects",
        "edgepub",
        "bare loop",
        "ratio",
    )
    for objects in (1, 20):
        ways = [functools.partial(measure_cpu_us, way, port, objects) for way in ("edgepub", "bare")]
        pairs = measure_pairs(*ways)
        edgepub_us, bare_us = (median(side) for side in zip(*pairs, strict=True))
        ratio = median(edgepub / bare for edgepub, bare in pairs)
        rows.add_row(str(objects), f"{edgepub_us:.0f}", f"{bare_us:.0f}", f"{ratio:.2f}")
    return rows


def measure_cpu_us(way: str, port: int, objects: int) -> float:
    """Return the CPU time per message, in microseconds."""
    command = [sys.executable, "-m", "edgepub.cli.bench.publishing", way, str(port), str(objects)]
    return float(subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout)


def make_result(objects: int) -> list[dict[str, Any]]:
    """Return the results of one frame in PySDK's format."""
    box = [63.796367168426514, 45.51012706756592, 114.57587814331055, 96.289475440979]
    return [{"bbox": box, "category_id": 0, "label": "face", "score": 0.9487605690956116}] * objects


def make_reporter(outbox: Outbox, metrics: CameraMetrics) -> Reporter:
    """Return a reporter for one camera, with all features off that the bare loop does not have."""
    identity = {"node": "bench", "camera": "camera", "boot_id": "boot"}
    topics = Topics("edgepub", "bench")
    settings = CameraSettings(
        source="camera.mp4", model="any", tracking=False, snapshot=SnapshotSettings(enabled=False)
    )
    attributes = AttributeTopics([], [], camera_logger(logging.getLogger(), "camera"))
    counts = ObjectCounts("camera", settings, topics, outbox)
    pictures = PictureWiring(identity, settings, topics, Outbox(1), list, lambda: None, is_on=False)
    return Reporter(
        identity["camera"],
        topics,
        DetectionsBuilder(identity, Wanted(min_score=0.5)),
        Analysis(settings),
        EventPublisher(identity, topics, outbox, metrics, Viewfinder(), attributes),
        counts,
        pictures.make_pictures(SnapshotThread(), metrics, counts.has_topics, Viewfinder(), CameraState()),
        Sampler(settings.publish),
        outbox,
        metrics,
        Validity(settings.stall_timeout_s),
        Attention(),
    )


def _edgepub(port: int, objects: int) -> float:
    outbox = Outbox(256)
    metrics = CameraMetrics()
    reporter = make_reporter(outbox, metrics)
    publisher = make_publisher(outbox, port)
    image = np.zeros((480, 640, 3), np.uint8)
    took: list[float] = []

    def produce() -> None:
        def burst(number: int) -> None:
            sent = metrics.published
            for _ in range(number):
                frame = Frame(image, 1, time.time(), time.monotonic(), 0.0)
                reporter.report(
                    Result(frame, make_result(objects), {"inference": 1.234}, frame.captured_s, frame.captured_s)
                )
            while metrics.published < sent + number:
                time.sleep(0.0005)

        burst(_BURST)  # the connection, and everything that is done once
        began_s = time.process_time()
        for _ in range(_MESSAGES // _BURST):
            burst(_BURST)
        took.append(time.process_time() - began_s)
        outbox.drain()

    async def run() -> None:
        producer = threading.Thread(target=produce, name="producer", daemon=True)
        producer.start()
        await publisher.run()

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(run())
    return took[0]


def _bare(port: int, objects: int) -> float:
    client = paho.Client(CallbackAPIVersion.VERSION2)
    client.connect("127.0.0.1", port)
    client.loop_start()

    def burst(number: int) -> None:
        for _ in range(number):
            payload = {"timestamp": time.time(), "detections": make_result(objects)}
            sent = client.publish("bench/camera/detections", json.dumps(payload))
        sent.wait_for_publish()

    burst(_BURST)
    began_s = time.process_time()
    for _ in range(_MESSAGES // _BURST):
        burst(_BURST)
    took_s = time.process_time() - began_s
    client.loop_stop()
    return took_s


if __name__ == "__main__":
    ways = {"edgepub": _edgepub, "bare": _bare}
    print(1e6 * ways[sys.argv[1]](int(sys.argv[2]), int(sys.argv[3])) / _MESSAGES)
