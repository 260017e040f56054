"""A process and what it publishes, seen from outside."""

import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import paho.mqtt.client as paho
import psutil
import yaml
from paho.mqtt.enums import CallbackAPIVersion

_START_S = 60.0
_PLAIN: dict[str, Any] = {"tracking": False, "snapshot": {"enabled": False}}


class Watched:
    """A process under watch."""

    def __init__(self, pid: int, log: Path) -> None:
        self.pid = pid
        self._log = log
        self._first = threading.Event()

    def heard(self) -> None:
        """Note that it has published something."""
        self._first.set()

    def wait_for_first(self) -> None:
        """Wait until it has published something.

        Raises:
            RuntimeError: it did not.

        """
        if not self._first.wait(_START_S):
            raise RuntimeError(f"no message came: {self._log.read_text()[-300:]}")

    def cpu_s(self) -> float:
        """Return the processor time that it and what it started have used, in seconds."""
        times = [each.cpu_times() for each in self._processes()]
        return float(sum(each.user + each.system for each in times))

    def rss_bytes(self) -> int:
        """Return its memory, and that of what it started."""
        return sum(int(each.memory_info().rss) for each in self._processes())

    def _processes(self) -> list[psutil.Process]:
        process = psutil.Process(self.pid)
        return [process, *process.children(recursive=True)]


@contextmanager
def watched(
    command: list[str], port: int, topic: str, folder: Path, take: Callable[[str, bytes], None]
) -> Iterator[Watched]:
    """Run a command with our Python and kill it at the end; give each message of the topics to `take` meanwhile."""

    def pass_on(_client: paho.Client, _userdata: object, message: paho.MQTTMessage) -> None:
        take(message.topic, bytes(message.payload))
        process.heard()

    log = folder / "log.txt"
    subscriber = paho.Client(CallbackAPIVersion.VERSION2)
    subscriber.on_message = pass_on
    subscriber.connect("127.0.0.1", port)
    subscriber.subscribe(topic)
    with log.open("wb") as file:
        running = subprocess.Popen(
            [sys.executable, *command],
            stdout=file,
            stderr=file,
            env={**os.environ, "STATE_DIRECTORY": str(folder / "state")},
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


def edgepub_run(folder: Path, port: int, zoo: Path, model: str, cameras: dict[str, Any], **more: Any) -> list[str]:  # noqa: ANN401  (YAML)
    """Return the command that runs the daemon of node `bench` with these cameras, all with one model.

    They do what the others do that they are compared with: what is beyond that is off unless asked for.
    """
    path = folder / "edgepub.yaml"
    configuration = {
        "node": "bench",
        "mqtt": {"url": f"mqtt://127.0.0.1:{port}"},
        "models": {"model": {"model_name": model, "zoo_url": str(zoo), "inference_host_address": "@local"}},
        "cameras": {name: {"model": "model", **_PLAIN, **camera} for name, camera in cameras.items()},
        **more,
    }
    path.write_text(yaml.safe_dump(configuration))
    return ["-m", "edgepub", "run", "-c", str(path)]
