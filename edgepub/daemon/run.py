"""One life of the daemon: start, reload, and stop in order: sources, what is queued, goodbye."""

import asyncio
import contextlib
import functools
import logging
import os
import signal
import sys
import uuid
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import psutil
import uvloop

from edgepub.config.effective import EffectiveSettings, load_effective
from edgepub.config.settings import Settings
from edgepub.core.errors import ConfigurationError, StateInUseError
from edgepub.core.state_dir import default_state_dir, lock_state_dir
from edgepub.core.threads import has_native_threads
from edgepub.core.versions import installed_versions
from edgepub.daemon import reload
from edgepub.daemon.editor import Editor
from edgepub.daemon.fleet import Fleet
from edgepub.daemon.node import Node
from edgepub.daemon.reload import part_settings
from edgepub.daemon.systemd import Service
from edgepub.mqtt import store
from edgepub.telemetry import logs

FAILED = 1
_GRACE_S = 5.0
_log = logging.getLogger(__name__)


class Requests:
    """Requests to a running daemon. Use in its event loop only."""

    def __init__(self) -> None:
        self.is_stopping = False
        self.is_reload_due = False
        self.changed = asyncio.Event()

    def stop(self) -> None:
        """Request the stop."""
        self.is_stopping = True
        self.changed.set()

    def reload(self) -> None:
        """Request that the configuration is read again."""
        self.is_reload_due = True
        self.changed.set()


def run(path: Path) -> int:
    """Run the daemon until a signal, or until every camera has ended.

    Args:
        path: of the configuration; read again at each reload.

    Returns:
        The exit code: 0, or 1 when the cameras ended and not all of it could be published.

    Raises:
        ConfigurationError: there is none that can be used; with every mistake.

    """
    load = functools.partial(load_effective, path)
    first = load()
    logs.configure_logging(first.settings.log)
    _log.info("edgepub %(edgepub)s, PySDK %(pysdk)s, Python %(python)s", installed_versions())
    _log.info("configuration %s", path.absolute())
    for line in first.override_notes():
        _log.info("%s", line)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        try:
            code = runner.run(_until_signalled(first, load))
        except StateInUseError as error:
            _log.error("%s", error)
            code = FAILED
        except Exception:
            _log.exception("internal error, please report it")
            code = FAILED
        if has_native_threads():
            leave(code)
    return code


async def _until_signalled(first: EffectiveSettings, load: Callable[[], EffectiveSettings]) -> int:
    requests = Requests()
    on_terminal = sys.stderr.isatty()

    def stop() -> None:
        if requests.is_stopping:
            _log.warning("stopping at once")
            leave(FAILED)
        requests.stop()

    def hang_up() -> None:
        if on_terminal and not sys.stderr.isatty():  # the signal is of old: the terminal is gone, and whoever sat there
            nowhere = os.open(os.devnull, os.O_WRONLY)
            for each in (sys.stdout, sys.stderr):  # what is still to be written would fail
                os.dup2(nowhere, each.fileno())
            os.close(nowhere)
            stop()
        else:
            requests.reload()

    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop)
    loop.add_signal_handler(signal.SIGHUP, hang_up)
    return await serve(first, load, requests)


async def serve(first: EffectiveSettings, load: Callable[[], EffectiveSettings], requests: Requests) -> int:
    """Do what `run` does, as it is wished."""
    service, what = Service(first.settings.startup_timeout_s), first
    while True:
        outcome = await _Run(what, load, requests, service).live()
        if isinstance(outcome, int):
            return outcome
        what = outcome


