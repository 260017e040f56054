"""The state lane: of each topic, only the newest value matters."""

from edgepub.messages import Message


class StateLane:
    """The newest message of each topic, and which of them are still to be sent."""

    def __init__(self) -> None:
        self._newest: dict[str, Message] = {}
        self._unsent: dict[str, None] = {}  # in the order of their change

    def put(self, message: Message) -> None:
        """Let this be the topic's value; an older one that was not sent never will be, and is no loss."""
        self._newest[message.topic] = message
        self._unsent.pop(message.topic, None)
        self._unsent[message.topic] = None

    def put_back(self, message: Message) -> Message | None:
        """Let a value that was taken and not sent be sent, unless there is a newer one."""
        if self._newest.get(message.topic) is message:
            self._unsent.setdefault(message.topic)
        return None

    def take(self) -> Message | None:
        """Return the value that has waited longest."""
        if not self._unsent:
            return None
        topic = next(iter(self._unsent))
        del self._unsent[topic]
        return self._newest[topic]

    def sent(self, message: Message) -> None:
        """Forget a topic that was cleared."""
        if not message.payload and self._newest.get(message.topic) is message:
            del self._newest[message.topic]

    def renew(self) -> None:
        """Let every value be sent again."""
        self._unsent = dict.fromkeys(self._newest)

    def __len__(self) -> int:
        return len(self._unsent)

    def __bool__(self) -> bool:
        return bool(self._unsent)
