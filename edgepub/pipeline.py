"""The wiring: settings become objects. The only place that knows them all."""

import functools
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from edgepub import home_assistant, info, mqtt, retained
from edgepub.analysis import Analysis
from edgepub.announcer import Announcer
from edgepub.camera import Camera
from edgepub.camera_settings import CameraSettings
from edgepub.commands import SETTINGS
from edgepub.configuration import broker_password
from edgepub.controls import Apply, Commander, Controls
from edgepub.detections import DetectionsBuilder
from edgepub.health import Health
from edgepub.inference import loaded
from edgepub.messages import EventReceipt, PictureReceipt, json_form, picture, state
from edgepub.metrics import CameraMetrics
from edgepub.numbers import Numbers
from edgepub.outbox import Outbox
from edgepub.outbox.durable import DurableLane
from edgepub.outbox.spool import Spool
from edgepub.publisher import Publisher
from edgepub.reporter import Reporter
from edgepub.sampler import Sampler
from edgepub.settings import Settings
from edgepub.snapshots import Photographer, Snapshots
from edgepub.sources import Gate, source_of
from edgepub.store import Store
from edgepub.topics import Topics

_EVENTS = "events.sqlite"


@dataclass(frozen=True, slots=True)
class Pipeline:
    """Everything that one life of the daemon starts and stops."""

    cameras: list[Camera]
    photographer: Photographer
    outbox: Outbox
    publisher: Publisher
    health: Health
    announcer: Announcer


def build(settings: Settings, boot_id: str, store: Store, durable_folder: Path) -> Pipeline:
    """Return the pipeline of a configuration, its first states in the outbox; nothing of it runs yet.

    Args:
        settings: the configuration.
        boot_id: the daemon's life.
        store: what was kept.
        durable_folder: for the file of events.

    """
    topics = Topics(settings.mqtt.topic_prefix, settings.node)
    counts = {name: CameraMetrics() for name in settings.cameras}
    limits = settings.outbox.durable
    durable = DurableLane(
        Spool(durable_folder / _EVENTS),
        limits.max_messages,
        limits.max_age_s,
        {topics.events(name): EventReceipt(its) for name, its in counts.items()},
    )
    outbox = Outbox(settings.outbox.stream.size, durable, store)
    announcer = Announcer(functools.partial(home_assistant.messages, settings), store.retained, outbox)
    announcer.begin()
    outbox.put(state(topics.status, "online"))
    outbox.put(state(topics.info, info.build(settings, boot_id), json_form(info.SCHEMA)))
    states = [topic for topic in store.retained() if not home_assistant.is_discovery(topic)]
    retained.tidy(states, settings.cameras, topics, outbox)
    offline = state(topics.status, "offline")
    connect = functools.partial(
        mqtt.connect, settings.mqtt, settings.client_id, broker_password(settings.mqtt), will=offline
    )
    photographer = Photographer()
    wiring = _Wiring(settings, boot_id, topics, outbox, store, photographer, announcer)
    wired = [wiring.camera(name, of, counts[name]) for name, of in settings.cameras.items()]
    commander = Commander(
        topics,
        {camera.name: controls for camera, controls, _ in wired},
        {camera.name: apply for camera, _, apply in wired},
    )
    births = home_assistant.birth_topics(settings)
    publisher = Publisher(
        outbox,
        connect,
        settings.mqtt.url,
        settings.client_id,
        offline,
        [*topics.commands(SETTINGS), *births],
        lambda message: (announcer.hear if message.topic in births else commander.obey)(message),
    )
    health = Health(
        settings.node,
        boot_id,
        topics.stats,
        settings.stats.interval_s,
        counts,
        outbox,
        lambda: publisher.reconnects,
    )
    return Pipeline([camera for camera, _, _ in wired], photographer, outbox, publisher, health, announcer)


@dataclass(frozen=True, slots=True)
class _Wiring:
    """What all cameras have in common."""

    settings: Settings
    boot_id: str
    topics: Topics
    outbox: Outbox
    store: Store
    photographer: Photographer
    announcer: Announcer

    def camera(
        self, name: str, of: CameraSettings, counts: CameraMetrics
    ) -> tuple[Camera, Controls, Mapping[str, Apply]]:
        """Return a camera, its settings in force, and how they are changed; its first states are in the outbox."""
        topics, outbox = self.topics, self.outbox
        whose = {"node": self.settings.node, "camera": name, "boot_id": self.boot_id}
        controls = Controls(name, of, topics, outbox, self.store)
        enabled = controls.value("enabled")
        outbox.put(state(topics.camera_status(name), "offline" if enabled else "disabled"))
        controls.begin()
        its_numbers = Numbers(name, of, topics, outbox, self.announcer.look_again)
        its_numbers.begin()
        if not of.snapshot.enabled:
            outbox.put(state(topics.snapshot(name), b""))  # which takes the picture away that the broker may hold
        gate = Gate(controls.value("max_fps"), counts)
        builder = DetectionsBuilder(whose, of.labels, controls.value("min_score"))
        reporter = Reporter(
            whose,
            topics,
            builder,
            Analysis(name, of),
            its_numbers,
            Snapshots(whose, of.snapshot, self.photographer, self._taker(topics.snapshot(name), counts), counts),
            Sampler(of.publish),
            outbox,
            counts,
        )
        source = source_of(
            name,
            of.resolved_source,
            gate,
            loop=of.loop,
            realtime=of.realtime,
            stall_timeout_s=of.stall_timeout_s,
            counts=counts,
        )
        load = functools.partial(loaded, self.settings.models[of.model])
        camera = Camera(name, source, load, reporter, counts, of.stall_timeout_s, enabled=enabled)
        apply = {"enabled": camera.enable, "min_score": builder.keep_from, "max_fps": gate.limit}
        return camera, controls, apply

    def _taker(self, topic: str, counts: CameraMetrics) -> Callable[[bytes], None]:
        return lambda jpeg: self.outbox.put(picture(topic, jpeg, PictureReceipt(counts)))
