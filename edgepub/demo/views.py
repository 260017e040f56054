"""What the demo shows on a terminal, in a pipe, and as JSON."""

import sys
from collections.abc import Mapping
from typing import Protocol

from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from edgepub.demo.tally import Tally


class View(Protocol):
    """A way to show what comes in."""

    def start(self, hint: str) -> None:
        """Begin, with a line on what else to try."""

    def take(self, payload: bytes) -> None:
        """Show one detections payload, if that is this view's way."""

    def tick(self, tallies: Mapping[str, Tally]) -> None:
        """Show how things stand; called once or more a second."""

    def stop(self) -> None:
        """Leave the terminal as it was."""


class JsonView:
    """One payload a line on stdout, and nothing else there."""

    def start(self, hint: str) -> None:
        """Say nothing."""

    def take(self, payload: bytes) -> None:
        """Print the payload as it came."""
        sys.stdout.buffer.write(payload + b"\n")
        sys.stdout.buffer.flush()

    def tick(self, tallies: Mapping[str, Tally]) -> None:
        """Say nothing."""

    def stop(self) -> None:
        """Have nothing to end."""


class LinesView:
    """A line a second, for a pipe or a log."""

    def __init__(self) -> None:
        self._ticks = 0

    def start(self, hint: str) -> None:
        """Print the hint."""
        print(hint, flush=True)

    def take(self, payload: bytes) -> None:
        """Wait for the tick."""

    def tick(self, tallies: Mapping[str, Tally]) -> None:
        """Print a line for each camera, once a second."""
        self._ticks += 1
        if self._ticks % TICKS_A_SECOND:
            return
        for camera, tally in tallies.items():
            middle_ms, _ = tally.latency_ms()
            print(
                f"{camera}: {tally.status}, {tally.fps:.1f} fps, sees {tally.labels}, "
                f"{middle_ms:.1f} ms from capture to publish, {tally.dropped} dropped",
                flush=True,
            )

    def stop(self) -> None:
        """Have nothing to end."""


class TableView:
    """A live table, and the latest message under it, for a person."""

    def __init__(self) -> None:
        self._live = Live(console=Console(), auto_refresh=False)
        self._latest = b""

    def start(self, hint: str) -> None:
        """Begin the table under the hint."""
        self._live.console.print(hint, highlight=False, soft_wrap=True)
        self._live.start()

    def take(self, payload: bytes) -> None:
        """Keep the payload for the tick."""
        self._latest = payload

    def tick(self, tallies: Mapping[str, Tally]) -> None:
        """Draw the table again."""
        table = Table("camera", "status", "fps", "sees", "capture to publish (p50 / p95)", "messages", "dropped")
        for camera, tally in tallies.items():
            middle_ms, slow_ms = tally.latency_ms()
            table.add_row(
                camera,
                tally.status,
                f"{tally.fps:.1f}",
                tally.labels,
                f"{middle_ms:.1f} / {slow_ms:.1f} ms",
                str(tally.messages),
                str(tally.dropped),
            )
        latest = Text(self._latest.decode(), style="dim")
        self._live.update(Group(table, Text("The latest message:"), latest), refresh=True)

    def stop(self) -> None:
        """Leave the last table standing."""
        self._live.stop()


TICKS_A_SECOND = 5
