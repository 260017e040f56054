"""Run a process and measure it from outside, with the messages that it publishes."""

import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import paho.mqtt.client as paho
import psutil
import yaml
from paho.mqtt.enums import CallbackAPIVersion

_START_TIMEOUT_S = 60.0
_ALL_OFF: dict[str, Any] = {"tracking": False, "snapshot": {"enabled": False}}


class Watched:
    """A running process that is measured."""

    def __init__(self, pid: int, log: Path) -> None:
        self.pid = pid
        self._log = log
        self._first = threading.Event()

    def set_published(self) -> None:
        """Record that it has published a message."""
        self._first.set()

    def wait_for_first(self) -> None:
        """Wait for the first message.

        Raises:
            RuntimeError: no message arrived within 60 s.

        """
        if not self._first.wait(_START_TIMEOUT_S):
            raise RuntimeError(f"no message arrived: {self._log.read_text()[-300:]}")

    def cpu_s(self) -> float:
        """Return the CPU time of the process and its child processes, in seconds."""
        times = [process.cpu_times() for process in self._processes()]
        return float(sum(used.user + used.system for used in times))

    def rss_bytes(self) -> int:
        """Return the memory of the process and its child processes."""
        return sum(int(process.memory_info().rss) for process in self._processes())

    def _processes(self) -> list[psutil.Process]:
        process = psutil.Process(self.pid)
        return [process, *process.children(recursive=True)]


@contextmanager
def run_watched(
    command: list[str],
    port: int,
    topics: str | list[str],
    directory: Path,
    take: Callable[[str, bytes], None],
    environment: Mapping[str, str] | None = None,
) -> Iterator[Watched]:
    """Run a command with this Python; pass each message of the topics to `take`. Kill it at the end."""

    def pass_on(_client: paho.Client, _userdata: object, message: paho.MQTTMessage) -> None:
        take(message.topic, bytes(message.payload))
        process.set_published()

    log = directory / "log.txt"
    subscriber = paho.Client(CallbackAPIVersion.VERSION2)
    subscriber.on_message = pass_on
    subscriber.connect("127.0.0.1", port)
    for topic in [topics] if isinstance(topics, str) else topics:
        subscriber.subscribe(topic)
    with log.open("wb") as file:
        running = subprocess.Popen(
            [sys.executable, *command],
            stdout=file,
            stderr=file,
            env={**os.environ, "STATE_DIRECTORY": str(directory / "state"), **(environment or {})},
            start_new_session=True,
        )
    process = Watched(running.pid, log)
    subscriber.loop_start()
    try:
        yield process
    finally:
        running.kill()
        running.wait()
        subscriber.loop_stop()
        subscriber.disconnect()


def edgepub_run(directory: Path, port: int, zoo: Path, model: str, cameras: dict[str, Any], **more: Any) -> list[str]:  # noqa: ANN401  (YAML)
    """Return the command that runs the daemon of node `bench` with these cameras, all with one model.

    Features that the bare loop does not have are off unless a camera turns them on.
    """
    path = directory / "edgepub.yaml"
    configuration = {
        "node": "bench",
        "mqtt": {"url": f"mqtt://127.0.0.1:{port}"},
        "models": {"model": {"model_name": model, "zoo_url": str(zoo), "inference_host_address": "@local"}},
        "cameras": {name: {"model": "model", **_ALL_OFF, **camera} for name, camera in cameras.items()},
        **more,
    }
    path.write_text(yaml.safe_dump(configuration))
    return ["-m", "edgepub", "run", "-c", str(path)]
