"""The lane of pictures: states so large that on a slow link there is room for nothing else beside them."""

from edgepub.messages import Message
from edgepub.outbox.state import StateLane


class PictureLane(StateLane):
    """The newest picture of each topic, of which one at a time is taken; and after each the link has a rest."""

    def __init__(self) -> None:
        super().__init__()
        self._resting = False

    def take(self) -> Message | None:
        """Return the picture that has waited longest, unless one is under way."""
        if self._resting:
            return None
        message = super().take()
        self._resting = message is not None
        return message

    def put_back(self, message: Message) -> None:
        """Let a picture that was taken and not sent be sent, unless there is a newer one."""
        self.rested()
        super().put_back(message)

    def rested(self) -> None:
        """Let the next one be taken."""
        self._resting = False

    def __bool__(self) -> bool:
        return len(self) > 0 and not self._resting
