"""What a program takes for each frame."""

import itertools
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from statistics import median
from typing import NamedTuple

import numpy as np
import psutil

from edgepub.camera.frames import Image

_WARM_UP = 30
_PARTS = 10  # now and then, a thread of TFLite waits busily for one that has no processor
_IN_FLIGHT = 40
"""More frames than a program has in flight, so that it has as many at the end of the measurement as at its start."""


class FrameCost(NamedTuple):
    """What each frame takes."""

    fps: float
    """Results per second: the median of several parts of the run."""
    cpu_ms: float
    """Processor time per frame, including child processes, in milliseconds: the median, too."""
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
        count: how many frames to measure, a multiple of 10.

    """
    numbers = iter(found)
    for _ in itertools.islice(numbers, _WARM_UP):
        pass
    objects = 0
    seconds: list[float] = []
    cpu_s: list[float] = []
    from_children_s = _children_cpu_s()
    for _ in range(_PARTS):
        from_s, from_cpu_s = time.perf_counter(), time.process_time()
        objects += sum(itertools.islice(numbers, count // _PARTS))
        seconds.append(time.perf_counter() - from_s)
        cpu_s.append(time.process_time() - from_cpu_s)
    children_s = (_children_cpu_s() - from_children_s) / _PARTS
    for _ in numbers:  # PySDK must have nothing in flight when the process ends
        pass
    frames = count // _PARTS
    return FrameCost(frames / median(seconds), 1000 * (median(cpu_s) + children_s) / frames, objects / count)


def _children_cpu_s() -> float:
    """Return the processor time of the child processes in seconds, which the system knows in steps of 10 ms."""
    children = [child.cpu_times() for child in psutil.Process().children(recursive=True)]
    return float(sum(used.user + used.system for used in children))
