"""The zones and lines that were saved on a camera's page: in a file of the state folder, above the configuration."""

from collections.abc import Iterator, Mapping
from pathlib import Path

import yaml
from pydantic import Field, ValidationError

from edgepub.config.areas import Areas
from edgepub.config.explain import explain
from edgepub.config.fields import CameraName, Section
from edgepub.config.settings import Settings
from edgepub.config.yaml_file import read_yaml
from edgepub.core.errors import ConfigurationError
from edgepub.core.state_dir import remove_file, replace_file

FILE = "overrides.yaml"
_HEAD = (
    "# Saved on the cameras' pages of edgepub: it has these zones and lines in place of those of its configuration.\n"
)
_WAY_OUT = "mend this file, or remove it"


class _Content(Section):
    """What the file says, in the configuration's form."""

    cameras: dict[CameraName, Areas] = Field(default_factory=dict)


def read(folder: Path) -> dict[str, Areas]:
    """Return what was saved, by camera.

    Raises:
        ConfigurationError: with every mistake in the file, one line each.

    """
    path = folder / FILE
    try:
        content = read_yaml(path)
    except (FileNotFoundError, NotADirectoryError):
        return {}
    except OSError as error:
        raise ConfigurationError([f"{path}: cannot be read: {error.strerror}"]) from None
    except ConfigurationError as error:
        raise ConfigurationError([f"{each}; {_WAY_OUT}" for each in error.mistakes]) from None
    try:
        return dict(_Content.model_validate({} if content is None else content).cameras)
    except ValidationError as error:
        explained = [explain(detail, _Content) for detail in error.errors(include_url=False)]
        raise ConfigurationError([_line(path, place, f"{why}; {_WAY_OUT}") for place, why in explained]) from None


def write(folder: Path, saved: Mapping[str, Areas]) -> None:
    """Keep these, on the disk, and nothing that was saved before.

    Raises:
        OSError: it cannot be written.

    """
    if not saved:
        remove_file(folder / FILE)
        return
    content = _Content(cameras=dict(saved)).model_dump(mode="json", by_alias=True, exclude_defaults=True)
    # In ASCII: PyYAML writes some other characters so that it reads them as white space.
    text = yaml.safe_dump(content, default_flow_style=None, sort_keys=False, width=120)
    replace_file(folder / FILE, (_HEAD + text).encode())


def apply_overrides(settings: Settings, saved: Mapping[str, Areas], folder: Path) -> Settings:
    """Return the settings with what was saved; that of a camera which is not there waits for it.

    Raises:
        ConfigurationError: a camera cannot have it, because of what else is configured; one line each.

    """
    cameras, mistakes = dict(settings.cameras), []
    for name in saved.keys() & cameras.keys():
        try:
            cameras[name] = cameras[name].with_areas(saved[name])
        except ValueError as error:
            why = f"{error}; take this camera out of this file, and its zones and lines are the configuration's again"
            mistakes.append(_line(folder / FILE, ("cameras", name), why))
    if mistakes:
        raise ConfigurationError(sorted(mistakes))
    return settings.model_copy(update={"cameras": cameras})


def override_notes(configuration: Path, settings: Settings, saved: Mapping[str, Areas], folder: Path) -> Iterator[str]:
    """Yield a line for each camera whose zones and lines are saved: they are not where a person looks for them."""
    path = folder / FILE
    for name in saved:
        if name in settings.cameras:
            yield f"{configuration}: {name}: zones and lines are those saved on its page ({path}), not this file's"
        else:
            yield f"{path}: {name}: no camera of this name is configured: these zones and lines have no effect"


def _line(path: Path, place: tuple[str | int, ...], why: str) -> str:
    """Return the whole line of a mistake; not `mistakes.line`, for no variable sets a key here."""
    return f"{path}: {key}: {why}" if (key := ".".join(map(str, place))) else f"{path}: {why}"
