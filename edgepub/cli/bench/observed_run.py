"""Run `edgepub` and observe it from inside.

``python observed_run.py FILE ARGUMENT...`` runs `edgepub ARGUMENT...`.
Once a second, it writes JSON to FILE: the names of the threads by their operating system's id, and in milliseconds how
late the event loop has woken up each time. Run as a file, with PYTHONPATH, it can observe another checkout of edgepub.
"""

import asyncio
import json
import runpy
import sys
import threading
import time
from pathlib import Path

import uvloop

_PERIOD_S = 0.05
_late_ms: list[float] = []


async def _probe() -> None:
    while True:
        due_s = time.monotonic() + _PERIOD_S
        await asyncio.sleep(_PERIOD_S)
        _late_ms.append(round(1000 * (time.monotonic() - due_s), 2))


def _new_event_loop() -> uvloop.Loop:
    loop = uvloop.Loop()
    loop.call_soon(lambda: tasks.append(loop.create_task(_probe())))
    return loop


def _write(path: Path) -> None:
    temporary = path.with_suffix(".new")
    while True:
        names = {str(thread.native_id): thread.name for thread in threading.enumerate()}
        temporary.write_text(json.dumps({"threads": names, "late_ms": _late_ms}))
        temporary.rename(path)
        time.sleep(1)


if __name__ == "__main__":
    tasks: list[asyncio.Task[None]] = []
    del sys.path[0], sys.argv[0]  # this directory has modules with common names
    uvloop.new_event_loop = _new_event_loop
    threading.Thread(target=_write, args=(Path(sys.argv[0]),), name="observer", daemon=True).start()
    runpy.run_module("edgepub", run_name="__main__")
