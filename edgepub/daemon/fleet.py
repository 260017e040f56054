"""The running cameras: starts, stops and abandons their tasks."""

import asyncio
import logging
from collections.abc import Callable, Collection

from edgepub.camera.supervisor import CameraSupervisor
from edgepub.telemetry.logs import camera_logger

_log = logging.getLogger(__name__)


class Fleet:
    """Runs cameras.

    Args:
        group: runs the tasks.
        on_end: called when a camera's task has ended.

    """

    def __init__(self, group: asyncio.TaskGroup, on_end: Callable[[], None]) -> None:
        self._group = group
        self._on_end = on_end
        self._tasks: dict[CameraSupervisor, asyncio.Task[None]] = {}

    def start(self, camera: CameraSupervisor) -> None:
        """Start a camera's task."""
        task = self._tasks[camera] = self._group.create_task(camera.run(), name=f"camera-{camera.name}")
        task.add_done_callback(lambda _: self._on_end())

    async def stop(self, names: Collection[str] | None, timeout_s: float) -> None:
        """Stop these cameras, or all if `names` is None. Abandon those that have not stopped after `timeout_s`."""
        tasks = {task: camera for camera, task in self._tasks.items() if names is None or camera.name in names}
        for camera in tasks.values():
            camera.stop()
        if not tasks:
            return
        _, hung = await asyncio.wait(tasks, timeout=timeout_s)
        for task in hung:
            camera_logger(_log, tasks[task].name).warning("did not stop within %.0f s; abandoned", timeout_s)
            task.cancel()
        if hung:
            await asyncio.wait(hung, timeout=timeout_s)  # each still publishes that its camera is offline
        for camera in tasks.values():
            del self._tasks[camera]

    @property
    def is_over(self) -> bool:
        """Whether at least one camera has ended, and no other can do any more work."""
        ended = [camera for camera, task in self._tasks.items() if task.done()]
        return bool(ended) and not any(camera.may_work for camera in self._tasks.keys() - set(ended))

    @property
    def stuck(self) -> list[str]:
        """The names of the cameras that make no progress and cannot recover on their own."""
        return [camera.name for camera, task in self._tasks.items() if camera.is_stuck and not task.done()]
