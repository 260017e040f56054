"""Builds Home Assistant's discovery messages from the settings and the retained topics. Pure functions.

The node and each camera are a device. Names, device classes, units and categories are those of
https://developers.home-assistant.io/docs/core/entity.
"""

import socket
from collections.abc import Collection, Container, Iterable, Mapping, Sequence
from typing import NamedTuple, get_args

from edgepub.config.camera import CameraSettings
from edgepub.config.settings import Settings
from edgepub.core.versions import installed_versions
from edgepub.home_assistant.count_entities import add_counts
from edgepub.home_assistant.device import Device, Payload, count_entities, device_id
from edgepub.home_assistant.named_entities import attribute_key, find_attribute_keys, named_attributes, stage_key
from edgepub.home_assistant.names import capitalize, display_name, displayable, readable
from edgepub.home_assistant.page_address import find_page_address
from edgepub.mqtt.label_levels import label_text, topic_level
from edgepub.mqtt.payloads.event import EventType
from edgepub.mqtt.retained import Place, find_attributes, find_cutouts, find_places, is_of_classifier
from edgepub.mqtt.topics import Topics

_BIRTH_TOPIC = "homeassistant/status"
# A disabled camera is unavailable, like an offline one. But it does not count as disconnected: that is no alarm.
_ONLINE_TEMPLATE = "{{ 'online' if value == 'online' else 'offline' }}"
_CONNECTED_TEMPLATE = "{{ {'online': 'ON', 'offline': 'OFF'}.get(value) }}"
_DIAGNOSTIC = {"entity_category": "diagnostic"}
_NOISY = {**_DIAGNOSTIC, "enabled_by_default": False}
MAX_MESSAGE_BYTES = 128_000
"""The largest message. Some brokers take no more; before MQTT 5 a broker does not report its limit."""
_MEASUREMENT = {"state_class": "measurement"}
_LATENCY = {"device_class": "duration", "unit_of_measurement": "ms", "suggested_display_precision": 1}
_COUNTER = {"state_class": "total_increasing"}


def birth_topics(settings: Settings) -> list[str]:
    """Return the topics of Home Assistant's birth message; none if discovery is disabled.

    By default it does not follow the discovery prefix, but many set it so.
    """
    section = settings.home_assistant
    return sorted({_BIRTH_TOPIC, f"{section.discovery_prefix}/status"}) if section.enabled else []


class Discovery(NamedTuple):
    """What Home Assistant gets."""

    messages: dict[str, Payload]
    """The discovery messages, payloads by topic. The node's comes first, because the cameras' refer to it."""
    notes: list[str]
    """What it does not get, and why; one line each, which begins with the key."""


def build(
    settings: Settings,
    retained_topics: Sequence[str],
    former_topics: Iterable[str] = (),
    former_entities: Collection[str] = (),
    with_pictures: Collection[str] = (),
) -> Discovery:
    """Return the discovery messages.

    Args:
        settings: the configuration.
        retained_topics: the topics where something is retained, the longest unchanged first. They tell which labels
            a camera without `labels` has seen.
        former_topics: topics where something is or was retained, in the order in which they came. They tell which
            entities to remove when a camera has lost a label or a zone.
        former_entities: keys of entities that this node ever named, from `named_entities`. They tell which to remove
            when a camera has lost an attribute or a stage.
        with_pictures: cameras that publish pictures now, whatever the configuration says.

    """
    section = settings.home_assistant
    if not section.enabled:
        return Discovery({}, [])
    topics = Topics(settings.mqtt.topic_prefix, settings.node)
    known_topics = dict.fromkeys([*former_topics, *retained_topics])
    page = find_page_address(settings.http, socket.gethostname())
    devices, notes = [_build_node(topics, page)], []
    for name, camera in settings.cameras.items():
        has_snapshots = camera.snapshot.enabled or name in with_pictures
        device = _build_camera(name, camera, topics, page, has_snapshots=has_snapshots)
        own = settings.attributes_of(camera)
        seen = find_attributes(retained_topics, name, own, named_attributes(former_entities), topics)
        _add_attributes(device, name, own, seen, topics)
        _add_stages(device, name, settings.stages_of(camera), topics)
        for key in [*former_entities, *find_attribute_keys(known_topics, name, topics)]:
            if key not in device:
                device.remove("sensor", key)
        places = find_places(retained_topics, name, camera, topics)
        add_others = add_counts(device, name, camera, topics, places, known_topics)
        _add_cutouts(device, name, camera, topics, places if has_snapshots else (), known_topics)
        add_others()
        wanted = count_entities(device.payload).enabled
        device.trim(MAX_MESSAGE_BYTES)
        left = count_entities(device.payload).enabled
        if left < wanted:
            why = f"a message with all {wanted} would have more than {MAX_MESSAGE_BYTES} bytes"
            remedy = "name only the labels that you need, the most important first"
            note = f"Home Assistant gets only {left} of the entities that are enabled by default: {why}; {remedy}"
            notes.append(f"cameras.{name}.labels: {note}")
        devices.append(device)
    return Discovery({device.topic(section.discovery_prefix): device.payload for device in devices}, notes)


