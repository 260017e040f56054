"""What earlier starts left on the broker: what is still ours is right again, and everything else is cleared."""

from collections.abc import Iterable, Mapping

from edgepub.config.camera import CameraSettings
from edgepub.mqtt.commands import SETTINGS
from edgepub.mqtt.messages import announcement_message, state_message
from edgepub.mqtt.outbox.outbox import Outbox
from edgepub.mqtt.topics import Topics, is_level_of

_OF_THE_NODE = {"status", "info"}


def clear_obsolete(
    published: Iterable[str], cameras: Mapping[str, CameraSettings], topics: Topics, outbox: Outbox
) -> None:
    """Clear what the configuration no longer produces.

    Args:
        published: the topics where something is retained.
        cameras: the configuration's.
        topics: the node's.
        outbox: takes the messages.

    """
    for topic in published:
        if not _is_produced(topic, cameras, topics):
            outbox.put(announcement_message(topic, b""))  # behind that by which Home Assistant forgets what was there


def reset_counts(
    published: Iterable[str], cameras: Mapping[str, CameraSettings], topics: Topics, outbox: Outbox
) -> None:
    """Let nothing be counted any more where something was, of what the configuration still produces."""
    for topic in published:
        if not _is_produced(topic, cameras, topics):
            continue
        match topic.removeprefix(f"{topics.root}/").split("/")[1:]:  # nobody knows yet what is there
            case ["objects", _] | ["zones", _, "objects", _]:
                outbox.put(state_message(topic, "0"))
            case [*_, "objects", _, "occupancy"]:
                outbox.put(state_message(topic, "OFF"))


def _is_produced(topic: str, cameras: Mapping[str, CameraSettings], topics: Topics) -> bool:
    produced = False
    match topic.removeprefix(f"{topics.root}/").split("/") if topic.startswith(f"{topics.root}/") else []:
        case [name]:
            produced = name in _OF_THE_NODE
        case [camera, *below] if camera in cameras:
            produced = _is_produced_by(cameras[camera], below)
    return produced


def _is_produced_by(camera: CameraSettings, levels: list[str]) -> bool:
    produced = False
    match levels:
        case [name]:  # a snapshot that is disabled is not cleared here: it is by the node, known of or not
            produced = name in {"status", "snapshot"} or name in SETTINGS
        case ["objects", its_level] | ["objects", its_level, "occupancy"]:
            produced = is_level_of(its_level, camera.labels)
        case ["zones", zone, "objects", its_level] | ["zones", zone, "objects", its_level, "occupancy"] if (
            zone in camera.zones
        ):
            produced = is_level_of(its_level, camera.zones[zone].labels or camera.labels)
    return produced
