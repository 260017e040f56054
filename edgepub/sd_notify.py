"""What systemd is told of a service that it runs. Source: sd_notify(3), sd_watchdog_enabled(3)."""

import os
import socket
import time

_LONGEST = 1000


def notify(*assignments: str) -> bool:
    """Tell the service manager, if there is one that wants to hear it: `READY=1`, `STATUS=...` and so on.

    Returns:
        Whether that is done; False: it does not take it now, and may later.

    """
    path = os.environ.get("NOTIFY_SOCKET", "")
    if path[:1] not in {"/", "@"}:
        return True
    address = "\0" + path[1:] if path[0] == "@" else path
    lines = [each.replace("\n", " ")[:_LONGEST] for each in assignments]
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
