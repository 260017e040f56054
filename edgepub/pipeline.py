"""The wiring: settings become objects. The only place that knows them all."""

import functools
from dataclasses import dataclass

from edgepub import info, mqtt
from edgepub.camera import Camera
from edgepub.configuration import broker_password
from edgepub.detections import DetectionsBuilder
from edgepub.inference import loaded
from edgepub.messages import CameraStatus, state
from edgepub.metrics import CameraMetrics
from edgepub.outbox import Outbox
from edgepub.publisher import Publisher
from edgepub.reporter import Reporter
from edgepub.settings import CameraSettings, Settings
from edgepub.sources import source_of
from edgepub.topics import Topics


@dataclass(frozen=True, slots=True)
class Pipeline:
    """Everything that one life of the daemon starts and stops."""

    cameras: list[Camera]
    outbox: Outbox
    publisher: Publisher
    counts: dict[str, CameraMetrics]


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
    counts = {name: CameraMetrics() for name in settings.cameras}

    def tell(camera: str, status: CameraStatus) -> None:
        outbox.put(state(topics.camera_status(camera), status))

    def camera(name: str, of: CameraSettings) -> Camera:
        builder = DetectionsBuilder(settings.node, name, boot_id, of.labels, of.min_score)
        return Camera(
            name,
            source_of(of.resolved_source, loop=of.loop, realtime=of.realtime),
            functools.partial(loaded, settings.models[of.model]),
            Reporter(name, topics.detections(name), builder, outbox, counts[name]).report,
            functools.partial(tell, name),
            counts[name],
        )

    for name, of in settings.cameras.items():
        tell(name, "offline" if of.enabled else "disabled")
    return Pipeline(
        [camera(name, of) for name, of in settings.cameras.items() if of.enabled],
        outbox,
        Publisher(outbox, connect, settings.mqtt.url, offline, mqtt.IN_FLIGHT),
        counts,
    )
