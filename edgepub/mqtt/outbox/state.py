"""The state lane: of each topic, only the newest value matters."""

import time
from collections.abc import Callable
from typing import Protocol

from edgepub.mqtt.messages import Message

HELD_S = 1.0
"""For so long a new topic waits for the disk, which may hang."""


class Ledger(Protocol):
    """Remembers where something is retained (the seam to `edgepub.mqtt.store`)."""

    def add_retained(self, topic: str) -> bool:
        """Remember a topic; return whether it is on the disk already. At once, from any thread."""

    def remove_retained(self, topic: str) -> None:
        """Forget a topic that was cleared."""

    def set_on_saved(self, kept: Callable[[], None]) -> None:
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
        self._held: dict[str, float] = {}  # which are not in the ledger yet, and since when

    def put(self, message: Message) -> None:
        """Let this be the topic's value; an older one that was not sent never will be, and is no loss."""
        self._newest[message.topic] = message
        self._unsent.pop(message.topic, None)
        self._unsent[message.topic] = None
        if self._ledger and message.payload and not self._ledger.add_retained(message.topic):
            self._held.setdefault(message.topic, time.monotonic())

    def put_back(self, message: Message) -> Message | None:
        """Let a value that was taken and not sent be sent, unless there is a newer one."""
        if self._newest.get(message.topic) is message:
            self._unsent.setdefault(message.topic)
        return None

    def take(self) -> Message | None:
        """Return the value that has waited longest."""
        if not self._unsent:
            return None
        topic = self._first()
        if topic is None:
            return None
        del self._unsent[topic]
        return self._newest[topic]

    def done(self, message: Message) -> None:
        """Forget a topic that was to be cleared: once is enough for this life."""
        if not message.payload and self._newest.get(message.topic) is message:
            del self._newest[message.topic]
            self._unsent.pop(message.topic, None)  # which it is if all was to be sent again meanwhile

    def remove(self, topic: str) -> None:
        """Let a topic be another lane's: nothing of it is sent from here any more."""
        self._newest.pop(topic, None)
        self._unsent.pop(topic, None)
        self._held.pop(topic, None)

    def __contains__(self, topic: str) -> bool:
        """Return whether the lane has a value of a topic, sent or not."""
        return topic in self._newest

    def resend(self) -> None:
        """Let every value be sent again."""
        self._unsent = dict.fromkeys(self._newest)

    def release_saved(self) -> None:
        """Let those be taken that are in the ledger by now."""
        for topic in [topic for topic in self._held if self._ledger and self._ledger.add_retained(topic)]:
            del self._held[topic]

    def release_all(self) -> None:
        """Let all be taken, whatever the disk does."""
        self._held.clear()

    def __len__(self) -> int:
        return len(self._unsent)

    def __bool__(self) -> bool:
        return self._first() is not None

    def _first(self) -> str | None:
        if not self._held:
            return next(iter(self._unsent), None)
        since_s = time.monotonic() - HELD_S
        return next((topic for topic in self._unsent if self._held.get(topic, since_s) <= since_s), None)
