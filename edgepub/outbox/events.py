"""The lane of events: each one matters, in its order."""

from collections import deque

from edgepub.messages import Message


class EventLane:
    """A queue that gives up its oldest message only when very many wait.

    Args:
        size: messages that it holds.

    """

    def __init__(self, size: int) -> None:
        self._size = size
        self._messages: deque[Message] = deque()

    def put(self, message: Message) -> Message | None:
        """Add a message; return one that had to go for it."""
        self._messages.append(message)
        return self._messages.popleft() if len(self._messages) > self._size else None

    def put_back(self, message: Message) -> Message | None:
        """Return a message to the front; return it again if newer ones have taken its place."""
        if len(self._messages) >= self._size:
            return message
        self._messages.appendleft(message)
        return None

    def take(self) -> Message | None:
        """Remove and return the oldest message."""
        return self._messages.popleft() if self._messages else None

    def __len__(self) -> int:
        return len(self._messages)
