"""Compares the old and the new settings of a reload: what restarts, what continues. Pure functions."""

from typing import NamedTuple

from pydantic import SecretStr

from edgepub.config.camera import CameraSettings
from edgepub.config.mqtt import MqttSettings
from edgepub.config.pipelines import PipelineSettings
from edgepub.config.secrets import read_broker_password, read_http_token
from edgepub.config.settings import HttpSettings, ModelSettings, Settings, StatsSettings
from edgepub.home_assistant import discovery

_Models = tuple[PipelineSettings, dict[str, ModelSettings]]


class Changes(NamedTuple):
    """How the cameras differ between two settings."""

    everything: bool
    """What all cameras depend on has changed: another run is needed."""
    stopped: list[str]
    """Cameras that are removed or restart."""
    started: list[str]
    """Cameras that are added or restart."""
    areas_changed: list[str]
    """Cameras that keep running, with new zones, lines or ignore areas."""

    def __str__(self) -> str:
        parts = {
            "restarted": [name for name in self.started if name in self.stopped],
            "added": [name for name in self.started if name not in self.stopped],
            "removed": [name for name in self.stopped if name not in self.started],
            "with new zones, lines or ignore areas": self.areas_changed,
        }
        return "; ".join(f"{', '.join(names)} {change}" for change, names in parts.items() if names)


def find_changes(old: Settings, new: Settings) -> Changes:
    """Return how the cameras differ."""
    before, after = _cameras(old), _cameras(new)
    kept = {
        name for name in before.keys() & after.keys() if _without_areas(*before[name]) == _without_areas(*after[name])
    }
    return Changes(
        _foundations(old) != _foundations(new),
        [name for name in before if name not in kept],
        [name for name in after if name not in kept],
        [name for name in after if name in kept and before[name] != after[name]],
    )


def _foundations(settings: Settings) -> tuple[object, ...]:
    return settings.node, settings.mqtt.topic_prefix, settings.outbox


def _cameras(settings: Settings) -> dict[str, tuple[CameraSettings, _Models]]:
    return {
        name: (camera, (settings.pipeline_of(camera), settings.models_of(camera)))
        for name, camera in settings.cameras.items()
    }


def _without_areas(camera: CameraSettings, models: _Models) -> tuple[CameraSettings, _Models]:
    return camera.model_copy(update={"zones": {}, "lines": {}, "ignore": {}}), models


class PublisherSettings(NamedTuple):
    """What a session with the broker depends on."""

    mqtt: MqttSettings
    client_id: str
    password: SecretStr | None
    birth_topics: list[str]


class HttpPartSettings(NamedTuple):
    """What the HTTP server depends on."""

    settings: HttpSettings
    token: SecretStr | None


class PartSettings(NamedTuple):
    """What each part depends on, by the part's name. A part is replaced when its settings change."""

    publisher: PublisherSettings
    stats: StatsSettings
    http: HttpPartSettings


def part_settings(settings: Settings) -> PartSettings:
    """Return what each part depends on.

    Raises:
        ValueError: the broker's password or the token cannot be read.

    """
    password, birth_topics = read_broker_password(settings.mqtt), discovery.birth_topics(settings)
    publisher = PublisherSettings(settings.mqtt, settings.client_id, password, birth_topics)
    http = HttpPartSettings(settings.http, read_http_token(settings.http) if settings.http.listen else None)
    return PartSettings(publisher, settings.stats, http)
