"""From a file and the environment to settings, or to the list of all mistakes in them.

Order: environment (``EDGEPUB_MQTT__URL``), file, default.
"""

import difflib
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, SecretStr, ValidationError
from pydantic_core import ErrorDetails
from pydantic_settings import BaseSettings, EnvSettingsSource, SettingsConfigDict

from edgepub.errors import ConfigurationError
from edgepub.settings import CameraSettings, ModelSettings, MqttSettings, Settings

PREFIX = "EDGEPUB_"
CREDENTIAL = "mqtt_password"
_NOT_KEYS = frozenset({"EDGEPUB_CONFIG"})
_SECTIONS: dict[str, type[BaseModel]] = {"models": ModelSettings, "cameras": CameraSettings}


class _Environment(Settings, BaseSettings):
    """The settings as the environment may give them; only its fields are used."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, env_nested_delimiter="__", extra="forbid")


def default_path() -> Path:
    """Return ``$EDGEPUB_CONFIG``, else ``./edgepub.yaml``, else ``/etc/edgepub/edgepub.yaml``."""
    if chosen := os.environ.get("EDGEPUB_CONFIG"):
        return Path(chosen)
    local = Path("edgepub.yaml")
    return local if local.exists() else Path("/etc/edgepub/edgepub.yaml")


def load(path: Path) -> Settings:
    """Read the configuration.

    Raises:
        ConfigurationError: with every mistake, one line each.

    """
    given = _read_yaml(path)
    environment = _read_environment(path)
    mqtt = environment.get("mqtt")
    if isinstance(mqtt, dict) and isinstance(given.get("mqtt"), dict):
        # A password from the environment takes the place of one from the file, however either is given.
        keys = {"password", "password_file"}
        if keys & mqtt.keys():
            given["mqtt"] = {k: v for k, v in given["mqtt"].items() if k not in keys}
    merged = _merge(given, environment)
    mistakes = []
    settings = None
    try:
        settings = Settings.model_validate(merged, context={"folder": path.absolute().parent})
    except ValidationError as error:
        mistakes += [_line(path, *_explain(detail)) for detail in error.errors(include_url=False)]
    mistakes += [_line(path, place, why) for place, why in _unknown_models(merged)]
    if settings is not None:
        try:
            broker_password(settings.mqtt)
        except ValueError as error:
            mistakes.append(_line(path, ("mqtt",), str(error)))
    if mistakes or settings is None:
        raise ConfigurationError(mistakes)
    return settings


def broker_password(mqtt: MqttSettings) -> SecretStr | None:
    """Return the broker's password: from the settings, its file, or the service manager's credential.

    Raises:
        ValueError: a file that is empty, or a credential without a user name.

    """
    if mqtt.password is not None:
        return mqtt.password
    credential = Path(os.environ.get("CREDENTIALS_DIRECTORY", "/nonexistent"), CREDENTIAL)
    path = mqtt.password_file or (credential if credential.is_file() else None)
    if path is None:
        return None
    if mqtt.username is None:
        raise ValueError(f"username is missing: the credential {CREDENTIAL} is given, and a password needs a user name")
    password = path.read_text(encoding="utf-8").rstrip("\r\n")
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
        raise ConfigurationError([f"{path}: {place}{error.problem}"]) from None
    except (yaml.YAMLError, ValueError, RecursionError):
        raise ConfigurationError([f"{path}: is not YAML"]) from None
    if content is None:
        raise ConfigurationError([f"{path}: is empty; it needs models and cameras"])
    if not isinstance(content, dict):
        raise ConfigurationError([f"{path}: must be keys with values, like 'cameras: ...'"])
    return content


def _read_environment(path: Path) -> dict[str, Any]:
    """Return what the environment sets; a variable that sets nothing we know is an error, as in the file."""
    strangers = []
    for variable in sorted(os.environ):
        if variable.startswith(PREFIX) and variable not in _NOT_KEYS:
            key = variable.removeprefix(PREFIX).split("__")[0].lower()
            if key not in Settings.model_fields:
                strangers.append(f"{path}: {variable}: sets no key{_nearest(key, Settings.model_fields)}")
    if strangers:
        raise ConfigurationError(strangers)
    try:
        return EnvSettingsSource(_Environment)()
    except ValueError as error:  # SettingsError: a list or an object that is not JSON
        raise ConfigurationError([f"{path}: environment: {error}; write lists and objects as JSON"]) from None


def _merge(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(below)
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
        (("cameras", name, "model"), f"no such model: {camera['model']!r}{_nearest(camera['model'], models)}")
        for name, camera in cameras.items()
        if isinstance(camera, dict) and isinstance(camera.get("model"), str) and camera["model"] not in models
    ]


def _explain(detail: ErrorDetails) -> tuple[tuple[str | int, ...], str]:
    place = tuple(part for part in detail["loc"] if part != "[key]")
    kind, context = detail["type"], detail.get("ctx", {})
    if kind == "extra_forbidden":
        return place, f"unknown key{_nearest(str(place[-1]), _keys_at(place[:-1]))}"
    if kind == "missing":
        return place, "is missing"
    if kind == "value_error":
        return place, str(context["error"])
    if kind in {"too_short", "string_too_short"}:
        return place, "needs at least one" if kind == "too_short" else "must not be empty"
    if kind in {"model_type", "dict_type"}:
        return place, "must be keys with values below it, not a single value"
    return place, detail["msg"].replace("Input should be", "must be")


def _keys_at(place: tuple[str | int, ...]) -> Iterable[str]:
    """Return the valid keys of the section at a path."""
    section: type[BaseModel] = Settings
    parts = iter(place)
    for part in parts:
        if part in _SECTIONS and section is Settings:
            next(parts, None)  # the camera's or model's own name
            section = _SECTIONS[str(part)]
        else:
            annotation = section.model_fields[str(part)].annotation
            if not (isinstance(annotation, type) and issubclass(annotation, BaseModel)):
                return ()
            section = annotation
    return section.model_fields


def _nearest(word: str, known: Iterable[str]) -> str:
    close = difflib.get_close_matches(word.lower(), list(map(str, known)), n=1, cutoff=0.6)
    return f"; did you mean {close[0]!r}?" if close else ""


def _line(path: Path, place: tuple[str | int, ...], why: str) -> str:
    key = ".".join(map(str, place))
    variable = PREFIX + "__".join(map(str, place)).upper()
    origin = f" (set by {variable})" if variable in os.environ else ""
    return f"{path}: {key}: {why}{origin}" if key else f"{path}: {why}{origin}"
