"""The messages in flight: taken from the outbox, and neither done nor put back."""

import time
from collections import deque
from collections.abc import Callable

from edgepub.mqtt.messages import Message


class InFlight:
    """Messages in flight, each with the time when it was taken; in the event loop. Nothing else keeps such a list.

    The message itself is the handle. The same message may be in flight twice.

    Args:
        clock: the time, in seconds.

    Attributes:
        entries: each message and when it was taken, in that order; to be read only.
        unacknowledged: how many of them are of QoS 1.

    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self.entries: deque[tuple[Message, float]] = deque()
        self.unacknowledged = 0

    def add(self, message: Message) -> None:
        """Add a message that is taken now."""
        self.entries.append((message, self._clock()))
        self.unacknowledged += message.qos

    def remove(self, message: Message) -> float | None:
        """Remove a message; return when it was taken, or None if it is not in flight."""
        if self.entries and self.entries[0][0] is message:  # as nearly always
            self.unacknowledged -= message.qos
            return self.entries.popleft()[1]
        for index, (candidate, taken_s) in enumerate(self.entries):
            if candidate is message:
                del self.entries[index]
                self.unacknowledged -= message.qos
                return taken_s
        return None

    def oldest_unacknowledged(self) -> tuple[Message, float] | None:
        """Return the message of QoS 1 that was taken first, and when, if there is one."""
        return next((entry for entry in self.entries if entry[0].qos), None) if self.unacknowledged else None

    def last(self) -> Message | None:
        """Return the message that was taken last, if there is one."""
        return self.entries[-1][0] if self.entries else None
