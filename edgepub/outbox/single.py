"""Lanes of states of which one at a time is under way: large ones, and those that a broker may not want.

Before MQTT 5, to end the session is all that a broker can do when a message is too large for it or not allowed. With
one under way it is clear which it was.
"""

import logging
import time
from collections import Counter

from edgepub.messages import Message
from edgepub.outbox.state import Ledger, StateLane

_MOST_TRIES = 3
_QUIET_S = 3600.0
_log = logging.getLogger(__name__)


class SingleLane(StateLane):
    """The newest message of each topic, of which one at a time is taken; and after each the link has a rest.

    One that was under way when session after session ended is given up.
    """

    def __init__(self, ledger: Ledger | None = None) -> None:
        super().__init__(ledger)
        self._resting = False
        self._tries: Counter[str] = Counter()  # by topic: sessions that ended while it was under way

    def take(self) -> Message | None:
        """Return the message that has waited longest, if there is one to be sent now."""
        if not self:
            return None
        message = super().take()
        self._resting = message is not None
        return message

    def put_back(self, message: Message) -> Message | None:
        """Let a message that was taken and not sent be sent, unless there is a newer one; return it to be given up."""
        self._tries[message.topic] += self._resting  # at the end several may be under way
        self.rested()
        if self._tries[message.topic] < _MOST_TRIES:
            return super().put_back(message)
        del self._tries[message.topic]
        return self._give_up(message)

    def sent(self, message: Message) -> None:
        """Begin to count its tries anew."""
        self._tries.pop(message.topic, None)
        super().sent(message)

    def rested(self) -> None:
        """Let the next one be taken."""
        self._resting = False

    def __bool__(self) -> bool:
        return not self._resting and super().__bool__()

    def _give_up(self, message: Message) -> Message | None:
        if self._newest.get(message.topic) is message:
            del self._newest[message.topic]
        _log.warning("%s: given up: %d sessions ended while it was under way", message.topic, _MOST_TRIES)
        return message


class AnnouncementLane(SingleLane):
    """What is told of the node to others, on topics of theirs: it must not cost what the node itself has to tell.

    After one is given up, the lane is quiet for an hour: where one is not wanted, none may be.
    """

    def __init__(self, ledger: Ledger | None = None) -> None:
        super().__init__(ledger)
        self._quiet_until_s = 0.0

    def __bool__(self) -> bool:
        return not self._is_quiet and super().__bool__()

    def __len__(self) -> int:
        return 0 if self._is_quiet else super().__len__()

    @property
    def _is_quiet(self) -> bool:
        return time.monotonic() < self._quiet_until_s

    def _give_up(self, message: Message) -> Message | None:
        self._quiet_until_s = time.monotonic() + _QUIET_S
        text = (
            "%s: %d sessions ended while it was under way: is it allowed there, and so large? Trying again in an hour"
        )
        _log.warning(text, message.topic, _MOST_TRIES)
        return super(SingleLane, self).put_back(message)
