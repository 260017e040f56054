"""Finds the message over which a broker ends sessions.

Before MQTT 5 a broker that does not accept a message can only end the session, and some do so with MQTT 5 too: over a
topic with too many levels, a topic that is not allowed, or a payload that is too large.
"""

import time
from collections import Counter, deque
from collections.abc import Callable, Iterable
from typing import NamedTuple

from edgepub.mqtt.messages import Message

MAX_ENDS = 3
"""A message is held back after so many sessions have ended over it."""
_ALONE_ENDS = 2
_MIN_HOLD_S = 60.0
_MAX_HOLD_S = 3600.0
_MAX_UNPROVEN = 16
_UNPROVEN_S = 5.0
"""How long after a message of QoS 0 the broker may end the session over it."""


class Held(NamedTuple):
    """A message that is held back from now on."""

    message: Message
    hold_s: float
    """For how long."""


class Suspects:
    """Counts, for each topic, the sessions that ended while one of its messages was in flight.

    An acknowledgement resets the count of its topic. After two sessions a topic is sent alone, so that the third makes
    clear which one it was: that one is held back for a minute, and later for up to an hour. But if the broker had
    acknowledged nothing in that session, the message is not to blame.

    In the event loop, and with the lock of the outbox.

    Args:
        clock: the time of which only differences matter, in seconds.

    Attributes:
        alone: the topics to send alone, to be read only.
        held: the topics that are held back, to be read only.

    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self.alone: set[str] = set()
        self.held: dict[str, float] = {}
        self._next_hold_s: dict[str, float] = {}
        self._ends: Counter[str] = Counter()
        self._in_flight: list[Message] = []  # when the last session ended
        self._unproven: deque[tuple[Message, float]] = deque(maxlen=_MAX_UNPROVEN)
        self._has_proof = False

    def add_unproven(self, message: Message) -> None:
        """Note a message of QoS 0 that the socket has taken: the broker may not have read it yet."""
        self._unproven.append((message, self._clock()))

    def acknowledge(self, message: Message, taken_s: float) -> None:
        """Clear the topic of an acknowledged message, and those of QoS 0 that the broker has read before it.

        Args:
            message: the message.
            taken_s: when it was taken.

        """
        self._has_proof = True
        while self._unproven and self._unproven[0][1] < taken_s:
            self._clear(self._unproven.popleft()[0].topic)
        self._clear(message.topic)

    def end_session(self, in_flight: Iterable[Message]) -> None:
        """Note what was in flight when the broker ended a session. It counts if the next connect succeeds."""
        since_s = self._clock() - _UNPROVEN_S
        recent = [message for message, sent_s in self._unproven if sent_s >= since_s]
        self._in_flight = [*in_flight, *recent]

    def acquit(self) -> None:
        """Do not count the last session: the broker went away, or the session ended for another reason."""
        self._in_flight.clear()
        self._unproven.clear()

    def start_session(self) -> list[Held]:
        """Count the last session; return what is held back from now on."""
        culprits = [message for message in self._in_flight if message.topic in self.alone] if self._has_proof else []
        for topic in {message.topic for message in self._in_flight}:
            self._ends[topic] = min(self._ends[topic] + 1, _ALONE_ENDS)
            if self._ends[topic] == _ALONE_ENDS:
                self.alone.add(topic)
        held = [self._hold(message) for message in {message.topic: message for message in culprits}.values()]
        self.acquit()
        self._has_proof = False
        return held

    def release_due(self) -> bool:
        """Release the topics that were held back long enough, to be sent alone; return whether there were any."""
        now_s = self._clock()
        due = [topic for topic, until_s in self.held.items() if until_s <= now_s]
        for topic in due:
            del self.held[topic]
            self.alone.add(topic)
        return bool(due)

    def reset(self) -> None:
        """Forget all suspicions: from now on it is another broker."""
        for collection in (self.alone, self.held, self._next_hold_s, self._ends, self._in_flight, self._unproven):
            collection.clear()

    def _hold(self, message: Message) -> Held:
        hold_s = self._next_hold_s.get(message.topic, _MIN_HOLD_S)
        self._next_hold_s[message.topic] = min(2 * hold_s, _MAX_HOLD_S)
        self.held[message.topic] = self._clock() + hold_s
        self.alone.discard(message.topic)
        return Held(message, hold_s)

    def _clear(self, topic: str) -> None:
        if topic in self._ends:
            del self._ends[topic]
            self._next_hold_s.pop(topic, None)
            self.alone.discard(topic)
