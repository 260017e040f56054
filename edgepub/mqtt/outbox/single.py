"""Lanes of retained messages that send one at a time: large messages, and announcements."""

import time
from collections.abc import Callable, Mapping

from edgepub.mqtt.messages import Message
from edgepub.mqtt.outbox.checkpoint import Checkpoint
from edgepub.mqtt.outbox.state import Ledger, StateLane


class SingleLane(StateLane):
    """The newest message of each topic, one in flight at a time, with a pause for the link after each."""

    _pauses_after: Message | None = None  # the message in flight, or after which there is a pause

    def take(self) -> Message | None:
        """Take the message that has waited longest, if one may be sent now."""
        if not self.unsent or not self:  # the cheap check first, because it is usually enough
            return None
        message = super().take()
        if message is not None:
            self._pauses_after = message
        return message

    def put_back(self, message: Message) -> Message | None:
        """Put back a message that was taken and not sent, unless there is a newer one."""
        self.end_pause(message)
        return super().put_back(message)

    def clearing(self) -> set[str]:
        """Return the topics that are cleared, but not acknowledged yet."""
        return {topic for topic, message in self._newest.items() if not message.payload}

    def end_pause(self, after: Message | None = None) -> None:
        """Allow the next message to be taken after this one, or after any."""
        if after is None or after is self._pauses_after:
            self._pauses_after = None

    def __bool__(self) -> bool:
        return self._pauses_after is None and super().__bool__()


class AnnouncementLane(SingleLane):
    """Announcements of what exists, and of what no longer exists. They must not delay the node's own messages.

    After one announcement was held back the lane is quiet as long, because the broker may allow none of them. Then the
    others are sent before it.

    Args:
        ledger: remembers the topics; None: nothing does.
        held_back: messages not to send now (see `is_among`); None: none.
        checkpoint: numbers the acknowledgements.
        clock: returns monotonic seconds.

    """

    def __init__(
        self,
        ledger: Ledger | None = None,
        held_back: Mapping[str, int] | None = None,
        checkpoint: Checkpoint | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        super().__init__(ledger, held_back, checkpoint)
        self._clock = clock
        self._quiet_until_s = 0.0

    def be_quiet(self, topic: str, pause_s: float) -> None:
        """Send nothing for a while because of the announcement of this topic, and then that one last."""
        self._quiet_until_s = self._clock() + pause_s
        for messages in (self._newest, self.unsent):
            if topic in messages:
                messages[topic] = messages.pop(topic)  # type: ignore[assignment]

    def end_quiet(self) -> None:
        """End the quiet time."""
        self._quiet_until_s = 0.0

    def release_all(self) -> None:
        """Release all topics, even if the disk hangs. If the lane is quiet, drop them: they may not be allowed."""
        super().release_all()
        if self.is_quiet:
            self.unsent.clear()

    def __bool__(self) -> bool:
        return super().__bool__() and not self.is_quiet

    @property
    def is_quiet(self) -> bool:
        """Whether nothing is sent for a while."""
        return self._clock() < self._quiet_until_s


class PictureLane(SingleLane):
    """Pictures. One that is taken away goes first, and waits for no other picture.

    But it waits for announcements: Home Assistant is told first that there is no picture any more.

    Args:
        announcements: the lane of the announcements.
        ledger: remembers the topics; None: nothing does.
        held_back: messages not to send now (see `is_among`); None: none.
        checkpoint: numbers the acknowledgements.

    """

    def __init__(
        self,
        announcements: AnnouncementLane,
        ledger: Ledger | None = None,
        held_back: Mapping[str, int] | None = None,
        checkpoint: Checkpoint | None = None,
    ) -> None:
        super().__init__(ledger, held_back, checkpoint)
        self._announcements = announcements

    def put(self, message: Message) -> None:
        """Replace the topic's picture; an empty one takes it away."""
        super().put(message)
        if not message.payload:
            self.unsent = {message.topic: None, **self.unsent}

    def take(self) -> Message | None:
        """Take what takes a picture away, or the picture that has waited longest, if one may be sent now."""
        if self._is_clear_next:
            return StateLane.take(self) if self._may_clear else None
        return super().take()

    def __bool__(self) -> bool:
        return self._may_clear if self._is_clear_next else super().__bool__()

    @property
    def _is_clear_next(self) -> bool:
        topic = self._first() if self.unsent else None
        return topic is not None and not self._newest[topic].payload

    @property
    def _may_clear(self) -> bool:
        return not self._announcements.unsent or self._announcements.is_quiet