class _Run:
    """From the start to the end, or to a configuration with which all begins anew."""

    def __init__(
        self, what: EffectiveSettings, load: Callable[[], EffectiveSettings], requests: Requests, service: Service
    ) -> None:
        self._editor = Editor(what)
        self._load = load
        self._requests = requests
        self._service = service
        self._tasks: dict[str, asyncio.Task[None]] = {}

    async def live(self) -> int | EffectiveSettings:
        """Return the exit code, or the new configuration."""
        settings, folder = self._editor.configured.settings, default_state_dir()
        events_folder = settings.outbox.durable.path or folder
        with contextlib.ExitStack() as stack:
            for each in {folder.resolve(), events_folder.resolve()}:
                stack.enter_context(lock_state_dir(each))
            its_store = stack.enter_context(store.open_store(folder))
            _log.info("node %s, cameras: %s; what is kept is in %s", settings.node, ", ".join(settings.cameras), folder)
            node = Node(settings, uuid.uuid4().hex, its_store, events_folder, self._editor)
            self._editor.begin(node.redraw)
            node.outbox.open()
            stack.callback(node.outbox.stop, _GRACE_S)  # whatever happens, events that wait are on the disk then
            async with asyncio.TaskGroup() as group:
                fleet = Fleet(group, self._requests.changed.set)
                for camera in node.start():
                    fleet.start(camera)
                self._begin(node.parts, node, group)
                follower = self._service.follow(node.status, lambda: [*node.stuck, *fleet.stuck])
                self._tasks["service"] = group.create_task(follower, name="service")
                new = await self._watch(node, fleet, group)
                ended = new is None and not self._requests.is_stopping
                unsent = await self._end(node, fleet)
        return new or (FAILED if ended and unsent else 0)

    async def _watch(self, node: Node, fleet: Fleet, group: asyncio.TaskGroup) -> EffectiveSettings | None:
        """Do what is wished; return when this is over, with the configuration that is next, if there is one."""
        requests = self._requests
        while True:
            await requests.changed.wait()
            requests.changed.clear()
            if requests.is_stopping or fleet.is_over:
                _log.info("stopping" if requests.is_stopping else "all cameras have ended")
                self._service.stopping()
                self._editor.end()
                return None
            if requests.is_reload_due:
                requests.is_reload_due = False
                async with self._editor.changing:
                    new = await self._reload(node, fleet, group)
                if new is not None and not requests.is_stopping:
                    return new

    async def _reload(self, node: Node, fleet: Fleet, group: asyncio.TaskGroup) -> EffectiveSettings | None:
        """Let a new configuration be in force; return it if that takes a new life."""
        self._service.reloading()
        logs.configure_logging(
            self._editor.configured.settings.log
        )  # what comes of it is said to a person, however often
        try:
            effective = self._load()
            new = effective.settings
            new_parts = part_settings(new)
            self._try_folder(new)
        except ConfigurationError as error:
            self._refuse(error.mistakes)
            return None
        except (StateInUseError, ValueError) as error:
            self._refuse([str(error)])
            return None
        logs.configure_logging(new.log)
        for line in effective.override_notes():
            _log.info("%s", line)
        what = reload.between(self._editor.configured.settings, new)
        self._editor.configured = effective
        if what.everything:
            self._editor.end()
            self._reloaded("reloaded: all begins anew")
            return effective
        if what.stopped:
            await fleet.stop(what.stopped, _GRACE_S)
            await node.snapshot_thread.wait_idle(_GRACE_S)
            if self._requests.is_stopping:
                return None
        cameras, parts = node.apply(new, new_parts, what)
        for camera in cameras:
            fleet.start(camera)
        await self._cancel(parts)
        self._begin(parts, node, group)
        done = [str(what), "another session with the broker" if "publisher" in parts else ""]
        self._reloaded(f"reloaded: {'; '.join(filter(None, done)) or 'no camera has changed'}")
        return None

    def _try_folder(self, new: Settings) -> None:
        """Raise StateInUseError if another edgepub uses the new folder for events."""
        old, folder = self._editor.configured.settings.outbox.durable.path, new.outbox.durable.path
        if folder and folder != old and folder.resolve() != default_state_dir().resolve():
            with lock_state_dir(folder):
                pass

    def _refuse(self, mistakes: Sequence[str]) -> None:
        _log.error("the new configuration is refused, the old one goes on: %s", "; ".join(mistakes))
        more = f" (and {len(mistakes) - 1} more, in the log)" if len(mistakes) > 1 else ""
        self._service.reloaded(f"the new configuration is refused: {mistakes[0]}{more}")

    def _reloaded(self, news: str) -> None:
        _log.info("%s", news)
        self._service.reloaded(news)

    def _begin(self, parts: Iterable[str], node: Node, group: asyncio.TaskGroup) -> None:
        for name in parts:
            if name in node.parts:
                self._tasks[name] = group.create_task(node.parts[name].run(), name=name)

    async def _cancel(self, names: Iterable[str]) -> None:
        tasks = [self._tasks.pop(name) for name in names if name in self._tasks]
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)

    async def _end(self, node: Node, fleet: Fleet) -> int:
        """Stop it all in order; return how many messages could not leave."""
        await fleet.stop(None, _GRACE_S)
        await node.snapshot_thread.stop(_GRACE_S)
        publisher = self._tasks.pop("publisher")
        await self._cancel(list(self._tasks))
        return await _drain(node, publisher)


async def _drain(node: Node, publisher: asyncio.Task[None]) -> int:
    """Let what is queued leave; return how many messages did not."""
    node.outbox.drain()
    await asyncio.wait([publisher], timeout=_GRACE_S)
    if not publisher.done():
        publisher.cancel()
        await asyncio.wait([publisher], timeout=_GRACE_S)
    unsent = sum(node.outbox.sizes().values())
    lost, kept = node.outbox.stop(_GRACE_S)
    if lost:
        _log.warning("%d messages could not be sent within %.0f s and are lost", lost, _GRACE_S)
    if kept:
        _log.warning("%d events could not be sent within %.0f s and wait for the next start", kept, _GRACE_S)
    return unsent


def leave(code: int) -> None:
    """End the process, and what PySDK has started for it, without waiting for anything."""
    for child in psutil.Process().children(recursive=True):
        with contextlib.suppress(psutil.Error):
            child.kill()
    logging.shutdown()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)
