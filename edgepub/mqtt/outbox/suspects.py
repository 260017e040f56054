"""Finds the message over which a broker ends sessions.

Before MQTT 5 a broker that does not accept a message can only end the session, and some do so with MQTT 5 too: over a
topic with too many levels, a topic that is not allowed, or a payload that is too large.
"""

import time
from collections import defaultdict, deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from math import inf
from typing import NamedTuple

from edgepub.mqtt.messages import Message

_ALONE_ENDS = 2
"""A topic is sent alone after so many sessions have ended with one of its messages in flight."""
_DOUBTFUL_ENDS = 3
"""So many must end while a message is sent alone, if the broker has accepted others of about its size."""
_MIN_HOLD_S = 60.0
_MAX_HOLD_S = 3600.0
_MAX_UNPROVEN = 16
_UNPROVEN_S = 10.0
"""How long after a message of QoS 0 was taken the broker may end the session over it."""


class Held(NamedTuple):
    """A message that is held back from now on."""

    message: Message
    hold_s: float
    """For how long."""
    ends: int
    """Sessions that ended over messages of its topic."""


def is_among(message: Message, min_bytes: Mapping[str, int]) -> bool:
    """Return whether a message is one of these.

    Args:
        message: the message.
        min_bytes: topics, each with the least size of the messages that are meant.

    """
    least = min_bytes.get(message.topic)
    return least is not None and len(message.encoded()) >= least


@dataclass(slots=True)
class _Suspicion:
    """What is known of a topic that had messages in flight when a session ended."""

    max_bytes: int
    """The largest of these messages. Once one of this size is acknowledged, none is suspected any more."""
    proven_bytes: int = -1
    """The largest message that was acknowledged since. Up to this size, none is suspected."""
    ends: int = 0
    """Sessions that ended."""
    alone_ends: int = 0
    """Those of them that ended while a message of the topic was sent alone."""
    hold_s: float = _MIN_HOLD_S
    """For how long the next message that is found is held back."""


class Suspects:
    """Counts, for each topic, the sessions that ended while one of its messages was in flight.

    After two sessions, messages of the topic are sent alone, so that the third makes clear which one it was: it is held
    back for a minute, and later for up to an hour. But if the broker had acknowledged nothing in that session, the
    message is not to blame.

    The reason may be the topic or the size. So an acknowledgement clears only messages up to that size, and with the
    message that was found, those of its topic are held back that have at least half its size.

    In the event loop, and with the lock of the outbox.

    Args:
        clock: the time of which only differences matter, in seconds.

    Attributes:
        alone: the topics to send alone, each with the least size of these messages; to be read only.
        held: the topics that are held back, each with the least size of these messages; to be read only.
        proven_s: when the last message was taken that was acknowledged in this session; -inf: none was.
        unproven: the newest messages of QoS 0 that the socket has taken, each with the time when it was taken from the
            outbox. The broker may not have read them yet.

    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self.alone: dict[str, int] = {}
        self.held: dict[str, int] = {}
        self._held_until_s: dict[str, float] = {}
        self._suspicions: dict[str, _Suspicion] = {}
        self._in_flight: list[Message] = []  # when the last session ended
        self.unproven: deque[tuple[Message, float]] = deque(maxlen=_MAX_UNPROVEN)
        self.proven_s = -inf

    def acknowledge(self, message: Message, taken_s: float) -> None:
        """Clear an acknowledged message, and those of QoS 0 that the broker has read before it.

        Args:
            message: the message.
            taken_s: when it was taken.

        """
        self.proven_s = max(self.proven_s, taken_s)
        if self._suspicions:
            for other, other_taken_s in self.unproven:
                if other_taken_s < taken_s:
                    self._clear(other)
            self._clear(message)

    def end_session(self, in_flight: Iterable[Message]) -> None:
        """Note what was in flight when the broker ended a session. It counts if the next connect succeeds."""
        since_s = max(self._clock() - _UNPROVEN_S, self.proven_s)
        recent = [message for message, taken_s in self.unproven if taken_s >= since_s]
        self._in_flight = [*in_flight, *recent]

    def acquit(self) -> None:
        """Do not count the last session: the broker went away, or the session ended for another reason."""
        self._in_flight.clear()
        self.unproven.clear()

    def start_session(self) -> list[Held]:
        """Count the last session; return what is held back from now on."""
        has_proof = self.proven_s > -inf
        by_topic: dict[str, list[Message]] = defaultdict(list)
        for message in self._in_flight:
            by_topic[message.topic].append(message)
        held = []
        for topic, messages in by_topic.items():
            culprits = [message for message in messages if has_proof and is_among(message, self.alone)]
            self._suspect(topic, [len(message.encoded()) for message in culprits or messages])
            if culprits and self._count_alone_end(culprits[0]) >= self._needed_ends(culprits[0]):
                held.append(self._hold(culprits[0]))
        self.acquit()
        self.proven_s = -inf
        return held

    def release_due(self) -> bool:
        """Release the topics that were held back long enough, to be sent alone; return whether there were any."""
        now_s = self._clock()
        due = [topic for topic, until_s in self._held_until_s.items() if until_s <= now_s]
        for topic in due:
            del self.held[topic], self._held_until_s[topic]
        return bool(due)

    def reset(self) -> None:
        """Forget all suspicions: from now on it is another broker."""
        for collection in (self.alone, self.held, self._held_until_s, self._suspicions):
            collection.clear()
        self.acquit()

    def _suspect(self, topic: str, sizes: list[int]) -> None:
        suspicion = self._suspicions.setdefault(topic, _Suspicion(max(sizes)))
        if max(sizes) <= suspicion.proven_bytes:
            return
        suspicion.max_bytes = max(suspicion.max_bytes, *sizes)
        suspicion.ends += 1
        if suspicion.ends >= _ALONE_ENDS:
            self.alone[topic] = suspicion.proven_bytes + 1

    def _count_alone_end(self, message: Message) -> int:
        """Return how many sessions have ended while a message of this topic was sent alone, with the last one."""
        suspicion = self._suspicions[message.topic]
        suspicion.alone_ends += 1
        return suspicion.alone_ends

    def _needed_ends(self, message: Message) -> int:
        """Return after how many such ends a message is to blame.

        If the broker has accepted others of about its size, a session may have ended for another reason.
        """
        return _DOUBTFUL_ENDS if 2 * self._suspicions[message.topic].proven_bytes >= len(message.encoded()) else 1

    def _hold(self, message: Message) -> Held:
        suspicion = self._suspicions[message.topic]
        hold_s = suspicion.hold_s
        suspicion.hold_s = min(2 * hold_s, _MAX_HOLD_S)
        self._held_until_s[message.topic] = self._clock() + hold_s
        self.held[message.topic] = max(len(message.encoded()) // 2, suspicion.proven_bytes + 1)
        return Held(message, hold_s, suspicion.ends)

    def _clear(self, message: Message) -> None:
        """Note that the broker takes messages of this topic and size."""
        suspicion = self._suspicions.get(message.topic)
        if suspicion is None:
            return
        size = len(message.encoded())
        suspicion.proven_bytes = max(suspicion.proven_bytes, size)
        if size >= suspicion.max_bytes:
            for collection in (self._suspicions, self.alone, self.held, self._held_until_s):
                collection.pop(message.topic, None)
        elif message.topic in self.alone:
            self.alone[message.topic] = suspicion.proven_bytes + 1
