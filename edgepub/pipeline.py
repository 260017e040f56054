"""The wiring: settings become objects. The only place that knows them all."""

import functools
from dataclasses import dataclass

from edgepub import info, mqtt
from edgepub.camera import Camera
from edgepub.configuration import broker_password
from edgepub.detections import DetectionsBuilder
from edgepub.health import Health
from edgepub.inference import loaded
from edgepub.messages import state
from edgepub.metrics import CameraMetrics
from edgepub.outbox import Outbox
from edgepub.publisher import Publisher
from edgepub.reporter import Reporter
from edgepub.sampler import Sampler
from edgepub.settings import CameraSettings, Settings
from edgepub.sources import source_of
from edgepub.topics import Topics


@dataclass(frozen=True, slots=True)
class Pipeline:
    """Everything that one life of the daemon starts and stops."""

    cameras: list[Camera]
    outbox: Outbox
    publisher: Publisher
    health: Health


def build(settings: Settings, boot_id: str) -> Pipeline:
    """Return the pipeline of a configuration, its first states in the outbox; nothing of it runs yet."""
    topics = Topics(settings.mqtt.topic_prefix, settings.node)
    outbox = Outbox(settings.outbox.stream.size)
    outbox.put(state(topics.status, "online"))
    outbox.put(state(topics.info, info.build(settings, boot_id)))
    offline = state(topics.status, "offline")
    connect = functools.partial(
        mqtt.connect, settings.mqtt, settings.client_id, broker_password(settings.mqtt), will=offline
    )
    publisher = Publisher(outbox, connect, settings.mqtt.url, offline, mqtt.IN_FLIGHT)

    def camera(name: str, of: CameraSettings, counts: CameraMetrics) -> Camera:
        source = source_of(
            name,
            of.resolved_source,
            loop=of.loop,
            realtime=of.realtime,
            max_fps=of.max_fps,
            stall_timeout_s=of.stall_timeout_s,
            counts=counts,
        )
        reporter = Reporter(
            name,
            topics.detections(name),
            topics.camera_status(name),
            DetectionsBuilder(settings.node, name, boot_id, of.labels, of.min_score),
            Sampler(of.publish),
            outbox,
            counts,
        )
        load = functools.partial(loaded, settings.models[of.model])
        return Camera(name, source, load, reporter, counts, of.stall_timeout_s)

    for name, of in settings.cameras.items():
        outbox.put(state(topics.camera_status(name), "offline" if of.enabled else "disabled"))
    counts = {name: CameraMetrics() for name, of in settings.cameras.items() if of.enabled}
    return Pipeline(
        [camera(name, settings.cameras[name], its) for name, its in counts.items()],
        outbox,
        publisher,
        Health(
            settings.node,
            boot_id,
            topics.stats,
            settings.stats.interval_s,
            counts,
            outbox,
            lambda: publisher.reconnects,
        ),
    )
