"""A configuration and what was saved over it: together what is in force."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple, Self

from edgepub.config import overrides
from edgepub.config.areas import Areas
from edgepub.config.load import load_settings
from edgepub.config.settings import Settings
from edgepub.core.state_dir import default_folder


class Configured(NamedTuple):
    """What is configured."""

    own: Settings
    """What the configuration says."""
    path: Path
    """Of the configuration."""
    saved: Mapping[str, Areas]
    """Zones and lines that were saved, by camera."""
    folder: Path
    """Where they are."""
    settings: Settings
    """What is in force."""

    def saving(self, camera: str, areas: Areas | None) -> Self:
        """Return it with other zones and lines of a camera; None: the configuration's. Nothing is written.

        Raises:
            ConfigurationError: the camera cannot have them.

        """
        saved = {name: its for name, its in self.saved.items() if name != camera}
        if areas is not None:
            saved[camera] = areas
        return self._replace(saved=saved, settings=overrides.applied(self.own, saved, self.folder))

    def told(self) -> Iterator[str]:
        """Yield a line for each camera whose zones and lines are not those of the configuration."""
        return overrides.told(self.path, self.settings, self.saved, self.folder)


def load_effective(path: Path) -> Configured:
    """Read the configuration, and what was saved in the state folder.

    Raises:
        ConfigurationError: with every mistake, one line each.

    """
    own, folder = load_settings(path), default_folder()
    saved = overrides.read(folder)
    return Configured(own, path, saved, folder, overrides.applied(own, saved, folder))
