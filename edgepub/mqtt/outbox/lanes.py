"""The lanes as one: which lane a message goes to, and which lane is next.

First to last:

- **announcements**: what exists or no longer exists, for Home Assistant; one at a time.
- **state**: the newest value of each topic.
- **durable**: each message in its order, and on disk before it leaves. After three of them, one of another lane goes.
- **pictures**: the newest of each topic, one at a time and for at most half of the link's time.
- **stream**: bounded; the oldest message of the fullest topic is dropped first.
"""

from collections.abc import Callable, Mapping
from typing import Protocol

from edgepub.mqtt.messages import Message
from edgepub.mqtt.outbox.checkpoint import Checkpoint
from edgepub.mqtt.outbox.durable import DurableLane
from edgepub.mqtt.outbox.retained_lanes import RetainedLanes
from edgepub.mqtt.outbox.state import Ledger
from edgepub.mqtt.outbox.stream import StreamLane
from edgepub.mqtt.outbox.suspects import is_among

_MAX_DURABLE_IN_TURN = 3
"""Durable messages before one of another lane."""


class Lane(Protocol):
    """Messages of one kind that wait. A lane is true if it has a message that can be taken now."""

    def put_back(self, message: Message) -> Message | None:
        """Put back a message that was taken and not sent; return it if it is dropped instead."""

    def take(self) -> Message | None:
        """Remove and return the next message, if there is one to be sent now."""

    def done(self, message: Message) -> None:
        """Forget a message that was taken: it will not be put back."""

    def refuse(self, message: Message) -> None:
        """Note that the broker refuses a message that was taken, or that it is too large for the broker."""

    def __len__(self) -> int: ...

    def __bool__(self) -> bool: ...


class Lanes:
    """All lanes. Not thread-safe, but for the durable one.

    Args:
        stream_size: messages that the stream lane holds.
        durable: the durable lane.
        ledger: remembers which topics are retained.
        checkpoint: numbers the acknowledgements of retained messages.
        held: messages that are held back (see `is_among`): retained ones wait, those of the stream are dropped.
        clock: the time of which only differences matter, in seconds.

    Attributes:
        retained: the lanes of retained messages.
        durable: the durable lane.
        stream: the stream lane.
        by_name: every lane.

    """

    def __init__(
        self,
        stream_size: int,
        durable: DurableLane,
        ledger: Ledger | None,
        checkpoint: Checkpoint,
        held: Mapping[str, int],
        clock: Callable[[], float],
    ) -> None:
        self.retained = RetainedLanes(ledger, held, checkpoint, clock)
        self.durable = durable
        self.stream = StreamLane(stream_size)
        self.by_name: dict[str, Lane] = {
            "announcements": self.retained.announcements,
            "state": self.retained.state,
            "durable": durable,
            "pictures": self.retained.pictures,
            "stream": self.stream,
        }
        self._held = held
        self._durable_in_turn = 0

    def put(self, message: Message) -> tuple[Message, str] | None:
        """Add a message of any lane but the durable; return what is dropped, and the reason, if anything is."""
        if message.lane != "stream":
            self.retained.put(message)
        elif self._held and is_among(message, self._held):
            return message, "given_up"
        elif dropped := self.stream.put(message):
            return dropped, "queue_full"
        return None

    def take(self) -> Message | None:
        """Remove and return the next message, if there is one to be sent now."""
        retained = self.retained
        if retained.announcements.unsent and (message := retained.announcements.take()):
            return message  # the check of the dictionary costs less than a call, and each frame comes here
        if retained.state.unsent and (message := retained.state.take()):
            return message
        if self._durable_in_turn < _MAX_DURABLE_IN_TURN and (message := self.durable.take()):
            self._durable_in_turn += 1
            return message
        self._durable_in_turn = 0
        if retained.pictures.unsent and (message := retained.pictures.take()):
            return message
        return self.stream.take() or self.durable.take()

    def hold_back(self, message: Message, hold_s: float) -> list[Message]:
        """Hold back a message and those like it; return the messages that are dropped for it."""
        if message.lane == "announcements":
            self.retained.announcements.be_quiet(message.topic, hold_s)
        if message.lane == "stream":
            return self.stream.discard_held(self._held)
        return [message] if message.lane == "pictures" else []

    def sizes(self) -> dict[str, int]:
        """Return how many messages wait in each lane."""
        return {name: len(lane) for name, lane in self.by_name.items()}

    @property
    def is_waiting(self) -> bool:
        """Whether any message waits."""
        return any(map(len, self.by_name.values()))

    def __bool__(self) -> bool:
        return any(self.by_name.values())
