"""What `edgepub check` says about a configuration without mistakes."""

from collections.abc import Iterator

from edgepub.config.effective import EffectiveSettings
from edgepub.config.settings import Settings
from edgepub.home_assistant import discovery
from edgepub.mqtt import store
from edgepub.mqtt.topics import OCCUPANCY_SUFFIX, Topics

_MAX_SLASHES = 7
"""In a topic, for some brokers: AWS IoT Core ends the session over more (AWS IoT Core endpoints and quotas)."""


def notes(effective: EffectiveSettings) -> Iterator[str]:
    """Yield a line for each saved setting in force, and for what Home Assistant or the broker may not take."""
    yield from effective.override_notes()
    published = store.read_retained_topics(effective.state_dir) or []
    found = [*discovery.build(effective.settings, published).notes, *_topic_notes(effective.settings)]
    yield from (f"{effective.path}: {note}" for note in found)


def _topic_notes(settings: Settings) -> Iterator[str]:
    topics = Topics(settings.mqtt.topic_prefix, settings.node)
    counts = [
        topics.object_count(name, zone, "<label>") + OCCUPANCY_SUFFIX
        for name, camera in settings.cameras.items()
        for zone in [None, *camera.zones]
    ]
    deepest = max(counts, key=lambda topic: topic.count("/"))
    if (slashes := deepest.count("/")) > _MAX_SLASHES:
        yield (
            f"mqtt.topic_prefix: topics have up to {slashes} slashes, as in {deepest}; some brokers end the session "
            f"over more than {_MAX_SLASHES}, AWS IoT Core for one: if yours does, use a prefix of fewer levels"
        )
