"""The demo's surroundings: its directory, a configuration to copy, the daemon process, and the cleanup."""

import contextlib
import fcntl
import itertools
import os
import secrets
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import yaml

from edgepub.cli.demo import assets
from edgepub.cli.purge import clear_known
from edgepub.config.settings import Settings
from edgepub.core.errors import BrokerError
from edgepub.core.state_files import create_private_file

NODE = "demo"
CAMERA = "face"
_STATE = "state"
_TOKEN = "token"  # noqa: S105  (a file's name)
_STOP_TIMEOUT_S = 12.0
_START_TIMEOUT_S = 30.0
_POLL_S = 0.1


@contextmanager
def lock_demo_dir() -> Iterator[Path]:
    """Lock a directory that no other demo uses, and yield it: `demo`, else `demo-2`, and so on."""
    for number in itertools.count(1):
        directory = assets.cache_dir() / ("demo" if number == 1 else f"demo-{number}")
        directory.mkdir(exist_ok=True)
        lock = os.open(directory, os.O_RDONLY)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(lock)
            continue
        shutil.rmtree(directory / _STATE, ignore_errors=True)  # a new demo starts without the settings of the last one
        try:
            yield directory
        finally:
            os.close(lock)
        return


def write_configuration(directory: Path, connection: dict[str, str], files: assets.Assets) -> Path:
    """Write the demo's configuration, and return its path."""
    path, token = directory / "edgepub.yaml", directory / _TOKEN
    create_private_file(token)
    token.write_text(secrets.token_hex(16), encoding="ascii")
    content = {
        "node": NODE,
        "mqtt": connection,
        "models": {
            "blazeface": {
                "model_name": "blazeface",
                "zoo_url": str(files.zoo),
                "inference_host_address": "@local",
            }
        },
        "cameras": {
            CAMERA: {
                "source": str(files.video),
                "model": "blazeface",
                "loop": True,
                "realtime": True,
                "zones": {"window": {"polygon": [[0, 0], [0.43, 0], [0.43, 1], [0, 1]]}},
                "lines": {"middle": {"from": [0.43, 1], "to": [0.43, 0]}},
            }
        },
        "http": {"listen": f"127.0.0.1:{_free_port()}", "token_file": _TOKEN, "allow_edit": True},
    }
    path.write_text(yaml.safe_dump(content, sort_keys=False), encoding="utf-8")
    return path


def page_url(settings: Settings, directory: Path) -> str:
    """Return the address of the camera's page, with its token."""
    token = (directory / _TOKEN).read_text(encoding="ascii")
    return f"http://{settings.http.listen}/cameras/{CAMERA}#token={token}"


def wait_for_page(settings: Settings, daemon: subprocess.Popen[bytes]) -> None:
    """Wait until the page can be opened, the daemon has ended, or 30 s have passed."""
    parts = urlsplit(f"//{settings.http.listen}")
    end_s = time.monotonic() + _START_TIMEOUT_S
    while daemon.poll() is None and time.monotonic() < end_s:
        with contextlib.suppress(OSError), socket.create_connection((parts.hostname, parts.port), 1):
            return
        time.sleep(_POLL_S)


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


@contextmanager
def run_daemon(path: Path, log: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Run the daemon with a configuration; write its log to a file. Stop it at the end."""
    with log.open("wb") as file:
        process = subprocess.Popen(
            [sys.executable, "-m", "edgepub.cli.demo.daemon", str(path)],
            stdin=subprocess.PIPE,  # if this process is killed, the daemon ends with its stdin
            stdout=file,
            stderr=file,
            env={**os.environ, "STATE_DIRECTORY": str(path.parent / _STATE)},  # separate from the user's own state
            start_new_session=True,  # Ctrl-C must not reach it: this process stops it
        )
    try:
        yield process
    finally:
        assert process.stdin is not None  # noqa: S101
        process.stdin.close()
        try:
            process.wait(_STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def clear_broker(settings: Settings, directory: Path) -> None:
    """Clear the demo's retained topics from the user's broker; this also removes its devices from Home Assistant."""
    with contextlib.suppress(BrokerError):  # the watcher reports a broker that is not there
        clear_known(settings, directory / _STATE)
