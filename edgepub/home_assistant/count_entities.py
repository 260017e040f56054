"""The entities of a camera's counts: of each label and of all together, in the whole frame and in each zone.

Only what most users want is enabled by default: whether there is an object of a label, how many there are in the whole
frame, and whether one loiters in a zone. The rest is on the device's page, disabled.
"""

import itertools
from collections.abc import Callable, Container, Iterable, Iterator

from edgepub.config.camera import CameraSettings
from edgepub.home_assistant.device import Device, Payload
from edgepub.home_assistant.names import capitalize, display_name, displayable
from edgepub.mqtt.label_levels import ALL, label_text, topic_level
from edgepub.mqtt.retained import Place, count_suffixes
from edgepub.mqtt.topics import (
    ACTIVE_SUFFIX,
    LOITERING_SUFFIX,
    OCCUPANCY_SUFFIX,
    ObjectCount,
    Topics,
    parse_object_count,
)

_ALL_TEXT = "objects"
_COUNT: Payload = {"platform": "sensor", "icon": "mdi:counter", "state_class": "measurement"}
_OCCUPANCY: Payload = {"platform": "binary_sensor", "device_class": "occupancy"}
_ANY_TEMPLATE = "{{ 'ON' if value | int > 0 else 'OFF' }}"
# What the entity of a topic is, and what its name ends with, by the topic's suffix.
_ENTITIES: dict[str, tuple[Payload, str]] = {
    "": (_COUNT, " count"),
    OCCUPANCY_SUFFIX: (_OCCUPANCY, ""),
    ACTIVE_SUFFIX: ({**_OCCUPANCY, "value_template": _ANY_TEMPLATE}, " active"),
    LOITERING_SUFFIX: (_OCCUPANCY, " loitering"),
}


def add_counts(
    device: Device,
    name: str,
    camera: CameraSettings,
    topics: Topics,
    places: Container[Place],
    known_topics: Iterable[str],
) -> Callable[[], None]:
    """Add the usual entities of what is counted, the most important first, and remove those of what was.

    The labels come in the order of `labels`, each with all its zones; then those that were detected.

    Args:
        device: the device of the camera.
        name: the camera's name.
        camera: the camera's settings.
        topics: the node's topics.
        places: what its retained topics count and its settings still count.
        known_topics: topics where something is or was retained, in the order in which they came.

    Returns:
        What adds the others, which hardly anybody enables: last, as the end may be cut off.

    """
    zones = camera.labels_by_zone
    named = [(zone, label) for label in camera.all_labels for zone, labels in zones.items() if label in (labels or ())]
    texts = {ALL: _ALL_TEXT} | {topic_level(label): label for _, label in reversed(named)}
    known = list(_find_counts(name, topics, known_topics))
    seen = [place for prefix, count in known if prefix == topics.prefix and (place := _place(count)) in places]
    present = dict.fromkeys([Place(zone, ALL) for zone in zones] + [Place(z, topic_level(t)) for z, t in named] + seen)
    counts = [ObjectCount(*place, suffix) for place in present for suffix in count_suffixes(camera, place.zone)]
    produced = set(counts)
    obsolete = {  # an ordered set; a label always has the first two
        count._replace(suffix=suffix): None for _, count in known for suffix in ("", OCCUPANCY_SUFFIX, count.suffix)
    }

    def topic_of(count: ObjectCount) -> str:
        return topics.object_count(name, count.zone, count.level) + count.suffix

    def key_of(count: ObjectCount) -> str:
        return topic_of(count).removeprefix(f"{topics.root}/{name}/")

    def add(count: ObjectCount) -> None:
        options, ending = _ENTITIES[count.suffix]
        label = displayable(texts.get(count.level) or label_text(count.level))
        title = capitalize(label) if count.zone is None else f"{display_name(count.zone)} {label}"
        if not _is_enabled(count):
            options = {**options, "enabled_by_default": False}
        device.add(key=key_of(count), name=title + ending, state_topic=topic_of(count), **options)

    for count in filter(_is_usual, counts):
        add(count)
    for count in [count for count in obsolete if count not in produced]:
        device.remove(_ENTITIES[count.suffix][0]["platform"], key_of(count))

    def add_others() -> None:
        # A count tells more than whether something is active.
        for count in sorted(itertools.filterfalse(_is_usual, counts), key=lambda count: count.suffix):
            add(count)

    return add_others


def _find_counts(camera: str, topics: Topics, known_topics: Iterable[str]) -> Iterator[tuple[str, ObjectCount]]:
    """Yield the counts of a camera's topics, each with its topic_prefix, which may be an earlier one."""
    for topic in known_topics:
        prefix, _, below = topic.rpartition(f"/{topics.node}/{camera}/")
        if prefix and (count := parse_object_count(below.split("/"))):
            yield prefix, count


def _place(count: ObjectCount) -> Place:
    return Place(count.zone, count.level)


def _is_enabled(count: ObjectCount) -> bool:
    """Return whether an entity is enabled by default."""
    is_in_use = count.suffix in {OCCUPANCY_SUFFIX, LOITERING_SUFFIX} or (count.suffix == "" and count.zone is None)
    return is_in_use and count.level != ALL


def _is_usual(count: ObjectCount) -> bool:
    """Return whether an entity is important. Those of all labels together are few."""
    return count.level == ALL or _is_enabled(count)
