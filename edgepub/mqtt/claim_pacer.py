"""Bounds what the claims of other nodes cost: to answer one publishes a message, and some make all states be resent."""

import asyncio
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

CallLater = Callable[[float, Callable[[], None]], object]
_Key = TypeVar("_Key", bound=Hashable)


class ClaimPacer(Generic[_Key]):
    """Calls a function immediately, and in each interval at most once for a key; what came too early, at its end.

    Args:
        apply: called with a key.
        interval_s: the interval.
        max_keys: how many keys it is called with in an interval, and how many may wait for its end.
        call_later: calls a function after seconds; None: in the event loop.

    """

    def __init__(
        self, apply: Callable[[_Key], None], interval_s: float, max_keys: int, call_later: CallLater | None = None
    ) -> None:
        self._apply = apply
        self._interval_s = interval_s
        self._max_keys = max_keys
        self._call_later = call_later or _call_later
        self._applied: set[_Key] = set()  # in this interval; empty: there is none
        self._waiting: dict[_Key, None] = {}

    def put(self, key: _Key) -> None:
        """Apply a key now, or at the end of the interval."""
        if key not in self._applied and len(self._applied) < self._max_keys:
            if not self._applied:
                self._call_later(self._interval_s, self._end)
            self._applied.add(key)
            self._apply(key)
        elif len(self._waiting) < self._max_keys:
            self._waiting[key] = None

    def _end(self) -> None:
        waiting, self._waiting = self._waiting, {}
        self._applied.clear()
        for key in waiting:
            self.put(key)


def _call_later(seconds: float, function: Callable[[], None]) -> None:
    asyncio.get_running_loop().call_later(seconds, function)
