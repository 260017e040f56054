"""What the kernel holds for a connection."""

from pathlib import Path
from typing import NamedTuple


class QueuedBytes(NamedTuple):
    """Bytes in the kernel's queues of one end of a connection."""

    sent: int
    """Not acknowledged by the other end yet."""
    received: int
    """Not read by the program yet."""


def queued_bytes(local_port, remote_port):
    """Return the queues at the local end of an IPv4 connection between two ports (proc(5), /proc/net/tcp)."""
    ends = f":{local_port:04X}", f":{remote_port:04X}"
    for line in Path("/proc/net/tcp").read_text().splitlines():
        local, remote, _, queues = line.split()[1:5]
        if local.endswith(ends[0]) and remote.endswith(ends[1]):
            return QueuedBytes(*(int(number, 16) for number in queues.split(":")))
    return QueuedBytes(0, 0)
