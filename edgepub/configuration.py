"""From a file and the environment to settings, or to the list of all mistakes in them.

Order: environment (``EDGEPUB_MQTT__URL``), file, default.
"""

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml
from pydantic import SecretStr, ValidationError
from pydantic_settings import BaseSettings, EnvSettingsSource, SettingsConfigDict

from edgepub.errors import ConfigurationError
from edgepub.mistakes import PREFIX, explain, line, nearest
from edgepub.redaction import one_line
from edgepub.settings import MqttSettings, NodeSettings, Settings

CREDENTIAL = "mqtt_password"
CREDENTIAL_AT_ROOTS = Path("/etc/credstore/edgepub.mqtt_password")
"""Where systemd takes it from: so root's commands reach the broker as the service does. Nobody else can look there."""
_NOT_KEYS = frozenset({"EDGEPUB_CONFIG"})
_EITHER_OR = (frozenset({"password", "password_file"}), frozenset({"source", "source_file"}))


class _Environment(Settings, BaseSettings):
    """The settings as the environment may give them; only its fields are used."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, env_nested_delimiter="__", extra="forbid")


class _NodeEnvironment(NodeSettings, BaseSettings):
    """The part of it that is about the node."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, env_nested_delimiter="__", extra="ignore")


def default_path() -> Path:
    """Return ``$EDGEPUB_CONFIG``, else ``./edgepub.yaml``, else ``/etc/edgepub/edgepub.yaml``."""
    if chosen := os.environ.get("EDGEPUB_CONFIG"):
        return Path(chosen)
    local = Path("edgepub.yaml")
    return local if local.exists() else Path("/etc/edgepub/edgepub.yaml")


def found_path() -> Path | None:
    """Return the default path, if somebody has chosen it or there is a file."""
    path = default_path()
    return path if os.environ.get("EDGEPUB_CONFIG") or os.path.lexists(path) else None


def load(path: Path) -> Settings:
    """Read the configuration.

    Raises:
        ConfigurationError: with every mistake, one line each.

    """
    given = _read_yaml(path)
    environment, mistakes = _read_environment(path)
    merged = _merge(given, environment)
    settings = None
    try:
        settings = Settings.model_validate(merged, context={"folder": path.absolute().parent})
    except ValidationError as error:
        mistakes += [line(path, *explain(detail)) for detail in error.errors(include_url=False)]
    mistakes += [line(path, place, why) for place, why in _unknown_models(merged)]
    if settings is not None:
        try:
            broker_password(settings.mqtt)
        except ValueError as error:
            mistakes.append(line(path, ("mqtt",), str(error)))
    if mistakes or settings is None:
        raise ConfigurationError(mistakes)
    return settings


def load_node(path: Path | None, url: str | None = None) -> NodeSettings:
    """Read what a node is to others; cameras and models are not looked at, for they may be another machine's, or gone.

    Args:
        path: the file; None: there is none.
        url: the broker's, in place of what is configured.

    Raises:
        ConfigurationError: with every mistake, one line each.

    """
    label = path or Path("environment")
    given = _read_yaml(path) if path else {}
    try:
        environment = EnvSettingsSource(_NodeEnvironment)()
    except (ValueError, RecursionError) as error:
        raise ConfigurationError([_not_json(label, error)]) from None
    merged = _merge(given, _merge(environment, {"mqtt": {"url": url}} if url else {}))
    ours = {key: value for key, value in merged.items() if key in NodeSettings.model_fields}
    try:
        settings = NodeSettings.model_validate(ours, context={"folder": label.absolute().parent})
    except ValidationError as error:
        details = error.errors(include_url=False)
        raise ConfigurationError([line(label, *explain(detail)) for detail in details]) from None
    try:
        broker_password(settings.mqtt)
    except ValueError as error:
        raise ConfigurationError([line(label, ("mqtt",), str(error))]) from None
    return settings


def broker_password(mqtt: MqttSettings) -> SecretStr | None:
    """Return the broker's password: from the settings, its file, or the service manager's credential.

    Raises:
        ValueError: a file that is empty, or a credential without a user name.

    """
    if mqtt.password is not None:
        return mqtt.password
    credentials = [Path(os.environ.get("CREDENTIALS_DIRECTORY", "/nonexistent"), CREDENTIAL)]
    if mqtt.username:
        credentials.append(CREDENTIAL_AT_ROOTS)
    path = mqtt.password_file or next((each for each in credentials if os.path.lexists(each)), None)
    if path is None:
        return None
    try:
        password = path.read_text(encoding="utf-8").rstrip("\r\n")
    except (OSError, UnicodeError):
        raise ValueError(f"the password file cannot be read as a text: {path}") from None
    if mqtt.username is None:
        if not password:  # a file that was made, and never filled, because the broker wants none
            return None
        raise ValueError(f"username is missing: the credential {CREDENTIAL} is given, and a password needs a user name")
    if not password:
        raise ValueError(f"the password file is empty: {path}")
    return SecretStr(password)


