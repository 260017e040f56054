"""Runs a node: start, reload, stop. A stop first ends the sources, then sends what is queued."""

import asyncio
import logging
from collections.abc import Callable, Iterable, Sequence

from edgepub.config.effective import EffectiveSettings, InForce
from edgepub.config.settings import Settings
from edgepub.core.errors import ConfigurationError, StateInUseError
from edgepub.core.state_dir import lock_state_dir, real_path
from edgepub.core.threads import run_in_thread
from edgepub.daemon.fleet import Fleet
from edgepub.daemon.node import Node
from edgepub.daemon.reload import Changes, PartSettings, find_changes, part_settings
from edgepub.daemon.signals import Requests
from edgepub.daemon.systemd import Service
from edgepub.telemetry.logs import configure_logging

STOP_TIMEOUT_S = 5.0
"""Time for each step of the stop."""
_log = logging.getLogger(__name__)


class NodeRunner:
    """Runs a node, from the start to the stop or to a reload that needs another run.

    Args:
        node: the node.
        in_force: the settings in force.
        load: reads the configuration, for a reload.
        requests: what signals request.
        service: reports to the service manager.
        group: runs the tasks.

    """

    def __init__(
        self,
        node: Node,
        in_force: InForce,
        load: Callable[[], EffectiveSettings],
        requests: Requests,
        service: Service,
        group: asyncio.TaskGroup,
    ) -> None:
        self._node = node
        self._in_force = in_force
        self._load = load
        self._requests = requests
        self._service = service
        self._group = group
        self._fleet = Fleet(group, requests.changed.set)
        self._tasks: dict[str, asyncio.Task[None]] = {}

    def start(self) -> None:
        """Start the cameras, the parts and the reports to the service manager."""
        for camera in self._node.start():
            self._fleet.start(camera)
        self._start_parts(self._node.parts)
        reports = self._service.follow(self._node.status, lambda: [*self._node.stuck, *self._fleet.stuck])
        self._tasks["service"] = self._group.create_task(reports, name="service")

    async def wait_until_over(self) -> EffectiveSettings | None:
        """Handle requests; return when the run is over: None, or the settings of the next run."""
        requests = self._requests
        while True:
            await requests.changed.wait()
            requests.changed.clear()
            if requests.is_stopping or self._fleet.is_over:
                _log.info("stopping" if requests.is_stopping else "all cameras have ended")
                self._service.report_stopping()
                self._node.editor.close()
                return None
            if requests.is_restart_due:
                _log.warning("the state directory is a copy of that of a node that is running: starting without it")
                return self._in_force.effective.without_saved()
            if requests.is_reload_due:
                requests.is_reload_due = False
                async with self._node.editor.lock:
                    next_settings = await self._reload()
                if next_settings is not None and not requests.is_stopping:
                    return next_settings

    async def stop(self) -> int:
        """Stop the cameras, then the parts; send what is queued; return how many messages remain unsent."""
        self._node.flush_commands()
        await self._fleet.stop(None, STOP_TIMEOUT_S)
        await self._node.snapshot_thread.stop(STOP_TIMEOUT_S)
        publisher = self._tasks.pop("publisher")
        await self._cancel_parts(list(self._tasks))
        return await _drain(self._node, publisher)

    async def _reload(self) -> EffectiveSettings | None:
        """Read the configuration and apply it; return it if it needs another run."""
        self._service.report_reloading()
        configure_logging(self._in_force.settings.log)  # so that a repeated mistake is logged again, to be seen
        try:
            # In a thread: the disk may be slow, and so is the passphrase of a key, on purpose.
            effective = await run_in_thread("reload", self._load)
            parts = part_settings(effective.settings)
            self._check_events_dir(effective.settings)
        except ConfigurationError as error:
            self._refuse(error.mistakes)
            return None
        except (StateInUseError, ValueError) as error:
            self._refuse([str(error)])
            return None
        configure_logging(effective.settings.log)
        for note in effective.notes():
            _log.info("%s", note)
        changes = find_changes(self._in_force.settings, effective.settings)
        if changes.everything:
            self._node.editor.close()
            self._report_reload("reloaded: restarting everything")
            return effective
        await self._apply(effective, parts, changes)
        return None

    async def _apply(self, effective: EffectiveSettings, parts: PartSettings, changes: Changes) -> None:
        if changes.stopped:
            await self._fleet.stop(changes.stopped, STOP_TIMEOUT_S)
            await self._node.snapshot_thread.wait_idle(STOP_TIMEOUT_S)
            if self._requests.is_stopping:
                return
        cameras, replaced = self._node.apply(effective, parts, changes)
        for camera in cameras:
            self._fleet.start(camera)
        await self._cancel_parts(replaced)
        self._start_parts(replaced)
        results = [str(changes), "new session with the broker" if "publisher" in replaced else ""]
        self._report_reload(f"reloaded: {'; '.join(filter(None, results)) or 'no camera has changed'}")

    def _check_events_dir(self, new: Settings) -> None:
        """Raise StateInUseError if another edgepub uses the new directory for events."""
        old_path, path = self._in_force.settings.outbox.durable.path, new.outbox.durable.path
        if path and path != old_path and real_path(path) != real_path(self._in_force.effective.state_dir):
            with lock_state_dir(path, timeout_s=0):  # in the event loop; the next run waits
                pass

    def _refuse(self, mistakes: Sequence[str]) -> None:
        _log.error("reload refused, the old configuration stays in force: %s", "; ".join(mistakes))
        more = f" (and {len(mistakes) - 1} more, see the log)" if len(mistakes) > 1 else ""
        self._service.report_reloaded(f"reload refused: {mistakes[0]}{more}")

    def _report_reload(self, result: str) -> None:
        _log.info("%s", result)
        self._service.report_reloaded(result)

    def _start_parts(self, names: Iterable[str]) -> None:
        for name in names:
            if part := self._node.parts.get(name):
                self._tasks[name] = self._group.create_task(part.run(), name=name)

    async def _cancel_parts(self, names: Iterable[str]) -> None:
        tasks = [self._tasks.pop(name) for name in names if name in self._tasks]
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)


async def _drain(node: Node, publisher: asyncio.Task[None]) -> int:
    """Send what is queued, for a limited time; return how many messages remain unsent."""
    node.outbox.drain()
    await asyncio.wait([publisher], timeout=STOP_TIMEOUT_S)
    if not publisher.done():
        publisher.cancel()
        await asyncio.wait([publisher], timeout=STOP_TIMEOUT_S)
    unsent = sum(node.outbox.figures().sizes.values())
    lost, kept = node.outbox.stop(STOP_TIMEOUT_S)
    if lost:
        _log.warning("lost messages, not sent within %.0f s: %d", STOP_TIMEOUT_S, lost)
    if kept:
        _log.warning("events not sent within %.0f s, which wait for the next start: %d", STOP_TIMEOUT_S, kept)
    return unsent
