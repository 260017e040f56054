"""The stream lane: the newest matter most, and no topic more than another."""

from collections import OrderedDict, deque

from edgepub.mqtt.messages import Message

_MOST_UNDER_WAY = 16
"""What has left the lane can be dropped no more; on a slow link it would be old before it arrives."""


class StreamLane:
    """A bounded queue that takes its topics in turn, and for a new message drops the oldest of the topic with the most.

    So a camera with many frames a second pushes out its own messages, never those of a slower one, and the node's few
    `stats` come through a broker that takes less than the cameras give.

    Source: J. Nagle, "On Packet Switches with Infinite Storage", RFC 970, 1985.

    Args:
        size: messages that it holds.

    """

    def __init__(self, size: int) -> None:
        self._size = size
        self._number = 0
        self._under_way = 0
        self._topics: OrderedDict[str, deque[Message]] = OrderedDict()  # those with messages, in their turn

    def put(self, message: Message) -> Message | None:
        """Add a message behind those of its topic; return one that had to go for it."""
        queue = self._topics.get(message.topic)
        if queue is None:
            queue = self._topics[message.topic] = deque()
        queue.append(message)
        self._number += 1
        if self._number <= self._size:
            return None
        fullest = max(self._topics, key=lambda topic: len(self._topics[topic]))
        return self._pop(fullest)

    def put_back(self, message: Message) -> Message | None:
        """Return a message to the front of its topic; return it again if newer ones have taken its place."""
        self._under_way -= 1
        if self._number >= self._size:
            return message
        self._topics.setdefault(message.topic, deque()).appendleft(message)
        self._number += 1
        return None

    def take(self) -> Message | None:
        """Remove and return the oldest message of the topic whose turn it is, unless many are under way."""
        if not self:
            return None
        self._under_way += 1
        return self._pop_in_turn()

    def done(self, message: Message) -> None:  # noqa: ARG002
        """Let another one be under way."""
        self._under_way -= 1

    def discard(self) -> list[Message]:
        """Remove and return all that wait."""
        return [self._pop_in_turn() for _ in range(self._number)]

    def oldest(self, topic: str) -> Message | None:
        """Return the oldest message of a topic, and leave it where it is."""
        return self._topics[topic][0] if topic in self._topics else None

    def _pop_in_turn(self) -> Message:
        topic = next(iter(self._topics))
        self._topics.move_to_end(topic)
        return self._pop(topic)

    def _pop(self, topic: str) -> Message:
        queue = self._topics[topic]
        message = queue.popleft()
        self._number -= 1
        if not queue:
            del self._topics[topic]
        return message

    def __len__(self) -> int:
        return self._number

    def __bool__(self) -> bool:
        return self._number > 0 and self._under_way < _MOST_UNDER_WAY
