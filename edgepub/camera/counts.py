"""Object counts as states: a count and an occupancy for each label, for the camera and each of its zones."""

from collections import Counter
from collections.abc import Callable, Mapping

from edgepub.config.camera import CameraSettings
from edgepub.mqtt.messages import state_message
from edgepub.mqtt.outbox.outbox import Outbox
from edgepub.mqtt.topics import OCCUPANCY_SUFFIX, Topics, is_level_of, topic_level

_Key = tuple[str | None, str]
"""A zone (None: the whole frame), and a label as a topic level."""


class ObjectCounts:
    """Publishes the counts of one camera when they change. One thread at a time.

    The constructor publishes 0 for every label that the settings name.

    Args:
        camera: the camera's name.
        settings: the camera's settings, for its labels and zones.
        topics: the node's topics.
        outbox: takes the messages.
        on_new: called when a count is published that did not exist before.

    """

    def __init__(
        self,
        camera: str,
        settings: CameraSettings,
        topics: Topics,
        outbox: Outbox,
        on_new: Callable[[], None] = lambda: None,
    ) -> None:
        self._camera = camera
        self._topics = topics
        self._outbox = outbox
        self._on_new = on_new
        self._counted = settings.labels_by_zone
        self._published: dict[_Key, int] = {}
        self._publish_named()

    def set_areas(self, settings: CameraSettings) -> None:
        """Publish 0 for what is counted from now on, and nothing more for what is not counted any more.

        The retained messages of the latter are not cleared here.

        Args:
            settings: the camera's settings, of which only the zones have changed.

        """
        self._counted = settings.labels_by_zone
        self._published = {key: count for key, count in self._published.items() if self._is_counted(*key)}
        self._publish_named()

    def update(self, counts: Mapping[tuple[str | None, str], int]) -> None:
        """Publish the counts that have changed.

        Args:
            counts: by zone (None: in the whole frame) and label; 0 for those that are missing.

        """
        now: Counter[_Key] = Counter()
        for (zone, label), count in counts.items():
            now[zone, topic_level(label)] += count
        new = now.keys() - self._published.keys()
        for key in [*self._published, *new]:
            if now[key] != self._published.get(key):
                self._publish(key, now[key])
        if new:
            self._on_new()

    def _publish_named(self) -> None:
        """Publish 0 for all labels that the settings name and that have no count yet."""
        named = {(zone, topic_level(label)) for zone, labels in self._counted.items() for label in labels or []}
        for key in sorted(named - self._published.keys(), key=lambda key: (key[0] or "", key[1])):
            self._publish(key, 0)

    def _is_counted(self, zone: str | None, label_level: str) -> bool:
        return zone in self._counted and is_level_of(label_level, self._counted[zone])

    def _publish(self, key: _Key, count: int) -> None:
        topic = self._topics.object_count(self._camera, *key)
        before = self._published.get(key)
        self._published[key] = count
        self._outbox.put(state_message(topic, str(count)))
        if before is None or bool(before) != bool(count):
            self._outbox.put(state_message(topic + OCCUPANCY_SUFFIX, "ON" if count else "OFF"))
