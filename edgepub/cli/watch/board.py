"""What is known of all nodes and cameras, from their messages alone."""

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple, get_args

import orjson
from pydantic import TypeAdapter
from typing_extensions import TypedDict

from edgepub.cli.watch.camera import Camera, Figures
from edgepub.cli.watch.choice import ANY, Choice
from edgepub.cli.watch.tally import read
from edgepub.cli.watch.words import clean, duration, happened
from edgepub.config.fields import is_valid_name
from edgepub.mqtt.commands import SETTINGS
from edgepub.mqtt.messages import Received
from edgepub.telemetry.status import CameraStatus

UNKNOWN, STARTING, OFFLINE = "unknown", "starting", "offline"
_NODES = 100
_CAMERAS = 500
_LONGEST_VALUE = 12
_STALE = 2.5
"""So many intervals after them, stats are those of now no longer."""
_MALFORMED = (ArithmeticError, AttributeError, LookupError, OSError, TypeError, ValueError)


class News(NamedTuple):
    """Something that happened."""

    clock: str
    """When, as a person reads it."""
    who: str
    """A node, or `node/camera`."""
    what: str
    is_old: bool = False
    """It was so before we asked."""


@dataclass(slots=True)
class Node:
    """What is known of a node."""

    status: str | None = None
    told: str | None = None
    """The status that was news last."""
    version: str = ""
    figures: str = ""
    """What it says of itself in its stats."""
    cameras: dict[str, Camera] = field(default_factory=dict)

    def status_of(self, camera: Camera) -> str:
        """Return a camera's status: none is online whose node is not, for only the node's is set by its last will."""
        return OFFLINE if self.status == OFFLINE else camera.status or UNKNOWN

    def is_live(self, camera: Camera) -> bool:
        """Return whether its figures are to be shown."""
        status = self.status_of(camera)
        return status == "online" or (status == UNKNOWN and camera.tally.is_fresh)


