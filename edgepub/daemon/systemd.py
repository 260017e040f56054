"""What the service manager is told: that the start is over, how it is in words, and that all parts make progress."""

import asyncio
import logging
import os
import socket
import time
from collections.abc import Callable, Sequence

from edgepub.telemetry.status import Status

_LOOK_S = 0.5
_FEEDS = 3  # for each time that the watchdog could bite
_SURE_S = 5.0
_MAX_CHARACTERS = 1000
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

    async def follow(self, status: Status, stuck: Callable[[], Sequence[str]]) -> None:
        """Tell how it is until cancelled.

        Args:
            status: of the node.
            stuck: returns the parts that make no progress, and do not help themselves.

        """
        while True:
            if not self._is_ready and (status.broker.sessions or time.monotonic() > self._ready_at_s):
                self._is_ready = True
                self._owes_ready = True
                if not status.broker.sessions:
                    _log.warning("the start counts as done without the broker: %s", status.broker.problem)
            self._tell("; ".join(filter(None, [status.summary, self._news, *status.problems])))
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


def notify(*assignments: str) -> bool:
    """Tell the service manager, if there is one that wants to hear it: `READY=1`, `STATUS=...` and so on.

    Returns:
        Whether that is done; False: it does not take it now, and may later.

    """
    path = os.environ.get("NOTIFY_SOCKET", "")
    if path[:1] not in {"/", "@"}:
        return True
    address = "\0" + path[1:] if path[0] == "@" else path
    lines = [each.replace("\n", " ")[:_MAX_CHARACTERS] for each in assignments]
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as notifier:
        notifier.setblocking(False)  # a manager that does not read must not hold anybody
        try:
            notifier.sendto("\n".join(lines).encode(errors="backslashreplace"), address)
        except OSError:
            return False
    return True


def monotonic_now() -> str:
    """Return the moment in the form that goes with `RELOADING=1`."""
    return f"MONOTONIC_USEC={time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000}"


def watchdog_s() -> float | None:
    """Return within how many seconds the manager wants to hear `WATCHDOG=1`; None: it does not."""
    usec = os.environ.get("WATCHDOG_USEC", "")
    pid = os.environ.get("WATCHDOG_PID", str(os.getpid()))
    return int(usec) / 1e6 if usec.isdecimal() and int(usec) and pid == str(os.getpid()) else None
