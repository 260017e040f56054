"""The state lane: of each topic, only the newest value matters."""

from collections.abc import Callable
from typing import Protocol

from edgepub.messages import Message


class Ledger(Protocol):
    """Remembers where something is retained (the seam to `edgepub.store`)."""

    def add_retained(self, topic: str) -> bool:
        """Remember a topic; return whether it is on the disk already. At once, from any thread."""

    def remove_retained(self, topic: str) -> None:
        """Forget a topic that was cleared."""

    def call_when_kept(self, kept: Callable[[], None]) -> None:
        """Call this, from any thread, each time that more topics are on the disk."""


class StateLane:
    """The newest message of each topic, and which of them are still to be sent.

    A topic is published when it is on the disk that it is: else a kill at the wrong moment would leave something that
    nobody clears.

    Args:
        ledger: where that is written, if anywhere.

    """

    def __init__(self, ledger: Ledger | None = None) -> None:
        self._ledger = ledger
        self._newest: dict[str, Message] = {}
        self._unsent: dict[str, None] = {}  # in the order of their change
        self._held: set[str] = set()  # which are not in the ledger yet

    def put(self, message: Message) -> None:
        """Let this be the topic's value; an older one that was not sent never will be, and is no loss."""
        self._newest[message.topic] = message
        self._unsent.pop(message.topic, None)
        self._unsent[message.topic] = None
        if self._ledger and message.payload and not self._ledger.add_retained(message.topic):
            self._held.add(message.topic)

    def put_back(self, message: Message) -> Message | None:
        """Let a value that was taken and not sent be sent, unless there is a newer one."""
        if self._newest.get(message.topic) is message:
            self._unsent.setdefault(message.topic)
        return None

    def take(self) -> Message | None:
        """Return the value that has waited longest."""
        if not self._unsent:
            return None
        topic = next((topic for topic in self._unsent if topic not in self._held), None)
        if topic is None:
            return None
        del self._unsent[topic]
        return self._newest[topic]

    def sent(self, message: Message) -> None:
        """Forget a topic that was cleared."""
        if not message.payload and self._newest.get(message.topic) is message:
            del self._newest[message.topic]
            if self._ledger:
                self._ledger.remove_retained(message.topic)

    def renew(self) -> None:
        """Let every value be sent again."""
        self._unsent = dict.fromkeys(self._newest)

    def release(self) -> None:
        """Let those be taken that are in the ledger by now."""
        self._held = {topic for topic in self._held if self._ledger and not self._ledger.add_retained(topic)}

    def release_all(self) -> None:
        """Let all be taken, whatever the disk does."""
        self._held.clear()

    def __len__(self) -> int:
        return len(self._unsent)

    def __bool__(self) -> bool:
        return any(topic not in self._held for topic in self._unsent)
