"""The entities of cameras that have their names from the settings: of attributes, and of the models of pipelines.

Home Assistant must be told to remove those of earlier settings, of which no retained topic may tell.
"""

from collections.abc import Iterable, Iterator

from edgepub.config.settings import Settings
from edgepub.mqtt.topics import Topics

_ATTRIBUTES = "attributes/"


def attribute_key(name: str) -> str:
    """Return the key of the entity of an attribute."""
    return f"{_ATTRIBUTES}{name}"


def stage_key(model: str) -> str:
    """Return the key of the entity of a model of a pipeline."""
    return f"stats/stage/{model}"


def named_entities(settings: Settings) -> list[str]:
    """Return the keys of all cameras' entities for these settings, without duplicates."""
    cameras = settings.cameras.values()
    attributes = [attribute_key(name) for camera in cameras for name in settings.attributes_of(camera)]
    stages = [stage_key(model) for camera in cameras for model in settings.stages_of(camera)]
    return list(dict.fromkeys([*attributes, *stages]))


def named_attributes(keys: Iterable[str]) -> list[str]:
    """Return the attributes among the keys of entities."""
    return [key.removeprefix(_ATTRIBUTES) for key in keys if key.startswith(_ATTRIBUTES)]


def find_attribute_keys(known_topics: Iterable[str], camera: str, topics: Topics) -> Iterator[str]:
    """Yield the keys of a camera's attributes that have or had topics, also with an earlier topic_prefix."""
    for topic in known_topics:
        prefix, _, below = topic.rpartition(f"/{topics.node}/{camera}/")
        if prefix and below.startswith(_ATTRIBUTES):
            yield below