class Board:
    """The nodes and cameras that were chosen, by name. What is not understood is ignored; memory is bounded.

    Args:
        choice: which are wanted.

    """

    def __init__(self, choice: Choice) -> None:
        self.prefix = choice.prefix
        self._choice = choice
        self._number = 0  # of cameras
        self.nodes: dict[str, Node] = {}
        self.is_full = False
        """There are more nodes or cameras than are kept."""

    def expect(self, node: str, name: str) -> Camera:
        """Return a camera that is about to start: it is not called offline before."""
        camera = self._camera_of(node, name)
        camera.status = STARTING
        return camera

    def forget(self) -> None:
        """Know no longer what is retained: it will be told again in the next session."""
        for node in self.nodes.values():
            node.status = None
            for camera in node.cameras.values():
                camera.forget()

    def take(self, message: Received) -> News | None:
        """Take a message, and return what happened, if anything."""
        levels = message.topic.removeprefix(f"{self.prefix}/").split("/")
        try:
            if not all(map(is_valid_name, levels[:2])):
                return None
            return self._of_camera(*levels, message=message) if levels[2:] else self._of_node(*levels, message=message)
        except _MALFORMED:
            return None

    def _of_node(self, name: str, what: str, *, message: Received) -> News | None:
        match what:
            case "status" if not message.payload:
                self._number -= len(self.nodes.pop(name, Node()).cameras)
            case "status" if message.payload in {b"online", b"offline"}:
                node = self._node(name)
                node.status = message.payload.decode()
                return _news(name, node, message)
            case "info":
                info = _INFO.validate_python(orjson.loads(message.payload))
                self._node(name).version = clean(info["versions"].get("edgepub", UNKNOWN), _LONGEST_VALUE)
                for each in info["cameras"]:
                    if self._is_chosen(each):
                        self._camera_of(name, each)
                if ANY not in {self._choice.node, self._choice.camera} and self._choice.camera not in info["cameras"]:
                    its = ", ".join(filter(is_valid_name, info["cameras"]))
                    return News(
                        time.strftime("%X"), name, clean(f"has no camera {self._choice.camera}, but {its}", 200)
                    )
            case "stats":
                stats = _STATS.validate_python(orjson.loads(message.payload))
                self._take_stats(self._node(name), stats)
        return None

    def _take_stats(self, node: Node, stats: "_Stats") -> None:
        size = f"{stats['rss_bytes'] / 1e6:.0f} MB"
        node.figures = clean(f"up {duration(stats['uptime_s'])}, {stats['cpu_percent']:.0f} % CPU, {size}")
        until_s = time.monotonic() + _STALE * stats["interval_s"]
        for name, its in stats["cameras"].items():
            if camera := node.cameras.get(name):
                total = its["latency_ms"].get("total")
                latency_ms = (total["p50"], total["p95"]) if total else None
                camera.figures = Figures(its["fps_inferred"], its["fps_published"], latency_ms, until_s)
                camera.dropped = sum(its["dropped"].values())

    def _of_camera(self, node: str, name: str, what: str, *rest: str, message: Received) -> News | None:
        match what, rest:
            case "detections", ():
                seen = read(message.payload)
                self._camera_of(node, name).detect(seen)
            case "events", ():
                event = orjson.loads(message.payload)
                clock = time.strftime("%X", time.localtime(event["timestamp"]))
                return News(clock, f"{node}/{name}", happened(event), message.retained)
            case "status", ():
                return self._take_status(node, name, message)
            case "objects", (label,) if is_valid_name(label):
                number = int(message.payload)
                self._camera_of(node, name).count(label, number)
            case setting, () if setting in SETTINGS and message.payload:
                value = clean(message.payload.decode(), _LONGEST_VALUE)
                self._camera_of(node, name).settings[setting] = value
        return None

    def _take_status(self, node: str, name: str, message: Received) -> News | None:
        status = message.payload.decode()
        if not status:
            cameras = self.nodes.get(node, Node()).cameras
            self._number -= name in cameras
            cameras.pop(name, None)
        elif status in get_args(CameraStatus):
            camera = self._camera_of(node, name)
            if (camera.status, status) != (STARTING, OFFLINE):
                camera.status = status
                return _news(f"{node}/{name}", camera, message)
        return None

    def _is_chosen(self, camera: str) -> bool:
        return self._choice.camera in {ANY, camera} and is_valid_name(camera)

    def _node(self, name: str) -> Node:
        """Return a node; the first time, a new one, if there is room for it."""
        if name not in self.nodes:
            self._make_room(len(self.nodes) < _NODES)
            self.nodes[name] = Node()
        return self.nodes[name]

    def _camera_of(self, node: str, name: str) -> Camera:
        cameras = self._node(node).cameras
        if name not in cameras:
            self._make_room(self._number < _CAMERAS)
            self._number += 1
            cameras[name] = Camera()
        return cameras[name]

    def _make_room(self, there_is_some: bool) -> None:
        if not there_is_some:
            self.is_full = True
            raise ValueError("too many")


def _news(who: str, whose: Node | Camera, message: Received) -> News | None:
    """Return a status as news, unless it is none."""
    if whose.status in {None, whose.told}:
        return None
    whose.told = whose.status
    return News(time.strftime("%X"), who, str(whose.status), message.retained)


class _Quantiles(TypedDict):
    p50: float
    p95: float


class _CameraStats(TypedDict):
    fps_inferred: float
    fps_published: float
    dropped: Mapping[str, int]
    latency_ms: Mapping[str, _Quantiles]


class _Stats(TypedDict):
    interval_s: float
    uptime_s: float
    rss_bytes: float
    cpu_percent: float
    cameras: Mapping[str, _CameraStats]


class _Info(TypedDict):
    versions: Mapping[str, str]
    cameras: Mapping[str, object]


_STATS = TypeAdapter(_Stats)
_INFO = TypeAdapter(_Info)
