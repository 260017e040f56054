"""The topic tree: ``<prefix>/<node>/...``, as section 4 of the contract draws it."""

import re
from collections.abc import Iterable
from dataclasses import dataclass

_NOT_A_LEVEL = re.compile(r"[^a-z0-9_-]+")


def topic_level(label: str) -> str:
    """Return a label as a topic level."""
    return _NOT_A_LEVEL.sub("_", label.lower())


def is_level_of(its_level: str, labels: Iterable[str] | None) -> bool:
    """Return whether a topic level is that of one of these labels; None: of any."""
    return labels is None or its_level in map(topic_level, labels)


OCCUPANCY_SUFFIX = "/occupancy"
"""What the topic of a count is followed by, where it is told whether there is any."""


@dataclass(frozen=True, slots=True)
class Topics:
    """The topics of one node."""

    prefix: str
    node: str

    @property
    def root(self) -> str:
        """What every topic of this node begins with."""
        return f"{self.prefix}/{self.node}"

    @property
    def status(self) -> str:
        """`online` or `offline`, retained; also the last will."""
        return f"{self.root}/status"

    @property
    def info(self) -> str:
        """What runs here, retained."""
        return f"{self.root}/info"

    @property
    def stats(self) -> str:
        """Figures of the node and its cameras, every so often."""
        return f"{self.root}/stats"

    def camera_status(self, camera: str) -> str:
        """`online`, `offline` or `disabled`, retained."""
        return f"{self.root}/{camera}/status"

    def detections(self, camera: str) -> str:
        """One message for each published frame."""
        return f"{self.root}/{camera}/detections"

    def object_count(self, camera: str, zone: str | None, its_level: str) -> str:
        """How many objects there are of a label, given as a topic level; in a zone, or in the whole frame."""
        place = camera if zone is None else f"{camera}/zones/{zone}"
        return f"{self.root}/{place}/objects/{its_level}"

    def events(self, camera: str) -> str:
        """One message for each event."""
        return f"{self.root}/{camera}/events"

    def snapshot(self, camera: str) -> str:
        """Where a picture is, retained."""
        return f"{self.root}/{camera}/snapshot"

    def setting(self, camera: str, name: str) -> str:
        """Where the value in force of a setting is, retained."""
        return f"{self.root}/{camera}/{name}"

    def command_filters(self, settings: Iterable[str]) -> list[str]:
        """Where settings are set, for all cameras: filters to subscribe to."""
        return [f"{self.root}/+/{name}/set" for name in settings]

    def parse_command(self, topic: str) -> tuple[str, str] | None:
        """Return the camera and the setting that a topic of a command names; None for another topic."""
        levels = topic.removeprefix(self.root).split("/")
        return (levels[1], levels[2]) if len(levels) == len(["", "camera", "setting", "set"]) else None
