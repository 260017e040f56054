"""UUIDs of version 7 (RFC 9562), which sort by time."""

import secrets
import time
from uuid import UUID


def uuid7() -> UUID:
    """Return a new UUID with the time that the wall clock shows now.

    Other implementations, also Python's own, never go back in time: when a clock that was ahead has been set right,
    they continue with the wrong time until the process ends. This one takes the clock as it is. Of two that are made in
    the same millisecond, the one made first is the smaller one (RFC 9562, 6.2, method 3).
    """
    milliseconds, nanoseconds = divmod(time.time_ns(), 10**6)
    fraction = nanoseconds * 2**12 // 10**6
    time_bits = (milliseconds % 2**48) << 80 | 0x7 << 76 | fraction << 64
    return UUID(int=time_bits | 0b10 << 62 | secrets.randbits(62))
