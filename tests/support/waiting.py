"""Wait for what must come, and get a port for what is to come and go."""

import asyncio
import contextlib
import random
import socket
import time

WAIT_S = 60  # for what must come; on a machine of any speed


def free_port():
    """Return a port for a server that is to come and go.

    It is below those that the kernel gives to clients: one of them would take it while the server is away, and even a
    client that tries to reach just this port is connected to itself when it is given the same.
    """
    while True:
        with contextlib.suppress(OSError), socket.socket() as listener:
            listener.bind(("127.0.0.1", random.randrange(20_000, 32_000)))
            return listener.getsockname()[1]


def wait_until(condition, what, seconds=WAIT_S):
    """Return the first true value of a condition; for things that cannot tell when they happen."""
    end = time.monotonic() + seconds
    while not (value := condition()):
        assert time.monotonic() < end, f"did not come: {what}"
        time.sleep(0.01)
    return value


async def take(outbox):
    """Return the next message as the publisher gets it; None when there will be none."""
    while (message := outbox.take()) is None and not outbox.is_drained:
        await asyncio.wait_for(outbox.wait(), 30)
    return message
