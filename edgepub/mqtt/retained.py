"""Retained messages that earlier runs left on the broker: update what still applies, and clear the rest."""

from collections.abc import Iterable, Mapping

from edgepub.config.camera import CameraSettings
from edgepub.mqtt.commands import SETTINGS
from edgepub.mqtt.messages import announcement_message, state_message
from edgepub.mqtt.outbox.outbox import Outbox
from edgepub.mqtt.topics import Topics, is_level_of

_NODE_TOPICS = {"status", "info"}


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
        if not _is_produced(topic, cameras, topics):
            outbox.put(announcement_message(topic, b""))  # after the one that removes it from Home Assistant


def reset_counts(
    published: Iterable[str], cameras: Mapping[str, CameraSettings], topics: Topics, outbox: Outbox
) -> None:
    """Publish a count of 0 where objects were counted, for the topics that the configuration still produces."""
    for topic in published:
        if not _is_produced(topic, cameras, topics):
            continue
        match topic.removeprefix(f"{topics.root}/").split("/")[1:]:  # what is there is not known yet
            case ["objects", _] | ["zones", _, "objects", _]:
                outbox.put(state_message(topic, "0"))
            case [*_, "objects", _, "occupancy"]:
                outbox.put(state_message(topic, "OFF"))


def _is_produced(topic: str, cameras: Mapping[str, CameraSettings], topics: Topics) -> bool:
    produced = False
    match topic.removeprefix(f"{topics.root}/").split("/") if topic.startswith(f"{topics.root}/") else []:
        case [name]:
            produced = name in _NODE_TOPICS
        case [camera, *below] if camera in cameras:
            produced = _is_produced_by(cameras[camera], below)
    return produced


def _is_produced_by(camera: CameraSettings, levels: list[str]) -> bool:
    produced = False
    match levels:
        case [name]:  # the node itself clears the snapshot of a camera that publishes none, listed here or not
            produced = name in {"status", "snapshot"} or name in SETTINGS
        case ["objects", level] | ["objects", level, "occupancy"]:
            produced = is_level_of(level, camera.labels)
        case ["zones", zone, "objects", level] | ["zones", zone, "objects", level, "occupancy"] if zone in camera.zones:
            produced = is_level_of(level, camera.zones[zone].labels or camera.labels)
    return produced
