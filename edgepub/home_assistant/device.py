"""The discovery message of one device, and how to recognise it.

Home Assistant takes one retained message per device
(https://www.home-assistant.io/integrations/mqtt/#device-discovery-payload).
"""

import re
from collections.abc import Mapping
from typing import Any, NamedTuple

import orjson

from edgepub.core.versions import installed_versions

Payload = dict[str, Any]
_DISCOVERY = re.compile(r"/device/edgepub_[a-z0-9_-]+(_CAMERA_[a-z0-9_-]+)?/config$")


def is_discovery(topic: str) -> bool:
    """Return whether a topic is that of one of edgepub's discovery messages, under any prefix."""
    return _DISCOVERY.search(topic) is not None


def belongs_to_node(topic: str, payload: bytes, node: str) -> bool:
    """Return whether a message is a discovery message of this node, or of one of its cameras."""
    if not is_discovery(topic):
        return False
    try:
        (identifier,) = orjson.loads(payload)["device"]["identifiers"]
    except (ValueError, TypeError, LookupError):
        return False
    return f"{identifier}/".startswith(f"{device_id(node)}/")


class Device:
    """The discovery message of one device, built entity by entity.

    Args:
        ids: the node's name, and the camera's if the device is a camera.
        about: keys of `device` for display: name, model and the like.
        availability: the topics that tell whether the device is available.

    """

    def __init__(self, ids: tuple[str, ...], about: Mapping[str, str], availability: list[dict[str, str]]) -> None:
        self._id = device_id(*ids)
        # Names may contain all other characters that Home Assistant accepts in a topic. Only capitals separate safely.
        self._topic_id = "edgepub_" + "_CAMERA_".join(ids)
        self._components: dict[str, Payload] = {}
        self.payload: Payload = {
            "device": {"identifiers": [self._id], "manufacturer": "edgepub", **about},
            "origin": {"name": "edgepub", "sw_version": installed_versions()["edgepub"]},
            "availability": availability,
            "availability_mode": "all",
            "components": self._components,
        }

    def topic(self, discovery_prefix: str) -> str:
        """Return the topic of the message."""
        return f"{discovery_prefix}/device/{self._topic_id}/config"

    def add(self, platform: str, key: str, name: str, **options: object) -> None:
        """Add an entity. Never change a key: Home Assistant recognises the entity by it."""
        identity = {"platform": platform, "unique_id": f"{self._id}/{key}", "name": name, "qos": 1}
        self._components[key] = {**identity, **options}

    def __contains__(self, key: str) -> bool:
        """Return whether an entity has been added or removed."""
        return key in self._components

    def remove(self, platform: str, key: str) -> None:
        """Remove an entity. If it never existed, Home Assistant ignores this."""
        self._components[key] = {"platform": platform}

    def trim(self, max_bytes: int) -> None:
        """Drop the last components until the message is small enough."""
        excess = len(orjson.dumps(self.payload)) - max_bytes
        while excess > 0 and self._components:
            excess -= len(orjson.dumps(dict([self._components.popitem()]))) - len("{}") + len(",")


class EntityCount(NamedTuple):
    """How many entities there are."""

    total: int
    enabled: int
    """By default; a user can enable the others."""


def count_entities(*payloads: Payload) -> EntityCount:
    """Return how many entities discovery messages add."""
    components = [component for payload in payloads for component in payload["components"].values()]
    entities = [component for component in components if "unique_id" in component]
    return EntityCount(len(entities), sum(entity.get("enabled_by_default", True) for entity in entities))


def device_id(*names: str) -> str:
    """Return the identifier of the device of a node, or of a camera of a node."""
    return "/".join(("edgepub", *names))
