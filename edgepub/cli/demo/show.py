"""The demo's course: the daemon as a user runs it, and beside it a subscriber like any other.

The daemon is a process of its own, with a configuration that the user can copy; what is shown comes from the
broker alone.
"""

import asyncio
import os
import shlex
import subprocess
import sys
import time
from contextlib import ExitStack
from pathlib import Path

from edgepub.cli.demo import assets, stage
from edgepub.cli.demo.broker import embedded_broker
from edgepub.cli.watch.board import Board, News
from edgepub.cli.watch.choice import Choice
from edgepub.cli.watch.show import is_terminal
from edgepub.cli.watch.table import TableView
from edgepub.cli.watch.tally import Tally
from edgepub.cli.watch.views import LinesView, Note, View
from edgepub.cli.watch.watcher import Watcher
from edgepub.config import load
from edgepub.config.explain import ENV_PREFIX
from edgepub.config.settings import Settings
from edgepub.core.errors import EdgepubError
from edgepub.mqtt.messages import Received
from edgepub.mqtt.topics import Topics

_EVERY_S = 1.0
_LONGEST_START_S = 30.0


class DemoError(EdgepubError):
    """Nothing could be shown."""


def show(seconds: float | None, broker: str | None, *, as_json: bool) -> int:
    """Run the demo until Ctrl-C, or for so many seconds from the first detection on.

    Args:
        seconds: how long, or None.
        broker: a broker's URL, or None for an embedded one.
        as_json: print one payload a line on stdout, and nothing else there.

    Returns:
        The exit code: 0.

    Raises:
        DemoError: no broker, or not a single detection came; one line.

    """
    _forget_the_users_own_settings(keep_broker=broker is not None)
    things = assets.fetch()
    with ExitStack() as stack:
        folder = stack.enter_context(stage.own_folder())
        # The embedded broker speaks 3.1.1 alone, and would keep a client that begins with 5 waiting.
        connection = (
            {"url": broker}
            if broker
            else {"url": f"mqtt://127.0.0.1:{stack.enter_context(embedded_broker())}", "protocol": "3.1.1"}
        )
        path = stage.write_configuration(folder, connection, things)
        settings = load.load_settings(path)
        log = folder / "edgepub.log"
        if broker:
            stack.callback(stage.clear_broker, settings, folder)
        daemon = stack.enter_context(stage.daemon(path, log))
        if not as_json:
            stage.wait_for_page(settings, daemon)  # whose address is said first of all
        choice = Choice(settings.mqtt.topic_prefix, settings.node)
        board = Board(choice)
        tally = board.expect(stage.NODE, stage.CAMERA).tally
        hint = _hint(settings, path, log, stage.page(settings, folder), on_their_broker=broker is not None)
        view = _JsonView() if as_json else _view(hint)
        asyncio.run(Watcher(settings.mqtt, choice, board, view).run(_End(seconds, tally, daemon).has_come))
    _summarise(tally, log)
    return 0


def _view(hint: str) -> View:
    return TableView(hint, with_payload=True) if is_terminal() else LinesView(_EVERY_S, hint)


def _forget_the_users_own_settings(*, keep_broker: bool) -> None:
    """Let no variable that is meant for the user's own daemon change the demo, but how to log in to a named broker."""
    broker = ENV_PREFIX + "MQTT__"
    for variable in [name for name in os.environ if name.startswith(ENV_PREFIX)]:
        if not (keep_broker and variable.startswith(broker) and variable != broker + "URL"):
            del os.environ[variable]


def _hint(settings: Settings, path: Path, log: Path, page: str, *, on_their_broker: bool) -> str:
    parts = settings.mqtt.parts
    lines = [
        "edgepub is running with a real model on a real video.",
        f"  its configuration: {path}",
        f"  its log:           {log}",
        "See it in a browser, where zones can be drawn:",
        f"  {page}",
    ]
    where = {
        "mqtt": f"-h {parts.hostname} -p {parts.port or 1883}",
        "mqtts": f"-h {parts.hostname} -p {parts.port or 8883} --capath /etc/ssl/certs",
        "unix": f"--unix {shlex.quote(parts.path)}",
    }.get(parts.scheme)
    if where:
        user = f" -u {shlex.quote(settings.mqtt.username)} -P PASSWORD" if settings.mqtt.username else ""
        root = Topics(settings.mqtt.topic_prefix, settings.node).root
        pictures = f"-T '{root}/+/snapshot'"  # which are no text
        lines += ["Read it in a second terminal:", f"  mosquitto_sub {where}{user} -v -t '{root}/#' {pictures}"]
    if on_their_broker:
        devices = f"'edgepub {stage.NODE}' and '{stage.CAMERA.title()}'"
        lines += [f"A Home Assistant on this broker shows the devices {devices} meanwhile."]
    return "\n".join([*lines, "Ctrl-C ends it.", ""])


class _JsonView:
    """One payload a line on stdout, and nothing else there."""

    def start(self) -> None:
        """Say nothing."""

    def hear(self, message: Received) -> None:
        """Print a payload of detections as it came."""
        if message.topic.endswith("/detections"):
            sys.stdout.buffer.write(message.payload + b"\n")
            sys.stdout.buffer.flush()

    def happen(self, news: News) -> None:
        """Say nothing."""

    def tick(self, board: Board, note: Note) -> None:
        """Say nothing."""

    def stop(self) -> None:
        """Have nothing to end."""


class _End:
    """Tells when the demo is over: after its time, or with its daemon."""

    def __init__(self, seconds: float | None, tally: Tally, daemon: subprocess.Popen[bytes]) -> None:
        self._seconds = seconds
        self._tally = tally
        self._daemon = daemon
        self._began_s = time.monotonic()

    def has_come(self) -> bool:
        """Return whether it is over."""
        if self._seconds is None or self._daemon.poll() is not None:
            return self._daemon.poll() is not None
        first_s = self._tally.first_s
        # Without a single detection it must come to an end, too; the first one takes a few seconds.
        return time.monotonic() > (first_s or self._began_s + _LONGEST_START_S) + self._seconds


def _summarise(tally: Tally, log: Path) -> None:
    """Say how it went, on stderr.

    Raises:
        DemoError: no detection came.

    """
    if not tally.messages:
        lines = log.read_text(errors="replace").strip().splitlines()
        raise DemoError(f"no detection came; {(lines or ['the daemon says nothing'])[-1]} (log: {log})")
    middle_ms, slow_ms = tally.overall_ms()
    print(
        f"{stage.CAMERA}: {tally.messages} messages, {tally.frames_with_objects} with something in sight, "
        f"{tally.missing} missing, {tally.dropped} dropped; "
        f"capture to publish {middle_ms:.1f} ms (median), {slow_ms:.1f} ms (95th percentile)",
        file=sys.stderr,
    )
