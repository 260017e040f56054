"""The pace of a backlog: how fast messages are sent that have waited."""

import time
from collections.abc import Callable
from math import inf

_MAX_NEW_S = 1.0
"""A message that has waited longer makes a backlog. Without one, nothing is limited."""
_MAX_NEW = 500
"""More messages that wait make a backlog, too: half of what Mosquitto keeps for a subscriber."""
_BATCH_S = 0.02
"""After a pause, so many seconds' messages are sent together: waking the event loop for each would cost more."""
_MIN_BURST = 64
"""Messages that may be sent together after a standstill: as many as may be in flight."""


class ReplayPace:
    """Limits the messages per second while there is a backlog, so that slow subscribers keep up.

    A broker takes a backlog as fast as it comes, and drops what a slower subscriber has waiting beyond a limit (1,000
    messages in Mosquitto). The backlog begins with a message that has waited, or with many that wait, and ends when
    none waits any more. Each new message allows one more: so what is new does not make a backlog longer, and the order
    stays.

    It is a token bucket. Not thread-safe.

    Args:
        rate_hz: messages of a backlog per second; None: no limit.
        clock: returns monotonic seconds.

    """

    def __init__(self, rate_hz: float | None, clock: Callable[[], float] = time.monotonic) -> None:
        self._rate_hz = inf if rate_hz is None else rate_hz
        self._clock = clock
        self._batch = max(1.0, _BATCH_S * self._rate_hz)
        self._burst = max(2 * self._batch, _MIN_BURST)  # else the time after a whole batch is lost
        self._is_backlog = False
        self._is_paused = False
        self._tokens = 0.0
        self._filled_s = 0.0

    def count_put(self) -> None:
        """Allow one more message, because one has come."""
        if self._is_backlog:
            self._tokens += 1

    def may_take(self, created_s: float, waiting: int) -> bool:
        """Return whether the oldest message may be taken now.

        Args:
            created_s: when it was created.
            waiting: how many messages wait.

        """
        if not self._is_backlog:
            is_new = waiting <= _MAX_NEW and self._clock() - created_s <= _MAX_NEW_S
            if is_new or self._rate_hz == inf:
                return True
            self._is_backlog = True
            self._tokens, self._filled_s = self._batch, self._clock()
        self._fill()
        self._is_paused = self._tokens < (self._batch if self._is_paused else 1)
        return not self._is_paused

    def count_taken(self, left: int) -> None:
        """Count a message that was taken.

        Args:
            left: how many still wait.

        """
        if self._is_backlog:
            self._tokens -= 1
            self._is_backlog = left > 0

    @property
    def pause_s(self) -> float:
        """For how long no message may be taken."""
        if not self._is_paused:
            return 0.0
        self._fill()
        return max(0.0, (self._batch - self._tokens) / self._rate_hz)

    def _fill(self) -> None:
        now_s = self._clock()
        self._tokens = min(self._tokens + self._rate_hz * (now_s - self._filled_s), self._burst)
        self._filled_s = now_s