def _build_node(topics: Topics, page: str | None) -> Device:
    installed = installed_versions()
    firmware = f"{installed['edgepub']} (PySDK {installed['pysdk']})"
    about = {"name": f"edgepub {topics.node}", "model": "Edge box", "sw_version": firmware, **_link(page, "/")}
    device = Device((topics.node,), about, [{"topic": topics.status}])

    def add_figure(key: str, name: str, value: str, **options: object) -> None:
        topic_keys = {"state_topic": topics.stats, "value_template": f"{{{{ {value} }}}}"}
        device.add("sensor", f"stats/{key}", name, **topic_keys, **options, **_DIAGNOSTIC)

    cpu = "value_json.cpu_percent | round"  # whole numbers, so that not every value is a state change
    add_figure("cpu_percent", "Processor use", cpu, icon="mdi:cpu-64-bit", unit_of_measurement="%", **_MEASUREMENT)
    memory = {"device_class": "data_size", "unit_of_measurement": "MiB", "suggested_display_precision": 0}
    add_figure("rss_bytes", "Memory use", "(value_json.rss_bytes / 1048576) | round", **memory, **_MEASUREMENT)
    # Older versions of Home Assistant do not know the class `uptime` and would reject the entity.
    add_figure("started", "Uptime", "value_json.started | as_datetime", device_class="timestamp")
    total_waiting = "value_json.outbox.values() | sum"
    add_figure("outbox", "Waiting messages", total_waiting, icon="mdi:tray-full", **_MEASUREMENT)
    add_figure("reconnects", "Broker reconnects", "value_json.broker.reconnects", icon="mdi:connection", **_COUNTER)
    return device


def _build_camera(
    name: str, camera: CameraSettings, topics: Topics, page: str | None, *, has_snapshots: bool
) -> Device:
    link = _link(page, f"/cameras/{name}")
    about = {"name": display_name(name), "model": "Camera", "via_device": device_id(topics.node), **link}
    node = {"topic": topics.status}
    camera_itself = {"topic": topics.camera_status(name), "value_template": _ONLINE_TEMPLATE}
    device = Device((topics.node, name), about, [node, camera_itself])
    if camera.tracking:
        types = list(get_args(EventType))
        options = {"state_topic": topics.events(name), "event_types": types, "icon": "mdi:motion-sensor"}
        # The node's availability only: an event may arrive while the camera is offline, such as the last `left`.
        device.add("event", "events", "Events", availability=[node], **options)
    else:
        device.remove("event", "events")
    if has_snapshots:
        device.add("image", "snapshot", "Snapshot", image_topic=topics.snapshot(name), content_type="image/jpeg")
    else:
        device.remove("image", "snapshot")
    _add_settings(device, name, topics)
    connectivity = {"device_class": "connectivity", "value_template": _CONNECTED_TEMPLATE, **_DIAGNOSTIC}
    topic_keys = {"state_topic": topics.camera_status(name), "availability": [node]}
    device.add("binary_sensor", "status", "Connectivity", **topic_keys, **connectivity)
    _add_figures(device, name, topics)
    return device


def _link(page: str | None, path: str) -> dict[str, str]:
    """Return what makes the button "Visit" open a page."""
    return {} if page is None else {"configuration_url": page + path}


