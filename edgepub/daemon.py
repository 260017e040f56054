"""One life of the daemon: start, run, and stop in order: sources, what is queued, goodbye."""

import asyncio
import contextlib
import logging
import os
import signal
import sys
import threading
import uuid
from collections.abc import Mapping
from typing import Any

import uvloop

from edgepub import logs, store
from edgepub.camera import Camera
from edgepub.errors import StateInUseError
from edgepub.pipeline import Pipeline, build
from edgepub.settings import Settings
from edgepub.state_folder import claimed, default_folder
from edgepub.versions import versions

FAILED = 1
_GRACE_S = 5.0
_log = logging.getLogger(__name__)


def run(settings: Settings) -> int:
    """Run the daemon until a signal, or until every camera has ended.

    Returns:
        The exit code: 0, or 1 when the cameras ended and not all of it could be published.

    """
    logs.setup(settings.log)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        try:
            code = runner.run(_until_signalled(settings))
        except StateInUseError as error:
            _log.error("%s", error)
            code = FAILED
        except Exception:
            _log.exception("an error of edgepub's own; please report it")
            code = FAILED
        if any(thread.name.startswith(("camera-", "snapshots")) for thread in threading.enumerate()):
            # PySDK, as OpenCV, aborts the process when the interpreter ends with a thread still inside it.
            _leave(code)
    return code


async def serve(settings: Settings, shutdown: asyncio.Event) -> int:
    """Do what `run` does, until `shutdown` is set."""
    folder = default_folder()
    events_folder = settings.outbox.durable.path or folder
    with contextlib.ExitStack() as stack:
        for each in {folder.resolve(), events_folder.resolve()}:
            stack.enter_context(claimed(each))
        its_store = stack.enter_context(store.opened(folder))
        pipeline = build(settings, uuid.uuid4().hex, its_store, events_folder)
        pipeline.outbox.open()
        stack.callback(pipeline.outbox.end, _GRACE_S)  # whatever happens, events that wait are on the disk then
        _log.info("edgepub %(edgepub)s, PySDK %(pysdk)s, Python %(python)s", versions())
        _log.info("node %s, cameras: %s", settings.node, ", ".join(settings.cameras))
        async with asyncio.TaskGroup() as group:
            publisher = group.create_task(pipeline.publisher.run(), name="publisher")
            health = group.create_task(pipeline.health.run(), name="health")
            announcer = group.create_task(pipeline.announcer.run(), name="announcer")
            cameras = {group.create_task(each.run(), name=f"camera-{each.name}"): each for each in pipeline.cameras}
            signalled = group.create_task(shutdown.wait(), name="shutdown")
            await _first_of(signalled, cameras)
            ended = not signalled.done()
            signalled.cancel()
            _log.info("all cameras have ended" if ended else "stopping")
            await _stop_cameras(cameras)
            await pipeline.photographer.close(_GRACE_S)
            health.cancel()
            announcer.cancel()
            unsent = await _drain(pipeline, publisher)
        return FAILED if ended and unsent else 0


async def _first_of(signalled: asyncio.Task[bool], cameras: Mapping[asyncio.Task[None], Camera]) -> None:
    """Wait for the signal, or until cameras have ended and none is left that may work."""
    waiting: set[asyncio.Task[Any]] = {signalled, *cameras}
    while not signalled.done():
        _, waiting = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        if not any(camera.may_work and not task.done() for task, camera in cameras.items()):
            return


async def _stop_cameras(cameras: Mapping[asyncio.Task[None], Camera]) -> None:
    for each in cameras.values():
        each.stop()
    _, hung = await asyncio.wait(cameras, timeout=_GRACE_S)
    for task in hung:
        logs.of_camera(_log, cameras[task].name).warning("did not stop within %.0f s and is left behind", _GRACE_S)
        task.cancel()
    if hung:
        await asyncio.wait(hung, timeout=_GRACE_S)  # they still say that their cameras are offline


async def _drain(pipeline: Pipeline, publisher: asyncio.Task[None]) -> int:
    """Let what is queued leave; return how many messages did not."""
    pipeline.outbox.close()
    await asyncio.wait([publisher], timeout=_GRACE_S)
    if not publisher.done():
        publisher.cancel()
        await asyncio.wait([publisher], timeout=_GRACE_S)
    unsent = sum(pipeline.outbox.sizes().values())
    lost, kept = pipeline.outbox.end(_GRACE_S)
    if lost:
        _log.warning("%d messages could not be sent within %.0f s and are lost", lost, _GRACE_S)
    if kept:
        _log.warning("%d events could not be sent within %.0f s and wait for the next start", kept, _GRACE_S)
    return unsent


async def _until_signalled(settings: Settings) -> int:
    shutdown = asyncio.Event()

    def ask_to_stop() -> None:
        if shutdown.is_set():
            _log.warning("stopping at once")
            _leave(FAILED)
        shutdown.set()

    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, ask_to_stop)
    return await serve(settings, shutdown)


def _leave(code: int) -> None:
    """End the process without waiting for anything."""
    logging.shutdown()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)
