"""Tells when a packet came and when its picture was taken, although the packet may have waited to be read."""

from collections import deque
from collections.abc import Callable
from math import inf
from typing import NamedTuple

from edgepub.camera.frames import Clock

_MAX_DRIFT = 0.0005
"""How much a camera's clock may be slow, as a part of the time: ten times that of a bad quartz."""
_MIN_WAIT_S = 0.002
"""A shorter read did not wait for the camera."""
_EDGE_READS = 3
_EDGE_S = 0.3
"""After so many reads in a row that waited, for so long, nothing is left to be read: a packet is read as it comes."""
_RATE_READS = 5
_RATE_S = 1.0
_MIN_RATE, _MAX_RATE = 0.8, 1.25
"""How fast a stream's clock may run. Some stamp each frame as if the camera sent more of them, or all the same."""
_MAX_REORDER_S = 2.0
_MAX_DELAY_S = 3.0
"""The longest time from the picture to its packet that is believed. With more, the camera's clock is wrong."""
_MAX_AHEAD_S = 0.2
"""How far a camera's clock may be ahead of this computer's: both are set over a network."""


class Arrival(NamedTuple):
    """When a packet came, and when its picture was taken, both on the monotonic clock."""

    came_s: float
    taken_s: float
    clock: Clock


class StreamClock:
    """Compares the timestamps of a live stream with the time at which its packets are read.

    The difference is smallest for the packets that were read as they came. For the others, the stream's own clock says
    how long they have waited. A camera whose clock is slow, or a longer way through the network, makes the difference
    grow; that is accepted while each read waits for the camera. A clock that is far too slow or too fast is not used.

    Args:
        on_offset: called with how far the camera's clock is ahead, in seconds, when it is known.

    """

    def __init__(self, on_offset: Callable[[float], None]) -> None:
        self._on_offset = on_offset
        self._difference_s = inf
        self._dts_s = -inf
        self._reorder_s = 0.0
        self._read_s = 0.0
        self._edge: deque[tuple[float, float]] = deque()  # of the reads in a row that waited: when, and the difference
        self._periods: deque[float] = deque(maxlen=_RATE_READS)  # from one such read to the next
        self._rates: list[float] = []  # of the stream's clock, between two such reads in a row
        self._rates_s = 0.0  # how long these took
        self._is_usable = True

    @property
    def period_s(self) -> float:
        """The time between two packets, on this computer's clock, without pauses; 0 while it is not known."""
        return min(self._periods, default=0.0)

    def read(self, dts_s: float | None, asked_s: float, now_s: float) -> bool:
        """Take note of a packet that was read; return whether the read waited for it.

        Args:
            dts_s: the packet's decoding timestamp, in seconds; None without one.
            asked_s: when the read began, on the monotonic clock.
            now_s: when it ended.

        """
        since_s, self._read_s = now_s - self._read_s, now_s
        waited = now_s - asked_s > max(_MIN_WAIT_S, since_s / 2)
        if dts_s is None:
            return waited
        difference_s = now_s - dts_s
        step_s, self._dts_s = dts_s - self._dts_s, dts_s
        if step_s < 0:  # the camera has started over
            self._difference_s = inf
        if step_s < 0 or not waited:
            self._edge.clear()
            self._rates.clear()
            self._rates_s = 0.0
        if waited:
            if self._edge:
                self._measure_rate(step_s, since_s)
            self._edge.append((now_s, difference_s))
        slow_s = self._difference_s + _MAX_DRIFT * since_s
        if len(self._edge) >= _EDGE_READS and now_s - self._edge[0][0] >= _EDGE_S:
            self._difference_s = min(difference for _, difference in self._edge)
            self._edge.popleft()
        else:
            self._difference_s = min(slow_s, difference_s)
        return waited

    def _measure_rate(self, step_s: float, since_s: float) -> None:
        """Compare how fast both clocks run while the reads wait. One read that took long does not count."""
        self._periods.append(since_s)
        self._rates.append(step_s / since_s)
        self._rates_s += since_s
        if len(self._rates) >= _RATE_READS and self._rates_s >= _RATE_S:
            self._is_usable = _MIN_RATE < sorted(self._rates)[len(self._rates) // 2] < _MAX_RATE
            self._rates.clear()
            self._rates_s = 0.0

    def arrival(
        self, dts_s: float | None, pts_s: float | None, now_s: float, wall_s: float, reported_s: float | None
    ) -> Arrival:
        """Return when a packet came that was read.

        Args:
            dts_s: its decoding timestamp, in seconds; None without one.
            pts_s: its presentation timestamp.
            now_s: the time on the monotonic clock.
            wall_s: the same time in Unix seconds.
            reported_s: when the picture was taken by the camera's clock, in Unix seconds (RFC 3550, 6.4.1); None: not
                said.

        """
        if not self._is_usable:
            return Arrival(now_s, now_s, "arrival")
        came_s = now_s if dts_s is None else min(now_s, dts_s + self._difference_s)
        taken_s = came_s
        if dts_s is not None and pts_s is not None and 0 <= pts_s - dts_s <= _MAX_REORDER_S:
            # A picture that is shown before others was taken before them, but comes after them.
            self._reorder_s = max(self._reorder_s, pts_s - dts_s)
            taken_s = came_s + pts_s - dts_s - self._reorder_s
        if reported_s is None:
            return Arrival(came_s, taken_s, "arrival")
        delay_s = wall_s - (now_s - came_s) - reported_s
        self._on_offset(-delay_s)
        if not -_MAX_AHEAD_S <= delay_s <= _MAX_DELAY_S:
            return Arrival(came_s, taken_s, "arrival")
        return Arrival(came_s, min(came_s, came_s - delay_s), "rtcp")
