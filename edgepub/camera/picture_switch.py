"""Whether the pictures of one camera may leave the node."""

import threading
from collections.abc import Callable, Iterable

from edgepub.mqtt.messages import Message, picture_message
from edgepub.mqtt.outbox.outbox import Outbox


class PictureSwitch:
    """Lets pictures into the outbox while it is on, and takes them away from the broker when it is off. For any thread.

    The constructor takes them away, too.

    Args:
        outbox: takes the messages.
        retained: returns the topics of the camera's pictures that the broker may have.
        on_new: called, in any thread, when a topic has its first picture.
        is_on: whether it is on at first.

    """

    def __init__(
        self,
        outbox: Outbox,
        retained: Callable[[], Iterable[str]],
        on_new: Callable[[], None] = lambda: None,
        *,
        is_on: bool,
    ) -> None:
        self._outbox = outbox
        self._retained = retained
        self._on_new = on_new
        self._lock = threading.Lock()  # so that no picture that is just being made comes after the clearing
        self._is_on = is_on
        self._topics: set[str] = set()
        self._clearings = 0
        self.set(is_on)

    @property
    def is_on(self) -> bool:
        """Whether pictures may leave the node."""
        return self._is_on

    @property
    def clearings(self) -> int:
        """How often all pictures were taken away: those that were published before are not there any more."""
        return self._clearings

    @property
    def losses(self) -> int:
        """How often the broker may have lost the pictures of earlier runs. The outbox has those of this run."""
        return self._outbox.losses

    def set(self, is_on: bool) -> None:
        """Switch it on or off."""
        with self._lock:
            self._is_on = is_on
            if not is_on:
                self._clear_all()

    def clear_all(self) -> None:
        """Take all pictures away from the broker."""
        with self._lock:
            self._clear_all()

    def close(self) -> None:
        """Drop the pictures that are still being made, because the camera is stopped; those on the broker stay."""
        with self._lock:
            self._is_on = False

    def put(self, picture: Message) -> None:
        """Put a picture into the outbox, if pictures may leave the node."""
        with self._lock:
            if not self._is_on:
                return
            self._outbox.put(picture)
            is_new = picture.topic not in self._topics
            self._topics.add(picture.topic)
        if is_new:
            self._on_new()

    def clear(self, topic: str) -> None:
        """Take the picture of a topic away from the broker."""
        with self._lock:
            self._clear(topic)

    def _clear_all(self) -> None:
        self._clearings += 1
        for topic in self._retained():
            self._clear(topic)

    def _clear(self, topic: str) -> None:
        self._topics.discard(topic)
        self._outbox.put(picture_message(topic, b""))
