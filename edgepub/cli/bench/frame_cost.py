"""What a program takes for each frame."""

import itertools
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import psutil

from edgepub.camera.frames import Image

_WARM_UP = 30
_IN_FLIGHT = 40
"""More frames than a program has in flight, so that it has as many at the end of the measurement as at its start."""


class FrameCost(NamedTuple):
    """What each frame takes."""

    fps: float
    """Results per second."""
    cpu_ms: float
    """Processor time per frame, including child processes, in milliseconds."""
    found: float
    """Objects per frame."""


def read_frames(path: Path, count: int) -> Iterator[Image]:
    """Yield the pictures that are saved in a file, again and again: as many as `measure` needs for a number of frames.

    They are read at the start, so none is read while it is measured.
    """
    pictures = list(np.load(path))
    return itertools.islice(itertools.cycle(pictures), _WARM_UP + count + _IN_FLIGHT)


def measure(found: Iterable[int], count: int) -> FrameCost:
    """Return what each of a number of frames takes, after the first ones.

    Args:
        found: the number of objects in each frame, as its result comes.
        count: how many frames to measure.

    """
    numbers = iter(found)
    for _ in itertools.islice(numbers, _WARM_UP):
        pass
    from_s, from_cpu_s = time.perf_counter(), _cpu_s()
    objects = sum(itertools.islice(numbers, count))
    seconds, cpu_s = time.perf_counter() - from_s, _cpu_s() - from_cpu_s
    for _ in numbers:  # PySDK must have nothing in flight when the process ends
        pass
    return FrameCost(count / seconds, 1000 * cpu_s / count, objects / count)


def _cpu_s() -> float:
    """Return the processor time of this process and its child processes, in seconds."""
    children = [child.cpu_times() for child in psutil.Process().children(recursive=True)]
    return time.process_time() + float(sum(used.user + used.system for used in children))
