"""The stream lane: the newest matter most."""

from collections import deque

from edgepub.messages import Message


class StreamLane:
    """A bounded queue that drops its oldest message for a new one."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._messages: deque[Message] = deque()

    def put(self, message: Message) -> Message | None:
        """Add a message at the end; return the oldest if it had to go."""
        lost = self._messages.popleft() if len(self._messages) >= self._size else None
        self._messages.append(message)
        return lost

    def put_back(self, message: Message) -> Message | None:
        """Return a message to the front; return it again if newer ones have taken its place."""
        if len(self._messages) >= self._size:
            return message
        self._messages.appendleft(message)
        return None

    def take(self) -> Message | None:
        """Remove and return the oldest message."""
        return self._messages.popleft() if self._messages else None

    def __bool__(self) -> bool:
        return bool(self._messages)
