"""Which nodes and cameras to watch, and the topics to subscribe to for them. Pure functions."""

from dataclasses import dataclass

from edgepub.mqtt.commands import SETTINGS
from edgepub.mqtt.topics import Topics

ANY = "+"
_MAX_TOPIC_BYTES = 65_535  # MQTT 5.0, 1.5.4


@dataclass(frozen=True, slots=True)
class Choice:
    """One node or all nodes, and one camera or all cameras; `+` means all."""

    prefix: str
    node: str = ANY
    camera: str = ANY

    def __str__(self) -> str:
        """Return the topic filter that covers everything that is watched."""
        levels = [self.prefix, self.node, self.camera]
        while levels[-1] == ANY:
            levels.pop()
        return "/".join([*levels, "#"])

    @property
    def filters(self) -> list[str]:
        """The topics to subscribe to: without snapshots, which are large, and with the status of a camera's node.

        The node's status is needed because only that one is set by the last will.
        """
        topics = Topics(self.prefix, self.node)
        return [
            topics.status,
            topics.info,
            topics.camera_status(self.camera),
            topics.object_count(self.camera, None, ANY),
            *(topics.setting(self.camera, name) for name in SETTINGS),
            topics.stats,
            topics.events(self.camera),
            topics.detections(self.camera),
        ]


def choose(topic: str | None, prefix: str) -> Choice:
    """Return the choice that a topic stands for. Wildcards are allowed; None means everything.

    Args:
        topic: for example `edgepub/garage` or `edgepub/+/porch`; includes everything below it.
        prefix: the first levels of every topic.

    Raises:
        ValueError: this is not a topic, or edgepub publishes nothing there.

    """
    levels = _levels(topic or prefix)
    fixed = prefix.split("/")
    if any(given not in {ANY, own} for given, own in zip(levels, fixed, strict=False)):
        raise ValueError(
            f"edgepub publishes nothing there: all its topics are below {prefix}, like {prefix}/garage or "
            f"{prefix}/garage/porch; set another prefix with EDGEPUB_MQTT__TOPIC_PREFIX"
        )
    node, camera, *_ = [*levels[len(fixed) :], ANY, ANY]
    return Choice(prefix, node, camera)


def _levels(topic: str) -> list[str]:
    """Return the levels of a topic filter without a trailing `/` or `#` (MQTT 5.0, 4.7)."""
    try:
        size = len(topic.encode())
    except UnicodeEncodeError:
        raise ValueError("not a topic: not valid UTF-8") from None
    if size > _MAX_TOPIC_BYTES or not topic.isprintable():
        raise ValueError("not a topic: too long, or contains unprintable characters")
    levels = topic.rstrip("/").split("/")
    if levels[-1] == "#":
        levels.pop()
    if any("#" in level or (ANY in level and level != ANY) for level in levels):
        raise ValueError("not a topic: '+' must be a whole level, and '#' must be the last level")
    if not all(levels):
        raise ValueError("not a topic of edgepub: a level is empty")
    return levels
