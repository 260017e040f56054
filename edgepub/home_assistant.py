"""Home Assistant's discovery messages: what is configured and counted becomes devices with entities. Pure.

One retained message a device (https://www.home-assistant.io/integrations/mqtt/#device-discovery-payload): the box, and
each camera. Names, device classes, units and categories are those of https://developers.home-assistant.io/docs/core/entity.
"""

import re
from collections.abc import Iterable, Mapping
from typing import Any, get_args

from edgepub.analysis import EventType
from edgepub.camera_settings import CameraSettings
from edgepub.numbers import known
from edgepub.redaction import redacted
from edgepub.retained import is_produced
from edgepub.settings import ModelSettings, Settings
from edgepub.topics import OCCUPANCY, Topics, level
from edgepub.versions import versions

Payload = dict[str, Any]
_DISCOVERY = re.compile(r"/device/edgepub_[a-z0-9_-]+(_CAMERA_[a-z0-9_-]+)?/config$")
# A camera that is disabled is as absent as one that is offline; but that it is not connected is no news.
_IS_ONLINE = "{{ 'online' if value == 'online' else 'offline' }}"
_IS_CONNECTED = "{{ {'online': 'ON', 'offline': 'OFF'}.get(value) }}"
_DIAGNOSTIC = {"entity_category": "diagnostic"}
_NOISY = {**_DIAGNOSTIC, "enabled_by_default": False}
_MEASURED = {"state_class": "measurement"}
_COUNTED = {"state_class": "total_increasing"}


def is_discovery(topic: str) -> bool:
    """Return whether a topic is that of one of our discovery messages, under whatever prefix."""
    return _DISCOVERY.search(topic) is not None


def status_topic(settings: Settings) -> str:
    """Return where Home Assistant says that it has started, with `online`: its birth message."""
    return f"{settings.home_assistant.discovery_prefix}/status"


def messages(settings: Settings, published: Iterable[str]) -> dict[str, Payload]:
    """Return the discovery messages: payloads by topic, the box's first, for the cameras' refer to it.

    Args:
        settings: the configuration.
        published: where something is retained. Of a camera without `labels` only that tells which it has seen, and of
            one that has lost a label or a zone that its entities are to be removed.

    """
    ours = settings.home_assistant
    if not ours.enabled:
        return {}
    topics = Topics(settings.mqtt.topic_prefix, settings.node)
    published = set(published)
    devices = [_box(settings.node, topics)]
    for name, camera in settings.cameras.items():
        model = settings.models[camera.model]
        devices.append(_camera(settings.node, name, camera, model, topics))
        _add_counts(devices[-1], name, camera, topics, published)
    return {f"{ours.discovery_prefix}/device/{each.topic_id}/config": each.payload for each in devices}


class _Device:
    """The message of one device, entity by entity.

    Args:
        ids: of the node, and of the camera if it is one.
        about: what the device is, for a person.
        availability: where it is told whether it is there.

    """

    def __init__(self, ids: tuple[str, ...], about: Mapping[str, str], availability: list[dict[str, str]]) -> None:
        self._id = "/".join(("edgepub", *ids))
        # Names may hold everything else that Home Assistant takes in a topic: a capital alone tells them apart.
        self.topic_id = "edgepub_" + "_CAMERA_".join(ids)
        self._components: dict[str, Payload] = {}
        self.payload: Payload = {
            "device": {"identifiers": [self._id], "manufacturer": "edgepub", **about},
            "origin": {"name": "edgepub", "sw_version": versions()["edgepub"]},
            "availability": availability,
            "availability_mode": "all",
            "components": self._components,
        }

    def add(self, platform: str, key: str, name: str, **options: object) -> None:
        """Add an entity; its key never changes, for Home Assistant knows the entity by it."""
        identity = {"platform": platform, "unique_id": f"{self._id}/{key}", "name": name, "qos": 1}
        self._components[key] = {**identity, **options}

    def remove(self, platform: str, key: str) -> None:
        """Let an entity be removed that may have been there; one that never was is no mistake."""
        self._components[key] = {"platform": platform}


def _box(node: str, topics: Topics) -> _Device:
    its = versions()
    about = {"name": f"edgepub {node}", "model": "Edge box", "sw_version": f"{its['edgepub']} (PySDK {its['pysdk']})"}
    box = _Device((node,), about, [{"topic": topics.status}])

    def figure(key: str, name: str, value: str, icon: str, **options: object) -> None:
        template = f"{{{{ {value} }}}}"
        box.add("sensor", f"stats/{key}", name, state_topic=topics.stats, value_template=template, icon=icon, **options)

    cpu = "value_json.cpu_percent | round"  # whole figures, so that not each of them is a change
    figure("cpu_percent", "Processor use", cpu, "mdi:cpu-64-bit", unit_of_measurement="%", **_DIAGNOSTIC, **_MEASURED)
    memory = {"device_class": "data_size", "unit_of_measurement": "MiB"}
    mebibytes = "(value_json.rss_bytes / 1048576) | round"
    figure("rss_bytes", "Memory use", mebibytes, "mdi:memory", **memory, **_DIAGNOSTIC, **_MEASURED)
    started = "value_json.started | as_datetime"
    figure("started", "Uptime", started, "mdi:clock-start", device_class="timestamp", **_DIAGNOSTIC)
    waiting = "value_json.outbox.values() | sum"
    figure("outbox", "Waiting messages", waiting, "mdi:tray-full", **_DIAGNOSTIC, **_MEASURED)
    reconnects = "value_json.broker.reconnects"
    figure("reconnects", "Broker reconnects", reconnects, "mdi:connection", **_DIAGNOSTIC, **_COUNTED)
    return box