def _add_attributes(device: Device, camera: str, kinds: Mapping[str, str], seen: Iterable[str], topics: Topics) -> None:
    """Add a sensor for what is recognized: what the settings name, and what else models with several outputs gave."""
    for name in dict.fromkeys([*kinds, *seen]):
        of = name if name in kinds else max((own for own in kinds if is_of_classifier(name, own)), key=len)
        options = (
            {"icon": "mdi:numeric", **_MEASUREMENT} if kinds[of] == "number" else {"icon": "mdi:card-text-outline"}
        )
        title = readable(name)  # after the camera's name, as of "Gate text"
        device.add("sensor", attribute_key(name), title, state_topic=topics.attribute(camera, name), **options)


def _add_stages(device: Device, camera: str, models: Iterable[str], topics: Topics) -> None:
    """Add what each model of a pipeline takes, disabled by default."""
    for model in models:
        duration = f"value_json.cameras['{camera}'].model_ms.get('stage/{model}', {{}}).get('p95')"
        topic_keys = {"state_topic": topics.stats, "value_template": f"{{{{ {duration} }}}}"}
        options = {**topic_keys, **_LATENCY, **_NOISY, **_MEASUREMENT}
        device.add("sensor", stage_key(model), f"{display_name(model)} (p95)", **options)


def _add_settings(device: Device, camera: str, topics: Topics) -> None:
    def add_setting(platform: str, key: str, name: str, **options: object) -> None:
        topic = topics.setting(camera, key)
        topic_keys = {"state_topic": topic, "command_topic": f"{topic}/set"}
        # The node's availability only: otherwise a disabled camera could not be enabled.
        config = {"availability": [{"topic": topics.status}], "entity_category": "config"}
        device.add(platform, key, name, **topic_keys, **config, **options)

    add_setting("switch", "enabled", "Enabled", icon="mdi:cctv")
    add_setting("switch", "snapshot_enabled", "Pictures", icon="mdi:image-outline")
    score = {"min": 0, "max": 1, "step": 0.01, "mode": "slider", "icon": "mdi:filter-outline"}
    add_setting("number", "min_score", "Minimum score", **score)
    fps = {"min": 0, "max": 1000, "step": 0.1, "mode": "box", "unit_of_measurement": "fps", "icon": "mdi:speedometer"}
    no_limit_is_0 = {  # a number entity has no value for none
        "value_template": "{{ 0 if value == 'None' else value }}",
        "command_template": "{{ 'None' if value == 0 else value }}",
    }
    add_setting("number", "max_fps", "Frame rate limit", **fps, **no_limit_is_0)


def _add_figures(device: Device, camera: str, topics: Topics) -> None:
    def add_figure(key: str, name: str, value: str, **options: object) -> None:
        topic_keys = {
            "state_topic": topics.stats,
            "value_template": f"{{{{ value_json.cameras['{camera}'].{value} }}}}",
        }
        device.add("sensor", f"stats/{key}", name, **topic_keys, **options)

    p95 = "latency_ms.get('inference', {}).get('p95')"  # absent in an interval without results
    add_figure("inference_p95", "Inference latency (p95)", p95, **_LATENCY, **_NOISY, **_MEASUREMENT)
    rate = {"unit_of_measurement": "fps", "suggested_display_precision": 1, "icon": "mdi:speedometer"}
    add_figure("fps_inferred", "Inference rate", "fps_inferred", **rate, **_NOISY, **_MEASUREMENT)
    drops = {"icon": "mdi:message-off-outline", **_DIAGNOSTIC, **_COUNTER}
    add_figure("dropped", "Dropped messages", "dropped.values() | sum", **drops)


def _add_cutouts(
    device: Device,
    name: str,
    camera: CameraSettings,
    topics: Topics,
    places: Container[Place],
    known_topics: Iterable[str],
) -> None:
    """Add an image for each label that has or had a cut-out, and remove those of labels that get none any more."""
    labels = {topic_level(label): label for label in reversed(camera.all_labels)}
    base = f"{topics.root}/{name}/"
    for topic in find_cutouts(known_topics, name, topics):
        level, key = topic.split("/")[-2], topic.removeprefix(base)
        if camera.has_cutouts and Place(None, level) in places:
            title = capitalize(displayable(labels.get(level) or label_text(level)))
            device.add("image", key, title, image_topic=topic, content_type="image/jpeg")
        else:
            device.remove("image", key)
