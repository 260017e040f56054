"""Home Assistant's discovery messages: what is configured and counted becomes devices with entities. Pure.

One retained message a device (https://www.home-assistant.io/integrations/mqtt/#device-discovery-payload): the box, and
each camera. Names, device classes, units and categories are those of https://developers.home-assistant.io/docs/core/entity.
"""

import re
from collections.abc import Iterable, Mapping
from typing import Any, get_args

import orjson

from edgepub.config.camera import CameraSettings
from edgepub.config.settings import Settings
from edgepub.core.versions import versions
from edgepub.mqtt.payloads.event import EventType
from edgepub.mqtt.topics import OCCUPANCY_SUFFIX, Topics, topic_level

Payload = dict[str, Any]
_BIRTHS = "homeassistant/status"
_DISCOVERY = re.compile(r"/device/edgepub_[a-z0-9_-]+(_CAMERA_[a-z0-9_-]+)?/config$")
# A camera that is disabled is as absent as one that is offline; but that it is not connected is no news.
_IS_ONLINE = "{{ 'online' if value == 'online' else 'offline' }}"
_IS_CONNECTED = "{{ {'online': 'ON', 'offline': 'OFF'}.get(value) }}"
_DIAGNOSTIC = {"entity_category": "diagnostic"}
_NOISY = {**_DIAGNOSTIC, "enabled_by_default": False}
_MEASURED = {"state_class": "measurement"}
_COUNTED = {"state_class": "total_increasing"}


def is_discovery(topic: str) -> bool:
    """Return whether a topic is that of a discovery message of edgepub's, under whatever prefix."""
    return _DISCOVERY.search(topic) is not None


def is_of_node(topic: str, payload: bytes, node: str) -> bool:
    """Return whether a message is a discovery message of a node."""
    if not is_discovery(topic):
        return False
    try:
        (identifier,) = orjson.loads(payload)["device"]["identifiers"]
    except (ValueError, TypeError, LookupError):
        return False
    return f"{identifier}/".startswith(f"{_id(node)}/")


def birth_topics(settings: Settings) -> list[str]:
    """Return where Home Assistant says that it has started: its birth message, which does not follow its prefix."""
    ours = settings.home_assistant
    return sorted({_BIRTHS, f"{ours.discovery_prefix}/status"}) if ours.enabled else []


def messages(settings: Settings, published: Iterable[str]) -> dict[str, Payload]:
    """Return the discovery messages: payloads by topic, the box's first, for the cameras' refer to it.

    Args:
        settings: the configuration.
        published: where something is retained, or was. Of a camera without `labels` only that tells which it has seen,
            and of one that has lost a label or a zone, that their entities are to be removed.

    """
    ours = settings.home_assistant
    if not ours.enabled:
        return {}
    topics = Topics(settings.mqtt.topic_prefix, settings.node)
    published = list(published)
    devices = [_box(topics)]
    for name, camera in settings.cameras.items():
        devices.append(_camera(name, camera, topics))
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
        self._id = _id(*ids)
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


def _id(*names: str) -> str:
    return "/".join(("edgepub", *names))


def _box(topics: Topics) -> _Device:
    its = versions()
    firmware = f"{its['edgepub']} (PySDK {its['pysdk']})"
    about = {"name": f"edgepub {topics.node}", "model": "Edge box", "sw_version": firmware}
    box = _Device((topics.node,), about, [{"topic": topics.status}])

    def figure(key: str, name: str, value: str, **options: object) -> None:
        at = {"state_topic": topics.stats, "value_template": f"{{{{ {value} }}}}"}
        box.add("sensor", f"stats/{key}", name, **at, **options, **_DIAGNOSTIC)

    cpu = "value_json.cpu_percent | round"  # whole figures, so that not each of them is a change
    figure("cpu_percent", "Processor use", cpu, icon="mdi:cpu-64-bit", unit_of_measurement="%", **_MEASURED)
    memory = {"device_class": "data_size", "unit_of_measurement": "MiB", "suggested_display_precision": 0}
    figure("rss_bytes", "Memory use", "(value_json.rss_bytes / 1048576) | round", **memory, **_MEASURED)
    # The class `uptime` is not known to all that are in use, and would cost those the entity.
    figure("started", "Uptime", "value_json.started | as_datetime", device_class="timestamp")
    waiting = "value_json.outbox.values() | sum"
    figure("outbox", "Waiting messages", waiting, icon="mdi:tray-full", **_MEASURED)
    figure("reconnects", "Broker reconnects", "value_json.broker.reconnects", icon="mdi:connection", **_COUNTED)
    return box


