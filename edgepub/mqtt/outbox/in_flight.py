"""The messages in flight: taken from the outbox, and neither done nor put back."""

import time
from collections import deque
from collections.abc import Callable, Collection

from edgepub.mqtt.messages import Message


class InFlight:
    """Messages in flight, each with the time when it was taken; in the event loop. Nothing else keeps such a list.

    The message itself is the handle. The same message may be in flight twice.

    Args:
        clock: the time, in seconds.

    Attributes:
        entries: each message and when it was taken, in that order; to be read only.

    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self.entries: deque[tuple[Message, float]] = deque()

    def add(self, message: Message) -> None:
        """Add a message that is taken now."""
        self.entries.append((message, self._clock()))

    def remove(self, message: Message) -> float | None:
        """Remove a message; return when it was taken, or None if it is not in flight."""
        if self.entries and self.entries[0][0] is message:  # as nearly always
            return self.entries.popleft()[1]
        for index, (candidate, taken_s) in enumerate(self.entries):
            if candidate is message:
                del self.entries[index]
                return taken_s
        return None

    def first(self, lanes: Collection[str]) -> Message | None:
        """Return the message of these lanes that was taken first, if there is one."""
        return next((message for message, _ in self.entries if message.lane in lanes), None)

    def last(self) -> Message | None:
        """Return the message that was taken last, if there is one."""
        return self.entries[-1][0] if self.entries else None
