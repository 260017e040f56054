"""The broker for measurements: Mosquitto if it is installed, else the demo's broker."""

import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from edgepub.cli.demo.broker import embedded_broker

_START_TIMEOUT_S = 10.0


@contextmanager
def broker() -> Iterator[tuple[str, int]]:
    """Run a broker on 127.0.0.1. Yield its name and its port."""
    program = shutil.which("mosquitto") or shutil.which("mosquitto", path="/usr/sbin")
    if program is None:
        with embedded_broker() as port:
            yield "aMQTT (install mosquitto for realistic figures)", port
        return
    port = free_port()
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory, "mosquitto.conf")
        path.write_text(f"listener {port} 127.0.0.1\nallow_anonymous true\nlog_type error\n")
        process = subprocess.Popen([program, "-c", str(path)], stderr=subprocess.DEVNULL)
        try:
            _wait_for(port)
            yield "Mosquitto", port
        finally:
            process.terminate()
            process.wait()


def free_port() -> int:
    """Return a free port of 127.0.0.1."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def _wait_for(port: int) -> None:
    end_s = time.monotonic() + _START_TIMEOUT_S
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            if time.monotonic() > end_s:
                raise
            time.sleep(0.02)
        else:
            return
