"""What the parts beside the cameras are made of: slices of the settings. A part is made anew when its slice changes."""

from typing import NamedTuple

from pydantic import SecretStr

from edgepub import home_assistant
from edgepub.configuration import broker_password, http_token
from edgepub.settings import HttpSettings, MqttSettings, Settings, StatsSettings


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


class Slices(NamedTuple):
    """What each part is made of, by the part's name."""

    publisher: Connection
    health: StatsSettings
    http: Http


def slices(settings: Settings) -> Slices:
    """Return the settings that each part is made of: it is made anew when they change.

    Raises:
        ValueError: the broker's password or the token cannot be read any more.

    """
    password, births = broker_password(settings.mqtt), home_assistant.birth_topics(settings)
    connection = Connection(settings.mqtt, settings.client_id, password, births)
    http = Http(settings.http, http_token(settings.http) if settings.http.listen else None)
    return Slices(publisher=connection, health=settings.stats, http=http)
