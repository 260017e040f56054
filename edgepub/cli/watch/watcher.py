"""The subscriber: a session with the broker after another, and a view that is drawn several times a second."""

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
from edgepub.config.secrets import read_broker_password
from edgepub.config.settings import MqttSettings
from edgepub.core.backoff import Backoff
from edgepub.core.errors import BrokerError, SubscriptionRefusedError
from edgepub.mqtt import connection
from edgepub.mqtt.session import Session

_TICK_S = 0.2
_DRAWING = 0.1
"""At most this part of the time goes into drawing."""
_QUIET_S = 2.0
"""What is retained comes at once; if nothing comes for so long, it is worth a word."""
_FIRST_PAUSE_S = 1.0
_LONGEST_PAUSE_S = 30.0
_STABLE_S = 10.0
_LARGEST_BYTES = 1_048_576


class Watcher:
    """Shows what it hears, until a signal or the end of whoever reads it.

    Args:
        settings: the broker.
        choice: what is to be watched.
        board: keeps what is heard.
        view: shows it.

    """

    def __init__(self, settings: MqttSettings, choice: Choice, board: Board, view: View) -> None:
        self._settings = settings
        self._choice = choice
        self._board = board
        self._view = view
        self._note = Note(f"connecting to {settings.url}", is_bad=True)
        self._subscribed_s: float | None = None
        self._is_new = True  # there was no session yet
        self.is_connecting = False

    async def run(self, is_over: Callable[[], bool] = lambda: False) -> None:
        """Watch until it is over.

        Raises:
            BrokerError: there was no session with the broker at all, or it lets us hear nothing.

        """
        stop = asyncio.Event()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            loop.add_signal_handler(number, stop.set)
        loop.add_signal_handler(signal.SIGTSTP, self._suspend)
        reading = asyncio.create_task(self._read(), name="watch-subscriber")
        try:
            self._view.start()
            while not (stop.is_set() or reading.done() or is_over() or _nobody_reads()):
                began_s = time.monotonic()
                self._view.tick(self._board, self._what_to_say())
                pause_s = max(_TICK_S, (time.monotonic() - began_s) / _DRAWING)
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(stop.wait(), pause_s)
        except OSError:
            if not _nobody_reads():
                raise
        finally:
            reading.cancel()
            await asyncio.wait([reading])
            self._view.stop()
        error = None if reading.cancelled() else reading.exception()
        if _nobody_reads():
            _let_go()
        elif error:
            raise error

    def _suspend(self) -> None:
        """Stop as Ctrl-Z wants it, and go on when it is wanted again."""
        self._view.stop()
        os.kill(os.getpid(), signal.SIGSTOP)
        self._view.start()

    def _what_to_say(self) -> Note:
        quiet_s = 0.0 if self._subscribed_s is None else time.monotonic() - self._subscribed_s
        if self._board.nodes or quiet_s < _QUIET_S:
            return self._note
        return Note(
            f"no edgepub node is heard at {self._choice} on {self._settings.url}. Is it another broker (--broker URL), "
            "do the nodes have another mqtt.topic_prefix (EDGEPUB_MQTT__TOPIC_PREFIX), or may this user not read "
            "there? Listening on; Ctrl-C ends it.",
            is_bad=True,
        )

    async def _read(self) -> None:
        password = read_broker_password(self._settings)
        backoff = Backoff(_FIRST_PAUSE_S, _LONGEST_PAUSE_S)
        url = self._settings.url
        while True:
            client_id = f"edgepub-watch-{secrets.token_hex(4)}"
            self.is_connecting = True
            try:
                async with connection.connect(
                    self._settings, client_id, password, max_received_bytes=_LARGEST_BYTES
                ) as session:
                    self.is_connecting = False
                    await self._subscribe(session)
                    self._is_new = False
                    self._subscribed_s = time.monotonic()
                    self._note = Note(f"watching {self._choice} on {url}; Ctrl-C ends it")
                    async for message in session.messages():
                        self._view.hear(message)
                        if news := self._board.take(message):
                            self._view.happen(news)
            except BrokerError as error:
                if self._is_new:
                    raise BrokerError(f"broker {url}: {error}") from None
                if self._subscribed_s and time.monotonic() - self._subscribed_s > _STABLE_S:
                    backoff.reset()
                pause_s = backoff.next_s()
                self._board.forget()
                self._note = Note(f"no connection to {url}: {error}; trying again in {pause_s:.1f} s", is_bad=True)
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


def _nobody_reads() -> bool:
    """Return whether the other end of stdout is gone."""
    poll = select.poll()
    poll.register(sys.stdout.fileno(), 0)
    return bool(poll.poll(0))


def _let_go() -> None:
    """Let what is still to be written vanish, or Python complains of it when it ends."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())
    os.close(nowhere)
