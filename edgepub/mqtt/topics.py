"""The topic tree: ``<prefix>/<node>/...``."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

_MAX_TOPIC_BYTES = 65_535
_DURABLE = re.compile(r"[^+#\x00-\x1f\x7f-\x9f\ud800-\udfff]+/[a-z0-9_-]{1,64}/([a-z0-9_-]{1,64})/(?:events|visits)")


def is_topic(text: str) -> bool:
    """Return whether messages can be published on this topic."""
    try:
        size_bytes = len(text.encode())
    except UnicodeEncodeError:
        return False
    return 0 < size_bytes <= _MAX_TOPIC_BYTES and not any(character in "+#\0" for character in text)


VISITS_SUFFIX = "/visits"
"""Ends the topic of a camera's visits."""
UNKNOWN_CAMERA = "?"
"""Stands for the camera of an event or visit whose topic is damaged. No camera can have this name."""


def camera_of_events(topic: str) -> str:
    """Return the camera of a topic of events or visits, of a node of any name; `UNKNOWN_CAMERA` if it is none."""
    match = _DURABLE.fullmatch(topic)
    return match[1] if match else UNKNOWN_CAMERA


OCCUPANCY_SUFFIX = "/occupancy"
"""Follows the topic of a count: whether there is at least one object."""
ACTIVE_SUFFIX = "/active"
"""Follows the topic of a count: how many of the objects are not stationary."""
LOITERING_SUFFIX = "/loitering"
"""Follows the topic of a count in a zone: whether one of the objects loiters there."""
PICTURE_SUFFIX = "/snapshot"
"""Follows the topic of a count in the whole frame: the label's cut-out."""
_SUFFIXES = {suffix[1:]: suffix for suffix in (OCCUPANCY_SUFFIX, ACTIVE_SUFFIX, LOITERING_SUFFIX)}


class ObjectCount(NamedTuple):
    """What the topic of a count names."""

    zone: str | None
    """None: the whole frame."""
    level: str
    """The label, as `label_levels.topic_level` returns it, or `label_levels.ALL`."""
    suffix: str
    """One of the suffixes; empty: the count itself."""


def parse_object_count(levels: Sequence[str]) -> ObjectCount | None:
    """Return what a topic counts, from its levels below the camera; None if it is no topic of a count."""
    zone = None
    match levels:
        case ["zones", name, *below]:
            zone, levels = name, below
    match levels:
        case ["objects", level]:
            return ObjectCount(zone, level, "")
        case ["objects", level, name] if name in _SUFFIXES:
            return ObjectCount(zone, level, _SUFFIXES[name])
    return None


def find_nodes(published: Iterable[str]) -> list["Topics"]:
    """Return the nodes to which topics belong, as each node's info and status or a topic of events show."""
    published = set(published)
    roots = {topic.rsplit("/", 2)[0] for topic in published if topic.endswith("/events")}
    for root in (topic.removesuffix("/info") for topic in published if topic.endswith("/info")):
        if f"{root}/status" in published:  # else it is another topic that ends so, of a label for example
            roots.add(root)
    return [Topics(*root.rsplit("/", 1)) for root in sorted(roots) if "/" in root]


@dataclass(frozen=True, slots=True)
class Topics:
    """The topics of one node."""

    prefix: str
    node: str

    @property
    def root(self) -> str:
        """The start of every topic of this node."""
        return f"{self.prefix}/{self.node}"

    @property
    def status(self) -> str:
        """`online` or `offline`; retained, and also the last will."""
        return f"{self.root}/status"

    @property
    def info(self) -> str:
        """The node's versions, cameras and models; retained."""
        return f"{self.root}/info"

    @property
    def claim(self) -> str:
        """Where nodes with the same name notice each other; not retained."""
        return f"{self.root}/info/claim"

    @property
    def checkpoint(self) -> str:
        """What the broker has acknowledged of the retained messages, for edgepub itself; retained."""
        return f"{self.root}/checkpoint"

    @property
    def stats(self) -> str:
        """Figures of the node and its cameras, at an interval."""
        return f"{self.root}/stats"

    def camera_status(self, camera: str) -> str:
        """Return the topic of `online`, `offline` or `disabled`; retained."""
        return f"{self.root}/{camera}/status"

    def detections(self, camera: str) -> str:
        """Return the topic with one message for each published frame."""
        return f"{self.root}/{camera}/detections"

    def object_count(self, camera: str, zone: str | None, level: str) -> str:
        """Return the topic of a label's object count in a zone or the whole frame; `level` is from `topic_level`."""
        place = camera if zone is None else f"{camera}/zones/{zone}"
        return f"{self.root}/{place}/objects/{level}"

    def events(self, camera: str) -> str:
        """Return the topic with one message for each event."""
        return f"{self.root}/{camera}/events"

    def visits(self, camera: str) -> str:
        """Return the topic with one message for each visit that is over."""
        return f"{self.root}/{camera}{VISITS_SUFFIX}"

    def snapshot(self, camera: str) -> str:
        """Return the topic of the newest picture; retained."""
        return f"{self.root}/{camera}/snapshot"

    def cutout(self, camera: str, level: str) -> str:
        """Return the topic of a label's picture: the best cut-out of its newest visit; retained."""
        return self.object_count(camera, None, level) + PICTURE_SUFFIX

    def attribute(self, camera: str, name: str) -> str:
        """Return the topic of the newest settled value of an attribute, like a plate; retained."""
        return f"{self.root}/{camera}/attributes/{name}"

    def setting(self, camera: str, name: str) -> str:
        """Return the topic of a setting's value in force; retained."""
        return f"{self.root}/{camera}/{name}"

    def command_filters(self, settings: Iterable[str]) -> list[str]:
        """Return the filters to subscribe to for commands that change these settings, of all cameras."""
        return [f"{self.root}/+/{name}/set" for name in settings]

    def parse_command(self, topic: str) -> tuple[str, str] | None:
        """Return the camera and the setting that a command's topic names; None for another topic."""
        match topic.removeprefix(f"{self.root}/").split("/"):
            case [camera, setting, "set"] if topic.startswith(f"{self.root}/"):
                return camera, setting
        return None
