"""Threads of our own: which of them may be inside native code, and what becomes of their results."""

import asyncio
import subprocess
import sys
import threading

import pytest

from edgepub.core.threads import native_threads, run_in_thread, start_native_thread


def test_native_threads_are_listed_while_they_run():
    release = threading.Event()
    thread = start_native_thread("any name", release.wait)
    assert thread in native_threads()
    assert thread.daemon, "it does not keep the process alive"
    release.set()
    thread.join(60)
    assert thread not in native_threads()


@pytest.mark.parametrize("native", [False, True])
async def test_the_result_of_a_thread_is_returned_and_its_error_raised(native):
    assert await run_in_thread("work", lambda: 7, native=native) == 7
    with pytest.raises(ZeroDivisionError):
        await run_in_thread("work", lambda: 1 // 0, native=native)


async def test_a_cancelled_call_leaves_its_thread_behind_and_only_a_native_one_is_listed():
    before, release = native_threads(), threading.Event()
    for native in (False, True):
        task = asyncio.create_task(run_in_thread("hung", release.wait, native=native))
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert len(set(native_threads()) - set(before)) == native
    release.set()


def test_a_call_that_hangs_in_the_event_loops_own_thread_does_not_delay_the_end():
    """As a connect does while the DNS does not answer."""
    program = """
import asyncio, time
from edgepub.core.threads import new_event_loop

async def main():
    loop = asyncio.get_running_loop()
    assert await loop.run_in_executor(None, lambda: 5) == 5
    try:
        await loop.run_in_executor(None, lambda: 1 / 0)
    except ZeroDivisionError:
        loop.run_in_executor(None, time.sleep, 600)

with asyncio.Runner(loop_factory=new_event_loop) as runner:
    runner.run(main())
print("over")
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "over\n", "")
