"""A live table on a terminal, never higher than the window."""

import contextlib
from collections import deque
from collections.abc import Sequence
from typing import NamedTuple

from rich.console import Console, Group
from rich.live import Live
from rich.text import Text

from edgepub.cli.watch.board import OFFLINE, STARTING, UNKNOWN, Board, News, Node
from edgepub.cli.watch.formatting import clean
from edgepub.cli.watch.views import Note
from edgepub.mqtt.messages import Received

_MAX_NEWS = 50
_MIN_NEWS = 5
_MAX_PAYLOAD_LENGTH = 1500
_MAX_NAME_LENGTH = 24
_MIN_WIDTH_RATE, _MIN_WIDTH_SETTINGS = 100, 120
"""The columns a window must have to show these."""
_GAP = "  "
_STYLES = {"online": "green", OFFLINE: "red", UNKNOWN: "yellow", STARTING: "yellow"}


class TableView:
    """A table of nodes and cameras, with the latest events below it.

    Args:
        intro: text above the table. With an intro, the screen is not cleared and the last table remains.
        with_payload: show the latest detections message, too.

    """

    def __init__(self, intro: str = "", *, with_payload: bool = False) -> None:
        self._intro = intro
        self._has_screen = not intro
        self._with_payload = with_payload
        self._payload = b""
        self._news: deque[News] = deque(maxlen=_MIN_NEWS if intro else _MAX_NEWS)  # the intro must stay visible
        self._console = Console(highlight=False)
        self._live: Live | None = None

    def start(self) -> None:
        """Start the table, below the intro if there is one."""
        if self._intro:
            self._console.print(self._intro, soft_wrap=True)
        # With its defaults, rich draws in a separate thread and redirects what others print.
        self._live = Live(
            console=self._console,
            screen=self._has_screen,
            auto_refresh=False,
            redirect_stdout=False,
            redirect_stderr=False,
        )
        self._live.start()

    def on_message(self, message: Received) -> None:
        """Keep the payload for the next `tick`."""
        if self._with_payload and message.topic.endswith("/detections"):
            self._payload = message.payload

    def on_news(self, news: News) -> None:
        """Keep news for the next `tick`, unless it is older than the subscription."""
        if not news.is_retained:
            self._news.append(news)

    def tick(self, board: Board, note: Note) -> None:
        """Redraw everything."""
        if self._live:
            width, height = self._console.size
            self._live.update(Group(*self._lines(board, note, width, height - 1)), refresh=True)

    def stop(self) -> None:
        """Restore the screen, or leave the last table on it."""
        if self._live:
            with contextlib.suppress(OSError):  # the terminal is gone
                self._live.stop()

    def _lines(self, board: Board, note: Note, width: int, height: int) -> list[Text]:
        """Return the lines that fit: the table first, but always with some of the latest events."""
        note_text = Text(note.text, style="yellow" if note.is_problem else "dim")
        lines = [*note_text.wrap(self._console, width), Text()]
        below = self._latest_message(width)
        if board.nodes or self._news:
            titles = [Text(), Text("The latest events:", style="bold")]
            events = [Text(f"{news.clock} {news.source}: {news.text}") for news in self._news]
            events = events or [Text("none yet", style="dim")]
            room = height - len(lines) - len(below) - len(titles)
            narrower = f"{board.prefix}/{min(board.nodes, default='')}"
            room = max(room - min(len(events), _MIN_NEWS), _MIN_NEWS)
            lines += _cut(_table(board, width), room, narrower)
            lines += [*titles, *events[-max(1, height - len(lines) - len(below) - len(titles)) :]]
        lines = [*lines, *below][:height]
        for line in lines:
            line.truncate(width, overflow="ellipsis")
        return lines

    def _latest_message(self, width: int) -> list[Text]:
        if not self._payload:
            return []
        text = Text(clean(self._payload.decode(errors="replace"), _MAX_PAYLOAD_LENGTH), style="dim")
        return [Text("The latest message:", style="bold"), *text.wrap(self._console, width)]


class _Column(NamedTuple):
    title: str
    width: int
    is_number: bool = False

    def cell(self, text: str) -> str:
        """Return a text, padded to the width of the column."""
        return text[: self.width].rjust(self.width) if self.is_number else text.ljust(self.width)


def _table(board: Board, width: int) -> list[Text]:
    """Return a title line, and one line per node and per camera; no lines without nodes."""
    if not board.nodes:
        return []
    longest_name = max((len(name) for node in board.nodes.values() for name in node.cameras), default=0)
    columns = [
        _Column("  camera", 2 + min(max(longest_name, len("camera")), _MAX_NAME_LENGTH)),
        _Column("status", 8),
        _Column("fps", 6, is_number=True),
        *[_Column("msg/s", 6, is_number=True)] * (width >= _MIN_WIDTH_RATE),
        _Column("p50/p95 ms", 12, is_number=True),
        _Column("dropped", 7, is_number=True),
        *[_Column("settings", 24)] * (width >= _MIN_WIDTH_SETTINGS),
        _Column("sees", 0),
    ]
    lines = [Text(_GAP.join(column.cell(column.title) for column in columns), style="bold")]
    for name, node in sorted(board.nodes.items()):
        lines.append(_node_line(columns[0].cell(name), node))
        if node.status != OFFLINE:
            lines += [Text(f"  {limit}", style="yellow") for limit in node.limits]
        lines += [_camera_line(columns, camera, node) for camera in sorted(node.cameras)]
    if board.is_full:
        lines.append(Text("... more nodes or cameras exist than can be shown", style="yellow"))
    return lines


def _node_line(name: str, node: Node) -> Text:
    status = node.status or UNKNOWN
    version = f"edgepub {node.version}" if node.version else ""
    details = filter(None, [version, "" if status == OFFLINE else node.figures])
    return Text.assemble((name, "bold"), _GAP, (status, _STYLES.get(status, "dim")), _GAP, (", ".join(details), "dim"))


def _camera_line(columns: Sequence[_Column], name: str, node: Node) -> Text:
    camera, status = node.cameras[name], node.status_of(node.cameras[name])
    shown = {"status": status, "fps": "-", "msg/s": "-", "p50/p95 ms": "-", "dropped": str(camera.dropped)}
    shown["  camera"] = "  " + clean(name, _MAX_NAME_LENGTH)
    shown["settings"] = ", ".join(
        f"{key} {value}" for key, value in camera.settings.items() if _adds_information(key, value)
    )
    if node.is_live(camera):
        shown["fps"] = "-" if camera.fps is None else f"{camera.fps:.1f}"
        shown["msg/s"] = f"{camera.tally.rate:.1f}"
        shown["p50/p95 ms"] = "/".join(f"{ms:.1f}" for ms in camera.latency_ms or []) or "-"
        shown["sees"] = camera.objects_text
    line = Text(no_wrap=True)
    for column in columns:
        line.append(column.cell(shown.get(column.title, "")), _STYLES.get(status, "dim") * (column.title == "status"))
        line.append(_GAP)
    return line


def _adds_information(setting: str, value: str) -> bool:
    """Return whether a setting says more than the status column (`enabled`), or "no limit" (`None`)."""
    return setting != "enabled" and value != "None"


def _cut(lines: list[Text], room: int, narrower: str) -> list[Text]:
    if len(lines) <= room:
        return lines
    rest = f"... and {len(lines) - room + 1} more; enlarge the window, or watch a topic like {narrower}"
    return [*lines[: room - 1], Text(rest, style="yellow")]
