"""The daemon, from its start to its exit: one run after another, each with its own state directory and node."""

import asyncio
import contextlib
import functools
import gc
import logging
import uuid
from collections.abc import Callable
from pathlib import Path

from edgepub.camera.environment import prepare_environment
from edgepub.config import overrides
from edgepub.config.effective import EffectiveSettings, InForce, load_effective, load_for_start
from edgepub.config.load import load_settings
from edgepub.core.errors import StateInUseError
from edgepub.core.identity import open_identity
from edgepub.core.machine import machine_key
from edgepub.core.process import exit_now
from edgepub.core.state_dir import lock_state_dir, real_path
from edgepub.core.threads import native_threads, new_event_loop
from edgepub.core.versions import installed_versions
from edgepub.daemon.node import EVENTS_FILE, Node
from edgepub.daemon.node_runner import STOP_TIMEOUT_S, NodeRunner
from edgepub.daemon.signals import Requests, handle_signals
from edgepub.daemon.systemd import Service
from edgepub.http import sessions
from edgepub.mqtt.store import STORE_FILE, open_store
from edgepub.telemetry.logs import configure_logging
from edgepub.telemetry.metrics import MetricsByCamera

FAILED = 1
_GC_THRESHOLD = 10_000
"""New objects until Python looks for garbage that refers to itself. Its default of 700 takes a seventh of the CPU time,
and there is little such garbage."""
_log = logging.getLogger(__name__)


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
    for note in effective.notes():
        _log.info("%s", note)
    for why in effective.unfit.values():
        _log.error("%s; until then, those of the configuration apply", why)
    prepare_environment()
    gc.set_threshold(_GC_THRESHOLD)
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


async def _serve_until_signalled(
    effective: EffectiveSettings, load: Callable[[], EffectiveSettings], machine: str
) -> int:
    requests = Requests()
    handle_signals(requests)
    return await serve(effective, load, requests, Service(effective.settings.startup_timeout_s), machine)


async def serve(
    effective: EffectiveSettings,
    load: Callable[[], EffectiveSettings],
    requests: Requests,
    service: Service,
    machine: str = "",
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
    load: Callable[[], EffectiveSettings],
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
        node.outbox.open(node.end_lost_visits)
        stack.callback(node.outbox.stop, STOP_TIMEOUT_S)  # so that waiting events are on the disk after any error
        async with asyncio.TaskGroup() as group:
            runner = NodeRunner(node, in_force, load, requests, service, group)
            runner.start()
            next_settings = await runner.wait_until_over()
            ended = next_settings is None and not requests.is_stopping
            unsent = await runner.stop()
    return next_settings or (FAILED if ended and unsent else 0)
