"""Which message a session may send next: within its window, and so that what ends sessions is found."""

import logging
from collections.abc import Callable, Mapping
from math import inf

from edgepub.mqtt.messages import Message
from edgepub.mqtt.outbox.in_flight import InFlight
from edgepub.mqtt.outbox.lanes import Lane, Lanes
from edgepub.mqtt.outbox.suspects import Suspects, is_among

_log = logging.getLogger(__name__)


class Dispatch:
    """Takes messages from the lanes, and knows those in flight. In the event loop, with the lock of the outbox.

    A full window holds back messages of QoS 1 alone: those of QoS 0 need no acknowledgement. While sessions end over
    messages, each suspect is sent alone.

    Args:
        lanes: the messages that wait.
        suspects: the topics over which sessions may have ended.
        clock: the time of which only differences matter, in seconds.

    Attributes:
        in_flight: the messages in flight, to be read only.

    """

    def __init__(self, lanes: Lanes, suspects: Suspects, clock: Callable[[], float]) -> None:
        self._lanes = lanes
        self._suspects = suspects
        self._window = inf
        self._limit = inf  # 1 while a message is sent alone, else the window
        self._alone: Message | None = None  # taken, and to be sent alone
        self.in_flight = InFlight(clock)

    def start_session(self, window: int, first: Message) -> list[Message]:
        """Count the end of the last session; return what is dropped because its topic is held back from now on.

        Args:
            window: how many messages of QoS 1 may be in flight.
            first: a message of QoS 1 that is sent first while there are suspects. Without its acknowledgement none of
                them is to blame.

        """
        dropped = []
        for message, hold_s, ends in self._suspects.start_session():
            text = "%s (%d bytes): held back for %.0f s, because %d sessions ended over it: the broker may not allow %s"
            what = "the topic, or so large a message"
            _log.warning(text, message.topic, len(message.encoded()), hold_s, ends, what)
            dropped += self._lanes.hold_back(message, hold_s)
        self._window = self._limit = window
        self._alone = first if self._suspects.alone else None
        return dropped

    def take(self) -> Message | None:
        """Remove and return the next message, if there is one to be sent now. It is in flight then."""
        if self._alone is None and not self._suspects.alone:  # as nearly always
            is_full = self.in_flight.unacknowledged >= self._limit
            message = self._lanes.stream.take() if is_full else self._lanes.take()
        else:
            self._suspects.release_due()  # what is held back is also to be sent alone
            message = self._next()
        if message is not None:
            self.in_flight.add(message)
        return message

    def done(self, message: Message, lane: Lane, *, is_refused: bool) -> float | None:
        """Forget a message in flight, of this lane, that the broker has taken or refused.

        A retained value that was refused is sent again in the next session.

        Returns:
            When it was taken; None if it is not in flight.

        """
        taken_s = self.in_flight.remove(message)
        if taken_s is None:
            return None
        if is_refused:
            lane.refuse(message)
        else:
            lane.done(message)
        if message.qos:
            self._suspects.acknowledge(message, taken_s)
            self._limit = self._window
        else:
            self._suspects.unproven.append((message, taken_s))
        return taken_s

    def put_back(self, message: Message) -> Message | None:
        """Put back a message in flight; return it if it is dropped instead."""
        self.in_flight.remove(message)
        return self._lanes.by_name[message.lane].put_back(message)

    def end_session(self, *, is_over_message: bool) -> list[Message]:
        """Put back all messages in flight; return those that are dropped instead.

        Args:
            is_over_message: whether the broker may have ended the session over one of them.

        """
        in_flight = [message for message, _ in self.in_flight.entries]
        if is_over_message:
            self._suspects.end_session(in_flight)
        else:
            self._suspects.acquit()
        if self._alone is not None:
            in_flight.append(self._alone)
            self._alone = None
        return [dropped for message in reversed(in_flight) if (dropped := self.put_back(message))]

    @property
    def can_take(self) -> bool:
        """Whether a message can be sent now."""
        if self.is_full:
            return self._lanes.stream.has_other_than(self._skipped)
        return self._alone is not None or bool(self._lanes) or self._suspects.release_due()

    @property
    def is_full(self) -> bool:
        """Whether no message of QoS 1 can be sent before another is acknowledged."""
        if self._alone is None:
            return self.in_flight.unacknowledged >= self._limit
        return self.in_flight.unacknowledged > 0

    @property
    def _skipped(self) -> Mapping[str, int]:
        """The messages not to take while the window is full: suspects, and what follows one on its topic."""
        alone = self._suspects.alone
        return alone if self._alone is None else {**alone, self._alone.topic: 0}

    def _next(self) -> Message | None:
        if self.is_full:
            return self._lanes.stream.take(self._skipped)
        if self._alone is None:
            message = self._next_in_turn()
            if message is None or not is_among(message, self._suspects.alone):
                return message
            # With QoS 1, to know when the broker has read it.
            self._alone = message if message.qos else message._replace(qos=1)
            return self._next()
        message, self._alone = self._alone, None
        self._limit = 1
        return message

    def _next_in_turn(self) -> Message | None:
        while (message := self._lanes.take()) is not None and is_among(message, self._suspects.held):
            self._lanes.by_name[message.lane].done(message)  # an event, or its size has grown
            message.count_dropped("given_up")
        return message
