"""The settings: what a configuration may say, each key with its meaning, default and bounds.

Reading them from a file and the environment is ``edgepub.config.load``'s work.
"""

from ipaddress import ip_address
from typing import Annotated, Any, Literal, Self
from urllib.parse import SplitResult, urlsplit

from pydantic import ConfigDict, Field, SecretStr, ValidationInfo, field_validator, model_validator

from edgepub.config.camera import CameraSettings
from edgepub.config.fields import (
    BrokerUrl,
    CameraName,
    Folder,
    HostName,
    ListenAddress,
    Name,
    Number,
    ReadableFile,
    Section,
    Topic,
    absolute_path,
    default_node_name,
    is_dir,
)


class TlsSettings(Section):
    """How a broker at ``mqtts://`` or ``wss://`` proves who it is, and we who we are."""

    ca_file: ReadableFile | None = None
    """Certificates (PEM) of the authorities to trust; null: those of the system."""
    cert_file: ReadableFile | None = None
    """Our own certificate (PEM), for a broker that asks for one."""
    key_file: ReadableFile | None = None
    """The private key (PEM) of `cert_file`."""
    insecure: bool = False
    """Accept any certificate, for any host name. Only for a bench: anybody in between can read and write."""

    @model_validator(mode="after")
    def _pair(self) -> Self:
        if self.key_file and not self.cert_file:
            raise ValueError("key_file needs cert_file beside it")
        return self


class MqttSettings(Section):
    """The broker, and how to reach it."""

    url: BrokerUrl = "mqtt://127.0.0.1:1883"
    """Where the broker is: `mqtt://`, `mqtts://`, `ws://` or `wss://` with host and port, or `unix:///path`."""
    username: str | None = Field(default=None, min_length=1)
    """The user to log in as."""
    password: SecretStr | None = Field(default=None, min_length=1)
    """The password. Better not in this file: see `password_file`, or the credential `mqtt_password`."""
    password_file: ReadableFile | None = None
    """A file that holds the password, and nothing else."""
    client_id: str | None = Field(default=None, min_length=1, max_length=256)
    """The MQTT client identifier, one of its kind on the broker; null: `edgepub-<node>`."""
    protocol: Literal["auto", "5", "3.1.1"] = "auto"
    """The MQTT version; `auto`: 5, then 3.1.1 if the broker refuses 5."""
    keepalive_s: Annotated[int, Number] = Field(default=15, ge=1, le=65535)
    """Seconds of silence after which the two sides look whether the other is still there."""
    topic_prefix: Topic = "edgepub"
    """The first level or levels of every topic."""
    tls: TlsSettings = TlsSettings()
    """Only for `mqtts://` and `wss://`."""

    @field_validator("protocol", mode="before")
    @classmethod
    def _a_number_is_fine(cls, value: object) -> object:
        return str(value) if isinstance(value, int) and not isinstance(value, bool) else value

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.password is not None and self.password_file is not None:
            raise ValueError("give password or password_file, not both")
        if "password" in self.model_fields_set and self.password is None:
            raise ValueError("password is empty: give one, or take the key out")
        if (self.password or self.password_file) and self.username is None:
            raise ValueError("a password needs a username beside it")
        if self.tls != TlsSettings() and self.parts.scheme not in {"mqtts", "wss"}:
            raise ValueError(f"tls has no effect with {self.parts.scheme}://; use mqtts:// or wss://, or take tls out")
        return self

    @property
    def parts(self) -> SplitResult:
        """The URL in its parts."""
        return urlsplit(self.url)


class StreamSettings(Section):
    """The lane of detections, in memory."""

    size: Annotated[int, Number] = Field(default=256, ge=1, le=100_000)
    """Messages held while the broker is slow or away; the oldest is dropped first, and counted."""


class DurableSettings(Section):
    """The lane of events, on disk."""

    path: Folder | None = None
    """The folder of the file that holds them; null: that of all that is kept, `$STATE_DIRECTORY`, else
    `~/.local/state/edgepub`."""
    max_messages: Annotated[int, Number] = Field(default=100_000, ge=1, le=10_000_000)
    """Events that wait while the broker is away; the oldest is let go of first, and counted."""
    max_age_s: Annotated[float, Number] = Field(default=86_400, ge=1, le=31_536_000)
    """Events older than this are let go of, and counted."""


class OutboxSettings(Section):
    """What waits for the broker."""

    stream: StreamSettings = StreamSettings()
    durable: DurableSettings = DurableSettings()