class _Loader(yaml.SafeLoader):
    """YAML in which a key given twice is an error, not a value silently lost."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen = set()
        for key, _ in node.value:
            if not isinstance(key, yaml.ScalarNode):
                continue  # not a name; said so further on
            if key.value in seen and key.tag != "tag:yaml.org,2002:merge":
                raise yaml.MarkedYAMLError(problem=f"the key {key.value!r} is given twice", problem_mark=key.start_mark)
            seen.add(key.value)
        return super().construct_mapping(node, deep)


def _read_yaml(path: Path) -> dict[str, Any]:
    try:
        with path.open(encoding="utf-8") as file:
            content = yaml.load(file, _Loader)  # noqa: S506  (a SafeLoader)
    except OSError as error:
        way_out = "; name one with -c FILE or in EDGEPUB_CONFIG" if isinstance(error, FileNotFoundError) else ""
        raise ConfigurationError([f"{path}: cannot be read: {error.strerror}{way_out}"]) from None
    except UnicodeDecodeError:
        raise ConfigurationError([f"{path}: is not a text in UTF-8"]) from None
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        place = f"line {mark.line + 1}, column {mark.column + 1}: " if mark else ""
        raise ConfigurationError([f"{path}: {place}{_harmless(error.problem or 'is not YAML')}"]) from None
    except (yaml.YAMLError, ValueError, RecursionError, LookupError, AttributeError):
        raise ConfigurationError([f"{path}: is not YAML"]) from None
    if content is None:
        raise ConfigurationError([f"{path}: is empty; it needs models and cameras"])
    if not isinstance(content, dict):
        raise ConfigurationError([f"{path}: must be keys with values, like 'cameras: ...'"])
    return content


def _harmless(problem: str) -> str:
    """Return YAML's own words without a name behind & ! or *: it may be a password that begins so."""
    if any(word in problem for word in ("alias", "anchor", "tag")):
        return re.sub(r"'[^']*'", "", problem).strip() + "; put a value that begins with & ! or * into quotes"
    return problem


def _read_environment(path: Path) -> tuple[dict[str, Any], list[str]]:
    """Return what the environment sets, and its mistakes: a variable that sets nothing is one, as in the file."""
    strangers = []
    for variable in sorted(os.environ):
        if variable.startswith(PREFIX) and variable not in _NOT_KEYS:
            key, *below = variable.removeprefix(PREFIX).lower().split("__")
            if key not in Settings.model_fields or (below and key == "node"):
                strangers.append(f"{path}: {variable}: sets no key{nearest(key, Settings.model_fields)}")
    try:
        return EnvSettingsSource(_Environment)(), strangers
    except (ValueError, RecursionError) as error:  # SettingsError: a list or an object that is not JSON
        strangers.append(_not_json(path, error))
        return {}, strangers


def _not_json(path: Path, error: Exception) -> str:
    return f"{path}: environment: {one_line(error)}; write lists and objects as JSON"


def _merge(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    """Return two layers as one. Of two keys that say one thing in two ways, that of the upper layer is taken."""
    merged = dict(below)
    for pair in _EITHER_OR:
        if pair & above.keys():
            merged = {key: value for key, value in merged.items() if key not in pair}
    for key, value in above.items():
        old = merged.get(key)
        merged[key] = _merge(old, value) if isinstance(old, dict) and isinstance(value, dict) else value
    return merged


def _unknown_models(merged: Mapping[str, Any]) -> list[tuple[tuple[str | int, ...], str]]:
    """Find cameras whose model is not there; on the raw values, so that it is listed beside all other mistakes."""
    models, cameras = merged.get("models"), merged.get("cameras")
    if not models or not isinstance(models, dict) or not isinstance(cameras, dict):
        return []
    return [
        (("cameras", name, "model"), f"no such model: {camera['model']!r}{nearest(camera['model'], models)}")
        for name, camera in cameras.items()
        if isinstance(camera, dict) and isinstance(camera.get("model"), str) and camera["model"] not in models
    ]
