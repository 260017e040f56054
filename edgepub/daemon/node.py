"""The wiring of a node: builds its parts from the settings and connects them."""

import asyncio
import functools
import logging
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from edgepub.camera.controls import read_setting
from edgepub.camera.supervisor import CameraSupervisor
from edgepub.config.effective import EffectiveSettings, InForce
from edgepub.core.identity import Identity
from edgepub.core.threads import call_in_loop
from edgepub.daemon.camera_wiring import CameraWiring
from edgepub.daemon.editor import Editor
from edgepub.daemon.load import LoadMonitor
from edgepub.daemon.reload import Changes, PartSettings, part_settings
from edgepub.daemon.stats import StatsPublisher
from edgepub.home_assistant import discovery
from edgepub.home_assistant.announcer import Announcer
from edgepub.home_assistant.device import EntityCount, count_entities, is_discovery
from edgepub.home_assistant.named_entities import named_attributes, named_entities
from edgepub.http.context import HttpContext
from edgepub.http.server import HttpServer
from edgepub.mqtt import connection, retained
from edgepub.mqtt.commands import SETTINGS, CommandHandler
from edgepub.mqtt.messages import EventReceipt, OnDone, Received, json_format, state_message
from edgepub.mqtt.name_claim import NameClaim
from edgepub.mqtt.outbox.checkpoint import Checkpoint
from edgepub.mqtt.outbox.durable import DurableLane
from edgepub.mqtt.outbox.outbox import Outbox
from edgepub.mqtt.outbox.row import find_event_damage
from edgepub.mqtt.outbox.spool import Spool
from edgepub.mqtt.payloads import info
from edgepub.mqtt.presence import Identified
from edgepub.mqtt.publisher import Publisher
from edgepub.mqtt.session import Session
from edgepub.mqtt.store import Store
from edgepub.mqtt.subscriptions import Subscriptions
from edgepub.mqtt.topics import VISITS_SUFFIX, Topics, camera_of_events, find_nodes
from edgepub.telemetry.metrics import MetricsByCamera
from edgepub.telemetry.status import Status

EVENTS_FILE = "events.sqlite"
"""In the directory for events."""
_MAX_LOOK_BYTES = 262_144  # the info of more than 1,000 cameras, the stats of 200
_LOOK_TIMEOUT_S = 5.0  # of the connection that asks whether another node has the name; then the session follows
_log = logging.getLogger(__name__)


class Part(Protocol):
    """A part of the node that runs as one task, next to the cameras."""

    async def run(self) -> None:
        """Run until cancelled."""


class Applied(NamedTuple):
    """What is to do after new settings have been applied."""

    cameras: list[CameraSupervisor]
    """To start."""
    parts: list[str]
    """The names of the parts to cancel, and to start again if they are still there."""


