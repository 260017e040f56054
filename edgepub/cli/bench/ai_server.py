"""A real DeGirum AI server on this machine. It listens on all interfaces."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_START_TIMEOUT_S = 60.0


@contextmanager
def ai_server(zoo: Path, port: int = 0) -> Iterator[tuple[int, subprocess.Popen[bytes]]]:
    """Run the server with a zoo on a port (0: any free port). Yield the port and the leader of its process group."""
    if not port:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
    start = "import degirum; degirum._command_entrypoint()"
    server = subprocess.Popen(
        [sys.executable, "-c", start, "server", "start", "--quiet", "--zoo", str(zoo), "--port", str(port)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        # It runs postprocessors with the first `python3` in PATH.
        env={**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"},
        start_new_session=True,
    )
    try:
        _wait_for(server, port)
        yield port, server
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(server.pid, signal.SIGKILL)
        server.wait()


def _wait_for(server: subprocess.Popen[bytes], port: int) -> None:
    end_s = time.monotonic() + _START_TIMEOUT_S
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            if server.poll() is not None or time.monotonic() > end_s:
                raise
            time.sleep(0.1)
        else:
            return
