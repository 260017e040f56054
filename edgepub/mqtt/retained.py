"""Retained messages that earlier runs left on the broker: which of them still apply. The rest is cleared."""

from collections.abc import Callable, Collection, Iterable, Mapping
from types import MappingProxyType
from typing import NamedTuple

from edgepub.config.camera import CameraSettings
from edgepub.mqtt.commands import SETTINGS
from edgepub.mqtt.label_levels import ALL, is_label_level, topic_level
from edgepub.mqtt.messages import announcement_message
from edgepub.mqtt.outbox.outbox import Outbox
from edgepub.mqtt.topics import (
    ACTIVE_SUFFIX,
    LOITERING_SUFFIX,
    OCCUPANCY_SUFFIX,
    PICTURE_SUFFIX,
    Topics,
    parse_object_count,
)

MAX_LABELS = 200
"""Labels of a camera that have topics, besides those that the settings name. The two entities of each that Home
Assistant enables by default, and those of the camera itself, fit into one message."""
MAX_CLASSIFIERS = 20
"""Attributes of one model with several classifiers that have topics, besides the one that the settings name."""
_NODE_TOPICS = {"status", "info", "checkpoint"}


class Place(NamedTuple):
    """Where objects are counted, and which."""

    zone: str | None
    """None: the whole frame."""
    level: str
    """The label, as a topic level, or `label_levels.ALL`."""


def place_filter(camera: CameraSettings) -> Callable[[Place], bool]:
    """Return a function that tells whether a camera with these settings counts objects at a place."""
    levels_by_zone = {
        zone: None if labels is None else set(map(topic_level, labels))
        for zone, labels in camera.labels_by_zone.items()
    }

    def is_counted(place: Place) -> bool:
        if place.level == ALL:
            return place.zone in levels_by_zone
        levels = levels_by_zone.get(place.zone, ())
        return is_label_level(place.level) if levels is None else place.level in levels

    return is_counted


def count_suffixes(camera: CameraSettings, zone: str | None) -> tuple[str, ...]:
    """Return the suffixes of the topics of each count of a camera, in a zone or (None) in the whole frame."""
    suffixes = ["", OCCUPANCY_SUFFIX]
    if camera.finds_stationary:
        suffixes.append(ACTIVE_SUFFIX)
    if camera.tracking and zone is not None and camera.zones[zone].loitering_s is not None:
        suffixes.append(LOITERING_SUFFIX)
    return tuple(suffixes)


def find_places(published: Iterable[str], name: str, camera: CameraSettings, topics: Topics) -> dict[Place, None]:
    """Return what the retained topics of a camera count and its settings still count, in their order; an ordered set.

    Of the labels that the settings do not name, it has the last `MAX_LABELS`.

    Args:
        published: topics with a retained message, the longest unchanged first.
        name: the camera's name.
        camera: the camera's settings.
        topics: the node's topics.

    """
    root = f"{topics.root}/{name}/"
    counts = (parse_object_count(topic[len(root) :].split("/")) for topic in published if topic.startswith(root))
    named = {ALL, *map(topic_level, camera.all_labels)}
    is_counted = place_filter(camera)
    places = [place for count in counts if count and is_counted(place := Place(count.zone, count.level))]
    newest = list(dict.fromkeys(place.level for place in reversed(places) if place.level not in named))
    kept = named.union(newest[:MAX_LABELS])
    return dict.fromkeys(place for place in places if place.level in kept)


def find_cutouts(published: Iterable[str], camera: str, topics: Topics) -> list[str]:
    """Return the retained topics with cut-outs of a camera, of whatever label."""
    start = topics.object_count(camera, None, "")
    below = ((topic, topic.removeprefix(start).split("/")) for topic in published if topic.startswith(start))
    return [topic for topic, levels in below if levels[1:] == [PICTURE_SUFFIX[1:]]]


def find_attributes(
    published: Iterable[str], camera: str, named: Collection[str], former: Collection[str], topics: Topics
) -> list[str]:
    """Return the attributes that retained topics of a camera have and its settings still give, in alphabetical order.

    A model with several classifiers adds their names to that of its attribute. Of each model, there are the last
    `MAX_CLASSIFIERS`.

    Args:
        published: topics with a retained message, the longest unchanged first.
        camera: the camera's name.
        named: the attributes that its settings name.
        former: those that settings of this node ever named. They are no classifiers.
        topics: the node's topics.

    """
    root = topics.attribute(camera, "")
    retained = [topic.removeprefix(root) for topic in published if topic.startswith(root)]
    found = {name for name in retained if name in named}
    for own in named:
        others = [name for name in retained if is_of_classifier(name, own) and name not in {*named, *former}]
        found.update(others[-MAX_CLASSIFIERS:])
    return sorted(found)


def is_of_classifier(attribute: str, name: str) -> bool:
    """Return whether an attribute has the name of a classifier of the model whose attribute the settings name."""
    return attribute.startswith(f"{name}_")


def clear_obsolete(
    published: Iterable[str],
    cameras: Mapping[str, CameraSettings],
    topics: Topics,
    outbox: Outbox,
    attributes: Mapping[str, Collection[str]] = MappingProxyType({}),
) -> None:
    """Clear the retained topics that the configuration no longer produces.

    Args:
        published: topics with a retained message, the longest unchanged first.
        cameras: the configured cameras, by name.
        topics: the node's topics.
        outbox: the outbox for the clearing messages.
        attributes: the attributes of each camera that its settings still give; see `find_attributes`.

    """
    published = list(published)
    places = {name: find_places(published, name, camera, topics) for name, camera in cameras.items()}
    for topic in sorted(published):  # of a former name, `info` and `status` last: by them it is known
        if not _is_produced(_levels(topic, topics), cameras, places, attributes):
            outbox.put(announcement_message(topic, b""))  # after the one that removes it from Home Assistant


def _levels(topic: str, topics: Topics) -> list[str]:
    """Return the levels below the node; none for a topic of another node."""
    below = topic.removeprefix(f"{topics.root}/")
    return [] if below == topic else below.split("/")


def _is_produced(
    levels: list[str],
    cameras: Mapping[str, CameraSettings],
    places: Mapping[str, Mapping[Place, None]],
    attributes: Mapping[str, Collection[str]],
) -> bool:
    match levels:
        case [name]:
            return name in _NODE_TOPICS
        case [camera, "attributes", name] if camera in places:
            return name in attributes.get(camera, ())
        case [camera, *below] if camera in places:
            return _is_produced_by(cameras[camera], places[camera], below)
    return False


def _is_produced_by(camera: CameraSettings, places: Mapping[Place, None], levels: list[str]) -> bool:
    if count := parse_object_count(levels):
        is_counted = (count.zone, count.level) in places
        return is_counted and count.suffix in count_suffixes(camera, count.zone)
    match levels:
        case ["objects", level, "snapshot"]:  # the node itself clears all pictures of a camera that publishes none
            return camera.has_cutouts and Place(None, level) in places
        case [name]:  # the same
            return name in {"status", "snapshot"} or name in SETTINGS
    return False
