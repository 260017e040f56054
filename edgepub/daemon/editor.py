"""Saves the zones, lines and ignore areas that are edited on a camera's page, and puts them into force."""

import asyncio
import functools
import logging
from collections.abc import Callable

from edgepub.config import overrides
from edgepub.config.areas import Areas
from edgepub.config.effective import EffectiveSettings, InForce
from edgepub.core.errors import ConfigurationError, StateError
from edgepub.core.threads import run_in_thread
from edgepub.telemetry.logs import camera_logger

_WRITE_TIMEOUT_S = 5.0
_log = logging.getLogger(__name__)


class Editor:
    """Saves zones, lines and ignore areas.

    Args:
        in_force: the settings in force.
        set_areas: applies a camera's areas that have just been put into force.

    """

    def __init__(self, in_force: InForce, set_areas: Callable[[str], None]) -> None:
        self.lock = asyncio.Lock()
        """Hold it to change the settings in force."""
        self._in_force = in_force
        self._set_areas = set_areas
        self._is_closed = False
        self._writing: asyncio.Task[None] | None = None

    def close(self) -> None:
        """Refuse everything from now on. What is being written takes effect at the next start."""
        self._is_closed = True

    async def save(self, camera: str, areas: Areas | None) -> None:
        """Save a camera's areas and put them into force; None: the configuration's again.

        Raises:
            ValueError: the camera cannot have them.
            ConfigurationError: the file of what is saved was changed by hand.
            StateError: they cannot be saved. Those in force stay.

        """
        async with self.lock:
            old = self._in_force.effective
            self._check_open()
            if camera not in old.settings.cameras:
                raise StateError(f"not saved: there is no camera {camera!r} any more")
            new = old.with_areas(camera, areas)
            await self._write(old, new)
            self._in_force.effective = new
            if not self._is_closed and new.settings != old.settings:
                self._set_areas(camera)
        origin = "the configuration" if areas is None else "its page"
        camera_logger(_log, camera).info("zones, lines and ignore areas are now those of %s", origin)

    def _check_open(self) -> None:
        if self._is_closed:
            raise StateError("not saved: edgepub is stopping or restarting; try again in a moment")

    async def _write(self, old: EffectiveSettings, new: EffectiveSettings) -> None:
        """Write what is saved, in a thread. Give up soon if the disk hangs, and start no other write meanwhile."""
        timed_out = StateError(f"not saved: the disk of {new.state_dir} does not answer; try again later")
        if self._writing and not self._writing.done():
            raise timed_out
        writing = run_in_thread("overrides", functools.partial(_replace_saved, old, new))
        self._writing = asyncio.create_task(writing, name="overrides")
        done, _ = await asyncio.wait([self._writing], timeout=_WRITE_TIMEOUT_S)
        if not done:
            # Reads the exception: otherwise asyncio logs that it was never retrieved.
            self._writing.add_done_callback(lambda task: task.cancelled() or task.exception())
            raise timed_out
        try:
            self._writing.result()
        except OSError as error:
            raise StateError(f"not saved, nothing has changed: {new.state_dir}: {error.strerror}") from None


def _replace_saved(old: EffectiveSettings, new: EffectiveSettings) -> None:
    if overrides.read(new.state_dir) != old.saved:
        path = new.state_dir / overrides.FILE
        raise ConfigurationError([f"{path}: was changed by hand, which would be lost: reload edgepub first"])
    overrides.write(new.state_dir, new.saved)
