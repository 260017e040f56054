"""How long an event waits for the picture that it names, which is on its way to the broker, too."""

from collections.abc import Iterable
from math import inf

from edgepub.mqtt.messages import Message

MAX_WAIT_S = 0.5
"""Then the event goes without: it matters more than its picture, and others wait behind it."""


class PictureWait:
    """Knows how old the pictures are that the broker has. Not thread-safe."""

    def __init__(self) -> None:
        self._created_s: dict[str, float] = {}  # by topic

    def note(self, picture: Message) -> None:
        """Note that the broker has a picture, or never will: no event waits for it any more, or for an older one."""
        self._created_s[picture.topic] = picture.created_s

    def forget(self, topics: Iterable[str]) -> None:
        """Note that the broker may not have the pictures of these topics any more."""
        for topic in topics:
            self._created_s.pop(topic, None)

    def left_s(self, event: Message, now_s: float) -> float:
        """Return for how long an event still has to wait; 0 if it may go."""
        if event.picture is None:
            return 0.0
        topic, created_s = event.picture
        is_there = self._created_s.get(topic, -inf) >= created_s
        return 0.0 if is_there else max(0.0, event.created_s + MAX_WAIT_S - now_s)
