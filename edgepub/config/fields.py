"""The types of values in a configuration, and their checks."""

import ipaddress
import re
import socket
from pathlib import Path
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationInfo

BROKER_PORTS = {"mqtt": 1883, "mqtts": 8883, "ws": 80, "wss": 443, "unix": 0}
NODE_TOPICS = frozenset({"status", "info", "stats"})
_PLANE_ENDS = "".join(chr(plane | 0xFFFE) + chr(plane | 0xFFFF) for plane in range(0, 0x110000, 0x10000))
# Control characters, surrogates, noncharacters, and the byte order mark, which paho refuses (MQTT 5.0, 1.5.4).
_NOT_IN_MQTT = re.compile("[\x00-\x1f\x7f-\x9f\ud800-\udfff\ufdd0-\ufdef\ufeff" + _PLANE_ENDS + "]")
_MAX_MQTT_TEXT_BYTES = 65_535
_MAX_SOCKET_PATH_BYTES = 107
"""Of `sun_path` in Linux (unix(7)): 108 with the byte 0 at its end."""
_NAME = re.compile(r"[a-z0-9_-]{1,64}")
_HOST_NAME = re.compile(r"(?=.{1,253}$)[a-z0-9_]([a-z0-9_-]*[a-z0-9_])?(\.[a-z0-9_]([a-z0-9_-]*[a-z0-9_])?)*")


def is_valid_name(text: str) -> bool:
    """Return whether this is a valid name for a node or a camera."""
    return bool(_NAME.fullmatch(text))


class Section(BaseModel):
    """A section of the configuration. Unknown keys are errors; it is read-only after it is loaded."""

    model_config = ConfigDict(extra="forbid", frozen=True, validate_default=False, use_attribute_docstrings=True)


def _is_host(name: str | None) -> bool:
    try:
        return bool(name and name.encode("idna"))
    except UnicodeError:
        return False


def _check_broker_url(value: str) -> str:
    check_mqtt_text(value)  # first: urlsplit drops some control characters
    try:
        parts = urlsplit(value)
        port = parts.port
    except ValueError:
        raise ValueError("must be a URL like mqtt://127.0.0.1:1883") from None
    if parts.scheme not in BROKER_PORTS or "://" not in value:
        raise ValueError(
            f"must begin with one of {', '.join(f'{s}://' for s in BROKER_PORTS)}, like mqtt://127.0.0.1:1883"
        )
    if "@" in parts.netloc:
        raise ValueError("put the user into mqtt.username and the password into mqtt.password_file, not into the URL")
    if parts.scheme == "unix":
        if parts.netloc or not parts.path.startswith("/") or "?" in value or "#" in value:
            raise ValueError("write a unix socket as unix:///run/mosquitto.sock, with three slashes")
        if (size := len(parts.path.encode())) > _MAX_SOCKET_PATH_BYTES:
            raise ValueError(f"the path of a unix socket can have {_MAX_SOCKET_PATH_BYTES} bytes, not {size}")
    elif not _is_host(parts.hostname) or port == 0:
        raise ValueError("has no valid host; write it like mqtt://127.0.0.1:1883")
    elif parts.scheme in {"mqtt", "mqtts"} and ("?" in value or "#" in value or parts.path.strip("/")):
        raise ValueError("must end after the host and port, like mqtt://127.0.0.1:1883")
    elif "#" in value or " " in value:
        raise ValueError("must have no '#', which brokers do not receive, and no space; write them as %23 and %20")
    return value


def check_mqtt_text(value: str) -> str:
    """Return a text that goes to the broker; raise ValueError if MQTT does not allow it."""
    if found := _NOT_IN_MQTT.search(value):
        code = f"U+{ord(found[0]):04X}"
        raise ValueError(f"has the character {code}, which MQTT does not allow; remove it")
    if (size := len(value.encode())) > _MAX_MQTT_TEXT_BYTES:
        raise ValueError(f"must have at most {_MAX_MQTT_TEXT_BYTES} bytes, not {size}")
    return value


def _check_name(value: str) -> str:
    if not is_valid_name(value):
        raise ValueError("the name must have 1 to 64 characters of a-z, 0-9, '_' and '-'")
    return value


def _check_camera_name(value: str) -> str:
    if value in NODE_TOPICS:
        raise ValueError(f"a camera cannot be named {value!r}: this is a topic of the node")
    return _check_name(value)


