"""How many there are becomes states: a count and an occupancy for each label, for the camera and each of its zones."""

from collections import Counter
from collections.abc import Callable, Mapping

from edgepub.config.camera import CameraSettings
from edgepub.mqtt.messages import state_message
from edgepub.mqtt.outbox.outbox import Outbox
from edgepub.mqtt.topics import OCCUPANCY_SUFFIX, Topics, is_level_of, topic_level

_Place = tuple[str | None, str]
"""A zone (None: the whole frame), and a label as a topic level."""


class ObjectCounts:
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
        self._counted = settings.labels_by_zone
        self._published: dict[_Place, int] = {}

    def begin(self) -> None:
        """Publish that there is nothing yet of all labels that are known."""
        known = {(zone, topic_level(label)) for zone, labels in self._counted.items() for label in labels or []}
        for place in sorted(known - self._published.keys(), key=lambda place: (place[0] or "", place[1])):
            self._publish(place, 0)

    def set_areas(self, settings: CameraSettings) -> None:
        """Publish that there is nothing yet of what is counted now and was not; and nothing more of what is not now.

        What is retained of that is for others to clear.

        Args:
            settings: the camera's, in which the zones are others.

        """
        self._counted = settings.labels_by_zone
        self._published = {place: number for place, number in self._published.items() if self._counts(*place)}
        self.begin()

    def show(self, numbers: Mapping[tuple[str | None, str], int]) -> None:
        """Publish what has changed.

        Args:
            numbers: by zone (None: in the whole frame) and label; what is not named is 0.

        """
        now: Counter[_Place] = Counter()
        for (zone, label), number in numbers.items():
            now[zone, topic_level(label)] += number
        new = now.keys() - self._published.keys()
        for place in [*self._published, *new]:
            if now[place] != self._published.get(place):
                self._publish(place, now[place])
        if new:
            self._tell_of_new()

    def _counts(self, zone: str | None, its_level: str) -> bool:
        return zone in self._counted and is_level_of(its_level, self._counted[zone])

    def _publish(self, place: _Place, number: int) -> None:
        topic = self._topics.object_count(self._camera, *place)
        before = self._published.get(place)
        self._published[place] = number
        self._outbox.put(state_message(topic, str(number)))
        if before is None or bool(before) != bool(number):
            self._outbox.put(state_message(topic + OCCUPANCY_SUFFIX, "ON" if number else "OFF"))
