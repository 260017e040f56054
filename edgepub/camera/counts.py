"""Object counts as states: for each label and all of them together, for the camera and each of its zones."""

import logging
from collections.abc import Callable, Collection, Iterable

from edgepub.camera.analysis.tally import Tallies, Tally, add_tallies
from edgepub.camera.counted_labels import CountedLabels
from edgepub.config.camera import CameraSettings
from edgepub.mqtt import topics as topic_tree
from edgepub.mqtt.label_levels import ALL, topic_level
from edgepub.mqtt.messages import announcement_message, state_message
from edgepub.mqtt.outbox.outbox import Outbox
from edgepub.mqtt.retained import Place, count_suffixes, place_filter
from edgepub.mqtt.topics import Topics
from edgepub.telemetry.logs import camera_logger

_MAX_CLEARING = 1000
_NONE = Tally()
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
        on_removed: called with each label, as its topic level, that has lost its topics.

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
        on_removed: Callable[[str], None] = lambda _level: None,
    ) -> None:
        self._camera = camera
        self._topics = topics
        self._outbox = outbox
        self._on_change = on_change
        self._on_removed = on_removed
        levels = [place.level for place in retained if place.level != ALL]
        notes = {} if notes is None else notes
        log = camera_logger(_log, camera)
        self._labels = CountedLabels(settings.all_labels, levels, log, notes, self._can_clear)
        self._counted = settings.labels_by_zone
        self._suffixes = {zone: count_suffixes(settings, zone) for zone in self._counted}
        self._published: dict[Place, Tally] = {}
        for place in retained:
            self._publish(place, _NONE)
        self._publish_named()

    def set_areas(self, settings: CameraSettings) -> None:
        """Publish 0 for what is counted from now on, and nothing more for what is not counted any more.

        The retained messages of the latter are not cleared here.

        Args:
            settings: the camera's settings, of which only the zones have changed.

        """
        self._counted = settings.labels_by_zone
        before, self._suffixes = self._suffixes, {zone: count_suffixes(settings, zone) for zone in self._counted}
        is_counted = place_filter(settings)
        self._published = {place: tally for place, tally in self._published.items() if is_counted(place)}
        for place in list(self._published):
            if self._suffixes[place.zone] != before[place.zone]:  # the zone is another one, and empty
                del self._published[place]
                self._publish(place, _NONE)
        levels = [place.level for place in self._published if place.level != ALL]
        self._clear(self._labels.set_named(settings.all_labels, levels))
        self._publish_named()

    def update(self, counts: Tallies) -> None:
        """Publish the counts that have changed.

        Args:
            counts: by zone (None: in the whole frame) and label; none for those that are missing.

        """
        replaced = self._labels.update(label for (_, label), tally in counts.items() if tally.total)
        self._clear(replaced)
        now: dict[Place, Tally] = {}
        for (zone, label), tally in counts.items():
            level = topic_level(label)
            for place in (Place(zone, ALL), *([Place(zone, level)] if level in self._labels else ())):
                now[place] = add_tallies(now.get(place, _NONE), tally)
        new = now.keys() - self._published.keys()
        for place in [*self._published, *new]:
            if (tally := now.get(place, _NONE)) != self._published.get(place):
                self._publish(place, tally)
        if new or replaced:
            self._on_change()

    def has_topics(self, level: str) -> bool:
        """Return whether the label with this topic level is counted in the whole frame."""
        return Place(None, level) in self._published

    def _publish_named(self) -> None:
        """Publish 0 for all labels together, and for those that the settings name and that have no count yet."""
        named = {Place(zone, topic_level(label)) for zone, labels in self._counted.items() for label in labels or []}
        named.update(Place(zone, ALL) for zone in self._counted)
        for place in sorted(named - self._published.keys(), key=lambda place: (place.zone or "", place.level)):
            self._publish(place, _NONE)

    def _publish(self, place: Place, tally: Tally) -> None:
        topic = self._topics.object_count(self._camera, *place)
        before = self._published.get(place)
        self._published[place] = tally
        suffixes = self._suffixes[place.zone]
        # No reader sees more active objects than there are, not even between two messages.
        is_less = before is not None and tally.total < before.total
        for suffix in reversed(suffixes) if is_less else suffixes:
            value = _state(tally, suffix)
            if before is None or value != _state(before, suffix):
                self._outbox.put(state_message(topic + suffix, value))

    def _can_clear(self) -> bool:
        """Return whether few topics wait to be cleared: without the broker their number would grow with each label."""
        return len(self._outbox.clearing()) < _MAX_CLEARING

    def _clear(self, levels: Iterable[str]) -> None:
        """Clear the topics of labels that are not counted any more."""
        gone = set(levels)
        for place in [place for place in self._published if place.level in gone]:
            del self._published[place]
            topic = self._topics.object_count(self._camera, *place)
            for suffix in self._suffixes[place.zone]:
                self._outbox.put(announcement_message(topic + suffix, b""))
            if place.zone is None:
                self._on_removed(place.level)


def _state(tally: Tally, suffix: str) -> str:
    """Return the payload of one of a count's topics."""
    match suffix:
        case topic_tree.OCCUPANCY_SUFFIX:
            return "ON" if tally.total else "OFF"
        case topic_tree.ACTIVE_SUFFIX:
            return str(tally.active)
        case topic_tree.LOITERING_SUFFIX:
            return "ON" if tally.loitering else "OFF"
    return str(tally.total)