def _camera(node: str, name: str, camera: CameraSettings, model: ModelSettings, topics: Topics) -> _Device:
    model_id = redacted(model.model_name or model.model_url.rpartition("/")[2])
    about = {"name": _words(name), "model": "Camera", "model_id": model_id, "via_device": f"edgepub/{node}"}
    the_box = {"topic": topics.status}
    itself = {"topic": topics.camera_status(name), "value_template": _IS_ONLINE}
    device = _Device((node, name), about, [the_box, itself])
    if camera.tracking:
        types = list(get_args(EventType))
        device.add(
            "event", "events", "Events", state_topic=topics.events(name), event_types=types, icon="mdi:motion-sensor"
        )
    else:
        device.remove("event", "events")
    if camera.snapshot.enabled:
        device.add("image", "snapshot", "Snapshot", image_topic=topics.snapshot(name), content_type="image/jpeg")
    else:
        device.remove("image", "snapshot")
    _add_settings(device, name, topics)
    status = {"state_topic": topics.camera_status(name), "value_template": _IS_CONNECTED}
    device.add(
        "binary_sensor",
        "status",
        "Connectivity",
        **status,
        availability=[the_box],
        device_class="connectivity",
        **_DIAGNOSTIC,
    )
    _add_figures(device, name, topics)
    return device


def _add_settings(device: _Device, camera: str, topics: Topics) -> None:
    def setting(platform: str, key: str, name: str, **options: object) -> None:
        topic = topics.setting(camera, key)
        at = {"state_topic": topic, "command_topic": f"{topic}/set"}
        # Of the box alone: else a camera that is disabled could not be enabled.
        device.add(platform, key, name, **at, availability=[{"topic": topics.status}], **options)

    setting("switch", "enabled", "Enabled", icon="mdi:cctv")
    score = {"min": 0, "max": 1, "step": 0.01, "mode": "slider", "icon": "mdi:filter-outline"}
    setting("number", "min_score", "Minimum score", entity_category="config", **score)
    fps = {"min": 0, "max": 1000, "step": 0.1, "mode": "box", "unit_of_measurement": "fps", "icon": "mdi:speedometer"}
    no_limit_is_0 = {  # a number entity cannot be set to none
        "value_template": "{{ 0 if value == 'None' else value }}",
        "command_template": "{{ 'None' if value == 0 else value }}",
    }
    setting("number", "max_fps", "Maximum frame rate", entity_category="config", **fps, **no_limit_is_0)


def _add_figures(device: _Device, camera: str, topics: Topics) -> None:
    def figure(key: str, name: str, value: str, icon: str, **options: object) -> None:
        template = f"{{{{ value_json.cameras['{camera}'].{value} }}}}"
        at = {"state_topic": topics.stats, "value_template": template}
        device.add("sensor", f"stats/{key}", name, **at, icon=icon, **options)

    p95 = "latency_ms.get('inference', {}).get('p95')"  # none in an interval without a result
    latency = {"device_class": "duration", "unit_of_measurement": "ms", "suggested_display_precision": 1}
    figure("inference_p95", "Inference latency (p95)", p95, "mdi:timer-outline", **latency, **_NOISY, **_MEASURED)
    rate = {"unit_of_measurement": "fps", "suggested_display_precision": 1}
    figure("fps_inferred", "Inference rate", "fps_inferred", "mdi:speedometer", **rate, **_NOISY, **_MEASURED)
    dropped = "dropped.values() | sum"
    figure("dropped", "Dropped messages", dropped, "mdi:message-off-outline", **_DIAGNOSTIC, **_COUNTED)


def _add_counts(device: _Device, name: str, camera: CameraSettings, topics: Topics, published: set[str]) -> None:
    """Add what is counted, and remove what was."""
    base = f"{topics.root}/{name}/"
    words = {level(label): label for label in camera.all_labels}
    there = {topic for topic in published if topic.startswith(base)}
    counts = {topic.removesuffix(OCCUPANCY) for topic in there if "objects" in topic.removeprefix(base).split("/")}
    for topic in sorted(counts | known(name, camera, topics)):
        key = topic.removeprefix(base)
        if not is_produced(topic, {name: camera}, topics):
            device.remove("sensor", key)
            device.remove("binary_sensor", key + OCCUPANCY)
            continue
        *place, _, its_level = key.split("/")
        label = words.get(its_level, its_level)
        what = _words(" ".join([*place[1:], label]) if place else label)
        occupancy = {"state_topic": topic + OCCUPANCY, "device_class": "occupancy"}
        device.add("binary_sensor", key + OCCUPANCY, what, **occupancy)
        device.add("sensor", key, f"{what} count", state_topic=topic, icon="mdi:counter", **_MEASURED)


def _words(name: str) -> str:
    """Return a name as a person writes it; only the first letter is made a capital: `TV` is right."""
    text = " ".join(re.split(r"[\s_-]+", name)).strip()
    return text[:1].upper() + text[1:] if text else name
