"""Whole processes side by side: the daemon, and the bare loop, on the same video and model, watched from outside."""

import json
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import paho.mqtt.client as paho
import psutil
import yaml
from paho.mqtt.enums import CallbackAPIVersion

_WARM_UP_S = 0.5
_WINDOW_S = 2.5
_START_S = 60.0


@dataclass(frozen=True, slots=True)
class Case:
    """What both sides work on."""

    name: str
    zoo: Path
    model: str
    video: Path


@dataclass(frozen=True, slots=True)
class Figures:
    """What was seen of one process in one window."""

    fps: float
    """Frames inferred a second."""
    cpu_us: float
    """Processor time for each of them, of the process and of those that it started, in microseconds."""
    published: float
    """The part of them that was published."""


def bare_loop(case: Case, port: int, folder: Path) -> Figures:
    """Measure DeGirum's streaming loop."""
    topic = "bench/bare"
    command = ["-m", "edgepub.bench.bare_loop", str(case.zoo), case.model, str(case.video), str(port), topic]
    return _measure([sys.executable, *command], port, topic, folder, None)


def daemon(case: Case, port: int, folder: Path) -> Figures:
    """Measure `edgepub run`."""
    configuration = {
        "node": "bench",
        "mqtt": {"url": f"mqtt://127.0.0.1:{port}"},
        "models": {"model": {"model_name": case.model, "zoo_url": str(case.zoo), "inference_host_address": "@local"}},
        "cameras": {"camera": {"source": str(case.video), "model": "model", "loop": True}},
    }
    path = folder / "edgepub.yaml"
    path.write_text(yaml.safe_dump(configuration))
    command = [sys.executable, "-m", "edgepub", "run", "-c", str(path)]
    return _measure(command, port, "edgepub/bench/camera/detections", folder, lambda payload: int(payload["frame"]))


def _measure(command: list[str], port: int, topic: str, folder: Path, frame_of: Callable[[Any], int] | None) -> Figures:
    """Run a command, and watch it for a while from its first message on.

    `frame_of` tells the number of frames inferred up to a payload; None: one a message.
    """
    first = threading.Event()
    last: list[bytes] = [b""]
    number = 0

    def take(_client: paho.Client, _userdata: object, message: paho.MQTTMessage) -> None:
        nonlocal number
        number += 1
        last[0] = bytes(message.payload)
        first.set()

    def sample() -> tuple[float, float, int, int]:
        frames = number if frame_of is None else frame_of(json.loads(last[0]))
        return time.perf_counter(), _cpu_s(process.pid), frames, number

    subscriber = paho.Client(CallbackAPIVersion.VERSION2)
    subscriber.on_message = take
    subscriber.connect("127.0.0.1", port)
    subscriber.subscribe(topic)
    subscriber.loop_start()
    with (folder / "log.txt").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, start_new_session=True)
    try:
        if not first.wait(_START_S):
            raise RuntimeError(f"no message came: {(folder / 'log.txt').read_text()[-300:]}")
        time.sleep(_WARM_UP_S)
        from_s, from_cpu_s, from_frame, from_number = sample()
        time.sleep(_WINDOW_S)
        to_s, to_cpu_s, to_frame, to_number = sample()
    finally:
        process.kill()
        process.wait()
        subscriber.loop_stop()
        subscriber.disconnect()
    frames = max(1, to_frame - from_frame)
    return Figures(frames / (to_s - from_s), 1e6 * (to_cpu_s - from_cpu_s) / frames, (to_number - from_number) / frames)


def _cpu_s(pid: int) -> float:
    process = psutil.Process(pid)
    times = [each.cpu_times() for each in (process, *process.children(recursive=True))]
    return float(sum(each.user + each.system for each in times))
