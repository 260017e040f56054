"""The settings of the whole configuration: each key with its meaning, default and bounds.

``edgepub.config.load`` reads them from a file and the environment.
"""

from collections.abc import Sequence
from ipaddress import ip_address
from typing import Annotated, Any, Literal, Self

from pydantic import ConfigDict, Field, SecretStr, ValidationInfo, field_validator, model_validator

from edgepub.config.camera import CameraSettings
from edgepub.config.fields import (
    CameraName,
    Directory,
    HostName,
    ListenAddress,
    Name,
    Number,
    ReadableFile,
    Section,
    Texts,
    Topic,
    absolute_path,
    default_node_name,
    is_dir,
)
from edgepub.config.model_properties import ModelProperties
from edgepub.config.mqtt import MqttSettings
from edgepub.config.pipelines import DetectorSettings, PipelineSettings

AI_SERVER_PORT = 8778  # PySDK's default


class StreamSettings(Section):
    """The queue of detections, in memory."""

    size: Annotated[int, Number] = Field(default=256, ge=1, le=100_000)
    """Maximum messages kept while the broker is slow or unreachable. The oldest is dropped first, and counted."""


class DurableSettings(Section):
    """The queue of events, on disk."""

    path: Directory | None = None
    """The directory of the event file; null: the state directory, `$STATE_DIRECTORY` or `~/.local/state/edgepub`."""
    max_messages: Annotated[int, Number] = Field(default=100_000, ge=1, le=10_000_000)
    """Maximum events kept while the broker is unreachable. The oldest is dropped first, and counted."""
    max_age_s: Annotated[float, Number] = Field(default=86_400, ge=1, le=31_536_000)
    """Events that have waited longer than this are dropped, and counted.

    Time in which the computer is off does not count. The wall clock has no influence."""

    replay_rate_hz: Annotated[float, Field(ge=1, le=100_000), Number] | None = 500
    """Maximum waiting events sent per second after an outage, in addition to new ones; null: no limit.

    A limit lets slow subscribers keep up: beyond a number of waiting messages, a broker drops those for a subscriber
    (Mosquitto: `max_queued_messages`, 1,000 by default). Detections and states are not delayed."""


class OutboxSettings(Section):
    """Messages that wait for the broker."""

    stream: StreamSettings = StreamSettings()
    durable: DurableSettings = DurableSettings()


class ModelSettings(Section):
    """Each model has the fields of `degirum_tools.ModelSpec`, with the same meaning."""

    model_config = ConfigDict(protected_namespaces=())

    model_name: str = ""
    """The name of the model in its zoo."""
    zoo_url: str = ""
    """A cloud zoo (`degirum/hailo`) or a directory (`/opt/zoo`, `./zoo`); empty: the zoo of the AI server."""
    model_url: str = ""
    """Zoo and model in one, `<zoo_url>/<model_name>`, instead of those two keys."""
    inference_host_address: str | list[str] = "@cloud"
    """Where the model runs: `@local`, `@cloud`, or an AI server as `host` or `host:port`, or a list of AI servers.

    Of a list, each camera uses one, at random, and the next one after a failure."""
    token: SecretStr | None = None
    """The access token of the cloud zoo."""
    model_properties: ModelProperties = ModelProperties()
    metadata: dict[str, Any] | None = Field(default_factory=dict)
    """Anything you like; edgepub does not use it."""

    @field_validator("model_properties", mode="before", json_schema_input_type=ModelProperties | None)
    @classmethod
    def _accept_null(cls, value: object) -> object:
        return {} if value is None else value

    @field_validator("inference_host_address", mode="before", json_schema_input_type=str | Texts)
    @classmethod
    def _check_servers(cls, value: object) -> object:
        if isinstance(value, str):
            return value
        if not isinstance(value, list) or not value or not all(isinstance(item, str) and item for item in value):
            raise ValueError("must be @local, @cloud, an AI server, or a list like [10.0.0.8:8778, 10.0.0.9:8778]")
        places = [address for address in value if address.startswith("@")]
        if places and len(value) > 1:
            raise ValueError(f"a list can have AI servers only: write {places[0]} alone, or remove it from the list")
        servers = [address if ":" in address else f"{address}:{AI_SERVER_PORT}" for address in map(str.lower, value)]
        for number, server in enumerate(servers):
            if server in servers[:number]:
                raise ValueError(f"has the AI server {value[number]} twice")
        return value

    @field_validator("zoo_url", "model_url")
    @classmethod
    def _make_absolute(cls, value: str, info: ValidationInfo) -> str:
        """Make every path absolute, because PySDK takes a relative path like `a/b` for a cloud zoo."""
        if not value or "://" in value or (info.field_name == "model_url" and "/" not in value):
            return value
        path = absolute_path(value, info)
        is_path = value[0] in "./~" or value.count("/") != (1 if info.field_name == "zoo_url" else 2) or is_dir(path)
        return str(path) if is_path else value

    @model_validator(mode="after")
    def _check_model_spec(self) -> Self:
        if self.model_url:
            if self.model_name or self.zoo_url:
                raise ValueError("model_url replaces model_name and zoo_url: remove these two")
            if not all(self.model_url.rpartition("/")[::2]):
                raise ValueError("model_url must be <zoo_url>/<model_name>")
        elif not self.model_name:
            raise ValueError("model_name is missing (or model_url)")
        address = self.inference_hosts[0]
        if not address or (address.startswith("@") and address not in {"@local", "@cloud"}):
            raise ValueError("inference_host_address must be @local, @cloud, or the host of an AI server")
        if address != "@local" and (self.zoo_url or self.model_url).startswith("/"):
            raise ValueError('the zoo is a directory on this machine: set inference_host_address to "@local"')
        if address.startswith("@") and not (self.zoo_url or self.model_url):
            raise ValueError(f"zoo_url is missing: {address} needs one")
        return self

    @property
    def inference_hosts(self) -> Sequence[str]:
        """Where the model can run: `@local`, `@cloud`, or one or several AI servers."""
        address = self.inference_host_address
        return [address] if isinstance(address, str) else address


