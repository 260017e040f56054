"""The lanes of retained messages as one: a topic has its value in one of them only."""

from collections.abc import Callable, Mapping

from edgepub.mqtt.messages import Message
from edgepub.mqtt.outbox.checkpoint import Checkpoint
from edgepub.mqtt.outbox.single import AnnouncementLane, PictureLane
from edgepub.mqtt.outbox.state import Ledger, StateLane


class RetainedLanes:
    """The lanes for announcements, states and pictures.

    Args:
        ledger: remembers the topics; None: nothing does.
        held: messages not to send now (see `is_among`).
        checkpoint: numbers the acknowledgements.
        clock: returns monotonic seconds.

    Attributes:
        announcements: the lane of what exists.
        state: the lane of the newest values.
        pictures: the lane of the newest pictures.

    """

    def __init__(
        self, ledger: Ledger | None, held: Mapping[str, int], checkpoint: Checkpoint, clock: Callable[[], float]
    ) -> None:
        self.announcements = AnnouncementLane(ledger, held, checkpoint, clock)
        self.state = StateLane(ledger, held, checkpoint)
        self.pictures = PictureLane(self.announcements, ledger, held, checkpoint)
        self._ledger = ledger
        self._checkpoint = checkpoint
        self._session_number = checkpoint.number
        self._lanes: dict[str, StateLane] = {
            "announcements": self.announcements,
            "state": self.state,
            "pictures": self.pictures,
        }

    def put(self, message: Message) -> None:
        """Add a value, and remove older ones of its topic from the other lanes, which might send them later."""
        for name, lane in self._lanes.items():
            if name == message.lane:
                lane.put(message)
            else:
                lane.remove(message.topic)

    def forget(self, topic: str) -> None:
        """Remove a topic that was cleared from the ledger, unless a lane has a value for it."""
        if self._ledger and not any(topic in lane for lane in self._lanes.values()):
            self._ledger.remove_retained(topic)

    def clearing(self) -> set[str]:
        """Return the topics that are cleared, but not acknowledged yet."""
        return self.announcements.clearing() | self.pictures.clearing()

    def resend(self, *names: str) -> None:
        """Send every value of these lanes again; of all lanes if none is named."""
        for name in names or self._lanes:
            self._lanes[name].resend()

    def start_session(self) -> None:
        """Send again what was refused. Forget the checkpoint, which would say that this broker has what another had."""
        self._session_number = self._checkpoint.start_session()
        for lane in self._lanes.values():
            lane.resend_refused()
        if self._checkpoint.topic is not None:
            self.state.remove(self._checkpoint.topic)

    def resend_lost(self, checkpoint: bytes) -> None:
        """Send the values again that were acknowledged before this session and after the broker's checkpoint."""
        after = self._checkpoint.parse(checkpoint)
        for lane in self._lanes.values():
            lane.resend_lost(after, self._session_number)

    def release_saved(self) -> None:
        """Release the topics that the ledger has on disk now."""
        for lane in self._lanes.values():
            lane.release_saved()

    def release_all(self) -> None:
        """End all pauses, and release all topics, even if the disk hangs; drop those that are held back."""
        self.announcements.end_pause()
        self.pictures.end_pause()
        for lane in self._lanes.values():
            lane.release_all()
