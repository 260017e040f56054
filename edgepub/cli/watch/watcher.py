"""The subscriber: keeps a session with the broker and redraws a view several times per second."""

import asyncio
import contextlib
import os
import secrets
import select
import signal
import sys
import time
from collections.abc import Callable

from edgepub.cli.watch.board import Board
from edgepub.cli.watch.choice import Choice
from edgepub.cli.watch.views import Note, View
from edgepub.config.mqtt import MqttSettings
from edgepub.config.secrets import read_broker_password
from edgepub.core.errors import BrokerError, SubscriptionRefusedError
from edgepub.mqtt import connection
from edgepub.mqtt.reconnect import ReconnectPauses
from edgepub.mqtt.session import Session

_TICK_S = 0.2
_MAX_DRAWING_SHARE = 0.1
"""The largest share of the time spent on drawing."""
_QUIET_S = 2.0
"""Retained messages arrive immediately; silence for this long is reported."""
_MIN_PAUSE_S = 1.0
_MAX_PAUSE_S = 30.0
_MAX_MESSAGE_BYTES = 1_048_576


class Watcher:
    """Shows what nodes publish, until a signal arrives or the reader of stdout is gone.

    Args:
        settings: the broker.
        choice: the nodes and cameras to watch.
        board: holds the state of the nodes and cameras.
        view: shows that state.

    """

    def __init__(self, settings: MqttSettings, choice: Choice, board: Board, view: View) -> None:
        self._settings = settings
        self._choice = choice
        self._board = board
        self._view = view
        self._note = Note(f"connecting to {settings.display_url}", is_problem=True)
        self._subscribed_s: float | None = None
        self._is_first = True  # no session was established yet

    async def run(self, is_over: Callable[[], bool] = lambda: False) -> None:
        """Watch until a signal arrives or `is_over` returns true.

        Raises:
            BrokerError: no session was ever established, or the broker refuses all subscriptions.

        """
        stop = asyncio.Event()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            loop.add_signal_handler(number, stop.set)
        loop.add_signal_handler(signal.SIGTSTP, self._suspend)
        reading = asyncio.create_task(self._read(), name="watch-subscriber")
        try:
            self._view.start()
            while not (stop.is_set() or reading.done() or is_over() or _reader_is_gone()):
                began_s = time.monotonic()
                self._view.tick(self._board, self._current_note())
                pause_s = max(_TICK_S, (time.monotonic() - began_s) / _MAX_DRAWING_SHARE)
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(stop.wait(), pause_s)
        except OSError:
            if not _reader_is_gone():
                raise
        finally:
            reading.cancel()
            await asyncio.wait([reading])
            self._view.stop()
        error = None if reading.cancelled() else reading.exception()
        if _reader_is_gone():
            _discard_output()
        elif error and not stop.is_set():  # after Ctrl-C nobody asks what went wrong at the same moment
            raise error

    def _suspend(self) -> None:
        """Restore the terminal and stop on Ctrl-Z; continue with SIGCONT."""
        self._view.stop()
        os.kill(os.getpid(), signal.SIGSTOP)
        self._view.start()

    def _current_note(self) -> Note:
        quiet_s = 0.0 if self._subscribed_s is None else time.monotonic() - self._subscribed_s
        if self._board.nodes or quiet_s < _QUIET_S:
            return self._note
        return Note(
            f"no edgepub node found at {self._choice} on {self._settings.display_url}. Check the broker "
            "(--broker URL), the nodes' mqtt.topic_prefix (EDGEPUB_MQTT__TOPIC_PREFIX), and this user's read "
            "permission. Still listening; Ctrl-C stops.",
            is_problem=True,
        )

    async def _read(self) -> None:
        password = read_broker_password(self._settings)
        pauses = ReconnectPauses(min_refused_s=_MIN_PAUSE_S, max_refused_s=_MAX_PAUSE_S)  # somebody is watching
        url = self._settings.display_url
        while True:
            client_id = f"edgepub-watch-{secrets.token_hex(4)}"
            try:
                async with connection.connect(
                    self._settings, client_id, password, max_received_bytes=_MAX_MESSAGE_BYTES
                ) as session:
                    await self._subscribe(session)
                    self._is_first = False
                    self._subscribed_s = time.monotonic()
                    self._note = Note(f"watching {self._choice} on {url}; Ctrl-C stops")
                    async for message in session.messages():
                        self._view.on_message(message)
                        if news := self._board.update(message):
                            self._view.on_news(news)
            except BrokerError as error:
                if self._is_first:
                    raise BrokerError(f"broker {url}: {error}") from None
                pause_s = pauses.next_s(error, self._subscribed_s and time.monotonic() - self._subscribed_s)
                self._board.clear_retained()
                self._note = Note(f"no connection to {url}: {error}; trying again in {pause_s:.1f} s", is_problem=True)
                self._subscribed_s = None
                await asyncio.sleep(pause_s)

    async def _subscribe(self, session: Session) -> None:
        refused = []
        for topic in self._choice.filters:
            try:
                await session.subscribe(topic)
            except SubscriptionRefusedError as error:
                refused.append(error)
        if len(refused) == len(self._choice.filters):
            raise refused[0]


def _reader_is_gone() -> bool:
    """Return whether the other end of stdout is closed."""
    poll = select.poll()
    poll.register(sys.stdout.fileno(), 0)
    return bool(poll.poll(0))


def _discard_output() -> None:
    """Redirect stdout to /dev/null: Python would complain at exit about output it cannot write."""
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, sys.stdout.fileno())
    os.close(null)