class StatsSettings(Section):
    """Statistics of the node and its cameras."""

    interval_s: Annotated[float, Number] = Field(default=10, ge=1, le=3600)
    """Seconds between two `stats` messages. The rates and latencies in a message cover this interval."""


class HttpSettings(Section):
    """The HTTP server: the page, `/healthz` for health checks, `/metrics` for Prometheus."""

    listen: ListenAddress | None = None
    """The address to listen on: `127.0.0.1:9464`, `[::1]:9464`, or only a port, which means loopback; null: no server.

    Any address other than loopback requires a token."""
    token_file: ReadableFile | None = None
    """A file that contains the access token and nothing else, at least 16 characters.

    Make one with `openssl rand -hex 16`. Alternatively, provide the credential `http_token`."""
    allow_edit: bool = False
    """Allow saving zones, lines and ignore areas from the page. They replace those in this file. Requires a token."""
    max_viewers: Annotated[int, Number] = Field(default=16, ge=1, le=1000)
    """Maximum live pages at the same time; further ones have to wait."""
    hosts: list[HostName] = Field(default_factory=list)
    """Additional host names that browsers may use, such as the name of a reverse proxy.

    IP addresses, names without a dot and the names of the node's own host always work."""

    @property
    def is_on_loopback(self) -> bool:
        """Whether only this machine can reach the HTTP server, or there is none."""
        return self.listen is None or ip_address(self.listen.rpartition(":")[0].strip("[]")).is_loopback


class LogSettings(Section):
    """The log, written to stderr."""

    level: Literal["debug", "info", "warning", "error"] = "info"
    """The lowest level that is logged."""
    format: Literal["auto", "json"] = "auto"
    """`auto`: journal entries with fields under systemd, otherwise text. `json`: one JSON object per line."""


class HomeAssistantSettings(Section):
    """Home Assistant discovery: the node and each camera appear as devices in its MQTT integration."""

    enabled: bool = True
    """`false`: publish no discovery messages, and delete those published before."""
    discovery_prefix: Topic = "homeassistant"
    """The discovery prefix that is set in the options of Home Assistant's MQTT integration."""


class NodeSettings(Section):
    """The part of the configuration that identifies the node on its broker."""

    node: Name = Field(default_factory=default_node_name)
    """The name of this node, the second level of every topic."""
    mqtt: MqttSettings = MqttSettings()
    home_assistant: HomeAssistantSettings = HomeAssistantSettings()

    @property
    def client_id(self) -> str:
        """The effective MQTT client identifier."""
        return self.mqtt.client_id or f"edgepub-{self.node}"


class Settings(NodeSettings):
    """The whole configuration."""

    outbox: OutboxSettings = OutboxSettings()
    models: dict[Name, ModelSettings] = Field(min_length=1)
    """Models by name."""
    pipelines: dict[Name, PipelineSettings] = Field(default_factory=dict)
    """Pipelines by name: several models for one camera."""
    cameras: dict[CameraName, CameraSettings] = Field(min_length=1)
    """Cameras by name. The name is the third level of the camera's topics."""
    stats: StatsSettings = StatsSettings()
    http: HttpSettings = HttpSettings()
    log: LogSettings = LogSettings()
    startup_timeout_s: Annotated[float, Number] = Field(default=30, ge=1, le=3600)
    """Seconds that the start of the service waits for the first session with the broker.

    After that the service counts as started, but degraded, and keeps trying to connect."""

    def pipeline_of(self, camera: CameraSettings) -> PipelineSettings:
        """Return the pipeline of a camera; a model alone is one with a single detector."""
        pipeline = self.pipelines.get(camera.model)
        return pipeline or PipelineSettings(detect=[DetectorSettings(model=camera.model)])

    def models_of(self, camera: CameraSettings) -> dict[str, ModelSettings]:
        """Return the models that a camera's frames are given to, by name."""
        return {name: self.models[name] for name in self.pipeline_of(camera).models}

    def attributes_of(self, camera: CameraSettings) -> dict[str, Literal["text", "number"]]:
        """Return the attributes that a camera's objects can have, by name."""
        found: dict[str, Literal["text", "number"]] = {}
        if camera.text_labels:
            found[camera.text_labels.name] = "text"
        for stage in self.pipeline_of(camera).then:
            if stage.name and (stage.classify or stage.regress):
                found[stage.name] = "number" if stage.regress else "text"
        return found

    def stages_of(self, camera: CameraSettings) -> list[str]:
        """Return the names of the models of a camera's pipeline; none of a model alone."""
        return self.pipelines[camera.model].models if camera.model in self.pipelines else []
