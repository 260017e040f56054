"""The session loop: connect, send what waits, notice the break, pause, connect again."""

import asyncio
import contextlib
import logging
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Protocol

from edgepub.backoff import Backoff
from edgepub.errors import BrokerError, NotAllowedError
from edgepub.messages import Message, Received
from edgepub.outbox import Outbox

_FIRST_PAUSE_S = 1.0
_LONGEST_PAUSE_S = 30.0
_STABLE_S = (
    10.0  # a session that ends sooner is no reason for short pauses: two clients with one id would fight for ever
)
_GOODBYE_S = 1.0
_log = logging.getLogger(__name__)


class Session(Protocol):
    """A connection to a broker (the seam to `edgepub.mqtt`)."""

    version: str

    async def publish(self, message: Message) -> None:
        """Send a message, or raise BrokerError."""

    async def subscribe(self, topic: str) -> None:
        """Ask for the messages of a topic, or raise BrokerError."""

    def received(self) -> AsyncIterator[Received]:
        """Yield each message that comes, and at the connection's end raise BrokerError."""


class Publisher:
    """Empties the outbox into one session after another.

    Args:
        outbox: what waits.
        connect: opens a new session.
        broker: the broker's name for the log.
        goodbye: what is said last before a clean disconnect, because no last will is sent then.
        in_flight: publishes under way at once.
        commands: the topics to listen to, wildcards allowed.
        obey: takes what comes there.

    """

    def __init__(
        self,
        outbox: Outbox,
        connect: Callable[[], AbstractAsyncContextManager[Session]],
        broker: str,
        goodbye: Message,
        in_flight: int,
        commands: Sequence[str],
        obey: Callable[[Received], None],
    ) -> None:
        self._outbox = outbox
        self._connect = connect
        self._broker = broker
        self._goodbye = goodbye
        self._slots = in_flight
        self._commands = commands
        self._obey = obey
        self._sessions = 0
        self._taken = 0
        self._in_flight: dict[int, Message] = {}  # by the order in which they were taken

    @property
    def reconnects(self) -> int:
        """How often a new session was opened after the first."""
        return max(0, self._sessions - 1)

    async def run(self) -> None:
        """Publish until the outbox is closed and empty, through as many sessions as that takes."""
        backoff = Backoff(_FIRST_PAUSE_S, _LONGEST_PAUSE_S)
        while True:
            connected_s = None
            try:
                async with self._connect() as session:
                    _log.info("broker %s: connected, MQTT %s", self._broker, session.version)
                    connected_s = time.monotonic()
                    self._sessions += 1
                    await self._serve(session)
                    return
            except BrokerError as error:
                if connected_s is not None and time.monotonic() - connected_s > _STABLE_S:
                    backoff.reset()
                pause_s = backoff.next_s()
                _log.warning("broker %s: %s; trying again in %.1f s", self._broker, error, pause_s)
                await asyncio.sleep(pause_s)

    async def _serve(self, session: Session) -> None:
        self._outbox.resend_state()
        try:
            await self._send(session)
        except asyncio.CancelledError:
            await self._say_goodbye(session)
            raise
        await self._say_goodbye(session)

    async def _send(self, session: Session) -> None:
        try:
            async with asyncio.TaskGroup() as group:
                watch = group.create_task(self._listen(session), name="broker-watch")
                slots = [group.create_task(self._publish(session), name=f"publish-{n}") for n in range(self._slots)]
                await asyncio.wait(slots)
                watch.cancel()
        except* BrokerError as errors:
            broken = errors.exceptions[0]
        else:
            return
        finally:
            for key in sorted(self._in_flight, reverse=True):
                self._outbox.put_back(self._in_flight.pop(key))
        if (task := asyncio.current_task()) is not None and task.cancelling():
            raise asyncio.CancelledError  # before Python 3.13 a TaskGroup forgets it over the errors of its tasks
        raise broken

    async def _listen(self, session: Session) -> None:
        """Take commands, and notice the connection's end."""
        try:
            for topic in self._commands:
                await session.subscribe(topic)
        except NotAllowedError as error:
            _log.warning("broker %s: %s; nothing can be set from there", self._broker, error)
        async for message in session.received():
            self._obey(message)

    async def _publish(self, session: Session) -> None:
        """Send one message after another; nothing comes between taking and sending, so they leave in their order."""
        while (message := await self._outbox.take()) is not None:
            taken_s = time.monotonic()
            key = self._taken = self._taken + 1
            self._in_flight[key] = message
            await session.publish(message)
            del self._in_flight[key]
            self._outbox.sent(message, taken_s)

    async def _say_goodbye(self, session: Session) -> None:
        with contextlib.suppress(BrokerError, TimeoutError):
            async with asyncio.timeout(_GOODBYE_S):
                await session.publish(self._goodbye)
