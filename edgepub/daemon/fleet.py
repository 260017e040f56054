"""The cameras that run: each a task, started, stopped and waited for."""

import asyncio
import logging
from collections.abc import Callable, Collection

from edgepub.camera.supervisor import CameraSupervisor
from edgepub.telemetry.logs import camera_logger

_log = logging.getLogger(__name__)


class Fleet:
    """Runs cameras.

    Args:
        group: their tasks' lifetime.
        tell: is called whenever one has ended.

    """

    def __init__(self, group: asyncio.TaskGroup, tell: Callable[[], None]) -> None:
        self._group = group
        self._tell = tell
        self._running: dict[CameraSupervisor, asyncio.Task[None]] = {}

    def start(self, camera: CameraSupervisor) -> None:
        """Let a camera run."""
        task = self._running[camera] = self._group.create_task(camera.run(), name=f"camera-{camera.name}")
        task.add_done_callback(lambda _: self._tell())

    async def stop(self, names: Collection[str] | None, grace_s: float) -> None:
        """Let these cameras come to their end, or all; one that hangs is left behind after so many seconds."""
        tasks = {task: each for each, task in self._running.items() if names is None or each.name in names}
        for each in tasks.values():
            each.stop()
        if not tasks:
            return
        _, hung = await asyncio.wait(tasks, timeout=grace_s)
        for task in hung:
            camera_logger(_log, tasks[task].name).warning("did not stop within %.0f s and is left behind", grace_s)
            task.cancel()
        if hung:
            await asyncio.wait(hung, timeout=grace_s)  # they still say that their cameras are offline
        for each in tasks.values():
            del self._running[each]

    @property
    def is_over(self) -> bool:
        """Whether cameras have ended, and none is left that may work."""
        ended = [each for each, task in self._running.items() if task.done()]
        return bool(ended) and not any(each.may_work for each in self._running.keys() - set(ended))

    @property
    def stuck(self) -> list[str]:
        """The cameras that make no progress, and do not help themselves."""
        return [each.name for each, task in self._running.items() if each.is_stuck and not task.done()]
