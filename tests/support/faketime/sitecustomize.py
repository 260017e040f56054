"""Python runs this at the start of each process with a wall clock of its own (`tests.support.wall_clock`).

libfaketime 0.9.10 breaks `time.sleep`, which Python 3.11 bases on `clock_nanosleep` until a time of the monotonic
clock: it takes that for a time of the wall clock, and the call fails with EINVAL.
"""

import select
import time


def _sleep(seconds):
    select.select([], [], [], seconds)


time.sleep = _sleep
