"""The state of all watched nodes and cameras, from their messages alone."""

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple, NotRequired, get_args

import orjson
from pydantic import TypeAdapter
from typing_extensions import TypedDict

from edgepub.cli.watch.camera import Camera, Figures
from edgepub.cli.watch.choice import ANY, Choice
from edgepub.cli.watch.formatting import clean, describe_event, format_duration
from edgepub.cli.watch.tally import parse_detections
from edgepub.config.fields import is_valid_name
from edgepub.mqtt.commands import SETTINGS
from edgepub.mqtt.label_levels import is_label_level
from edgepub.mqtt.messages import Received
from edgepub.telemetry.status import CameraStatus

UNKNOWN, STARTING, OFFLINE = "unknown", "starting", "offline"
_MAX_NODES = 100
_MAX_CAMERAS = 500
_MAX_VALUE_LENGTH = 12
_MAX_LIMITS, _MAX_LIMIT_LENGTH = 4, 300
_MAX_AGE_INTERVALS = 2.5
"""Stats older than this many of their intervals are not shown."""
_MALFORMED = (ArithmeticError, AttributeError, LookupError, OSError, TypeError, ValueError)


class News(NamedTuple):
    """An event or a change of status."""

    clock: str
    """The local time, as text."""
    source: str
    """A node, or `node/camera`."""
    text: str
    is_retained: bool = False
    """Whether it is older than the subscription."""


@dataclass(slots=True)
class Node:
    """The state of a node."""

    status: str | None = None
    reported: str | None = None
    """The last status that was reported as news."""
    version: str = ""
    figures: str = ""
    """Uptime, CPU and memory from its stats, as text."""
    limits: list[str] = field(default_factory=list)
    """Which resources are the limit, from its stats, as text."""
    cameras: dict[str, Camera] = field(default_factory=dict)

    def status_of(self, camera: Camera) -> str:
        """Return a camera's status: offline if its node is, because the last will sets only the node's status."""
        return OFFLINE if self.status == OFFLINE else camera.status or UNKNOWN

    def is_live(self, camera: Camera) -> bool:
        """Return whether to show a camera's figures."""
        status = self.status_of(camera)
        return status == "online" or (status == UNKNOWN and camera.tally.is_fresh)


