"""The lane of pictures: states so large that on a slow link there is room for nothing else beside them."""

import logging

from edgepub.messages import Message
from edgepub.outbox.state import Ledger, StateLane

_MOST_TRIES = 3
_log = logging.getLogger(__name__)


class PictureLane(StateLane):
    """The newest picture of each topic, of which one at a time is taken; and after each the link has a rest.

    One that was under way when session after session ended is given up: before MQTT 5, to end the session is all that a
    broker can do when a message is too large for it.
    """

    def __init__(self, ledger: Ledger | None = None) -> None:
        super().__init__(ledger)
        self._resting = False
        self._tries = 0  # of the picture that is under way

    def take(self) -> Message | None:
        """Return the picture that has waited longest, unless one is under way."""
        if self._resting:
            return None
        message = super().take()
        self._resting = message is not None
        return message

    def put_back(self, message: Message) -> Message | None:
        """Let a picture that was taken and not sent be sent, unless there is a newer one; return it to be given up."""
        self._tries += self._resting  # at the end several may be under way
        self.rested()
        if self._tries < _MOST_TRIES:
            return super().put_back(message)
        self._tries = 0
        if self._newest.get(message.topic) is message:
            del self._newest[message.topic]
        _log.warning("%s: given up: %d sessions ended while it was under way", message.topic, _MOST_TRIES)
        return message

    def sent(self, message: Message) -> None:
        """Begin to count the tries anew."""
        self._tries = 0
        super().sent(message)

    def rested(self) -> None:
        """Let the next one be taken."""
        self._resting = False

    def __bool__(self) -> bool:
        return super().__bool__() and not self._resting
