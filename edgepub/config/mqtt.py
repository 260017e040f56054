"""The settings of the MQTT broker: where it is, and how to connect to it."""

from typing import Annotated, Literal, Self
from urllib.parse import SplitResult, urlsplit

from pydantic import Field, SecretStr, field_validator, model_validator

from edgepub.config.fields import BrokerUrl, ClientId, MqttText, Number, ReadableFile, Section, Topic

Retain = Literal["auto", "true", "false"]
Protocol = Literal["auto", "5", "3.1.1"]


class TlsSettings(Section):
    """How the broker and edgepub authenticate each other."""

    ca_file: ReadableFile | None = None
    """Certificates (PEM) of the authorities to trust; null: those of the system."""
    cert_file: ReadableFile | None = None
    """The client certificate (PEM), for a broker that requires one."""
    key_file: ReadableFile | None = None
    """The private key (PEM) of `cert_file`."""
    key_password_file: ReadableFile | None = None
    """A file that contains the passphrase of the key and nothing else."""
    insecure: bool = False
    """Accept any certificate for any host name. For tests only: anyone on the network path can read and write."""

    @model_validator(mode="after")
    def _check_pair(self) -> Self:
        if self.key_file and not self.cert_file:
            raise ValueError("key_file needs cert_file as well")
        if self.key_password_file and not self.cert_file:
            raise ValueError("key_password_file needs cert_file as well, and key_file unless the key is in there")
        return self


class MqttSettings(Section):
    """The MQTT broker and how to connect to it."""

    url: BrokerUrl = "mqtt://127.0.0.1:1883"
    """The broker: `mqtt://`, `mqtts://`, `ws://` or `wss://` with host and port, or `unix:///path`.

    `ws://` and `wss://` may have a path, by default `/mqtt`, and a query: `wss://broker.example/path?key=value`. No log
    contains the query."""
    username: MqttText | None = None
    """The user name at the broker."""
    password: SecretStr | None = Field(default=None, min_length=1)
    """The password. Prefer `password_file` or the credential `mqtt_password`, to keep it out of this file."""
    password_file: ReadableFile | None = None
    """A file that contains the password and nothing else."""
    client_id: ClientId | None = None
    """The MQTT client identifier, which must be unique on the broker; null: `edgepub-<node>`."""
    protocol: Protocol = "auto"
    """The MQTT version. `auto`: try 5, then 3.1.1 if the broker refuses 5."""
    keepalive_s: Annotated[int, Number] = Field(default=15, ge=1, le=65535)
    """MQTT keepalive: after this many seconds without traffic, client and broker check the connection."""
    topic_prefix: Topic = "edgepub"
    """The first level, or levels, of every topic."""
    retain: Retain = "auto"
    """Whether messages are retained. `auto`: if the broker keeps them. `true`: refuse a broker that does not.

    Without retained messages, a new subscriber gets a value only when it changes."""
    tls: TlsSettings = TlsSettings()
    """Only for `mqtts://` and `wss://`."""

    @field_validator("protocol", mode="before", json_schema_input_type=Literal[Protocol, 5])
    @classmethod
    def _accept_a_number(cls, value: object) -> object:
        return str(value) if isinstance(value, int) and not isinstance(value, bool) else value

    @field_validator("retain", mode="before", json_schema_input_type=Literal[Retain, True, False])
    @classmethod
    def _accept_a_boolean(cls, value: object) -> object:
        return str(value).lower() if isinstance(value, bool) else value

    @model_validator(mode="after")
    def _check_consistency(self) -> Self:
        if self.password is not None and self.password_file is not None:
            raise ValueError("set password or password_file, not both")
        if "password" in self.model_fields_set and self.password is None:
            raise ValueError("password is empty: set one, or remove the key")
        if (self.password or self.password_file) and self.username is None:
            raise ValueError("a password needs a username")
        if self.tls != TlsSettings() and not self.uses_tls:
            raise ValueError(f"tls has no effect with {self.parts.scheme}://; use mqtts:// or wss://, or remove tls")
        return self

    @property
    def uses_tls(self) -> bool:
        """Whether the connection is encrypted."""
        return self.parts.scheme in {"mqtts", "wss"}

    @property
    def parts(self) -> SplitResult:
        """The URL, split into its parts."""
        return urlsplit(self.url)

    @property
    def display_url(self) -> str:
        """The URL for a log or a terminal: a query may contain a secret."""
        url, mark, query = self.url.partition("?")
        return f"{url}{mark}***" if query else url
