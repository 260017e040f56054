"""Output of the live view: the protocol of all views, and plain lines for a pipe or a log."""

import time
from typing import NamedTuple, Protocol

from edgepub.cli.watch.board import OFFLINE, Board, News, Node
from edgepub.cli.watch.camera import Camera
from edgepub.mqtt.messages import Received


class Note(NamedTuple):
    """A line about the subscription itself."""

    text: str
    is_problem: bool = False
    """Whether no messages arrive at the moment."""


class View(Protocol):
    """A way to show the received messages."""

    def start(self) -> None:
        """Start, or continue after `stop`."""

    def on_message(self, message: Received) -> None:
        """Handle a message as received."""

    def on_news(self, news: News) -> None:
        """Handle an event or a change of status."""

    def tick(self, board: Board, note: Note) -> None:
        """Show the current state; called several times per second."""

    def stop(self) -> None:
        """Restore the terminal."""


class LinesView:
    """Lines for a pipe or a log: news immediately, and each camera's state at an interval.

    Args:
        interval_s: seconds between two lines of a camera.
        intro: text that is printed first.

    """

    def __init__(self, interval_s: float, intro: str = "") -> None:
        self._interval_s = interval_s
        self._intro = intro
        self._note = ""
        self._next_s = 0.0

    def start(self) -> None:
        """Print the intro."""
        if self._intro:
            print(self._intro, flush=True)
        self._intro = ""
        self._next_s = time.monotonic() + self._interval_s

    def on_message(self, message: Received) -> None:
        """Do nothing: cameras are printed by `tick`."""

    def on_news(self, news: News) -> None:
        """Print it."""
        print(f"{news.source}: {news.text}", flush=True)

    def tick(self, board: Board, note: Note) -> None:
        """Print the note when it has changed, and the cameras when the interval is over."""
        if note.text != self._note:
            self._note = note.text
            print(note.text, flush=True)
        if note.is_problem or time.monotonic() < self._next_s:
            return
        self._next_s = time.monotonic() + self._interval_s
        for node_name, node in board.nodes.items():
            for limit in node.limits if node.status != OFFLINE else ():
                print(f"{node_name}: {limit}")
            for name, camera in node.cameras.items():
                print(f"{node_name}/{name}: {_describe_camera(node, camera)}")
        print(end="", flush=True)

    def stop(self) -> None:
        """Do nothing: there is nothing to restore."""


def _describe_camera(node: Node, camera: Camera) -> str:
    status = node.status_of(camera)
    if not node.is_live(camera):
        return status
    parts = [
        status,
        "" if camera.fps is None else f"{camera.fps:.1f} fps",
        f"sees {camera.objects_text}" if camera.objects_text else "",
        f"{camera.latency_ms[0]:.1f} ms from capture to publish" if camera.latency_ms else "",
        f"{camera.dropped} dropped",
    ]
    return ", ".join(filter(None, parts))
