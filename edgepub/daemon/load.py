"""How the node keeps up: measures the resources every few seconds, and says which one is the limit."""

import asyncio
import logging
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from edgepub.core.fair_lock import FairLock
from edgepub.core.threads import run_in_thread
from edgepub.telemetry.limits import NodeReading, ThreadReading, find_limits
from edgepub.telemetry.metrics import CameraMetrics
from edgepub.telemetry.status import Limit, Resource, Status

_INTERVAL_S = 5.0
_PROBE_S = 0.25
_INTERVALS = 2
"""A limit begins when it was found in this many intervals, one after the other, and ends when it was not in as many."""
_TASKS = Path("/proc/self/task")
_DECODER_PREFIX = "av:"  # FFmpeg's names of its threads
_log = logging.getLogger(__name__)


class LoadMonitor:
    """Keeps `Status.load` current, and logs when a limit begins and ends.

    Args:
        status: the status of the node.
        cameras: the metrics of each camera.
        turns: what a camera's thread holds while it works on a result.
        interval_s: seconds between two readings.

    """

    def __init__(
        self,
        status: Status,
        cameras: Mapping[str, CameraMetrics],
        turns: FairLock,
        *,
        interval_s: float = _INTERVAL_S,
    ) -> None:
        self._status = status
        self._cameras = cameras
        self._turns = turns
        self._interval_s = interval_s
        self._decoders = _Decoders()
        self._counts: dict[Resource, int] = {}  # intervals in a row: found before it began, not found before it ends

    async def run(self) -> None:
        """Measure until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._probe(), name="load-probe")
            group.create_task(self._watch(), name="load")

    async def _probe(self) -> None:
        """Measure how late the event loop wakes up."""
        while True:
            due_s = time.monotonic() + _PROBE_S
            await asyncio.sleep(_PROBE_S)
            self._status.load.loop_late_ms.add(1000 * (time.monotonic() - due_s))

    async def _watch(self) -> None:
        before = await self._read()
        while True:
            await asyncio.sleep(self._interval_s)
            now = await self._read()
            self._update(find_limits(before, now, self._status.load.limits))
            before = now

    async def _read(self) -> NodeReading:
        readings = {name: metrics.read() for name, metrics in self._cameras.items() if self._works(name)}
        captures = [reading.capture_thread for reading in readings.values() if reading.capture_thread is not None]
        # In a thread: with many busy threads, Python's interpreter delays the reader of a file at each file.
        threads = await run_in_thread("load", lambda: self._decoders.read(captures))
        broker, cameras = self._status.broker, self._status.cameras
        return NodeReading(
            time.monotonic(),
            readings,
            {name: camera.device for name, camera in cameras.items() if camera.device},
            {name for name, camera in cameras.items() if camera.is_remote},
            threads,
            self._turns.held_s,
            self._status.load.loop_late_ms.copy(),
            broker.sessions if broker.problem is None else None,
        )

    def _update(self, found: Sequence[Limit]) -> None:
        current = {limit.resource: limit for limit in self._status.load.limits}
        new = {limit.resource: limit for limit in found}
        changed = new.keys() ^ current.keys()
        self._counts = {resource: self._counts.get(resource, 0) + 1 for resource in changed}
        is_past = {resource: self._is_past(limit) for resource, limit in current.items()}
        for resource in [key for key in changed if self._counts[key] >= _INTERVALS or is_past.get(key)]:
            del self._counts[resource]
            if resource in new:
                current[resource] = new[resource]
                _log.warning("%s", new[resource].text)
            else:
                del current[resource]
                _log.info("%s is not the limit any more", resource)
        # What holds is described by the newest interval.
        self._status.load.limits = [new.get(resource, limit) for resource, limit in current.items()]

    def _works(self, camera: str) -> bool:
        """Return whether a camera is in the configuration, and enabled."""
        return camera in self._status.cameras and self._status.cameras[camera].status != "disabled"

    def _is_past(self, limit: Limit) -> bool:
        """Return whether all cameras of a limit were removed or disabled."""
        return bool(limit.cameras) and not any(map(self._works, limit.cameras))


class _Decoders:
    """Reads the time of the threads that decode."""

    def __init__(self) -> None:
        self._own: dict[int, bool] = {}  # by the system's number: whether it is one of a decoder's own threads

    def read(self, captures: Iterable[int]) -> dict[int, ThreadReading]:
        """Return the times of the threads that read the cameras, and of the decoders' own; nothing without Linux."""
        try:
            numbers = [int(task.name) for task in _TASKS.iterdir()]
        except OSError:
            return {}
        self._own = {number: self._own[number] if number in self._own else _is_decoder(number) for number in numbers}
        wanted = {number for number, is_decoder in self._own.items() if is_decoder}.union(captures)
        times = {number: _read_times(number) for number in wanted}
        return {number: ThreadReading(*time, self._own.get(number, False)) for number, time in times.items() if time}


def _is_decoder(number: int) -> bool:
    try:
        return (_TASKS / str(number) / "comm").read_text().startswith(_DECODER_PREFIX)
    except OSError:  # it has ended
        return False


def _read_times(number: int) -> tuple[float, float] | None:
    try:
        ran_ns, waited_ns, _ = (_TASKS / str(number) / "schedstat").read_text().split()
    except (OSError, ValueError):  # it has ended, or the kernel does not measure it
        return None
    return int(ran_ns) / 1e9, int(waited_ns) / 1e9
