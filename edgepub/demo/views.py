"""What the demo shows on a terminal, in a pipe, and as JSON."""

import sys
import time
from collections import deque
from collections.abc import Mapping
from typing import Any, Protocol

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

    def happen(self, camera: str, event: Mapping[str, Any]) -> None:
        """Show one event, if that is this view's way."""

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

    def happen(self, camera: str, event: Mapping[str, Any]) -> None:
        """Say nothing."""

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

    def happen(self, camera: str, event: Mapping[str, Any]) -> None:
        """Print the event."""
        print(f"{camera}: {_words(event)}", flush=True)

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
        self._events: deque[str] = deque(maxlen=_EVENTS)

    def start(self, hint: str) -> None:
        """Begin the table under the hint."""
        self._live.console.print(hint, highlight=False, soft_wrap=True)
        self._live.start()

    def take(self, payload: bytes) -> None:
        """Keep the payload for the tick."""
        self._latest = payload

    def happen(self, camera: str, event: Mapping[str, Any]) -> None:
        """Keep the event for the tick."""
        self._events.append(f"{time.strftime('%X', time.localtime(event['timestamp']))} {camera}: {_words(event)}")

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
        happened = Text("\n".join(self._events) or "none yet", style="dim")
        parts = (table, Text("The latest events:"), happened, Text("The latest message:"), latest)
        self._live.update(Group(*parts), refresh=True)

    def stop(self) -> None:
        """Leave the last table standing."""
        self._live.stop()


def _words(event: Mapping[str, Any]) -> str:
    """Return what happened, for a person."""
    return f"{event['label']} {event['track_id']} {_HAPPENED[event['event_type']].format_map(event)}"


TICKS_A_SECOND = 5
_EVENTS = 5
_HAPPENED = {
    "appeared": "appeared",
    "left": "left after {dwell_s:.1f} s",
    "zone_entered": "entered the zone {zone}",
    "zone_left": "left the zone {zone} after {dwell_s:.1f} s",
    "line_crossed": "crossed the line {line} to the {direction}",
}
