"""The course of `edgepub watch`."""

import asyncio
import os
import sys

import uvloop

from edgepub.cli.watch.board import Board
from edgepub.cli.watch.choice import Choice
from edgepub.cli.watch.views import LinesView, View
from edgepub.cli.watch.watcher import Watcher
from edgepub.config.settings import MqttSettings

_EVERY_S = 3.0


def show(settings: MqttSettings, choice: Choice) -> int:
    """Show what is chosen until a signal, or until nobody reads it any more.

    Returns:
        The exit code: 0.

    Raises:
        BrokerError: there was no session with the broker at all; one line.

    """
    watcher = Watcher(settings, choice, Board(choice), _view())
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(watcher.run())
        if watcher.is_connecting:
            os._exit(0)  # a thread of the event loop's tries still, and its end would be waited for
    return 0


def _view() -> View:
    if not is_terminal():
        return LinesView(_EVERY_S)
    from edgepub.cli.watch.table import TableView

    return TableView()


def is_terminal() -> bool:
    """Return whether stdout is a terminal on which lines can be drawn again."""
    sys.stdout.reconfigure(errors="replace")  # type: ignore[union-attr]  # a label may have what it cannot show
    return sys.stdout.isatty() and os.environ.get("TERM", "dumb") not in {"dumb", "unknown"}