def _check_topic(value: str) -> str:
    check_mqtt_text(value)
    if any(c in value for c in "+#") or value.startswith("$") or not all(value.split("/")):
        raise ValueError(
            "must have no '+', '#' or empty level, and no '$' at the start, like 'edgepub' or 'site/edgepub'"
        )
    if any(level != level.strip() for level in value.split("/")):
        raise ValueError("must have no white space at the start or the end of a level; remove it")
    return value


def absolute_path(path: Path | str, info: ValidationInfo) -> Path:
    """Return an absolute path. Relative paths start at the configuration's directory, passed as context."""
    directory = (info.context or {}).get("directory", Path())
    try:
        return Path(directory, Path(path).expanduser()).absolute()
    except RuntimeError as error:  # ~somebody
        raise ValueError(f"{str(error).lower().rstrip('.')}: {path}") from None


def is_dir(path: Path) -> bool:
    """Return whether the path is a directory; False if it cannot be accessed."""
    try:
        return path.is_dir()
    except OSError:  # no permission, or not a valid file name
        return False


def _check_readable(path: Path, info: ValidationInfo) -> Path:
    path = absolute_path(path, info)
    try:
        with path.open("rb"):
            return path
    except FileNotFoundError:
        raise ValueError(f"no such file: {path}") from None
    except OSError as error:
        raise ValueError(f"cannot be read: {error.strerror}: {path}") from None
    except ValueError:  # a character that is not allowed in file names
        raise ValueError("not a valid file name") from None


def _check_directory(path: Path, info: ValidationInfo) -> Path:
    path = absolute_path(path, info)
    try:
        is_file = path.exists() and not path.is_dir()
    except OSError as error:
        raise ValueError(f"cannot be used: {error.strerror}: {path}") from None
    if is_file:
        raise ValueError(f"is a file, not a directory: {path}")
    return path


def _reject_other_values(value: object) -> object:
    """Reject what pydantic would take for a number: true, as which YAML reads `yes`, for 1, and "1_0" for 10."""
    if isinstance(value, bool):
        raise ValueError("must be a number, not yes or no")  # noqa: TRY004  (pydantic wants a ValueError)
    if isinstance(value, str) and "_" in value:
        raise ValueError("must be a number, without '_'")
    return value


def _parse_listen_address(value: object) -> str:
    """Return the address to listen on as `host:port`; a port alone means loopback."""
    text = f"{value}" if isinstance(value, str | int) and not isinstance(value, bool) else ""
    try:
        parts = urlsplit(f"//127.0.0.1:{text}" if text.isdecimal() else f"//{text}")
        is_valid = (
            parts.port and parts.netloc == parts.netloc.strip() and not (parts.path or parts.query or parts.username)
        )
        host = ipaddress.ip_address("127.0.0.1" if parts.hostname == "localhost" else parts.hostname or "")
    except ValueError:
        is_valid = False
    if not is_valid:
        raise ValueError("must be an address and a port like 127.0.0.1:9464 or [::1]:9464, or only a port, 1 to 65535")
    return f"[{host}]:{parts.port}" if host.version == 6 else f"{host}:{parts.port}"  # noqa: PLR2004


def _normalize_host_name(value: str) -> str:
    """Return a host name as browsers send it."""
    try:
        name = value.encode("idna").decode("ascii").lower()
    except UnicodeError:
        name = ""
    if not _HOST_NAME.fullmatch(name):
        raise ValueError("must be only a host name like edge.example.org, without http://, port and path")
    return name


Name = Annotated[str, AfterValidator(_check_name)]
HostName = Annotated[str, AfterValidator(_normalize_host_name)]
Port = Annotated[int, Field(ge=1, le=65_535)]
ListenAddress = Annotated[str, BeforeValidator(_parse_listen_address, json_schema_input_type=str | Port)]
CameraName = Annotated[str, AfterValidator(_check_camera_name)]
Texts = Annotated[list[Annotated[str, Field(min_length=1)]], Field(min_length=1)]
MqttText = Annotated[str, Field(min_length=1), AfterValidator(check_mqtt_text)]
ClientId = Annotated[str, Field(min_length=1, max_length=256), AfterValidator(check_mqtt_text)]
Topic = Annotated[str, Field(min_length=1, max_length=256), AfterValidator(_check_topic)]
Number = BeforeValidator(_reject_other_values)
Directory = Annotated[Path, AfterValidator(_check_directory)]
ReadableFile = Annotated[Path, AfterValidator(_check_readable)]
BrokerUrl = Annotated[str, AfterValidator(_check_broker_url)]


def default_node_name() -> str:
    """Return the host name of this machine, converted to a valid node name."""
    return re.sub(r"[^a-z0-9_-]+", "-", socket.gethostname().split(".")[0].lower())[:64].strip("-") or "edgepub"
