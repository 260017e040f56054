"""Reads the settings from a file and the environment, or reports all mistakes in them.

Precedence: environment (``EDGEPUB_MQTT__URL``), file, default.
"""

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError
from pydantic_settings import BaseSettings, EnvSettingsSource, SettingsConfigDict

from edgepub.config.explain import ENV_PREFIX, explain, mistake_line
from edgepub.config.mqtt import MqttSettings
from edgepub.config.pipelines import find_model_names
from edgepub.config.secrets import (
    CREDSTORE,
    HOW_TO_MAKE_ONE,
    TOKEN_CREDENTIAL,
    read_broker_password,
    read_http_token,
)
from edgepub.config.settings import HttpSettings, NodeSettings, Settings
from edgepub.config.suggestions import did_you_mean
from edgepub.config.tls import TlsFileError, make_tls_context
from edgepub.config.yaml_file import read_yaml
from edgepub.core.errors import ConfigurationError
from edgepub.core.redaction import redact_line

_NOT_KEYS = frozenset({"EDGEPUB_CONFIG"})
_ALTERNATIVES = (frozenset({"password", "password_file"}), frozenset({"source", "source_file"}))


class _Environment(Settings, BaseSettings):
    """Declares which variables exist; only its fields are used."""

    model_config = SettingsConfigDict(
        env_prefix=ENV_PREFIX, env_nested_delimiter="__", extra="forbid", defer_build=True
    )


class _NodeEnvironment(NodeSettings, BaseSettings):
    """Declares the variables of the node's own settings."""

    model_config = SettingsConfigDict(
        env_prefix=ENV_PREFIX, env_nested_delimiter="__", extra="ignore", defer_build=True
    )


def default_config_path() -> Path:
    """Return ``$EDGEPUB_CONFIG``, else ``./edgepub.yaml``, else ``/etc/edgepub/edgepub.yaml``."""
    if chosen := os.environ.get("EDGEPUB_CONFIG"):
        return Path(chosen)
    local = Path("edgepub.yaml")
    return local if local.exists() else Path("/etc/edgepub/edgepub.yaml")


def find_config_path() -> Path | None:
    """Return the default path if ``$EDGEPUB_CONFIG`` is set or the file exists, else None."""
    path = default_config_path()
    return path if os.environ.get("EDGEPUB_CONFIG") or os.path.lexists(path) else None


def load_settings(path: Path, credstore: Path = CREDSTORE) -> Settings:
    """Read the configuration.

    Args:
        path: the configuration file.
        credstore: the directory of systemd's credentials.

    Raises:
        ConfigurationError: with every mistake, one line each.

    """
    from_file = _read_file(path)
    from_environment, mistakes = _read_environment(path)
    merged = _merge(from_file, from_environment)
    settings = None
    try:
        settings = Settings.model_validate(merged, context={"directory": path.absolute().parent})
    except ValidationError as error:
        mistakes += [mistake_line(path, *explain(detail)) for detail in error.errors(include_url=False)]
    mistakes += [mistake_line(path, key_path, why) for key_path, why in _find_model_mistakes(merged)]
    if settings is not None:
        try:
            read_broker_password(settings.mqtt, credstore)
        except ValueError as error:
            mistakes.append(mistake_line(path, ("mqtt",), str(error)))
        mistakes += [mistake_line(path, ("mqtt", "tls", key), why) for key, why in _check_tls(settings.mqtt)]
        mistakes += [
            mistake_line(path, ("http", *key_path), why) for key_path, why in _check_token(settings.http, credstore)
        ]
    if mistakes or settings is None:
        raise ConfigurationError(mistakes)
    return settings


def load_node_settings(path: Path | None, url: str | None = None) -> NodeSettings:
    """Read the settings of the node and its broker only.

    Cameras and models are not checked: they may belong to another machine, or be gone.

    Args:
        path: the file; None: read the environment only.
        url: the broker's URL, instead of the configured one.

    Raises:
        ConfigurationError: with every mistake, one line each.

    """
    label = path or Path("environment")
    from_file = _read_file(path) if path else {}
    try:
        from_environment = EnvSettingsSource(_NodeEnvironment)()
    except (ValueError, RecursionError) as error:
        raise ConfigurationError([_not_json(label, error)]) from None
    merged = _merge(from_file, _merge(from_environment, {"mqtt": {"url": url}} if url else {}))
    node_keys = {key: value for key, value in merged.items() if key in NodeSettings.model_fields}
    try:
        settings = NodeSettings.model_validate(node_keys, context={"directory": label.absolute().parent})
    except ValidationError as error:
        details = error.errors(include_url=False)
        raise ConfigurationError([mistake_line(label, *explain(detail)) for detail in details]) from None
    try:
        read_broker_password(settings.mqtt)
    except ValueError as error:
        raise ConfigurationError([mistake_line(label, ("mqtt",), str(error))]) from None
    if mistakes := [mistake_line(label, ("mqtt", "tls", key), why) for key, why in _check_tls(settings.mqtt)]:
        raise ConfigurationError(mistakes)
    return settings


