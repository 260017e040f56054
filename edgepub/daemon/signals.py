"""Signals become requests to the running daemon."""

import asyncio
import logging
import os
import signal
import sys

from edgepub.core.process import exit_now

_log = logging.getLogger(__name__)


class Requests:
    """Requests to a running daemon. Use in its event loop only."""

    def __init__(self) -> None:
        self.is_stopping = False
        self.is_reload_due = False
        self.is_restart_due = False
        self.changed = asyncio.Event()

    def stop(self) -> None:
        """Request the stop."""
        self.is_stopping = True
        self.changed.set()

    def reload(self) -> None:
        """Request that the configuration is read again."""
        self.is_reload_due = True
        self.changed.set()

    def restart(self) -> None:
        """Request another run with the same configuration, without what is saved in the state directory."""
        self.is_restart_due = True
        self.changed.set()


def handle_signals(requests: Requests) -> None:
    """Turn signals into requests from now on: SIGTERM and SIGINT stop (the second one exits), SIGHUP reloads.

    Call it in the event loop.
    """
    started_on_terminal = sys.stderr.isatty()

    def stop() -> None:
        if requests.is_stopping:
            _log.warning("exiting without waiting")
            exit_now(1)
        requests.stop()

    def hang_up() -> None:
        if started_on_terminal and not sys.stderr.isatty():  # the terminal was closed: what SIGHUP meant originally
            devnull = os.open(os.devnull, os.O_WRONLY)
            for stream in (sys.stdout, sys.stderr):  # every further write to the terminal would fail
                os.dup2(devnull, stream.fileno())
            os.close(devnull)
            stop()
        else:
            requests.reload()

    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop)
    loop.add_signal_handler(signal.SIGHUP, hang_up)
