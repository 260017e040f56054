"""Retained messages that earlier runs left on the broker: update what still applies, and clear the rest."""

from collections.abc import Iterable, Mapping

from edgepub.config.camera import CameraSettings
from edgepub.mqtt.commands import SETTINGS
from edgepub.mqtt.messages import announcement_message, state_message
from edgepub.mqtt.outbox.outbox import Outbox
from edgepub.mqtt.topics import Topics, is_level_of, parse_object_count

_NODE_TOPICS = {"status", "info", "checkpoint"}


def clear_obsolete(
    published: Iterable[str], cameras: Mapping[str, CameraSettings], topics: Topics, outbox: Outbox
) -> None:
    """Clear the retained topics that the configuration no longer produces.

    Args:
        published: topics with a retained message.
        cameras: the configured cameras, by name.
        topics: the node's topics.
        outbox: the outbox for the clearing messages.

    """
    for topic in published:
        if not _is_produced(_levels(topic, topics), cameras):
            outbox.put(announcement_message(topic, b""))  # after the one that removes it from Home Assistant


def reset_counts(
    published: Iterable[str], cameras: Mapping[str, CameraSettings], topics: Topics, outbox: Outbox
) -> None:
    """Publish a count of 0 where objects were counted, for the topics that the configuration still produces."""
    for topic in published:
        levels = _levels(topic, topics)
        if _is_produced(levels, cameras) and (count := parse_object_count(levels[1:])):
            # What is there is not known yet.
            outbox.put(state_message(topic, "OFF" if count.is_occupancy else "0"))


def _levels(topic: str, topics: Topics) -> list[str]:
    """Return the levels below the node; none for a topic of another node."""
    below = topic.removeprefix(f"{topics.root}/")
    return [] if below == topic else below.split("/")


def _is_produced(levels: list[str], cameras: Mapping[str, CameraSettings]) -> bool:
    match levels:
        case [name]:
            return name in _NODE_TOPICS
        case [camera, *below] if camera in cameras:
            return _is_produced_by(cameras[camera], below)
    return False


def _is_produced_by(camera: CameraSettings, levels: list[str]) -> bool:
    if count := parse_object_count(levels):
        return is_level_of(count.level, camera.labels_by_zone.get(count.zone, ()))
    match levels:
        case [name]:  # the node itself clears the snapshot of a camera that publishes none, listed here or not
            return name in {"status", "snapshot"} or name in SETTINGS
    return False
