"""How many there are becomes states: a count and an occupancy for each label, for the camera and each of its zones."""

from collections import Counter
from collections.abc import Callable, Mapping

from edgepub.camera_settings import CameraSettings
from edgepub.messages import state
from edgepub.outbox import Outbox
from edgepub.topics import OCCUPANCY, Topics, level


class Numbers:
    """Publishes the counts of one camera when they change. One thread at a time.

    Args:
        camera: the camera's name.
        settings: its labels and zones.
        topics: where the counts go.
        outbox: takes them.
        tell_of_new: is called when there is a count that there was not before.

    """

    def __init__(
        self,
        camera: str,
        settings: CameraSettings,
        topics: Topics,
        outbox: Outbox,
        tell_of_new: Callable[[], None] = lambda: None,
    ) -> None:
        self._camera = camera
        self._topics = topics
        self._outbox = outbox
        self._tell_of_new = tell_of_new
        self._published: dict[str, int] = {}
        self._known = {
            topics.count(camera, zone, level(label))
            for zone, labels in settings.counted.items()
            for label in labels or []
        }

    def begin(self) -> None:
        """Publish that there is nothing yet of all labels that are known."""
        for topic in sorted(self._known):
            self._publish(topic, 0)

    def show(self, numbers: Mapping[tuple[str | None, str], int]) -> None:
        """Publish what has changed.

        Args:
            numbers: by zone (None: in the whole frame) and label; what is not named is 0.

        """
        now: Counter[str] = Counter()
        for (zone, label), number in numbers.items():
            now[self._topics.count(self._camera, zone, level(label))] += number
        new = now.keys() - self._published.keys()
        for topic in [*self._published, *new]:
            if now[topic] != self._published.get(topic):
                self._publish(topic, now[topic])
        if new:
            self._tell_of_new()

    def _publish(self, topic: str, number: int) -> None:
        before = self._published.get(topic)
        self._published[topic] = number
        self._outbox.put(state(topic, str(number)))
        if before is None or bool(before) != bool(number):
            self._outbox.put(state(topic + OCCUPANCY, "ON" if number else "OFF"))
