"""The wiring: settings become objects. The only place that knows them all."""

import contextlib
import functools
import itertools
import logging
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from edgepub.camera.analysis.analysis import Analysis
from edgepub.camera.controls import Controls, read_setting
from edgepub.camera.counts import ObjectCounts
from edgepub.camera.inference.loading import load_model
from edgepub.camera.inference.model import Model
from edgepub.camera.payloads import DetectionsBuilder
from edgepub.camera.reporter import Reporter
from edgepub.camera.sampler import Sampler
from edgepub.camera.snapshots import Snapshots, SnapshotThread
from edgepub.camera.sources.capture import Gate
from edgepub.camera.sources.factory import make_source
from edgepub.camera.supervisor import CameraSupervisor
from edgepub.camera.viewfinder import Viewfinder
from edgepub.config.settings import ModelSettings, Settings
from edgepub.daemon import reload
from edgepub.daemon.reload import Changes, PartSettings, part_settings
from edgepub.daemon.stats import StatsPublisher
from edgepub.home_assistant import discovery
from edgepub.home_assistant.announcer import Announcer
from edgepub.http.context import AreaStore, CameraView, HttpContext
from edgepub.http.server import HttpServer
from edgepub.mqtt import connection, retained
from edgepub.mqtt.commands import SETTINGS, CommandHandler
from edgepub.mqtt.messages import (
    EventReceipt,
    PictureReceipt,
    announcement_message,
    json_format,
    picture_message,
    state_message,
)
from edgepub.mqtt.outbox.durable import DurableLane
from edgepub.mqtt.outbox.outbox import Outbox
from edgepub.mqtt.outbox.spool import Spool
from edgepub.mqtt.payloads import info
from edgepub.mqtt.publisher import Publisher
from edgepub.mqtt.store import Store
from edgepub.mqtt.topics import Topics
from edgepub.telemetry.logs import CameraLogger, camera_logger
from edgepub.telemetry.metrics import CameraMetrics
from edgepub.telemetry.status import CameraState, Status

_EVENTS = "events.sqlite"
_log = logging.getLogger(__name__)


class Part(Protocol):
    """What runs beside the cameras, as a task."""

    async def run(self) -> None:
        """Work until cancelled."""


class _Kept(NamedTuple):
    """What of a camera goes on when it begins anew: for whom reads it, it is the same camera."""

    counts: CameraMetrics
    track_ids: Iterator[int]
    viewfinder: Viewfinder


