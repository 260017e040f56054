"""Reports to the service manager: that the start is over, a status text, and that all parts make progress."""

import asyncio
import logging
import os
import socket
import time
from collections.abc import Callable, Sequence

from edgepub.telemetry.status import Status

_POLL_S = 0.5
_STUCK_AFTER_S = 5.0
_PINGS_PER_TIMEOUT = 3
_STARTUP_MARGIN_S = 30.0
_MAX_LINE_CHARACTERS = 1000
_log = logging.getLogger(__name__)


class Service:
    """This process as a service. Without a service manager, nothing is sent.

    Args:
        startup_timeout_s: how long the start waits for the first session with the broker.
        poll_s: seconds between two reports of the status.
        stuck_after_s: how long a part must be stuck before the watchdog is no longer fed.

    """

    def __init__(
        self, startup_timeout_s: float, *, poll_s: float = _POLL_S, stuck_after_s: float = _STUCK_AFTER_S
    ) -> None:
        self._startup_timeout_s = startup_timeout_s
        self._startup_ends_s = time.monotonic() + startup_timeout_s
        self._poll_s = poll_s
        self._stuck_after_s = stuck_after_s
        self._watchdog_s = watchdog_timeout_s()
        self._is_ready = False
        self._is_stopping = False
        self._is_ready_due = False  # READY=1 is still to be sent
        self._reload_result = ""
        self._sent_status = ""
        self._next_ping_s = 0.0
        self._stuck_since_s: dict[str, float] = {}

    def report_starting(self) -> None:
        """Report that the start has begun, and how long it may take: the manager's own limit may be shorter."""
        limit_s = self._startup_timeout_s + _STARTUP_MARGIN_S
        notify(f"EXTEND_TIMEOUT_USEC={int(1e6 * limit_s)}", "STATUS=starting")

    async def follow(self, status: Status, stuck: Callable[[], Sequence[str]]) -> None:
        """Report the node's status until cancelled.

        Args:
            status: the node's status.
            stuck: returns the names of the parts that make no progress and cannot recover on their own.

        """
        while True:
            if not self._is_ready and (status.broker.sessions or time.monotonic() > self._startup_ends_s):
                self._is_ready = True
                self._is_ready_due = True
                if not status.broker.sessions:
                    problem = status.broker.problem
                    _log.warning("startup timed out waiting for the broker; continuing without it: %s", problem)
            texts = [status.summary, self._reload_result, *status.problems, *status.notes]
            self._report("; ".join(filter(None, texts)))
            self._ping_watchdog(stuck())
            await asyncio.sleep(self._poll_s)

    def report_reloading(self) -> None:
        """Report that a reload has begun."""
        if self._is_ready:
            notify("RELOADING=1", monotonic_usec(), "STATUS=reloading")

    def report_reloaded(self, result: str) -> None:
        """Report that the reload is over. Its result is a part of the status text until the next reload."""
        self._reload_result, self._sent_status = result, ""
        self._is_ready_due = self._is_ready

    def report_stopping(self) -> None:
        """Report that the stop has begun. No status is reported after that."""
        self._is_stopping = True
        notify("STOPPING=1", "STATUS=stopping")

    def _report(self, text: str) -> None:
        if self._is_stopping or (text == self._sent_status and not self._is_ready_due):
            return
        if notify(*["READY=1"] * self._is_ready_due, f"STATUS={text}"):  # otherwise the next poll sends it
            self._sent_status, self._is_ready_due = text, False

    def _ping_watchdog(self, stuck: Sequence[str]) -> None:
        """Ping the manager's watchdog, unless a part has been stuck for too long."""
        now_s = time.monotonic()
        self._stuck_since_s = {name: self._stuck_since_s.get(name, now_s) for name in stuck}
        if self._watchdog_s is None or now_s < self._next_ping_s:
            return
        self._next_ping_s = now_s + self._watchdog_s / _PINGS_PER_TIMEOUT
        hopeless = [name for name, since_s in self._stuck_since_s.items() if now_s - since_s > self._stuck_after_s]
        if hopeless:
            text = "%s: no progress; the service manager kills this process in %.0f s unless that changes"
            _log.error(text, ", ".join(hopeless), self._watchdog_s)
        else:
            notify("WATCHDOG=1")


def notify(*assignments: str) -> bool:
    """Send assignments such as `READY=1` or `STATUS=...` to the service manager (sd_notify), if there is one.

    Returns:
        False if the manager does not take the message now and may later; else True.

    """
    path = os.environ.get("NOTIFY_SOCKET", "")
    if path[:1] not in {"/", "@"}:
        return True
    address = "\0" + path[1:] if path[0] == "@" else path
    lines = [assignment.replace("\n", " ")[:_MAX_LINE_CHARACTERS] for assignment in assignments]
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as notifier:
        notifier.setblocking(False)  # a manager that does not read must not block the event loop
        try:
            notifier.sendto("\n".join(lines).encode(errors="backslashreplace"), address)
        except OSError:
            return False
    return True


def monotonic_usec() -> str:
    """Return the time now as the assignment that `RELOADING=1` requires."""
    return f"MONOTONIC_USEC={time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000}"


def watchdog_timeout_s() -> float | None:
    """Return the manager's watchdog timeout in seconds; None if it watches no process, or another one."""
    usec = os.environ.get("WATCHDOG_USEC", "")
    pid = os.environ.get("WATCHDOG_PID", str(os.getpid()))
    return int(usec) / 1e6 if usec.isdecimal() and int(usec) and pid == str(os.getpid()) else None
