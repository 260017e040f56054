"""The stream lane: the newest messages matter most, and all topics matter equally."""

from collections import OrderedDict, deque
from collections.abc import Mapping

from edgepub.mqtt.messages import Message
from edgepub.mqtt.outbox.suspects import is_among

_MAX_IN_FLIGHT = 16
"""A message that was taken can no longer be dropped, and on a slow link it would be old when it arrives."""


_NONE: Mapping[str, int] = {}


class StreamLane:
    """A bounded queue that takes its topics in turn. A full one drops the oldest message of the fullest topic.

    So a camera with many frames a second pushes out its own messages, never those of a slower camera. And the node's
    few `stats` messages get through a broker that takes less than the cameras give.

    Source: J. Nagle, "On Packet Switches with Infinite Storage", RFC 970, 1985.

    Args:
        size: how many messages it holds.

    """

    def __init__(self, size: int) -> None:
        self._max_size = size
        self._size = 0
        self._in_flight = 0
        self._topics: OrderedDict[str, deque[Message]] = (
            OrderedDict()
        )  # those with messages, the next to be taken first

    def put(self, message: Message) -> Message | None:
        """Add a message; return the message that is dropped for it, if the lane is full."""
        queue = self._topics.get(message.topic)
        if queue is None:
            queue = self._topics[message.topic] = deque()
        queue.append(message)
        self._size += 1
        if self._size <= self._max_size:
            return None
        topic, queue = max(self._topics.items(), key=lambda item: len(item[1]))
        dropped = queue.popleft()
        self._size -= 1
        if not queue:
            del self._topics[topic]
        return dropped

    def put_back(self, message: Message) -> Message | None:
        """Put a message that was not sent at the front of its topic; return it if the lane is full of newer ones."""
        self._in_flight -= 1
        if self._size >= self._max_size:
            return message
        self._topics.setdefault(message.topic, deque()).appendleft(message)
        self._size += 1
        return None

    def take(self, skip: Mapping[str, int] = _NONE) -> Message | None:
        """Take the oldest message of the topic whose turn it is, unless too many are in flight.

        Args:
            skip: messages not to take now (see `is_among`).

        """
        if not self._size or self._in_flight >= _MAX_IN_FLIGHT:
            return None
        if skip:
            topic = next((topic for topic, queue in self._topics.items() if not is_among(queue[0], skip)), None)
        else:  # each frame comes here
            topic = next(iter(self._topics))
        if topic is None:
            return None
        queue = self._topics[topic]
        message = queue.popleft()
        self._size -= 1
        self._in_flight += 1
        if queue:
            self._topics.move_to_end(topic)
        else:
            del self._topics[topic]
        return message

    def has_other_than(self, skip: Mapping[str, int]) -> bool:
        """Return whether a message can be taken now that is none of these."""
        return bool(self) and not all(is_among(queue[0], skip) for queue in self._topics.values())

    def done(self, message: Message) -> None:  # noqa: ARG002
        """Note that a message that was taken will not be put back."""
        self._in_flight -= 1

    refuse = done
    """As `done`: a message that was refused is not sent again."""

    def discard(self) -> list[Message]:
        """Remove and return all messages that wait."""
        discarded = [message for queue in self._topics.values() for message in queue]
        self._topics.clear()
        self._size = 0
        return discarded

    def discard_held(self, held: Mapping[str, int]) -> list[Message]:
        """Remove and return the messages that wait and are held back."""
        discarded: list[Message] = []
        for topic in held:
            kept: deque[Message] = deque()
            for message in self._topics.pop(topic, ()):
                (discarded if is_among(message, held) else kept).append(message)  # asked once: the size may change
            if kept:
                self._topics[topic] = kept
        self._size -= len(discarded)
        return discarded

    def oldest(self, topic: str) -> Message | None:
        """Return the oldest message of a topic without taking it."""
        return self._topics[topic][0] if topic in self._topics else None

    def __len__(self) -> int:
        return self._size

    def __bool__(self) -> bool:
        return self._size > 0 and self._in_flight < _MAX_IN_FLIGHT
