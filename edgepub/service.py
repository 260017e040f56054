"""What the service manager is told: that the start is over, how it is in words, and that all parts make progress."""

import asyncio
import logging
import time
from collections.abc import Callable, Sequence

from edgepub.condition import Condition
from edgepub.sd_notify import monotonic_now, notify, watchdog_s

_LOOK_S = 0.5
_FEEDS = 3  # for each time that the watchdog could bite
_SURE_S = 5.0
_log = logging.getLogger(__name__)


class Service:
    """One process under a service manager; without one, nobody hears it.

    Args:
        startup_timeout_s: so long the manager is kept waiting for the first session with the broker.

    """

    def __init__(self, startup_timeout_s: float) -> None:
        self._ready_at_s = time.monotonic() + startup_timeout_s
        self._watchdog_s = watchdog_s()
        self._is_ready = False
        self._is_leaving = False
        self._owes_ready = False
        self._news = ""
        self._told = ""
        self._next_feed_s = 0.0
        self._stuck_since_s: dict[str, float] = {}
        # The manager's own limit for a start may be shorter.
        notify(f"EXTEND_TIMEOUT_USEC={int(1e6 * (startup_timeout_s + 30))}", "STATUS=starting")

    async def follow(self, condition: Condition, stuck: Callable[[], Sequence[str]]) -> None:
        """Tell how it is until cancelled.

        Args:
            condition: how it is.
            stuck: returns the parts that make no progress, and do not help themselves.

        """
        while True:
            if not self._is_ready and (condition.broker.sessions or time.monotonic() > self._ready_at_s):
                self._is_ready = True
                self._owes_ready = True
                if not condition.broker.sessions:
                    _log.warning("the start counts as done without the broker: %s", condition.broker.fault)
            self._tell("; ".join(filter(None, [condition.summary, self._news, *condition.wrong])))
            self._feed(stuck())
            await asyncio.sleep(_LOOK_S)

    def reloading(self) -> None:
        """Tell that the configuration is being read anew."""
        if self._is_ready:
            notify("RELOADING=1", monotonic_now(), "STATUS=reloading")

    def reloaded(self, news: str) -> None:
        """Tell that this is over, and what came of it: said from now on beside how it is."""
        self._news, self._told = news, ""
        self._owes_ready = self._is_ready

    def stopping(self) -> None:
        """Tell that it comes to its end, and from now on nothing else."""
        self._is_leaving = True
        notify("STOPPING=1", "STATUS=stopping")

    def _tell(self, words: str) -> None:
        if self._is_leaving or (words == self._told and not self._owes_ready):
            return
        if notify(*["READY=1"] * self._owes_ready, f"STATUS={words}"):  # else it is told the next time
            self._told, self._owes_ready = words, False

    def _feed(self, names: Sequence[str]) -> None:
        now_s = time.monotonic()
        self._stuck_since_s = {name: self._stuck_since_s.get(name, now_s) for name in names}
        stuck = [name for name, since_s in self._stuck_since_s.items() if now_s - since_s > _SURE_S]
        if self._watchdog_s is None or now_s < self._next_feed_s:
            return
        self._next_feed_s = now_s + self._watchdog_s / _FEEDS
        if stuck:
            text = "%s: no progress; unless that changes, the service manager ends this within %.0f s"
            _log.error(text, ", ".join(stuck), self._watchdog_s)
        else:
            notify("WATCHDOG=1")
