"""What is to be done when one configuration takes the place of another. Pure."""

from typing import NamedTuple

from pydantic import SecretStr

from edgepub.config.areas import Areas
from edgepub.config.camera import CameraSettings
from edgepub.config.secrets import read_broker_password, read_http_token
from edgepub.config.settings import HttpSettings, ModelSettings, MqttSettings, Settings, StatsSettings
from edgepub.home_assistant import discovery


class Changes(NamedTuple):
    """What is different, as to cameras."""

    everything: bool
    """What all cameras hang on: a new life has to begin."""
    stopped: list[str]
    """Cameras that are there no more, or are to begin anew."""
    started: list[str]
    """Cameras that are new, or are to begin anew."""
    redrawn: list[str]
    """Cameras that go on, with other zones and lines."""

    def __str__(self) -> str:
        parts = {
            "restarted": [name for name in self.started if name in self.stopped],
            "new": [name for name in self.started if name not in self.stopped],
            "gone": [name for name in self.stopped if name not in self.started],
            "with other zones and lines": self.redrawn,
        }
        return "; ".join(f"{', '.join(names)} {what}" for what, names in parts.items() if names)


def between(old: Settings, new: Settings) -> Changes:
    """Return what is different."""
    before, after = _cameras(old), _cameras(new)
    go_on = {name for name in before.keys() & after.keys() if _blank(*before[name]) == _blank(*after[name])}
    return Changes(
        _foundations(old) != _foundations(new),
        [name for name in before if name not in go_on],
        [name for name in after if name not in go_on],
        [name for name in after if name in go_on and before[name] != after[name]],
    )


def _foundations(settings: Settings) -> tuple[object, ...]:
    return settings.node, settings.mqtt.topic_prefix, settings.outbox


def _cameras(settings: Settings) -> dict[str, tuple[CameraSettings, ModelSettings]]:
    return {name: (camera, settings.models[camera.model]) for name, camera in settings.cameras.items()}


def _blank(camera: CameraSettings, model: ModelSettings) -> tuple[CameraSettings, ModelSettings]:
    """Return what a camera is without its zones and lines."""
    return camera.with_areas(Areas()), model


class Connection(NamedTuple):
    """What a session with the broker is made of."""

    mqtt: MqttSettings
    client_id: str
    password: SecretStr | None
    births: list[str]


class Http(NamedTuple):
    """What is served over HTTP."""

    settings: HttpSettings
    token: SecretStr | None


class PartSettings(NamedTuple):
    """What each part is made of, by the part's name."""

    publisher: Connection
    stats: StatsSettings
    http: Http


def part_settings(settings: Settings) -> PartSettings:
    """Return the settings that each part is made of: it is made anew when they change.

    Raises:
        ValueError: the broker's password or the token cannot be read any more.

    """
    password, births = read_broker_password(settings.mqtt), discovery.birth_topics(settings)
    connection = Connection(settings.mqtt, settings.client_id, password, births)
    http = Http(settings.http, read_http_token(settings.http) if settings.http.listen else None)
    return PartSettings(publisher=connection, stats=settings.stats, http=http)
