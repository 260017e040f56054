"""Bounds what many commands for one setting cost: only the newest one of an interval is applied.

To apply one costs as much as to publish a frame, a line in the log, and a write to the disk.
"""

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

from edgepub.telemetry.logs import camera_logger

INTERVAL_S = 1.0
_MAX_IMMEDIATE = 5
_log = logging.getLogger(__name__)
CallLater = Callable[[float, Callable[[], None]], object]


class Target(NamedTuple):
    """What a command is for."""

    camera: str
    name: str
    """The name of the setting."""
    is_valid: bool
    """Commands that are not valid replace no valid ones."""


@dataclass(slots=True)
class _Interval:
    """The commands for a target in an interval."""

    free: int = _MAX_IMMEDIATE
    """How many further ones are applied immediately."""
    newest: bytes | None = None
    """The payload to apply at the end of the interval."""
    skipped: int = 0
    """How many were not applied since the last quiet interval."""


class CommandPacer:
    """Applies a few commands for a target immediately, and of the others in each interval the newest at its end.

    Args:
        apply: applies a command.
        interval_s: the interval.
        call_later: calls a function after seconds; None: in the event loop.

    """

    def __init__(
        self, apply: Callable[[Target, bytes], None], interval_s: float, call_later: CallLater | None = None
    ) -> None:
        self._apply = apply
        self._interval_s = interval_s
        self._call_later = call_later or _call_later
        self._intervals: dict[Target, _Interval] = {}

    def put(self, target: Target, payload: bytes) -> None:
        """Apply a command now, or at the end of the interval unless a newer one comes."""
        interval = self._intervals.get(target) or self._start(target, _Interval())
        if interval.free:
            interval.free -= 1
            self._apply(target, payload)
        else:
            interval.skipped += interval.newest is not None
            interval.newest = payload

    def flush(self) -> None:
        """Apply the commands that wait."""
        for target, interval in self._intervals.items():
            if interval.newest is not None:
                self._apply(target, interval.newest)
                interval.newest = None

    def _start(self, target: Target, interval: _Interval) -> _Interval:
        self._intervals[target] = interval
        self._call_later(self._interval_s, lambda: self._end(target))
        return interval

    def _end(self, target: Target) -> None:
        ended = self._intervals.pop(target)
        if ended.newest is not None:
            self._start(target, _Interval(free=0, skipped=ended.skipped))
            self._apply(target, ended.newest)
        elif ended.skipped:
            text = "skipped commands for %s, because newer ones came less than %g s later: %d"
            camera_logger(_log, target.camera).warning(text, target.name, self._interval_s, ended.skipped)


def _call_later(seconds: float, function: Callable[[], None]) -> None:
    asyncio.get_running_loop().call_later(seconds, function)
