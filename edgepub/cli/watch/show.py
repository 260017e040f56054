"""`edgepub watch`: choose the view and run the watcher."""

import asyncio
import os
import sys

from edgepub.cli.watch.board import Board
from edgepub.cli.watch.choice import Choice
from edgepub.cli.watch.views import LinesView, View
from edgepub.cli.watch.watcher import Watcher
from edgepub.config.mqtt import MqttSettings
from edgepub.core.threads import new_event_loop

_LINES_INTERVAL_S = 3.0


def show(settings: MqttSettings, choice: Choice) -> int:
    """Show the chosen nodes and cameras until a signal arrives, or until the reader of stdout is gone.

    Returns:
        The exit code: 0.

    Raises:
        BrokerError: no session with the broker was ever established; one line.

    """
    watcher = Watcher(settings, choice, Board(choice), _view())
    with asyncio.Runner(loop_factory=new_event_loop) as runner:
        runner.run(watcher.run())
    return 0


def _view() -> View:
    if not is_terminal():
        return LinesView(_LINES_INTERVAL_S)
    from edgepub.cli.watch.table import TableView

    return TableView()


def is_terminal() -> bool:
    """Return whether stdout is a terminal on which lines can be redrawn."""
    sys.stdout.reconfigure(errors="replace")  # type: ignore[union-attr]  # for labels with characters that it cannot show
    return sys.stdout.isatty() and os.environ.get("TERM", "dumb") not in {"dumb", "unknown"}