class Board:
    """The watched nodes and cameras, by name. Malformed messages are ignored; memory is bounded.

    Args:
        choice: which nodes and cameras to watch.

    """

    def __init__(self, choice: Choice) -> None:
        self.prefix = choice.prefix
        self._choice = choice
        self._camera_count = 0
        self.nodes: dict[str, Node] = {}
        self.is_full = False
        """Whether there are more nodes or cameras than the limits."""

    def expect(self, node: str, name: str) -> Camera:
        """Add a camera that is about to start, and return it: it is not shown as offline until it was online."""
        camera = self._camera(node, name)
        camera.status = STARTING
        return camera

    def clear_retained(self) -> None:
        """Clear the values that come from retained messages: the next session receives them again."""
        for node in self.nodes.values():
            node.status = None
            for camera in node.cameras.values():
                camera.clear_retained()

    def update(self, message: Received) -> News | None:
        """Update the state from a message. Return the news in it, if any."""
        levels = message.topic.removeprefix(f"{self.prefix}/").split("/")
        try:
            if not all(map(is_valid_name, levels[:2])):
                return None
            update = self._update_camera if levels[2:] else self._update_node
            return update(*levels, message=message)
        except _MALFORMED:
            return None

    def _update_node(self, name: str, topic: str, *, message: Received) -> News | None:
        match topic:
            case "status" if not message.payload:
                self._camera_count -= len(self.nodes.pop(name, Node()).cameras)
            case "status" if message.payload in {b"online", b"offline"}:
                node = self._node(name)
                node.status = message.payload.decode()
                return _news(name, node, message)
            case "info":
                info = _INFO.validate_python(orjson.loads(message.payload))
                self._node(name).version = clean(info["versions"].get("edgepub", UNKNOWN), _MAX_VALUE_LENGTH)
                for camera in info["cameras"]:
                    if self._is_chosen(camera):
                        self._camera(name, camera)
                if ANY not in {self._choice.node, self._choice.camera} and self._choice.camera not in info["cameras"]:
                    cameras = ", ".join(filter(is_valid_name, info["cameras"]))
                    text = clean(f"has no camera {self._choice.camera}; its cameras: {cameras}", 200)
                    return News(time.strftime("%X"), name, text)
            case "stats":
                stats = _STATS.validate_python(orjson.loads(message.payload))
                self._update_stats(self._node(name), stats)
        return None

    def _update_stats(self, node: Node, stats: "_Stats") -> None:
        size = f"{stats['rss_bytes'] / 1e6:.0f} MB"
        node.figures = clean(f"up {format_duration(stats['uptime_s'])}, {stats['cpu_percent']:.0f} % CPU, {size}")
        node.limits = [clean(limit["text"], _MAX_LIMIT_LENGTH) for limit in stats.get("limits", [])[:_MAX_LIMITS]]
        valid_until_s = time.monotonic() + _MAX_AGE_INTERVALS * stats["interval_s"]
        for name, figures in stats["cameras"].items():
            if camera := node.cameras.get(name):
                total = figures["latency_ms"].get("total")
                latency_ms = (total["p50"], total["p95"]) if total else None
                camera.figures = Figures(figures["fps_inferred"], figures["fps_published"], latency_ms, valid_until_s)
                camera.dropped = sum(figures["dropped"].values())

    def _update_camera(self, node: str, name: str, topic: str, *rest: str, message: Received) -> News | None:
        match topic, rest:
            case "detections", ():
                summary = parse_detections(message.payload)
                self._camera(node, name).add_detections(summary)
            case "events", ():
                event = orjson.loads(message.payload)
                clock = time.strftime("%X", time.localtime(event["timestamp"]))
                return News(clock, f"{node}/{name}", describe_event(event), message.retained)
            case "status", ():
                return self._update_status(node, name, message)
            case "objects", (level,) if is_label_level(level):
                number = int(message.payload or b"0")  # empty: it is not counted any more
                self._camera(node, name).set_count(level, number)
            case setting, () if setting in SETTINGS and message.payload:
                value = clean(message.payload.decode(), _MAX_VALUE_LENGTH)
                self._camera(node, name).settings[setting] = value
        return None

    def _update_status(self, node: str, name: str, message: Received) -> News | None:
        status = message.payload.decode()
        if not status:
            cameras = self.nodes.get(node, Node()).cameras
            self._camera_count -= name in cameras
            cameras.pop(name, None)
        elif status in get_args(CameraStatus):
            camera = self._camera(node, name)
            if (camera.status, status) != (STARTING, OFFLINE):
                camera.status = status
                return _news(f"{node}/{name}", camera, message)
        return None

    def _is_chosen(self, camera: str) -> bool:
        return self._choice.camera in {ANY, camera} and is_valid_name(camera)

    def _node(self, name: str) -> Node:
        """Return a node; add it if it is new.

        Raises:
            ValueError: there are too many nodes.

        """
        if name not in self.nodes:
            self._check_limit(len(self.nodes), _MAX_NODES)
            self.nodes[name] = Node()
        return self.nodes[name]

    def _camera(self, node: str, name: str) -> Camera:
        cameras = self._node(node).cameras
        if name not in cameras:
            self._check_limit(self._camera_count, _MAX_CAMERAS)
            self._camera_count += 1
            cameras[name] = Camera()
        return cameras[name]

    def _check_limit(self, number: int, limit: int) -> None:
        if number >= limit:
            self.is_full = True
            raise ValueError("too many")


def _news(source: str, entity: Node | Camera, message: Received) -> News | None:
    """Return a status as news, or None if it was reported before."""
    if entity.status in {None, entity.reported}:
        return None
    entity.reported = entity.status
    return News(time.strftime("%X"), source, str(entity.status), message.retained)


class _Quantiles(TypedDict):
    p50: float
    p95: float


class _CameraStats(TypedDict):
    fps_inferred: float
    fps_published: float
    dropped: Mapping[str, int]
    latency_ms: Mapping[str, _Quantiles]


class _Limit(TypedDict):
    text: str


class _Stats(TypedDict):
    interval_s: float
    uptime_s: float
    rss_bytes: float
    cpu_percent: float
    limits: NotRequired[list[_Limit]]
    cameras: Mapping[str, _CameraStats]


class _Info(TypedDict):
    versions: Mapping[str, str]
    cameras: Mapping[str, object]


_STATS = TypeAdapter(_Stats)
_INFO = TypeAdapter(_Info)
