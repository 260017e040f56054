"""What was drawn and saved on a camera's page: kept in the state directory, it overrides the configuration."""

import logging
from collections.abc import Mapping
from pathlib import Path

import yaml
from pydantic import Field, ValidationError

from edgepub.config.areas import Areas
from edgepub.config.explain import explain
from edgepub.config.fields import CameraName, Section
from edgepub.config.settings import Settings
from edgepub.config.yaml_file import read_yaml
from edgepub.core.errors import ConfigurationError
from edgepub.core.state_files import read_file, remove_file, replace_file, set_aside_damaged_file

FILE = "overrides.yaml"
_HEAD = "# Saved on the cameras' pages of edgepub. These areas override those of its configuration.\n"
_log = logging.getLogger(__name__)
_REMEDY = "correct this file, or delete it"


class _Content(Section):
    """The content of the file, in the form of the configuration."""

    cameras: dict[CameraName, Areas] = Field(default_factory=dict)


def read(state_dir: Path) -> dict[str, Areas]:
    """Return the saved areas, by camera.

    Raises:
        ConfigurationError: with every mistake in the file, one line each.

    """
    path = state_dir / FILE
    try:
        content = read_yaml(path, read_file)
    except (FileNotFoundError, NotADirectoryError):
        return {}
    except OSError as error:
        raise ConfigurationError([f"{path}: cannot be read: {error.strerror}"]) from None
    except ConfigurationError as error:
        raise ConfigurationError([f"{line}; {_REMEDY}" for line in error.mistakes]) from None
    try:
        return dict(_Content.model_validate({} if content is None else content).cameras)
    except ValidationError as error:
        explained = [explain(detail, _Content) for detail in error.errors(include_url=False)]
        raise ConfigurationError([_line(path, key_path, f"{why}; {_REMEDY}") for key_path, why in explained]) from None


def read_or_set_aside(state_dir: Path) -> dict[str, Areas]:
    """Return the saved areas, by camera. Rename a file that cannot be used, and log that."""
    try:
        return read(state_dir)
    except ConfigurationError as error:
        path = state_dir / FILE
        try:
            set_aside_damaged_file(path, error.mistakes[0].removeprefix(f"{path}: ").removesuffix(f"; {_REMEDY}"))
        except OSError:
            _log.error("%s; the zones, lines and ignore areas of the configuration apply", error.mistakes[0])
        return {}


def write(state_dir: Path, saved: Mapping[str, Areas]) -> None:
    """Replace the saved areas on disk.

    Raises:
        OSError: the file cannot be written.

    """
    if not saved:
        remove_file(state_dir / FILE)
        return
    content = _Content(cameras=dict(saved)).model_dump(mode="json", by_alias=True, exclude_defaults=True)
    # ASCII only: PyYAML writes some other characters in a way that it then reads back as white space.
    text = yaml.safe_dump(content, default_flow_style=None, sort_keys=False, width=120)
    replace_file(state_dir / FILE, (_HEAD + text).encode())


def apply_overrides(
    settings: Settings, saved: Mapping[str, Areas], state_dir: Path
) -> tuple[Settings, Mapping[str, str]]:
    """Return the settings with the saved areas, and why the areas of some cameras do not fit their other settings.

    Areas that do not fit are not applied. Areas of a camera that is not configured are kept, but not used.
    """
    cameras, unfit = dict(settings.cameras), {}
    for name in saved.keys() & cameras.keys():
        try:
            cameras[name] = cameras[name].with_areas(saved[name])
        except ValueError as error:
            why = f"{error}; remove this camera from this file to use those of the configuration"
            unfit[name] = _line(state_dir / FILE, ("cameras", name), why)
    return settings.model_copy(update={"cameras": cameras}), unfit


def _line(path: Path, key_path: tuple[str | int, ...], why: str) -> str:
    """Return the line for a mistake. `explain.mistake_line` does not fit: no environment variable sets a key here."""
    return f"{path}: {key}: {why}" if (key := ".".join(map(str, key_path))) else f"{path}: {why}"
