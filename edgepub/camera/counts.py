"""Object counts as states: a count and an occupancy for each label, for the camera and each of its zones."""

import logging
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping

from edgepub.camera.counted_labels import CountedLabels
from edgepub.config.camera import CameraSettings
from edgepub.mqtt.label_levels import topic_level
from edgepub.mqtt.messages import announcement_message, state_message
from edgepub.mqtt.outbox.outbox import Outbox
from edgepub.mqtt.retained import Place, place_filter
from edgepub.mqtt.topics import OCCUPANCY_SUFFIX, Topics
from edgepub.telemetry.logs import camera_logger

_MAX_CLEARING = 1000
_log = logging.getLogger(__name__)


class ObjectCounts:
    """Publishes the counts of one camera when they change. One thread at a time.

    The constructor publishes 0 for every label that the settings name, and for those counted by earlier runs.

    Args:
        camera: the camera's name.
        settings: the camera's settings, for its labels and zones.
        topics: the node's topics.
        outbox: takes the messages.
        retained: what earlier runs counted and the settings still count, the longest unchanged first.
        notes: the camera's notes, which tell if there are too many labels.
        on_change: called when there are other counts than before.

    """

    def __init__(
        self,
        camera: str,
        settings: CameraSettings,
        topics: Topics,
        outbox: Outbox,
        retained: Collection[Place] = (),
        notes: dict[str, str] | None = None,
        on_change: Callable[[], None] = lambda: None,
    ) -> None:
        self._camera = camera
        self._topics = topics
        self._outbox = outbox
        self._on_change = on_change
        levels = [place.level for place in retained]
        notes = {} if notes is None else notes
        log = camera_logger(_log, camera)
        self._labels = CountedLabels(settings.all_labels, levels, log, notes, self._can_clear)
        self._counted = settings.labels_by_zone
        self._published: dict[Place, int] = {}
        for place in retained:
            self._publish(place, 0)
        self._publish_named()

    def set_areas(self, settings: CameraSettings) -> None:
        """Publish 0 for what is counted from now on, and nothing more for what is not counted any more.

        The retained messages of the latter are not cleared here.

        Args:
            settings: the camera's settings, of which only the zones have changed.

        """
        self._counted = settings.labels_by_zone
        is_counted = place_filter(settings)
        self._published = {place: count for place, count in self._published.items() if is_counted(place)}
        self._clear(self._labels.set_named(settings.all_labels, [place.level for place in self._published]))
        self._publish_named()

    def update(self, counts: Mapping[tuple[str | None, str], int]) -> None:
        """Publish the counts that have changed.

        Args:
            counts: by zone (None: in the whole frame) and label; 0 for those that are missing.

        """
        replaced = self._labels.update(label for (_, label), count in counts.items() if count)
        self._clear(replaced)
        now: Counter[Place] = Counter()
        for (zone, label), count in counts.items():
            if (place := Place(zone, topic_level(label))).level in self._labels:
                now[place] += count
        new = now.keys() - self._published.keys()
        for place in [*self._published, *new]:
            if now[place] != self._published.get(place):
                self._publish(place, now[place])
        if new or replaced:
            self._on_change()

    def _publish_named(self) -> None:
        """Publish 0 for all labels that the settings name and that have no count yet."""
        named = {Place(zone, topic_level(label)) for zone, labels in self._counted.items() for label in labels or []}
        for place in sorted(named - self._published.keys(), key=lambda place: (place.zone or "", place.level)):
            self._publish(place, 0)

    def _publish(self, place: Place, count: int) -> None:
        topic = self._topics.object_count(self._camera, *place)
        before = self._published.get(place)
        self._published[place] = count
        self._outbox.put(state_message(topic, str(count)))
        if before is None or bool(before) != bool(count):
            self._outbox.put(state_message(topic + OCCUPANCY_SUFFIX, "ON" if count else "OFF"))

    def _can_clear(self) -> bool:
        """Return whether few topics wait to be cleared: without the broker their number would grow with each label."""
        return len(self._outbox.clearing()) < _MAX_CLEARING

    def _clear(self, levels: Iterable[str]) -> None:
        """Clear the topics of labels that are not counted any more."""
        gone = set(levels)
        for place in [place for place in self._published if place.level in gone]:
            del self._published[place]
            topic = self._topics.object_count(self._camera, *place)
            self._outbox.put(announcement_message(topic, b""))
            self._outbox.put(announcement_message(topic + OCCUPANCY_SUFFIX, b""))
