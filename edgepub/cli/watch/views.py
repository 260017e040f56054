"""How it is shown: what every view can do, and lines for a pipe or a log."""

import time
from typing import NamedTuple, Protocol

from edgepub.cli.watch.board import Board, News, Node
from edgepub.cli.watch.camera import Camera
from edgepub.mqtt.messages import Received


class Note(NamedTuple):
    """What is to be said of the watching itself."""

    text: str
    is_bad: bool = False
    """Nothing is heard now."""


class View(Protocol):
    """A way to show what comes in."""

    def start(self) -> None:
        """Begin, or go on after `stop`."""

    def hear(self, message: Received) -> None:
        """Take a message as it came, if that is this view's way."""

    def happen(self, news: News) -> None:
        """Show something that happened, if that is this view's way."""

    def tick(self, board: Board, note: Note) -> None:
        """Show how things stand; called several times a second."""

    def stop(self) -> None:
        """Leave the terminal as it was."""


class LinesView:
    """Lines, for a pipe or a log: what happens, and every so often how each camera is.

    Args:
        every_s: seconds between the lines of a camera.
        intro: what is said first.

    """

    def __init__(self, every_s: float, intro: str = "") -> None:
        self._every_s = every_s
        self._intro = intro
        self._note = ""
        self._next_s = 0.0

    def start(self) -> None:
        """Print the intro."""
        if self._intro:
            print(self._intro, flush=True)
        self._intro = ""
        self._next_s = time.monotonic() + self._every_s

    def hear(self, message: Received) -> None:
        """Wait for the tick."""

    def happen(self, news: News) -> None:
        """Print it."""
        print(f"{news.who}: {news.what}", flush=True)

    def tick(self, board: Board, note: Note) -> None:
        """Print the note when it is a new one, and the cameras when it is time."""
        if note.text != self._note:
            self._note = note.text
            print(note.text, flush=True)
        if note.is_bad or time.monotonic() < self._next_s:
            return
        self._next_s = time.monotonic() + self._every_s
        for name, node in board.nodes.items():
            for each, camera in node.cameras.items():
                print(f"{name}/{each}: {_words(node, camera)}")
        print(end="", flush=True)

    def stop(self) -> None:
        """Have nothing to end."""


def _words(node: Node, camera: Camera) -> str:
    status = node.status_of(camera)
    if not node.is_live(camera):
        return status
    parts = [
        status,
        "" if camera.fps is None else f"{camera.fps:.1f} fps",
        f"sees {camera.sees}" if camera.sees else "",
        f"{camera.latency_ms[0]:.1f} ms from capture to publish" if camera.latency_ms else "",
        f"{camera.dropped} dropped",
    ]
    return ", ".join(filter(None, parts))