class Node:
    """Everything that one life of the daemon starts and stops.

    Args:
        settings: the configuration.
        boot_id: the daemon's life.
        store: what was kept.
        durable_folder: for the file of events.
        editor: lets cameras have other zones and lines.

    """

    def __init__(self, settings: Settings, boot_id: str, store: Store, durable_folder: Path, editor: AreaStore) -> None:
        self.status = Status(settings.cameras)
        self.snapshot_thread = SnapshotThread()
        self.parts: dict[str, Part] = {}
        self._settings = settings
        self._boot_id = boot_id
        self._store = store
        self._topics = Topics(settings.mqtt.topic_prefix, settings.node)
        self._began_s = time.monotonic()
        self._kept: dict[str, _Kept] = {}
        self._counts: dict[str, CameraMetrics] = {}  # of the cameras that there are
        self._receipts: dict[str, EventReceipt] = {}
        limits = settings.outbox.durable
        durable = DurableLane(Spool(durable_folder / _EVENTS), limits.max_messages, limits.max_age_s, self._receipts)
        self.outbox = Outbox(settings.outbox.stream.size, durable, store)
        self._publisher: Publisher
        self._part_settings = part_settings(settings)
        self._announcer = Announcer(self._discovery, store.retained_topics, self.outbox)
        self._controls: dict[str, Controls] = {}
        self._command_handler = CommandHandler(self._topics, self._controls)
        self._cameras: dict[str, CameraSupervisor] = {}
        self._views: dict[str, CameraView] = {}
        self._http_context = HttpContext(
            settings.node, self.status, self._counts, self._views, self.outbox.sizes, editor
        )

    def start(self) -> list[CameraSupervisor]:
        """Return the cameras, the first states of everything in the outbox; nothing runs yet."""
        self._announcer.announce()
        self.outbox.put(state_message(self._topics.status, "online"))
        self._tell_what_is()
        retained.reset_counts(self._states(), self._settings.cameras, self._topics, self.outbox)
        self.parts["announcer"] = self._announcer
        self._renew(PartSettings._fields)
        return [self._camera(name) for name in self._settings.cameras]

    def apply(self, settings: Settings, new: PartSettings, what: Changes) -> tuple[list[CameraSupervisor], list[str]]:
        """Let another configuration take the place of the one in force, whose cameras that change have been stopped.

        Args:
            settings: the configuration.
            new: its slices.
            what: what is different as to cameras.

        Returns:
            The cameras to be started, and the names of the parts that are others now, or are gone.

        """
        old = self._part_settings
        self._settings, self._part_settings = settings, new
        for name in what.stopped:
            for its in (self._counts, self._controls, self._cameras, self._views, self.status.cameras):
                its.pop(name, None)
        for name in what.redrawn:
            # First, so that no count is published from now on that is cleared below.
            self._cameras[name].set_areas(settings.cameras[name])
            self._views[name] = self._views[name]._replace(settings=settings.cameras[name])
        self._announcer.announce()
        self._tell_what_is()
        renewed = [part for part in PartSettings._fields if getattr(new, part) != getattr(old, part)]
        if "publisher" in renewed:
            self.outbox.reset_failures()
        self._renew(renewed)
        return [self._camera(name) for name in what.started], renewed

    def redraw(self, settings: Settings) -> None:
        """Let another configuration take the place of the one in force, of which only zones and lines are others."""
        self.apply(settings, self._part_settings, reload.between(self._settings, settings))

    @property
    def stuck(self) -> list[str]:
        """The parts that make no progress, and do not help themselves."""
        return ["publisher"] if self._publisher.is_stuck else []

    def _tell_what_is(self) -> None:
        self.outbox.put(
            state_message(self._topics.info, info.build(self._settings, self._boot_id), json_format(info.SCHEMA))
        )
        retained.clear_obsolete(self._states(), self._settings.cameras, self._topics, self.outbox)

    def _states(self) -> list[str]:
        """Return the topics of states where something is retained."""
        return [topic for topic in self._store.retained_topics() if not discovery.is_discovery(topic)]

    def _discovery(self, published: Iterable[str]) -> Mapping[str, Mapping[str, Any]]:
        return discovery.build_messages(self._settings, published)

    def _renew(self, parts: Iterable[str]) -> None:
        """Make these parts, which are not running, anew."""
        settings = self._settings
        for name in parts:
            if name == "publisher":
                self.parts[name] = self._publisher = self._new_publisher()
            elif name == "stats":
                self.parts[name] = StatsPublisher(
                    settings.node,
                    self._boot_id,
                    self._topics.stats,
                    settings.stats.interval_s,
                    self._counts,
                    self.outbox,
                    self.status.broker,
                    self._began_s,
                )
            elif settings.http.listen:
                its = self._part_settings.http
                self.parts[name] = HttpServer(settings.http.listen, its.settings, its.token, self._http_context)
            else:
                self.parts.pop(name, None)

    def _new_publisher(self) -> Publisher:
        offline = state_message(self._topics.status, "offline")
        its = self._part_settings.publisher
        connect = functools.partial(connection.connect, its.mqtt, its.client_id, its.password, will=offline)
        births = its.births
        return Publisher(
            self.outbox,
            connect,
            its.mqtt.url,
            its.client_id,
            offline,
            [*self._topics.command_filters(SETTINGS), *births],
            lambda message: (self._announcer.on_birth if message.topic in births else self._command_handler.handle)(
                message
            ),
            self.status.broker,
        )

    def _camera(self, name: str) -> CameraSupervisor:
        """Return a camera; its first states are in the outbox."""
        of, topics, outbox = self._settings.cameras[name], self._topics, self.outbox
        kept = self._kept.setdefault(name, _Kept(CameraMetrics(), itertools.count(1), Viewfinder()))
        counts = self._counts[name] = kept.counts
        self._receipts[topics.events(name)] = EventReceipt(counts)
        state = self.status.cameras[name] = CameraState()
        whose = {"node": self._settings.node, "camera": name, "boot_id": self._boot_id}
        in_force = functools.partial(read_setting, camera=name, settings=of, store=self._store)
        enabled = in_force("enabled")
        outbox.put(state_message(topics.camera_status(name), "offline" if enabled else "disabled"))
        object_counts = ObjectCounts(name, of, topics, outbox, self._announcer.schedule)
        if not of.snapshot.enabled:
            outbox.put(
                announcement_message(topics.snapshot(name), b"")
            )  # which takes the picture away that the broker may hold
        gate = Gate(in_force("max_fps"), counts)
        builder = DetectionsBuilder(whose, of.labels, in_force("min_score"))
        reporter = Reporter(
            whose,
            topics,
            builder,
            Analysis(name, of, kept.track_ids),
            object_counts,
            Snapshots(whose, of.snapshot, self.snapshot_thread, self._taker(topics.snapshot(name), counts), counts),
            kept.viewfinder,
            Sampler(of.publish),
            outbox,
            counts,
        )
        source = make_source(
            name,
            of.resolved_source,
            gate,
            loop=of.loop,
            realtime=of.realtime,
            stall_timeout_s=of.stall_timeout_s,
            metrics=counts,
        )
        load = functools.partial(
            _loaded,
            self._settings.models[of.model],
            lambda: self._settings.cameras.get(name, of).all_labels,  # zones that came later may name others
            camera_logger(_log, name),
        )
        camera = self._cameras[name] = CameraSupervisor(
            name, source, load, reporter, counts, state, of.stall_timeout_s, enabled=enabled
        )
        setters = {"enabled": camera.set_enabled, "min_score": builder.set_min_score, "max_fps": gate.set_max_fps}
        controls = self._controls[name] = Controls(name, of, topics, outbox, self._store, setters)
        self._views[name] = CameraView(of, kept.viewfinder, controls)
        return camera

    def _taker(self, topic: str, counts: CameraMetrics) -> Callable[[bytes], None]:
        return lambda jpeg: self.outbox.put(picture_message(topic, jpeg, PictureReceipt(counts)))


@contextlib.contextmanager
def _loaded(settings: ModelSettings, labels: Callable[[], Sequence[str]], log: CameraLogger) -> Iterator[Model]:
    with load_model(settings) as model:
        for line in model.unknown_labels(labels()):
            log.warning("%s", line)
        yield model
