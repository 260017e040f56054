"""`edgepub demo`: run the daemon as a user does, and show what an ordinary subscriber receives.

The daemon is a separate process, with a configuration that the user can copy. Everything shown comes from the broker.
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

_LINES_INTERVAL_S = 1.0
_START_TIMEOUT_S = 30.0


class DemoError(EdgepubError):
    """The demo received no detections."""


def show(seconds: float | None, broker: str | None, *, as_json: bool) -> int:
    """Run the demo until Ctrl-C, or for a number of seconds after the first detection.

    Args:
        seconds: the duration; None: until Ctrl-C.
        broker: a broker's URL; None: an embedded broker.
        as_json: print one payload per line on stdout, and nothing else there.

    Returns:
        The exit code: 0.

    Raises:
        DemoError: no detection arrived; one line.
        BrokerError: the broker cannot be reached; one line.

    """
    _remove_user_settings(keep_broker=broker is not None)
    files = assets.fetch()
    with ExitStack() as stack:
        directory = stack.enter_context(stage.lock_demo_dir())
        # The embedded broker supports only 3.1.1, and does not answer a client that starts with 5.
        connection = (
            {"url": broker}
            if broker
            else {"url": f"mqtt://127.0.0.1:{stack.enter_context(embedded_broker())}", "protocol": "3.1.1"}
        )
        path = stage.write_configuration(directory, connection, files)
        settings = load.load_settings(path)
        log = directory / "edgepub.log"
        if broker:
            stack.callback(stage.clear_broker, settings, directory)
        daemon = stack.enter_context(stage.run_daemon(path, log))
        if not as_json:
            stage.wait_for_page(settings, daemon)  # its address is the first output
        choice = Choice(settings.mqtt.topic_prefix, settings.node)
        board = Board(choice)
        tally = board.expect(stage.NODE, stage.CAMERA).tally
        hint = _hint(settings, path, log, stage.page_url(settings, directory), on_user_broker=broker is not None)
        view = _JsonView() if as_json else _choose_view(hint)
        asyncio.run(Watcher(settings.mqtt, choice, board, view).run(_Deadline(seconds, tally, daemon).is_over))
    _print_summary(tally, log)
    return 0


def _choose_view(hint: str) -> View:
    return TableView(hint, with_payload=True) if is_terminal() else LinesView(_LINES_INTERVAL_S, hint)


def _remove_user_settings(*, keep_broker: bool) -> None:
    """Remove the user's `EDGEPUB_*` variables, which are for another daemon; keep the login for a given broker."""
    broker = ENV_PREFIX + "MQTT__"
    for variable in [name for name in os.environ if name.startswith(ENV_PREFIX)]:
        if not (keep_broker and variable.startswith(broker) and variable != broker + "URL"):
            del os.environ[variable]


def _hint(settings: Settings, path: Path, log: Path, page: str, *, on_user_broker: bool) -> str:
    parts = settings.mqtt.parts
    lines = [
        "edgepub is running with a real model on a real video.",
        f"  configuration: {path}",
        f"  log:           {log}",
        "Open the web page, where you can draw zones:",
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
        exclude_pictures = f"-T '{root}/+/snapshot' -T '{root}/+/objects/+/snapshot'"  # they are not text
        lines += [
            "Read the messages in a second terminal:",
            f"  mosquitto_sub {where}{user} -v -t '{root}/#' {exclude_pictures}",
        ]
    if on_user_broker:
        devices = f"'edgepub {stage.NODE}' and '{stage.CAMERA.title()}'"
        lines += [f"While the demo runs, a Home Assistant on this broker shows the devices {devices}."]
    return "\n".join([*lines, "Ctrl-C stops the demo.", ""])


class _JsonView:
    """One payload per line on stdout, and nothing else there."""

    def start(self) -> None:
        """Print nothing."""

    def on_message(self, message: Received) -> None:
        """Print a detections payload as received."""
        if message.topic.endswith("/detections"):
            sys.stdout.buffer.write(message.payload + b"\n")
            sys.stdout.buffer.flush()

    def on_news(self, news: News) -> None:
        """Print nothing."""

    def tick(self, board: Board, note: Note) -> None:
        """Print nothing."""

    def stop(self) -> None:
        """Do nothing: there is nothing to restore."""


class _Deadline:
    """The end of the demo: after a time, or when the daemon has ended."""

    def __init__(self, seconds: float | None, tally: Tally, daemon: subprocess.Popen[bytes]) -> None:
        self._seconds = seconds
        self._tally = tally
        self._daemon = daemon
        self._began_s = time.monotonic()

    def is_over(self) -> bool:
        """Return whether the demo is over."""
        if self._seconds is None or self._daemon.poll() is not None:
            return self._daemon.poll() is not None
        first_s = self._tally.first_s
        # The first detection takes a few seconds. Without any, the demo must end, too.
        return time.monotonic() > (first_s or self._began_s + _START_TIMEOUT_S) + self._seconds


def _print_summary(tally: Tally, log: Path) -> None:
    """Print the totals on stderr.

    Raises:
        DemoError: no detection arrived.

    """
    if not tally.messages:
        lines = log.read_text(errors="replace").strip().splitlines()
        raise DemoError(f"no detection arrived; {(lines or ['the daemon logged nothing'])[-1]} (log: {log})")
    p50_ms, p95_ms = tally.overall_latency_ms()
    print(
        f"{stage.CAMERA}: {tally.messages} messages, {tally.frames_with_objects} with objects, "
        f"{tally.missing} missing, {tally.dropped} dropped; "
        f"capture to publish {p50_ms:.1f} ms (median), {p95_ms:.1f} ms (95th percentile)",
        file=sys.stderr,
    )
