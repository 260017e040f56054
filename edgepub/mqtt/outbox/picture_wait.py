"""How long an event waits for the picture that it names, which is on its way to the broker, too."""

from edgepub.mqtt.messages import Message

MAX_WAIT_S = 0.5
"""Then the event goes without: it matters more than its picture, and others wait behind it."""


class PictureWait:
    """Knows what the pictures show that the broker has. Not thread-safe."""

    def __init__(self) -> None:
        self._shown: dict[str, str] = {}  # by topic, the visit

    def note(self, picture: Message) -> None:
        """Note that the broker has a picture, or refuses it: nothing waits for it any more. An empty one is none."""
        properties = dict(picture.payload_format.properties)
        if "visit_id" in properties:
            self._shown[picture.topic] = properties["visit_id"]
        else:
            self._shown.pop(picture.topic, None)

    def left_s(self, event: Message, now_s: float) -> float:
        """Return for how long an event still has to wait; 0 if it may go."""
        if event.picture is None:
            return 0.0
        topic, visit_id = event.picture
        return 0.0 if self._shown.get(topic) == visit_id else max(0.0, event.created_s + MAX_WAIT_S - now_s)