def _check_tls(mqtt: MqttSettings) -> Iterator[tuple[str, str]]:
    """Yield the key and the mistake if a certificate, its key or the passphrase of that cannot be used."""
    if mqtt.uses_tls:
        try:
            make_tls_context(mqtt.tls)
        except TlsFileError as error:
            yield error.key, str(error)


def _check_token(http: HttpSettings, credstore: Path) -> Iterator[tuple[tuple[str, ...], str]]:
    """Yield the key and the mistake wherever the HTTP server lacks the token that it requires."""
    if http.listen is None:
        return
    try:
        token = read_http_token(http, credstore)
    except ValueError as error:
        yield ("token_file",) if http.token_file else (), str(error)
        return
    remedy = f"set http.token_file, or provide the credential {TOKEN_CREDENTIAL} ({HOW_TO_MAKE_ONE})"
    if token is None and not http.is_on_loopback:
        yield ("listen",), f"{http.listen} is not loopback, so a token is required: {remedy}"
    if token is None and http.allow_edit:
        yield ("allow_edit",), f"a token is required, or every user of this host could edit: {remedy}"


def _read_file(path: Path) -> dict[str, Any]:
    try:
        content = read_yaml(path)
    except OSError as error:
        remedy = "; set another file with -c FILE or EDGEPUB_CONFIG" if isinstance(error, FileNotFoundError) else ""
        raise ConfigurationError([f"{path}: cannot be read: {error.strerror}{remedy}"]) from None
    if content is None:
        raise ConfigurationError([f"{path}: is empty; it needs models and cameras"])
    if not isinstance(content, dict):
        raise ConfigurationError([f"{path}: must be a mapping of keys to values, like 'cameras: ...'"])
    return content


def _read_environment(path: Path) -> tuple[dict[str, Any], list[str]]:
    """Return what the environment sets, and its mistakes: a variable that sets no key is one, as in the file."""
    mistakes = []
    for variable in sorted(os.environ):
        if variable.startswith(ENV_PREFIX) and variable not in _NOT_KEYS:
            key, *below = variable.removeprefix(ENV_PREFIX).lower().split("__")
            if key not in Settings.model_fields or (below and key == "node"):
                mistakes.append(f"{path}: {variable}: sets no key{did_you_mean(key, Settings.model_fields)}")
    try:
        return EnvSettingsSource(_Environment)(), mistakes
    except (ValueError, RecursionError) as error:  # SettingsError: a list or an object that is not JSON
        mistakes.append(_not_json(path, error))
        return {}, mistakes


def _not_json(path: Path, error: Exception) -> str:
    return f"{path}: environment: {redact_line(error)}; write lists and objects as JSON"


def _merge(lower: Mapping[str, Any], upper: Mapping[str, Any]) -> dict[str, Any]:
    """Merge two layers. The upper one wins, also over the alternative spelling of a key in the lower one."""
    merged = dict(lower)
    for keys in _ALTERNATIVES:
        if keys & upper.keys():
            merged = {key: value for key, value in merged.items() if key not in keys}
    for key, value in upper.items():
        old = merged.get(key)
        merged[key] = _merge(old, value) if isinstance(old, dict) and isinstance(value, dict) else value
    return merged


def _find_model_mistakes(merged: Mapping[str, Any]) -> list[tuple[tuple[str | int, ...], str]]:
    """Find models that are named but not configured, and what does not go with a pipeline.

    On the raw values, to list it together with all other mistakes.
    """
    models, pipelines, cameras = (merged.get(key) for key in ("models", "pipelines", "cameras"))
    if not models or not isinstance(models, dict):
        return []
    both = {**models, **(pipelines if isinstance(pipelines, dict) else {})}
    named: list[tuple[tuple[str | int, ...], str, Mapping[str, Any]]] = [
        (("cameras", name, "model"), camera["model"], both)
        for name, camera in (cameras.items() if isinstance(cameras, dict) else ())
        if isinstance(camera, dict) and isinstance(camera.get("model"), str)
    ]
    named += [(place, name, models) for place, name in find_model_names(pipelines)]
    mistakes = [
        (place, f"no such model: {name!r}{did_you_mean(name, known)}")
        for place, name, known in named
        if name not in known
    ]
    mistakes += [
        (("cameras", name, "text_labels"), "is for a model alone: in a pipeline, use classify with as")
        for name, camera in (cameras.items() if isinstance(cameras, dict) else ())
        if isinstance(camera, dict)
        and camera.get("text_labels")
        and isinstance(pipelines, dict)
        and str(camera.get("model")) in pipelines
    ]
    doubles = models.keys() & (pipelines.keys() if isinstance(pipelines, dict) else ())
    return mistakes + [(("pipelines", name), "is also the name of a model: rename it") for name in sorted(doubles)]
