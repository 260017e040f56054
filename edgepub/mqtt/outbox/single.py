"""Lanes of retained messages of which one at a time is under way: large ones, and those that a broker may not want.

Before MQTT 5, to end the session is all that a broker can do when a message is too large for it or not allowed. When
few are under way it is clear which it was: the one that left first.
"""

import logging
import time
from collections.abc import Callable

from edgepub.core.backoff import Backoff
from edgepub.mqtt.messages import Message
from edgepub.mqtt.outbox.state import Ledger, StateLane

_MOST_TRIES = 3
_QUIET_S = 60.0
_LONGEST_QUIET_S = 3600.0
_log = logging.getLogger(__name__)


class SingleLane(StateLane):
    """The newest message of each topic, of which one at a time is taken; and after each the link has a rest.

    One over which session after session ended is given up.

    Args:
        ledger: where it is written that a topic is retained, if anywhere.

    """

    def __init__(self, ledger: Ledger | None = None) -> None:
        super().__init__(ledger)
        self._resting = False
        self._tries: dict[str, int] = {}  # sessions that ended over a message, by its topic

    def take(self) -> Message | None:
        """Return the message that has waited longest, if there is one to be sent now."""
        if not self._unsent or not self:  # what is cheap, and mostly so, first
            return None
        message = super().take()
        self._resting = message is not None
        return message

    def add_failure(self, topic: str) -> None:
        """Count a session that ended over a message; it is put back next."""
        self._tries[topic] = self._tries.get(topic, 0) + 1

    def put_back(self, message: Message) -> Message | None:
        """Let a message that was taken and not sent be sent, unless there is a newer one; return it to be given up."""
        self.end_pause()
        if self._tries.get(message.topic) != _MOST_TRIES:
            return super().put_back(message)
        del self._tries[message.topic]
        return self._give_up(message)

    def done(self, message: Message) -> None:
        """Begin to count its tries anew."""
        self._tries.pop(message.topic, None)
        super().done(message)

    def reset_failures(self) -> None:
        """Begin to count all tries anew."""
        self._tries.clear()

    def end_pause(self) -> None:
        """Let the next one be taken."""
        self._resting = False

    def __bool__(self) -> bool:
        return not self._resting and super().__bool__()

    def _give_up(self, message: Message) -> Message | None:
        if self._newest.get(message.topic) is message:
            del self._newest[message.topic]
        _log.warning("%s: given up: %d sessions ended over it", message.topic, _MOST_TRIES)
        return message


class AnnouncementLane(SingleLane):
    """What others are told that there is, and what is no more: it must not cost what the node itself has to tell.

    After one is given up, the lane is quiet for a while, for where one is not wanted, none may be; then the others go
    before it.
    """

    def __init__(self, ledger: Ledger | None = None, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__(ledger)
        self._clock = clock
        self._quiet_until_s = 0.0
        self._pauses: dict[str, Backoff] = {}  # after each topic that was given up

    def done(self, message: Message) -> None:
        """Begin to count its tries anew."""
        self._pauses.pop(message.topic, None)
        super().done(message)

    def reset_failures(self) -> None:
        """Begin to count all tries anew, and be quiet no more."""
        super().reset_failures()
        self._pauses.clear()
        self._quiet_until_s = 0.0

    def release_all(self) -> None:
        """Let all be taken, whatever the disk does; but for the last time nothing is tried that was given up."""
        super().release_all()
        if self._is_quiet:
            self._unsent.clear()

    def __bool__(self) -> bool:
        return super().__bool__() and not self._is_quiet

    @property
    def _is_quiet(self) -> bool:
        return self._clock() < self._quiet_until_s

    def _give_up(self, message: Message) -> Message | None:
        pause_s = self._pauses.setdefault(message.topic, Backoff(_QUIET_S, _LONGEST_QUIET_S)).next_s()
        self._quiet_until_s = self._clock() + pause_s
        if self._newest.get(message.topic) is message:
            self._newest[message.topic] = self._newest.pop(message.topic)  # the last to be sent again
        text = "%s: %d sessions ended over it: is it not allowed there, or too large? Trying again in %.0f s"
        _log.warning(text, message.topic, _MOST_TRIES, pause_s)
        return StateLane.put_back(self, message)
