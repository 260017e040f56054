"""A live table for a person at a terminal, never higher than the window."""

import contextlib
from collections import deque
from collections.abc import Sequence
from typing import NamedTuple

from rich.console import Console, Group
from rich.live import Live
from rich.text import Text

from edgepub.cli.watch.board import OFFLINE, STARTING, UNKNOWN, Board, News, Node
from edgepub.cli.watch.views import Note
from edgepub.cli.watch.words import clean
from edgepub.mqtt.messages import Received

_KEPT = 50
_LEAST_NEWS = 5
_LONGEST_PAYLOAD = 1500
_LONGEST_NAME = 24
_WITH_RATE, _WITH_SETTINGS = 100, 120
"""So wide is a window that has room for these."""
_GAP = "  "
_STYLES = {"online": "green", OFFLINE: "red", UNKNOWN: "yellow", STARTING: "yellow"}


class TableView:
    """Nodes with their cameras, and what happened last under them.

    Args:
        intro: what stands above it; then the screen is not cleared, and the last table remains.
        with_payload: the latest detections message is shown, too.

    """

    def __init__(self, intro: str = "", *, with_payload: bool = False) -> None:
        self._intro = intro
        self._has_screen = not intro
        self._with_payload = with_payload
        self._payload = b""
        self._news: deque[News] = deque(maxlen=_LEAST_NEWS if intro else _KEPT)  # the intro is to stay in sight
        self._console = Console(highlight=False)
        self._live: Live | None = None

    def start(self) -> None:
        """Begin the table, under the intro where there is one."""
        if self._intro:
            self._console.print(self._intro, soft_wrap=True)
        # Else it would draw in a thread of its own, and what others print as well.
        self._live = Live(
            console=self._console,
            screen=self._has_screen,
            auto_refresh=False,
            redirect_stdout=False,
            redirect_stderr=False,
        )
        self._live.start()

    def hear(self, message: Received) -> None:
        """Keep the payload for the tick."""
        if self._with_payload and message.topic.endswith("/detections"):
            self._payload = message.payload

    def happen(self, news: News) -> None:
        """Keep it for the tick, unless it was so before."""
        if not news.is_old:
            self._news.append(news)

    def tick(self, board: Board, note: Note) -> None:
        """Draw all again."""
        if self._live:
            width, height = self._console.size
            self._live.update(Group(*self._lines(board, note, width, height - 1)), refresh=True)

    def stop(self) -> None:
        """Give the screen back, or leave the last table standing."""
        if self._live:
            with contextlib.suppress(OSError):  # the terminal is gone
                self._live.stop()

    def _lines(self, board: Board, note: Note, width: int, height: int) -> list[Text]:
        """Return so many lines as fit: first of the table, but some of what happened are always among them."""
        note_text = Text(note.text, style="yellow" if note.is_bad else "dim")
        lines = [*note_text.wrap(self._console, width), Text()]
        below = self._latest_message(width)
        if board.nodes or self._news:
            titles = [Text(), Text("The latest events:", style="bold")]
            happened = [Text(f"{news.clock} {news.who}: {news.what}") for news in self._news]
            happened = happened or [Text("none yet", style="dim")]
            room = height - len(lines) - len(below) - len(titles)
            narrower = f"{board.prefix}/{min(board.nodes, default='')}"
            room = max(room - min(len(happened), _LEAST_NEWS), _LEAST_NEWS)
            lines += _cut(_table(board, width), room, narrower)
            lines += [*titles, *happened[-max(1, height - len(lines) - len(below) - len(titles)) :]]
        lines = [*lines, *below][:height]
        for line in lines:
            line.truncate(width, overflow="ellipsis")
        return lines

    def _latest_message(self, width: int) -> list[Text]:
        if not self._payload:
            return []
        text = Text(clean(self._payload.decode(errors="replace"), _LONGEST_PAYLOAD), style="dim")
        return [Text("The latest message:", style="bold"), *text.wrap(self._console, width)]


class _Column(NamedTuple):
    title: str
    width: int
    is_number: bool = False

    def cell(self, text: str) -> str:
        """Return a text in the column's width."""
        return text[: self.width].rjust(self.width) if self.is_number else text.ljust(self.width)


def _table(board: Board, width: int) -> list[Text]:
    """Return a line with the titles, one for each node, and one for each camera; none without nodes."""
    if not board.nodes:
        return []
    longest = max((len(name) for node in board.nodes.values() for name in node.cameras), default=0)
    columns = [
        _Column("  camera", 2 + min(max(longest, len("camera")), _LONGEST_NAME)),
        _Column("status", 8),
        _Column("fps", 6, is_number=True),
        *[_Column("msg/s", 6, is_number=True)] * (width >= _WITH_RATE),
        _Column("p50/p95 ms", 12, is_number=True),
        _Column("dropped", 7, is_number=True),
        *[_Column("settings", 24)] * (width >= _WITH_SETTINGS),
        _Column("sees", 0),
    ]
    lines = [Text(_GAP.join(column.cell(column.title) for column in columns), style="bold")]
    for name, node in sorted(board.nodes.items()):
        lines.append(_of_node(columns[0].cell(name), node))
        lines += [_of_camera(columns, each, node) for each in sorted(node.cameras)]
    if board.is_full:
        lines.append(Text("... and more nodes or cameras than are kept here", style="yellow"))
    return lines


def _of_node(name: str, node: Node) -> Text:
    status = node.status or UNKNOWN
    its = [f"edgepub {node.version}"] * bool(node.version) + [node.figures] * bool(node.figures and status != OFFLINE)
    return Text.assemble((name, "bold"), _GAP, (status, _STYLES.get(status, "dim")), _GAP, (", ".join(its), "dim"))


def _of_camera(columns: Sequence[_Column], name: str, node: Node) -> Text:
    camera, status = node.cameras[name], node.status_of(node.cameras[name])
    shown = {"status": status, "fps": "-", "msg/s": "-", "p50/p95 ms": "-", "dropped": str(camera.dropped)}
    shown["  camera"] = "  " + clean(name, _LONGEST_NAME)
    shown["settings"] = ", ".join(
        f"{key} {value}" for key, value in camera.settings.items() if _is_worth_it(key, value)
    )
    if node.is_live(camera):
        shown["fps"] = "-" if camera.fps is None else f"{camera.fps:.1f}"
        shown["msg/s"] = f"{camera.tally.rate:.1f}"
        shown["p50/p95 ms"] = "/".join(f"{ms:.1f}" for ms in camera.latency_ms or []) or "-"
        shown["sees"] = camera.sees
    line = Text(no_wrap=True)
    for column in columns:
        line.append(column.cell(shown.get(column.title, "")), _STYLES.get(status, "dim") * (column.title == "status"))
        line.append(_GAP)
    return line


def _is_worth_it(setting: str, value: str) -> bool:
    """Return whether it says more than the camera's status, or that there is no limit."""
    return setting != "enabled" and value != "None"


def _cut(lines: list[Text], room: int, narrower: str) -> list[Text]:
    if len(lines) <= room:
        return lines
    rest = f"... and {len(lines) - room + 1} more; a higher window shows them, or a topic like {narrower}"
    return [*lines[: room - 1], Text(rest, style="yellow")]
