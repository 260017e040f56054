"""The state lane: only the newest value of each topic matters."""

import time
from collections.abc import Callable, Mapping
from typing import Protocol

from edgepub.mqtt.messages import Message
from edgepub.mqtt.outbox.checkpoint import Checkpoint
from edgepub.mqtt.outbox.suspects import is_among

_MAX_HELD_S = 1.0
"""How long a new topic waits for the disk, which may hang."""


class Ledger(Protocol):
    """Remembers the topics of retained messages. `edgepub.mqtt.store` implements it."""

    def add_retained(self, topic: str) -> bool:
        """Add a topic; return whether it is on disk already. Does not wait. Thread-safe."""

    def remove_retained(self, topic: str) -> None:
        """Remove a topic that was cleared."""

    def set_on_saved(self, on_saved: Callable[[], None]) -> None:
        """Set what is called, in any thread, each time that more topics are on disk."""


class StateLane:
    """The newest message of each topic, and which of them are still to be sent.

    A topic is published only after the ledger has it on disk. Otherwise a kill at the wrong moment would leave a
    retained message that no later start clears.

    Args:
        ledger: remembers the topics; None: nothing does.
        held_back: messages not to send now (see `is_among`); None: none.
        checkpoint: numbers the acknowledgements.

    Attributes:
        unsent: the topics whose newest value is to be sent, the longest waiting first; to be read only.

    """

    def __init__(
        self,
        ledger: Ledger | None = None,
        held_back: Mapping[str, int] | None = None,
        checkpoint: Checkpoint | None = None,
    ) -> None:
        self._ledger = ledger
        self._held_back = {} if held_back is None else held_back  # also if it is empty now
        self._checkpoint = checkpoint or Checkpoint()
        self._newest: dict[str, Message] = {}
        self._acknowledged: dict[str, int] = {}  # topics whose newest value the broker has; the next checkpoint then
        self._refused: set[str] = set()  # topics whose newest value the broker does not take in this session
        self.unsent: dict[str, None] = {}
        self._held: dict[str, float] = {}  # topics that the ledger does not have on disk yet, and since when

    def put(self, message: Message) -> None:
        """Replace the topic's value. An older one that was not sent is never sent, which does not count as a loss."""
        self._newest[message.topic] = message
        self._acknowledged.pop(message.topic, None)
        self._refused.discard(message.topic)
        self.unsent.pop(message.topic, None)
        self.unsent[message.topic] = None
        if self._ledger and message.payload and not self._ledger.add_retained(message.topic):
            self._held.setdefault(message.topic, time.monotonic())

    def put_back(self, message: Message) -> Message | None:
        """Put back a value that was taken and not sent, to the front, unless there is a newer one."""
        if self._newest.get(message.topic) is message:
            self.unsent = {message.topic: None, **self.unsent}
        return None

    def take(self) -> Message | None:
        """Take the value that has waited longest."""
        if not self.unsent:
            return None
        topic = self._first()
        if topic is None:
            return None
        del self.unsent[topic]
        return self._newest[topic]

    def done(self, message: Message) -> None:
        """Note that a value was acknowledged; forget a topic that was cleared, because once is enough in this run."""
        if self._newest.get(message.topic) is not message:
            return
        self._acknowledged[message.topic] = self._checkpoint.acknowledge(message.topic)
        if not message.payload:
            self.remove(message.topic)  # also from the unsent, where it is if `resend` was called meanwhile

    def refuse(self, message: Message) -> None:
        """Note that the broker does not take a value in this session."""
        if self._newest.get(message.topic) is message:
            self._refused.add(message.topic)

    def remove(self, topic: str) -> None:
        """Remove a topic, because another lane sends it now."""
        self._newest.pop(topic, None)
        self._refused.discard(topic)
        self._acknowledged.pop(topic, None)
        self.unsent.pop(topic, None)
        self._held.pop(topic, None)

    def __contains__(self, topic: str) -> bool:
        """Return whether the lane has a value of a topic, sent or not."""
        return topic in self._newest

    def resend(self) -> None:
        """Send every value again."""
        self.unsent = dict.fromkeys(self._newest)

    def resend_topic(self, topic: str) -> None:
        """Send the value of a topic again, if there is one."""
        if topic in self._newest:
            self.unsent.setdefault(topic)

    def resend_refused(self) -> None:
        """Send the values again that the broker did not take in the last session."""
        for topic in self._refused:
            self.unsent.setdefault(topic)
        self._refused.clear()

    def resend_lost(self, after: int, before: int) -> None:
        """Send the values again that were acknowledged after one checkpoint and before another."""
        lost = {topic for topic, number in self._acknowledged.items() if after < number < before}
        if lost:
            self.unsent = {topic: None for topic in self._newest if topic in lost or topic in self.unsent}

    def release_saved(self) -> None:
        """Release the topics that the ledger has on disk now."""
        for topic in [topic for topic in self._held if self._ledger and self._ledger.add_retained(topic)]:
            del self._held[topic]

    def release_all(self) -> None:
        """Release all topics, even if the disk hangs; drop those that are held back."""
        self._held.clear()
        for topic in [topic for topic in self.unsent if is_among(self._newest[topic], self._held_back)]:
            del self.unsent[topic]

    def __len__(self) -> int:
        return len(self.unsent)

    def __bool__(self) -> bool:
        return self._first() is not None

    def _first(self) -> str | None:
        if not self._held and not self._held_back:
            return next(iter(self.unsent), None)
        latest_s = time.monotonic() - _MAX_HELD_S
        ready = (topic for topic in self.unsent if self._held.get(topic, latest_s) <= latest_s)
        return next((topic for topic in ready if not is_among(self._newest[topic], self._held_back)), None)
