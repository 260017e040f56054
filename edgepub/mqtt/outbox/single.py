"""Lanes of retained messages that send one at a time: large messages, and those that a broker may not allow.

Before MQTT 5, a broker that finds a message too large or not allowed can only end the session. With few such messages
in flight it is clear which one was the reason: the one that was sent first.
"""

import logging
import time
from collections.abc import Callable

from edgepub.core.backoff import Backoff
from edgepub.mqtt.messages import Message
from edgepub.mqtt.outbox.state import Ledger, StateLane

_MAX_FAILURES = 3
_MIN_QUIET_S = 60.0
_MAX_QUIET_S = 3600.0
_log = logging.getLogger(__name__)


class SingleLane(StateLane):
    """The newest message of each topic, one in flight at a time, with a pause for the link after each.

    A message that ended several sessions is given up.

    Args:
        ledger: remembers the topics; None: nothing does.

    """

    def __init__(self, ledger: Ledger | None = None) -> None:
        super().__init__(ledger)
        self._is_paused = False
        self._failures: dict[str, int] = {}  # sessions that ended over a message, by topic

    def take(self) -> Message | None:
        """Take the message that has waited longest, if one may be sent now."""
        if not self._unsent or not self:  # the cheap check first, because it is usually enough
            return None
        message = super().take()
        self._is_paused = message is not None
        return message

    def add_failure(self, topic: str) -> None:
        """Count a session that ended over a message, which is put back next."""
        self._failures[topic] = self._failures.get(topic, 0) + 1

    def put_back(self, message: Message) -> Message | None:
        """Put back a message that was taken and not sent, unless there is a newer one; return it if it is given up."""
        self.end_pause()
        if self._failures.get(message.topic) != _MAX_FAILURES:
            return super().put_back(message)
        del self._failures[message.topic]
        return self._give_up(message)

    def done(self, message: Message) -> None:
        """Reset the failures of a message that was sent."""
        self._failures.pop(message.topic, None)
        super().done(message)

    def reset_failures(self) -> None:
        """Reset the failures of all messages."""
        self._failures.clear()

    def end_pause(self) -> None:
        """Allow the next message to be taken."""
        self._is_paused = False

    def __bool__(self) -> bool:
        return not self._is_paused and super().__bool__()

    def _give_up(self, message: Message) -> Message | None:
        if self._newest.get(message.topic) is message:
            del self._newest[message.topic]
        _log.warning("%s: message given up: %d sessions ended while it was being sent", message.topic, _MAX_FAILURES)
        return message


class AnnouncementLane(SingleLane):
    """Announcements of what exists, and of what no longer exists. They must not delay the node's own messages.

    After one announcement was given up the lane is quiet for a while, because the broker may allow none of them. Then
    the others are sent before it.

    Args:
        ledger: remembers the topics; None: nothing does.
        clock: returns monotonic seconds.

    """

    def __init__(self, ledger: Ledger | None = None, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__(ledger)
        self._clock = clock
        self._quiet_until_s = 0.0
        self._pauses: dict[str, Backoff] = {}  # of topics that were given up

    def done(self, message: Message) -> None:
        """Reset the failures and the pause of an announcement that was sent."""
        self._pauses.pop(message.topic, None)
        super().done(message)

    def reset_failures(self) -> None:
        """Reset the failures and pauses of all announcements, and end the quiet time."""
        super().reset_failures()
        self._pauses.clear()
        self._quiet_until_s = 0.0

    def release_all(self) -> None:
        """Release all topics, even if the disk hangs. If the lane is quiet, drop them: they may not be allowed."""
        super().release_all()
        if self._is_quiet:
            self._unsent.clear()

    def __bool__(self) -> bool:
        return super().__bool__() and not self._is_quiet

    @property
    def _is_quiet(self) -> bool:
        return self._clock() < self._quiet_until_s

    def _give_up(self, message: Message) -> Message | None:
        pause_s = self._pauses.setdefault(message.topic, Backoff(_MIN_QUIET_S, _MAX_QUIET_S)).next_s()
        self._quiet_until_s = self._clock() + pause_s
        if self._newest.get(message.topic) is message:
            self._newest[message.topic] = self._newest.pop(message.topic)  # the last one that `resend` sends
        text = "%s: it ended %d sessions: the broker may not allow it, or it is too large; trying again in %.0f s"
        _log.warning(text, message.topic, _MAX_FAILURES, pause_s)
        return StateLane.put_back(self, message)
