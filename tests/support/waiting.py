"""Waiting for conditions and messages, and free ports."""

import asyncio
import collections
import contextlib
import os
import random
import socket
import time

_used_ports = collections.deque(maxlen=1000)
WAIT_S = 60  # enough on a computer of any speed


def free_port():
    """Return a free port for a server that is stopped and started again.

    It is below the ports that the kernel gives to clients: one of them would take it while the server is stopped. Even
    a client that connects to this port would be connected to itself if the kernel gave it the same port.

    No two tests get the same port: not in one process, and not in two that run tests side by side.
    """
    first = 20_000 + 1500 * (int(os.environ.get("PYTEST_XDIST_WORKER", "gw0")[2:]) % 8)
    while True:
        port = random.randrange(first, first + 1500)
        if port in _used_ports:
            continue
        with contextlib.suppress(OSError), socket.socket() as listener:
            listener.bind(("127.0.0.1", port))
            _used_ports.append(port)
            return port


def wait_until(condition, what, seconds=WAIT_S):
    """Return the first true value of a condition; for conditions without an event to wait for."""
    end = time.monotonic() + seconds
    while not (value := condition()):
        assert time.monotonic() < end, f"did not come: {what}"
        time.sleep(0.01)
    return value


async def take(outbox):
    """Return the next message as the publisher gets it; None when the outbox is drained."""
    while (message := outbox.take()) is None and not outbox.is_drained:
        await asyncio.wait_for(outbox.wait(), 30)
    return message
