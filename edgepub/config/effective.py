"""A configuration and what was saved over it: together what is in force."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple, Self

from edgepub.config import overrides
from edgepub.config.areas import Areas
from edgepub.config.load import load_settings
from edgepub.config.settings import Settings
from edgepub.core.state_dir import default_state_dir


class EffectiveSettings(NamedTuple):
    """What is configured."""

    configured: Settings
    """What the configuration says."""
    path: Path
    """Of the configuration."""
    saved: Mapping[str, Areas]
    """Zones and lines that were saved, by camera."""
    state_dir: Path
    """Where they are."""
    settings: Settings
    """What is in force."""

    def with_areas(self, camera: str, areas: Areas | None) -> Self:
        """Return it with other zones and lines of a camera; None: the configuration's. Nothing is written.

        Raises:
            ConfigurationError: the camera cannot have them.

        """
        saved = {name: its for name, its in self.saved.items() if name != camera}
        if areas is not None:
            saved[camera] = areas
        return self._replace(saved=saved, settings=overrides.apply_overrides(self.configured, saved, self.state_dir))

    def override_notes(self) -> Iterator[str]:
        """Yield a line for each camera whose zones and lines are not those of the configuration."""
        return overrides.override_notes(self.path, self.settings, self.saved, self.state_dir)


def load_effective(path: Path) -> EffectiveSettings:
    """Read the configuration, and what was saved in the state folder.

    Raises:
        ConfigurationError: with every mistake, one line each.

    """
    own, folder = load_settings(path), default_state_dir()
    saved = overrides.read(folder)
    return EffectiveSettings(own, path, saved, folder, overrides.apply_overrides(own, saved, folder))
