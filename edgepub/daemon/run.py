"""The daemon: start, serve, reload, stop. A stop first ends the sources, then sends what is queued."""

import asyncio
import contextlib
import functools
import logging
import uuid
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from edgepub.config import overrides
from edgepub.config.effective import EffectiveSettings, InForce, load_effective, load_for_start
from edgepub.config.load import load_settings
from edgepub.config.settings import Settings
from edgepub.core.errors import ConfigurationError, StateInUseError
from edgepub.core.identity import open_identity
from edgepub.core.machine import machine_key
from edgepub.core.process import exit_now
from edgepub.core.state_dir import lock_state_dir, real_path
from edgepub.core.threads import native_threads, new_event_loop, run_in_thread
from edgepub.core.versions import installed_versions
from edgepub.daemon.fleet import Fleet
from edgepub.daemon.node import EVENTS_FILE, Node
from edgepub.daemon.reload import Changes, PartSettings, find_changes, part_settings
from edgepub.daemon.signals import Requests, handle_signals
from edgepub.daemon.systemd import Service
from edgepub.http import sessions
from edgepub.mqtt.store import STORE_FILE, open_store
from edgepub.telemetry.logs import configure_logging
from edgepub.telemetry.metrics import MetricsByCamera

FAILED = 1
_STOP_TIMEOUT_S = 5.0  # of each step of the stop
_log = logging.getLogger(__name__)
_Load = Callable[[], EffectiveSettings]


def run(path: Path, machine: str | None = None) -> int:
    """Run the daemon until a signal, or until every camera has ended.

    Args:
        path: the configuration file. Each reload reads it again.
        machine: the key of this machine; None: find out.

    Returns:
        The exit code: 0, or 1 if the cameras ended and not everything could be published.

    Raises:
        ConfigurationError: the configuration is missing or wrong; with all mistakes.

    """
    machine = machine_key() if machine is None else machine
    load = functools.partial(load_effective, path, machine)
    configured = load_settings(path)
    configure_logging(configured.log)
    effective = load_for_start(configured, path, machine)
    _log.info("edgepub %(edgepub)s, PySDK %(pysdk)s, Python %(python)s", installed_versions())
    _log.info("configuration %s", path.absolute())
    _log_override_notes(effective)
    with asyncio.Runner(loop_factory=new_event_loop) as runner:
        try:
            code = runner.run(_serve_until_signalled(effective, load, machine))
        except StateInUseError as error:
            _log.error("%s", error)
            code = FAILED
        except Exception:
            _log.exception("internal error, please report it")
            code = FAILED
        if native_threads():
            # PySDK and OpenCV abort the process if the interpreter ends while a thread is still inside them.
            exit_now(code)
    return code


async def _serve_until_signalled(effective: EffectiveSettings, load: _Load, machine: str) -> int:
    requests = Requests()
    handle_signals(requests)
    return await serve(effective, load, requests, Service(effective.settings.startup_timeout_s), machine)


async def serve(
    effective: EffectiveSettings, load: _Load, requests: Requests, service: Service, machine: str = ""
) -> int:
    """Run until a stop is requested or all cameras have ended; return the exit code.

    A reload that changes what everything depends on starts another run, in the same process.
    """
    service.report_starting()
    metrics = MetricsByCamera()  # of the daemon, not of the run: what a run loses at its end is seen in the next one
    while True:
        outcome = await _run_once(effective, load, requests, service, machine, metrics)
        if isinstance(outcome, int):
            return outcome
        effective = outcome
        for camera in metrics:
            metrics.unlist(camera)


async def _run_once(
    effective: EffectiveSettings,
    load: _Load,
    requests: Requests,
    service: Service,
    machine: str,
    metrics: MetricsByCamera,
) -> int | EffectiveSettings:
    """Return the exit code, or the settings of the next run."""
    settings, state_dir = effective.settings, effective.state_dir
    events_dir = settings.outbox.durable.path or state_dir
    in_force = InForce(effective)
    with contextlib.ExitStack() as stack:
        for directory in {real_path(state_dir), real_path(events_dir)}:
            stack.enter_context(lock_state_dir(directory))
        names = (STORE_FILE, overrides.FILE, sessions.FILE)
        files = [*(state_dir / name for name in names), events_dir / EVENTS_FILE]
        identity = open_identity(state_dir, files, settings.node, machine)
        store = stack.enter_context(open_store(state_dir / identity.subdirectory))
        _log.info("node %s, node_id %s, cameras: %s", settings.node, identity.node_id, ", ".join(settings.cameras))
        _log.info("state directory %s", state_dir)
        events_dir /= identity.subdirectory

        def on_copy(of: str) -> None:
            if identity.disown(of):
                requests.restart()

        requests.is_restart_due = False  # the last run may have asked again while it stopped
        node = Node(in_force, identity, uuid.uuid4().hex, store, events_dir, metrics, on_copy)
        node.outbox.open()
        stack.callback(node.outbox.stop, _STOP_TIMEOUT_S)  # so that waiting events are on the disk after any error
        async with asyncio.TaskGroup() as group:
            daemon_run = _Run(node, in_force, load, requests, service, group)
            daemon_run.start()
            next_settings = await daemon_run.wait_until_over()
            ended = next_settings is None and not requests.is_stopping
            unsent = await daemon_run.stop()
    return next_settings or (FAILED if ended and unsent else 0)


class _Run:
    """One run, from the start to the stop or to a reload that needs another run."""

    def __init__(
        self,
        node: Node,
        in_force: InForce,
        load: _Load,
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
        await self._fleet.stop(None, _STOP_TIMEOUT_S)
        await self._node.snapshot_thread.stop(_STOP_TIMEOUT_S)
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
        _log_override_notes(effective)
        changes = find_changes(self._in_force.settings, effective.settings)
        if changes.everything:
            self._node.editor.close()
            self._report_reload("reloaded: restarting everything")
            return effective
        await self._apply(effective, parts, changes)
        return None

    async def _apply(self, effective: EffectiveSettings, parts: PartSettings, changes: Changes) -> None:
        if changes.stopped:
            await self._fleet.stop(changes.stopped, _STOP_TIMEOUT_S)
            await self._node.snapshot_thread.wait_idle(_STOP_TIMEOUT_S)
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
    await asyncio.wait([publisher], timeout=_STOP_TIMEOUT_S)
    if not publisher.done():
        publisher.cancel()
        await asyncio.wait([publisher], timeout=_STOP_TIMEOUT_S)
    unsent = sum(node.outbox.figures().sizes.values())
    lost, kept = node.outbox.stop(_STOP_TIMEOUT_S)
    if lost:
        _log.warning("%d messages could not be sent within %.0f s and are lost", lost, _STOP_TIMEOUT_S)
    if kept:
        _log.warning("%d events could not be sent within %.0f s and wait for the next start", kept, _STOP_TIMEOUT_S)
    return unsent


def _log_override_notes(effective: EffectiveSettings) -> None:
    for note in effective.override_notes():
        _log.info("%s", note)
    for why in effective.unfit.values():
        _log.error("%s; until then, those of the configuration apply", why)