class Node:
    """Everything that one run of the daemon starts and stops.

    Args:
        in_force: the settings in force.
        identity: the identity of the node.
        boot_id: identifies this run of the daemon.
        store: what is kept over restarts.
        events_dir: the directory for the file of events.
        metrics: the metrics of the cameras, which continue from run to run.
        on_copy: called with the name of a node that runs, if the state turns out to be a copy of that node's.

    """

    def __init__(
        self,
        in_force: InForce,
        identity: Identity,
        boot_id: str,
        store: Store,
        events_dir: Path,
        metrics: MetricsByCamera,
        on_copy: Callable[[str], None],
    ) -> None:
        settings = in_force.settings
        self._in_force = in_force
        self._identity = identity
        self._boot_id = boot_id
        self._store = store
        self._on_copy = on_copy
        self._started_s = time.monotonic()
        self._topics = Topics(settings.mqtt.topic_prefix, settings.node)
        self.status = Status(settings.cameras)
        spool, limits = Spool(events_dir / EVENTS_FILE, find_damage=find_event_damage), settings.outbox.durable
        durable = DurableLane(
            spool,
            limits.max_messages,
            limits.max_age_s,
            lambda topic: EventReceipt(metrics, camera_of_events(topic), is_visit=topic.endswith(VISITS_SUFFIX)),
            limits.replay_rate_hz,
        )
        checkpoint = Checkpoint(self._topics.checkpoint, boot_id)
        self.outbox = Outbox(settings.outbox.stream.size, durable, store, checkpoint)
        self._discovery_notes: list[str] = []
        self._entity_count: EntityCount | None = None
        self._announcer = Announcer(self._build_discovery, self._retained_topics, self.outbox)
        self._cameras = CameraWiring(
            in_force,
            boot_id,
            self._topics,
            self.outbox,
            store,
            self.status,
            metrics,
            self._retained_topics,
            self._announcer.schedule,
            functools.partial(call_in_loop, asyncio.get_running_loop(), self._publish_info),
        )
        self.snapshot_thread = self._cameras.snapshot_thread
        self.end_lost_visits = functools.partial(
            call_in_loop, asyncio.get_running_loop(), self._cameras.end_lost_visits
        )
        self._command_handler = CommandHandler(self._topics, self._cameras.controls)
        self.editor = Editor(in_force, self._set_areas)
        self._http_context = HttpContext(
            in_force,
            self.status,
            self._cameras.metrics,
            self._cameras.views,
            self.outbox.figures,
            self.editor,
            lambda: self._entity_count,
        )
        self._part_settings = part_settings(settings)
        self._publisher = self._build_publisher()
        load = LoadMonitor(self.status, metrics, self._cameras.turns)
        self.parts: dict[str, Part] = {"announcer": self._announcer, "publisher": self._publisher, "load": load}
        self._build_parts(["stats", "http"])

    def start(self) -> list[CameraSupervisor]:
        """Put the first states of everything into the outbox; return the cameras to start."""
        settings = self._in_force.settings
        self._announcer.announce()
        self.outbox.put(state_message(self._topics.status, "online"))
        self._publish_settings()
        self._cameras.end_visits_of_removed()
        return [self._cameras.add(name) for name in settings.cameras]

    def apply(self, effective: EffectiveSettings, new_parts: PartSettings, changes: Changes) -> Applied:
        """Put new settings into force. The cameras that change have been stopped.

        Args:
            effective: the new settings.
            new_parts: the settings of the parts among them.
            changes: how the cameras differ.

        """
        self._in_force.effective = effective
        old_parts, self._part_settings = self._part_settings, new_parts
        for name in changes.stopped:
            self._cameras.remove(name)
        self._cameras.end_visits_of_removed()
        self._set_areas(*changes.areas_changed)
        replaced = [name for name in PartSettings._fields if getattr(new_parts, name) != getattr(old_parts, name)]
        if "publisher" in replaced:
            self.outbox.reset_failures()  # a new broker may accept what the old one refused
        self._build_parts(replaced)
        return Applied([self._cameras.add(name) for name in changes.started], replaced)

    def flush_commands(self) -> None:
        """Apply the commands that have not been applied yet, because too many came in a short time."""
        self._command_handler.flush()

    @property
    def stuck(self) -> list[str]:
        """The names of the parts that make no progress and cannot recover on their own."""
        return ["publisher"] if self._publisher.is_stuck else []

    def _set_areas(self, *cameras: str) -> None:
        """Apply the areas in force of these cameras, and publish the settings in force."""
        loop, waiting = asyncio.get_running_loop(), set(cameras)

        def on_done(camera: str) -> None:
            waiting.remove(camera)
            if not waiting:  # only then: with many cameras, each clearing takes long
                self._clear_obsolete()

        for camera in cameras:
            # A camera at work applies them after its current result, which still counts in the old zones.
            self._cameras.set_areas(camera, functools.partial(call_in_loop, loop, on_done, camera))
        self._announcer.announce()
        self._publish_settings()

    def _publish_settings(self) -> None:
        self._publish_info()
        self._clear_obsolete()

    def _publish_info(self) -> None:
        payload = info.build(self._in_force.settings, self._identity.node_id, self._boot_id, self.status.cameras)
        self.outbox.put(state_message(self._topics.info, payload, json_format(info.SCHEMA)))

    def _clear_obsolete(self) -> None:
        states = [topic for topic in self._retained_topics() if not is_discovery(topic)]
        settings = self._in_force.settings
        former = named_attributes(self._store.add_entities(named_entities(settings)))
        attributes = {
            name: retained.find_attributes(states, name, settings.attributes_of(camera), former, self._topics)
            for name, camera in settings.cameras.items()
        }
        retained.clear_obsolete(states, settings.cameras, self._topics, self.outbox, attributes)

    def _retained_topics(self) -> list[str]:
        """Return the topics where something is retained and is to stay, the longest unchanged first."""
        clearing = self.outbox.clearing()
        return [topic for topic in self._store.retained_topics() if topic not in clearing]

    def _former_names(self) -> list[Topics]:
        """Return the topics of other names under which the state of this node was published, or still waits."""
        published = [*self._store.retained_topics(), *self.outbox.event_topics()]
        return [topics for topics in find_nodes(published) if topics != self._topics]

    def _build_discovery(
        self, retained_topics: Sequence[str], former_topics: Iterable[str]
    ) -> Mapping[str, Mapping[str, Any]]:
        settings = self._in_force.settings
        former_entities = self._store.add_entities(named_entities(settings))
        with_pictures = {
            name
            for name, camera in settings.cameras.items()
            if read_setting("snapshot_enabled", name, camera, self._store)
        }
        messages, notes = discovery.build(settings, retained_topics, former_topics, former_entities, with_pictures)
        for note in notes:
            if note not in self._discovery_notes:
                _log.warning("%s", note)
        self._discovery_notes = notes
        self._entity_count = count_entities(*messages.values()) if messages else None
        return messages

    def _build_parts(self, names: Iterable[str]) -> None:
        """Build these parts of `PartSettings` for the settings in force. The old ones may still run."""
        for name in names:
            if name == "publisher":
                self.parts[name] = self._publisher = self._build_publisher()
            elif name == "stats":
                self.parts[name] = self._build_stats()
            elif listen := self._part_settings.http.settings.listen:
                self.parts[name] = self._build_http(listen)
            else:
                self.parts.pop(name, None)

    def _build_publisher(self) -> Publisher:
        part = self._part_settings.publisher
        offline = state_message(self._topics.status, "offline")
        topics = [*self._topics.command_filters(SETTINGS), *part.birth_topics]
        claim = NameClaim(
            self._topics,
            Identified(self._identity.node_id, self._boot_id),
            self._former_names,
            self.outbox,
            self.status.broker,
            self._on_copy,
            is_new=self._identity.is_new,
        )

        def look(client_id: str) -> AbstractAsyncContextManager[Session]:
            return connection.connect(
                part.mqtt, client_id, part.password, max_received_bytes=_MAX_LOOK_BYTES, timeout_s=_LOOK_TIMEOUT_S
            )

        def connect(on_done: OnDone) -> AbstractAsyncContextManager[Session]:
            own = functools.partial(connection.connect, part.mqtt, part.client_id, part.password, on_done, offline)
            return claim.guard(look, own)

        def on_message(message: Received) -> None:
            if message.topic == self._topics.claim:
                claim.on_message(message)
            elif message.topic in part.birth_topics:
                self._announcer.on_birth(message)
            else:
                self._command_handler.handle(message)

        return Publisher(
            self.outbox,
            connect,
            part.mqtt.display_url,
            part.client_id,
            state_message(self._topics.status, "online"),
            offline,
            Subscriptions(topics, part.mqtt.url, self.status.broker, optional=[self._topics.claim]),
            on_message,
            self.status.broker,
        )

    def _build_stats(self) -> StatsPublisher:
        return StatsPublisher(
            self._topics.node,
            self._boot_id,
            self._topics.stats,
            self._part_settings.stats.interval_s,
            self._cameras.metrics,
            self.outbox,
            self.status,
            self._started_s,
        )

    def _build_http(self, listen: str) -> HttpServer:
        part = self._part_settings.http
        return HttpServer(listen, part.settings, part.token, self._http_context)
