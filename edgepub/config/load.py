"""From a file and the environment to settings, or to the list of all mistakes in them.

Order: environment (``EDGEPUB_MQTT__URL``), file, default.
"""

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from pydantic import SecretStr, ValidationError
from pydantic_settings import BaseSettings, EnvSettingsSource, SettingsConfigDict

from edgepub.config import yaml_file
from edgepub.config.explain import PREFIX, explain, line, nearest
from edgepub.config.settings import HttpSettings, MqttSettings, NodeSettings, Settings
from edgepub.core.errors import ConfigurationError
from edgepub.core.redaction import one_line

PASSWORD, TOKEN = "mqtt_password", "http_token"
"""The credentials that the service manager may give."""
CREDENTIALS_OF_ROOT = Path("/etc/credstore")
"""Where systemd takes them from, each as `edgepub.<credential>`: so root's commands reach and check what the service
does. Nobody else can look there."""
LEAST_TOKEN = 16
_MAKE_ONE = "make one with `openssl rand -hex 16`"
_NOT_KEYS = frozenset({"EDGEPUB_CONFIG"})
_EITHER_OR = (frozenset({"password", "password_file"}), frozenset({"source", "source_file"}))


class _Environment(Settings, BaseSettings):
    """The settings as the environment may give them; only its fields are used."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, env_nested_delimiter="__", extra="forbid", defer_build=True)


class _NodeEnvironment(NodeSettings, BaseSettings):
    """The part of it that is about the node."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, env_nested_delimiter="__", extra="ignore", defer_build=True)


def default_config_path() -> Path:
    """Return ``$EDGEPUB_CONFIG``, else ``./edgepub.yaml``, else ``/etc/edgepub/edgepub.yaml``."""
    if chosen := os.environ.get("EDGEPUB_CONFIG"):
        return Path(chosen)
    local = Path("edgepub.yaml")
    return local if local.exists() else Path("/etc/edgepub/edgepub.yaml")


def find_config_path() -> Path | None:
    """Return the default path, if somebody has chosen it or there is a file."""
    path = default_config_path()
    return path if os.environ.get("EDGEPUB_CONFIG") or os.path.lexists(path) else None


def load_settings(path: Path) -> Settings:
    """Read the configuration.

    Raises:
        ConfigurationError: with every mistake, one line each.

    """
    given = _read_file(path)
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
        mistakes += [line(path, ("http", *key), why) for key, why in _open_doors(settings.http)]
    if mistakes or settings is None:
        raise ConfigurationError(mistakes)
    return settings


def load_node_settings(path: Path | None, url: str | None = None) -> NodeSettings:
    """Read what a node is to others; cameras and models are not looked at, for they may be another machine's, or gone.

    Args:
        path: the file; None: there is none.
        url: the broker's, in place of what is configured.

    Raises:
        ConfigurationError: with every mistake, one line each.

    """
    label = path or Path("environment")
    given = _read_file(path) if path else {}
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
    path = mqtt.password_file or _credential(PASSWORD, or_roots=bool(mqtt.username))
    if path is None:
        return None
    password = _secret("password", path)
    if mqtt.username is None:
        if not password:  # a file that was made, and never filled, because the broker wants none
            return None
        raise ValueError(f"username is missing: the credential {PASSWORD} is given, and a password needs a user name")
    if not password:
        raise ValueError(f"the password file is empty: {path}")
    return SecretStr(password)


def http_token(http: HttpSettings) -> SecretStr | None:
    """Return the token that who looks must have: from its file, or the service manager's credential.

    Raises:
        ValueError: it is none that can be used.

    """
    path = http.token_file or _credential(TOKEN, or_roots=not http.is_on_loopback or http.allow_edit)
    if path is None:
        return None
    token = _secret("token", path)
    if not token:
        raise ValueError(f"the token file is empty: {path}; {_MAKE_ONE}")
    if not all("!" <= each <= "~" for each in token):
        raise ValueError(f"a token is printable ASCII on one line, without spaces: {path}; {_MAKE_ONE}")
    if len(token) < LEAST_TOKEN:
        raise ValueError(f"a token has {LEAST_TOKEN} characters at least: {path}; {_MAKE_ONE}")
    return SecretStr(token)


def _open_doors(http: HttpSettings) -> Iterator[tuple[tuple[str, ...], str]]:
    """Yield where what is served lacks the token that it needs, and what to do about it."""
    if http.listen is None:
        return
    try:
        token = http_token(http)
    except ValueError as error:
        yield ("token_file",) if http.token_file else (), str(error)
        return
    way_out = f"give http.token_file, or the credential {TOKEN} ({_MAKE_ONE})"
    if token is None and not http.is_on_loopback:
        yield ("listen",), f"{http.listen} is not loopback, and everybody there could look: {way_out}"
    if token is None and http.allow_edit:
        yield ("allow_edit",), f"needs a token, or everybody on this box could edit: {way_out}"


def _credential(name: str, *, or_roots: bool) -> Path | None:
    """Return the file of a credential, if there is one."""
    places = [Path(os.environ.get("CREDENTIALS_DIRECTORY", "/nonexistent"), name)]
    if or_roots:
        places.append(CREDENTIALS_OF_ROOT / f"edgepub.{name}")
    return next((each for each in places if os.path.lexists(each)), None)


def _secret(what: str, path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8").rstrip("\r\n")
    except (OSError, UnicodeError):
        raise ValueError(f"the {what} file cannot be read as a text: {path}") from None


def _read_file(path: Path) -> dict[str, Any]:
    try:
        content = yaml_file.read(path)
    except OSError as error:
        way_out = "; name one with -c FILE or in EDGEPUB_CONFIG" if isinstance(error, FileNotFoundError) else ""
        raise ConfigurationError([f"{path}: cannot be read: {error.strerror}{way_out}"]) from None
    if content is None:
        raise ConfigurationError([f"{path}: is empty; it needs models and cameras"])
    if not isinstance(content, dict):
        raise ConfigurationError([f"{path}: must be keys with values, like 'cameras: ...'"])
    return content


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
