"""The effective settings: the configuration with the zones, lines and ignore areas saved over it."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple, Self

from edgepub.config import overrides
from edgepub.config.areas import Areas
from edgepub.config.load import load_settings
from edgepub.config.settings import Settings
from edgepub.core.errors import ConfigurationError
from edgepub.core.identity import is_foreign
from edgepub.core.machine import machine_key
from edgepub.core.state_dir import default_state_dir


class EffectiveSettings(NamedTuple):
    """The effective settings, and where they come from."""

    configured: Settings
    """The configuration, without saved areas."""
    path: Path
    """The configuration file."""
    saved: Mapping[str, Areas]
    """The saved zones, lines and ignore areas, by camera."""
    state_dir: Path
    """The directory in which they are saved."""
    settings: Settings
    """The configuration with the saved areas applied."""
    unfit: Mapping[str, str] = MappingProxyType({})
    """Why the saved areas of a camera are not applied, by camera."""

    def is_saved(self, camera: str) -> bool:
        """Return whether a camera's areas in force are the saved ones."""
        return camera in self.saved and camera not in self.unfit

    def with_areas(self, camera: str, areas: Areas | None) -> Self:
        """Return a copy with other saved areas for a camera; None: those of the configuration. Writes nothing.

        Raises:
            ValueError: the areas do not fit the camera.

        """
        saved = {name: old for name, old in self.saved.items() if name != camera}
        camera_settings = self.configured.cameras[camera]
        if areas is not None:
            saved[camera] = areas
            camera_settings = camera_settings.with_areas(areas)
        cameras = {**self.settings.cameras, camera: camera_settings}
        unfit = {name: why for name, why in self.unfit.items() if name != camera}
        settings = self.settings.model_copy(update={"cameras": cameras})
        return self._replace(saved=saved, settings=settings, unfit=unfit)

    def without_saved(self) -> Self:
        """Return a copy without saved areas: they are those of another node."""
        return self._replace(saved={}, settings=self.configured, unfit={})

    def notes(self) -> Iterator[str]:
        """Yield a line for each part of the configuration that has no effect."""
        for name, model in self.settings.models.items():
            for key, why in model.model_properties.notes():
                yield f"{self.path}: models.{name}.model_properties.{key}: {why}"
        yield from self._override_notes()

    def _override_notes(self) -> Iterator[str]:
        """Yield a line for each camera with saved areas, because users look for these in the configuration."""
        path = self.state_dir / overrides.FILE
        for name, areas in self.saved.items():
            if self.is_saved(name) and name in self.settings.cameras:
                why = f"uses the {areas.kinds} saved on its page ({path}), not those in this file"
                yield f"{self.path}: {name}: {why}"
            elif name not in self.settings.cameras:
                yield f"{path}: {name}: no camera with this name is configured; these {areas.kinds} have no effect"


class InForce:
    """The settings in force in a running daemon. Only this object holds them; all others read them here.

    The event loop replaces them; any thread reads them.

    Args:
        effective: the settings at the start.

    """

    def __init__(self, effective: EffectiveSettings) -> None:
        self.effective = effective

    @property
    def settings(self) -> Settings:
        """The configuration in force, with what was saved over it."""
        return self.effective.settings


def load_effective(path: Path, machine: str | None = None) -> EffectiveSettings:
    """Read the configuration and the areas saved in the state directory, unless these are of another node.

    Args:
        path: the configuration file.
        machine: the key of this machine; None: find out.

    Raises:
        ConfigurationError: with every mistake, one line each.

    """
    configured, state_dir = load_settings(path), default_state_dir()
    saved = {} if is_foreign(state_dir, machine_key() if machine is None else machine) else overrides.read(state_dir)
    settings, unfit = overrides.apply_overrides(configured, saved, state_dir)
    if unfit:
        raise ConfigurationError(sorted(unfit.values()))
    return EffectiveSettings(configured, path, saved, state_dir, settings)


def load_for_start(configured: Settings, path: Path, machine: str) -> EffectiveSettings:
    """Return a configuration with the areas saved in the state directory, as far as they can be used.

    A damaged file there does not keep edgepub from starting: it is renamed and logged. Areas that do not fit stay.
    """
    state_dir = default_state_dir()
    saved = {} if is_foreign(state_dir, machine) else overrides.read_or_set_aside(state_dir)
    settings, unfit = overrides.apply_overrides(configured, saved, state_dir)
    return EffectiveSettings(configured, path, saved, state_dir, settings, unfit)