def _camera(name: str, camera: CameraSettings, topics: Topics) -> _Device:
    about = {"name": _words(name), "model": "Camera", "via_device": _id(topics.node)}
    the_box = {"topic": topics.status}
    itself = {"topic": topics.camera_status(name), "value_template": _IS_ONLINE}
    device = _Device((topics.node, name), about, [the_box, itself])
    if camera.tracking:
        types = list(get_args(EventType))
        what = {"state_topic": topics.events(name), "event_types": types, "icon": "mdi:motion-sensor"}
        # Of the box alone: events wait for the broker, and come when the camera may be offline, as each `left` does.
        device.add("event", "events", "Events", availability=[the_box], **what)
    else:
        device.remove("event", "events")
    if camera.snapshot.enabled:
        device.add("image", "snapshot", "Snapshot", image_topic=topics.snapshot(name), content_type="image/jpeg")
    else:
        device.remove("image", "snapshot")
    _add_settings(device, name, topics)
    connectivity = {"device_class": "connectivity", "value_template": _IS_CONNECTED, **_DIAGNOSTIC}
    at = {"state_topic": topics.camera_status(name), "availability": [the_box]}
    device.add("binary_sensor", "status", "Connectivity", **at, **connectivity)
    _add_figures(device, name, topics)
    return device


def _add_settings(device: _Device, camera: str, topics: Topics) -> None:
    def setting(platform: str, key: str, name: str, **options: object) -> None:
        topic = topics.setting(camera, key)
        at = {"state_topic": topic, "command_topic": f"{topic}/set"}
        # Of the box alone: else a camera that is disabled could not be enabled.
        its = {"availability": [{"topic": topics.status}], "entity_category": "config"}
        device.add(platform, key, name, **at, **its, **options)

    setting("switch", "enabled", "Enabled", icon="mdi:cctv")
    score = {"min": 0, "max": 1, "step": 0.01, "mode": "slider", "icon": "mdi:filter-outline"}
    setting("number", "min_score", "Minimum score", **score)
    fps = {"min": 0, "max": 1000, "step": 0.1, "mode": "box", "unit_of_measurement": "fps", "icon": "mdi:speedometer"}
    no_limit_is_0 = {  # a number entity cannot be set to none
        "value_template": "{{ 0 if value == 'None' else value }}",
        "command_template": "{{ 'None' if value == 0 else value }}",
    }
    setting("number", "max_fps", "Frame rate limit", **fps, **no_limit_is_0)


def _add_figures(device: _Device, camera: str, topics: Topics) -> None:
    def figure(key: str, name: str, value: str, **options: object) -> None:
        at = {"state_topic": topics.stats, "value_template": f"{{{{ value_json.cameras['{camera}'].{value} }}}}"}
        device.add("sensor", f"stats/{key}", name, **at, **options)

    p95 = "latency_ms.get('inference', {}).get('p95')"  # none in an interval without a result
    latency = {"device_class": "duration", "unit_of_measurement": "ms", "suggested_display_precision": 1}
    figure("inference_p95", "Inference latency (p95)", p95, **latency, **_NOISY, **_MEASURED)
    rate = {"unit_of_measurement": "fps", "suggested_display_precision": 1, "icon": "mdi:speedometer"}
    figure("fps_inferred", "Inference rate", "fps_inferred", **rate, **_NOISY, **_MEASURED)
    lost = {"icon": "mdi:message-off-outline", **_DIAGNOSTIC, **_COUNTED}
    figure("dropped", "Dropped messages", "dropped.values() | sum", **lost)


def _add_counts(device: _Device, name: str, camera: CameraSettings, topics: Topics, published: Iterable[str]) -> None:
    """Add what is counted, and remove what was."""
    named = [(zone, label) for zone, labels in camera.counted.items() for label in labels or ()]
    words = {topic_level(label): label for _, label in reversed(named)}
    there = {(zone, topic_level(label)) for zone, label in named}
    gone: set[tuple[str | None, str]] = set()
    counts = re.compile(
        rf"(?P<prefix>.+)/{topics.node}/{name}/(zones/(?P<zone>[^/]+)/)?objects/(?P<level>[^/]+)(/occupancy)?"
    )
    for match in filter(None, map(counts.fullmatch, published)):
        is_open = match["prefix"] == topics.prefix and camera.counted.get(match["zone"], ()) is None
        (there if is_open else gone).add((match["zone"], match["level"]))
    base = f"{topics.root}/{name}/"
    for zone, its_level in sorted(gone - there, key=_by_name):
        key = topics.object_count(name, zone, its_level).removeprefix(base)
        device.remove("sensor", key)
        device.remove("binary_sensor", key + OCCUPANCY_SUFFIX)
    for zone, its_level in sorted(there, key=_by_name):
        topic = topics.object_count(name, zone, its_level)
        key = topic.removeprefix(base)
        label = words.get(its_level) or its_level.replace("_", " ").strip() or its_level
        what = _capital(label) if zone is None else f"{_words(zone)} {label}"
        occupancy = {"state_topic": topic + OCCUPANCY_SUFFIX, "device_class": "occupancy"}
        device.add("binary_sensor", key + OCCUPANCY_SUFFIX, what, **occupancy)
        device.add("sensor", key, f"{what} count", state_topic=topic, icon="mdi:counter", **_MEASURED)


def _by_name(place: tuple[str | None, str]) -> tuple[str, str]:
    return place[0] or "", place[1]


def _words(name: str) -> str:
    """Return a name of the configuration as a person writes it."""
    return _capital(re.sub("[_-]+", " ", name).strip() or name)


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]  # and no other letter: `TV` is right
