"""Which nodes and cameras are to be watched, and what is subscribed to for them. Pure."""

from dataclasses import dataclass

from edgepub.mqtt.commands import SETTINGS
from edgepub.mqtt.topics import Topics

ANY = "+"
_LONGEST_BYTES = 65_535  # of a topic (MQTT 5.0, 1.5.4)


@dataclass(frozen=True, slots=True)
class Choice:
    """A node or all, and a camera or all; all is `+`."""

    prefix: str
    node: str = ANY
    camera: str = ANY

    def __str__(self) -> str:
        """Return the topic below which everything is that is watched."""
        levels = [self.prefix, self.node, self.camera]
        while levels[-1] == ANY:
            levels.pop()
        return "/".join([*levels, "#"])

    @property
    def filters(self) -> list[str]:
        """The topics to subscribe to: without snapshots, which are large, and with the last will of a camera's node."""
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
    """Return what a topic means, wildcards allowed; none means everything.

    Args:
        topic: like `edgepub/garage` or `edgepub/+/porch`; everything below it is meant, too.
        prefix: with what every topic of a node begins.

    Raises:
        ValueError: it is no topic, or nothing is published there.

    """
    levels = _levels(topic or prefix)
    fixed = prefix.split("/")
    if any(given not in {ANY, own} for given, own in zip(levels, fixed, strict=False)):
        raise ValueError(
            f"nothing of edgepub's is there, for all of it is below {prefix}, like {prefix}/garage or "
            f"{prefix}/garage/porch; another prefix is set with EDGEPUB_MQTT__TOPIC_PREFIX"
        )
    node, camera, *_ = [*levels[len(fixed) :], ANY, ANY]
    return Choice(prefix, node, camera)


def _levels(topic: str) -> list[str]:
    """Return the levels of a topic filter without what ends it (MQTT 5.0, 4.7)."""
    try:
        size = len(topic.encode())
    except UnicodeEncodeError:
        raise ValueError("no topic: it is no text in UTF-8") from None
    if size > _LONGEST_BYTES or not topic.isprintable():
        raise ValueError("no topic: it is too long, or has characters that cannot be printed")
    levels = topic.rstrip("/").split("/")
    if levels[-1] == "#":
        levels.pop()
    if any("#" in level or (ANY in level and level != ANY) for level in levels):
        raise ValueError("no topic: '+' stands for a whole level, and '#' for all that are below the last")
    if not all(levels):
        raise ValueError("no topic of edgepub's: a level is empty")
    return levels