class ModelSettings(Section):
    """A model: the fields of `degirum_tools.ModelSpec`, with its meanings."""

    model_config = ConfigDict(protected_namespaces=())

    model_name: str = ""
    """The model's name in its zoo."""
    zoo_url: str = ""
    """A cloud zoo (`degirum/hailo`), a folder (`/opt/zoo`, `./zoo`), or nothing for an AI server's own zoo."""
    model_url: str = ""
    """Zoo and model in one, `<zoo_url>/<model_name>`, instead of those two."""
    inference_host_address: str = "@cloud"
    """Where the model runs: `@local`, `@cloud`, or an AI server's host, `host` or `host:port`."""
    token: SecretStr | None = None
    """The access token of the cloud zoo."""
    model_properties: dict[str, Any] = Field(default_factory=dict)
    """Properties of the PySDK model, like `device_type` or `output_confidence_threshold`."""
    metadata: dict[str, Any] | None = Field(default_factory=dict)
    """Free; not used."""

    @field_validator("model_properties", mode="before")
    @classmethod
    def _null_is_none_given(cls, value: object) -> object:
        return {} if value is None else value

    @field_validator("zoo_url", "model_url")
    @classmethod
    def _an_absolute_path(cls, value: str, info: ValidationInfo) -> str:
        """PySDK takes a relative path like `a/b` for a cloud zoo, so every path is made absolute before it sees it."""
        if not value or "://" in value or (info.field_name == "model_url" and "/" not in value):
            return value
        folder = absolute_path(value, info)
        is_path = value[0] in "./~" or value.count("/") != (1 if info.field_name == "zoo_url" else 2) or is_dir(folder)
        return str(folder) if is_path else value

    @model_validator(mode="after")
    def _a_model_spec_takes_it(self) -> Self:
        if self.model_url:
            if self.model_name or self.zoo_url:
                raise ValueError("model_url stands alone: take model_name and zoo_url out")
            if not all(self.model_url.rpartition("/")[::2]):
                raise ValueError("model_url is written <zoo_url>/<model_name>")
        elif not self.model_name:
            raise ValueError("model_name is missing (or model_url)")
        address = self.inference_host_address
        if not address or (address.startswith("@") and address not in {"@local", "@cloud"}):
            raise ValueError("inference_host_address is @local, @cloud, or an AI server's host")
        if address != "@local" and (self.zoo_url or self.model_url).startswith("/"):
            raise ValueError('the zoo is a folder of this box: set inference_host_address to "@local"')
        if self.inference_host_address.startswith("@") and not (self.zoo_url or self.model_url):
            raise ValueError(f"zoo_url is missing: {self.inference_host_address} needs one")
        return self


class StatsSettings(Section):
    """The figures of the node and of its cameras."""

    interval_s: Annotated[float, Number] = Field(default=10, ge=1, le=3600)
    """Seconds from one `stats` message to the next; its rates and latencies are those of that time."""


class HttpSettings(Section):
    """What is served over HTTP: the page, `/healthz` for whoever looks after the daemon, `/metrics` for Prometheus."""

    listen: ListenAddress | None = None
    """Where: `127.0.0.1:9464`, `[::1]:9464`, or a port alone, which is that of loopback; null: nowhere. What is not
    loopback needs a token."""
    token_file: ReadableFile | None = None
    """A file with the token that whoever looks must have, and nothing else: 16 characters at least, as from
    `openssl rand -hex 16`. Or give the credential `http_token`."""
    allow_edit: bool = False
    """Zones and lines may be saved from the page, in place of those of this file. Needs a token."""
    max_viewers: Annotated[int, Number] = Field(default=16, ge=1, le=1000)
    """Live pages at once; one more is told to wait."""
    hosts: list[HostName] = Field(default_factory=list)
    """Names by which browsers may reach it, like those of a reverse proxy; addresses, single words and the names of
    this box are good without."""

    @property
    def is_on_loopback(self) -> bool:
        """Whether only this box reaches what is served, if anything is."""
        return self.listen is None or ip_address(self.listen.rpartition(":")[0].strip("[]")).is_loopback


class LogSettings(Section):
    """The log, on stderr."""

    level: Literal["debug", "info", "warning", "error"] = "info"
    """The least important line that is written."""
    format: Literal["auto", "json"] = "auto"
    """`auto`: into the journal with its fields under systemd, else text; `json`: an object a line."""


class HomeAssistantSettings(Section):
    """What Home Assistant's MQTT integration is told, so that it shows the box and each camera as a device."""

    enabled: bool = True
    """False: nothing, and what it was told before is taken back."""
    discovery_prefix: Topic = "homeassistant"
    """Where Home Assistant listens for it: the same as in the options of its MQTT integration."""


class NodeSettings(Section):
    """What a node is to others: where it is found on which broker."""

    node: Name = Field(default_factory=default_node_name)
    """This box, the second level of every topic; default: the host name."""
    mqtt: MqttSettings = MqttSettings()
    home_assistant: HomeAssistantSettings = HomeAssistantSettings()

    @property
    def client_id(self) -> str:
        """The MQTT client identifier in force."""
        return self.mqtt.client_id or f"edgepub-{self.node}"


class Settings(NodeSettings):
    """The whole configuration."""

    outbox: OutboxSettings = OutboxSettings()
    models: dict[Name, ModelSettings] = Field(min_length=1)
    """The models, by name."""
    cameras: dict[CameraName, CameraSettings] = Field(min_length=1)
    """The cameras, by name: the third level of their topics."""
    stats: StatsSettings = StatsSettings()
    http: HttpSettings = HttpSettings()
    log: LogSettings = LogSettings()
    startup_timeout_s: Annotated[float, Number] = Field(default=30, ge=1, le=3600)
    """For so long the service manager waits for the first session with the broker; then the start is over, degraded."""
