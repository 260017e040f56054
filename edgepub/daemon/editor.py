"""Zones and lines that become others while the daemon runs, from a page: kept on the disk, and in force."""

import asyncio
import functools
import logging
from collections.abc import Callable

from edgepub.config import overrides
from edgepub.config.areas import Areas
from edgepub.config.effective import EffectiveSettings
from edgepub.config.settings import Settings
from edgepub.core.errors import ConfigurationError, StateError
from edgepub.core.threads import run_in_thread
from edgepub.telemetry.logs import camera_logger

_PATIENCE_S = 5.0
_log = logging.getLogger(__name__)


class Editor:
    """Knows what is in force, in one life of the daemon.

    Args:
        configured: what is in force at first.

    """

    def __init__(self, configured: EffectiveSettings) -> None:
        self.configured = configured
        """What is in force; who changes it has `changing`."""
        self.changing = asyncio.Lock()
        self._redraw: Callable[[Settings], None]
        self._is_over = asyncio.Event()
        self._writing: asyncio.Task[None] | None = None

    def begin(self, redraw: Callable[[Settings], None]) -> None:
        """Take changes from now on; before anybody can ask.

        Args:
            redraw: lets settings be in force in which only zones and lines are others.

        """
        self._redraw = redraw

    def end(self) -> None:
        """Take none any more."""
        self._is_over.set()

    def has_saved(self, camera: str) -> bool:
        """Return whether a camera's zones and lines are saved ones, not the configuration's."""
        return camera in self.configured.saved

    async def save(self, camera: str, areas: Areas | None) -> None:
        """Let a camera have other zones and lines, and keep them; None: the configuration's.

        Raises:
            ConfigurationError: it cannot have them, or what is kept was damaged by hand.
            StateError: they cannot be kept, and are not in force.

        """
        async with self.changing:
            if self._is_over.is_set():
                raise StateError("not saved: edgepub stops or begins anew; try again in a moment")
            if camera not in self.configured.settings.cameras:
                raise StateError(f"not saved: there is no camera {camera!r} any more")
            new = self.configured.with_areas(camera, areas)
            await self._keep(new)
            self.configured = new
            if not self._is_over.is_set():  # else it is in force at the next start
                self._redraw(new.settings)
        whose = "the configuration's" if areas is None else "those saved on its page"
        camera_logger(_log, camera).info("its zones and lines are %s from now on", whose)

    async def _keep(self, new: EffectiveSettings) -> None:
        """Write it, unless the disk hangs: then nobody waits for it for long, and nothing is written beside it."""
        silent = StateError(f"not saved: the disk of {new.state_dir} does not answer; try again later")
        if self._writing and not self._writing.done():
            raise silent
        writing = run_in_thread("overrides", functools.partial(_write, new, self.configured))
        self._writing = asyncio.create_task(writing, name="overrides")
        done, _ = await asyncio.wait([self._writing], timeout=_PATIENCE_S)
        if not done:
            self._writing.add_done_callback(lambda late: late.cancelled() or late.exception())  # which nobody waits for
            raise silent
        try:
            self._writing.result()
        except OSError as error:
            raise StateError(f"not saved, nothing has changed: {new.state_dir}: {error.strerror}") from None


def _write(new: EffectiveSettings, before: EffectiveSettings) -> None:
    if overrides.read(new.state_dir) != before.saved:
        path = new.state_dir / overrides.FILE
        raise ConfigurationError([f"{path}: was changed by hand, which would be lost: reload edgepub first"])
    overrides.write(new.state_dir, new.saved)
