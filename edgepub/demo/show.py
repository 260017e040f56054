"""The demo's course: the daemon as a user runs it, and beside it a subscriber like any other.

The daemon is a process of its own, with a configuration that the user can copy; what is shown comes from the
broker alone.
"""

import asyncio
import contextlib
import os
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from contextlib import ExitStack
from pathlib import Path

import orjson

from edgepub import configuration, mqtt
from edgepub.demo import assets, stage
from edgepub.demo.broker import embedded_broker
from edgepub.demo.tally import Tally
from edgepub.demo.views import TICKS_A_SECOND, JsonView, LinesView, TableView, View
from edgepub.errors import BrokerError, EdgepubError
from edgepub.messages import Received
from edgepub.settings import Settings
from edgepub.topics import Topics

_PAUSE_S = 0.3


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
    view = JsonView() if as_json else TableView() if sys.stdout.isatty() else LinesView()
    with ExitStack() as stack:
        folder = stack.enter_context(stage.own_folder())
        # The embedded broker speaks 3.1.1 alone, and would keep a client that begins with 5 waiting.
        connection = (
            {"url": broker}
            if broker
            else {"url": f"mqtt://127.0.0.1:{stack.enter_context(embedded_broker())}", "protocol": "3.1.1"}
        )
        path = stage.write_configuration(folder, connection, things)
        settings = configuration.load(path)
        log = folder / "edgepub.log"
        if broker:
            stack.callback(stage.clear_broker, settings, folder)
        daemon = stack.enter_context(stage.daemon(path, log))
        watcher = _Watcher(settings, view, daemon, log)
        view.start(_hint(settings, path, log, on_their_broker=broker is not None))
        try:
            asyncio.run(watcher.run(seconds))
        finally:
            view.stop()
    watcher.summarise()
    return 0


def _forget_the_users_own_settings(*, keep_broker: bool) -> None:
    """Let no variable that is meant for the user's own daemon change the demo, but how to log in to a named broker."""
    broker = configuration.PREFIX + "MQTT__"
    for variable in [name for name in os.environ if name.startswith(configuration.PREFIX)]:
        if not (keep_broker and variable.startswith(broker) and variable != broker + "URL"):
            del os.environ[variable]


def _hint(settings: Settings, path: Path, log: Path, *, on_their_broker: bool) -> str:
    parts = settings.mqtt.parts
    lines = [
        "edgepub is running with a real model on a real video.",
        f"  its configuration: {path}",
        f"  its log:           {log}",
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


class _Watcher:
    """A subscriber that shows what it receives."""

    def __init__(self, settings: Settings, view: View, daemon: subprocess.Popen[bytes], log: Path) -> None:
        self._settings = settings
        self._topics = Topics(settings.mqtt.topic_prefix, settings.node)
        self._view = view
        self._daemon = daemon
        self._log = log
        self._tallies = {name: Tally() for name in settings.cameras}
        self._first_s: float | None = None

    async def run(self, seconds: float | None) -> None:
        stop = asyncio.Event()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            loop.add_signal_handler(number, stop.set)
        reading = asyncio.create_task(self._read(), name="demo-subscriber")
        try:
            began_s = time.monotonic()
            while not stop.is_set() and not self._over(seconds, began_s):
                self._view.tick(self._tallies)
                if self._daemon.poll() is not None or reading.done():
                    break
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(stop.wait(), 1 / TICKS_A_SECOND)
        finally:
            reading.cancel()
            await asyncio.wait([reading])
        if not reading.cancelled() and (error := reading.exception()):
            raise error

    def summarise(self) -> None:
        """Say how it went, on stderr.

        Raises:
            DemoError: no detection came.

        """
        if self._first_s is None:
            lines = self._log.read_text(errors="replace").strip().splitlines()
            raise DemoError(f"no detection came; {(lines or ['the daemon says nothing'])[-1]} (log: {self._log})")
        for camera, tally in self._tallies.items():
            middle_ms, slow_ms = tally.latency_ms()
            print(
                f"{camera}: {tally.messages} messages, {tally.frames_with_objects} with something in sight, "
                f"{tally.missing} missing, {tally.dropped} dropped; "
                f"capture to publish {middle_ms:.1f} ms (median), {slow_ms:.1f} ms (95th percentile)",
                file=sys.stderr,
            )

    def _over(self, seconds: float | None, began_s: float) -> bool:
        if seconds is None:
            return False
        now_s = time.monotonic()
        # Without a single detection it must come to an end, too; the first one takes a few seconds.
        return now_s - self._first_s > seconds if self._first_s else now_s - began_s > seconds + 30

    async def _read(self) -> None:
        async for topic, payload, _ in self._received():
            for camera, tally in self._tallies.items():
                if topic == self._topics.detections(camera):
                    self._first_s = self._first_s or time.monotonic()
                    tally.take(orjson.loads(payload))
                    self._view.take(payload)
                elif topic == self._topics.events(camera):
                    self._view.happen(camera, orjson.loads(payload))
                elif topic == self._topics.camera_status(camera) and (tally.messages or payload != b"offline"):
                    tally.status = payload.decode()

    async def _received(self) -> AsyncIterator[Received]:
        password = configuration.broker_password(self._settings.mqtt)
        connected = False
        while True:
            try:
                async with mqtt.connect(self._settings.mqtt, f"edgepub-demo-{os.getpid()}", password) as session:
                    connected = True
                    await session.subscribe(f"{self._topics.root}/#")
                    async for message in session.received():
                        yield message
            except BrokerError as error:
                if not connected:
                    raise DemoError(f"broker {self._settings.mqtt.url}: {error}") from None
                await asyncio.sleep(_PAUSE_S)
