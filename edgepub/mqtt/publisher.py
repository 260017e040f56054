"""The session loop: connect, send what waits, notice the break, pause, connect again."""

import asyncio
import contextlib
import logging
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from math import inf
from typing import Protocol

from edgepub.core.backoff import Backoff
from edgepub.core.errors import BrokerError, BrokerRefusedError, MessageRejectedError, SubscriptionRefusedError
from edgepub.mqtt.messages import Message, Received
from edgepub.mqtt.outbox.outbox import Outbox
from edgepub.telemetry.status import BrokerStatus

_FIRST_PAUSE_S = 1.0
_LONGEST_PAUSE_S = 30.0
_REFUSED_PAUSE_S = 30.0
_LONGEST_REFUSED_PAUSE_S = 300.0
_STABLE_S = (
    10.0  # a session that ends sooner is no reason for short pauses: two clients with one id would fight for ever
)
_MANY_SHORT = 3
_CONNECTS_WITHIN_S = 120.0
_WAKES_WITHIN_S = 10.0
_GOODBYE_S = 1.0
_log = logging.getLogger(__name__)

Done = Callable[[int, MessageRejectedError | None], None]


class BrokerSession(Protocol):
    """A connection to a broker (the seam to `edgepub.mqtt.connection`)."""

    version: str
    window: int

    def send(self, message: Message, key: int) -> None:
        """Begin to send a message, or raise BrokerError or MessageRejectedError; its end is told by its key."""

    async def publish(self, message: Message) -> None:
        """Send a message, or raise BrokerError."""

    async def subscribe(self, topic: str) -> None:
        """Ask for the messages of a topic, or raise BrokerError."""

    def messages(self) -> AsyncIterator[Received]:
        """Yield each message that comes, and at the connection's end raise BrokerError."""


class Publisher:
    """Empties the outbox into one session after another.

    Args:
        outbox: what waits.
        connect: opens a new session, which calls the function given with the key of each message that is over, and with
            the reason if the broker does not take it.
        broker: the broker's name for the log.
        client_id: the MQTT client identifier, for the log.
        goodbye: what is said last before a clean disconnect, because no last will is sent then.
        commands: the topics to listen to, wildcards allowed.
        obey: takes what comes there.
        status: how the session with the broker is; set here.

    """

    def __init__(
        self,
        outbox: Outbox,
        connect: Callable[[Done], AbstractAsyncContextManager[BrokerSession]],
        broker: str,
        client_id: str,
        goodbye: Message,
        commands: Sequence[str],
        obey: Callable[[Received], None],
        status: BrokerStatus,
    ) -> None:
        self._outbox = outbox
        self._connect = connect
        self._broker = broker
        self._client_id = client_id
        self._goodbye = goodbye
        self._commands = commands
        self._obey = obey
        self._status = status
        self._deadline_s = inf
        self._idle_since_s = inf
        self._taken = 0
        self._under_way: dict[int, tuple[Message, float]] = {}  # by the order in which they were taken, and when
        self._one_is_over = asyncio.Event()

    @property
    def is_stuck(self) -> bool:
        """Whether it takes longer than it may to connect, or waits although there is something to be sent."""
        return time.monotonic() > self._deadline_s or (
            time.monotonic() > self._idle_since_s + _WAKES_WITHIN_S and self._outbox.has_work
        )

    async def run(self) -> None:
        """Publish until the outbox is closed and empty, through as many sessions as that takes."""
        pauses = _Pauses(self._client_id)
        while True:
            connected_s = None
            self._expect_within(_CONNECTS_WITHIN_S)
            try:
                async with self._connect(self._over) as session:
                    self._expect_within(inf)  # from now on the keep-alive sees to it
                    _log.info("broker %s: connected, MQTT %s", self._broker, session.version)
                    connected_s = time.monotonic()
                    self._status.sessions += 1
                    self._status.problem = None
                    await self._serve(session)
                    return
            except BrokerError as error:
                broken = error
                self._status.problem = str(error)
            finally:
                self._status.problem = self._status.problem or "the session is over"
                self._put_back()  # only now: until the goodbye the broker may still acknowledge some
            pause_s, hint = pauses.after(broken, None if connected_s is None else time.monotonic() - connected_s)
            _log.warning("broker %s: %s%s; trying again in %.1f s", self._broker, broken, hint, pause_s)
            self._expect_within(pause_s + _CONNECTS_WITHIN_S)
            await asyncio.sleep(pause_s)

    def _expect_within(self, seconds: float) -> None:
        self._deadline_s = time.monotonic() + seconds

    async def _serve(self, session: BrokerSession) -> None:
        self._outbox.resend()
        try:
            await self._send(session)
        except asyncio.CancelledError:
            await self._say_goodbye(session)
            raise
        await self._say_goodbye(session)

    async def _send(self, session: BrokerSession) -> None:
        try:
            async with asyncio.TaskGroup() as group:
                watch = group.create_task(self._listen(session), name="broker-watch")
                await self._pump(session)
                watch.cancel()
        except* BrokerError as errors:
            broken = errors.exceptions[0]
        else:
            return
        if (task := asyncio.current_task()) is not None and task.cancelling():
            raise asyncio.CancelledError  # before Python 3.13 a TaskGroup forgets it over the errors of its tasks
        raise broken

    async def _listen(self, session: BrokerSession) -> None:
        """Take commands, and notice the connection's end."""
        refused = []
        for topic in self._commands:
            try:
                await session.subscribe(topic)
            except SubscriptionRefusedError as error:
                refused.append(str(error))
        if refused:
            more = f" (and {len(refused) - 1} more like it)" if len(refused) > 1 else ""
            _log.warning("broker %s: %s%s; what is said there is not heard", self._broker, refused[0], more)
        async for message in session.messages():
            self._obey(message)

    async def _pump(self, session: BrokerSession) -> None:
        """Send one message after another, so that they leave in their order, until all have been taken."""
        while True:
            if len(self._under_way) >= session.window:
                await self._wait_for_one()
            elif message := self._outbox.take():
                self._begin(session, message)
            elif not self._outbox.is_drained:
                self._idle_since_s = time.monotonic()
                try:
                    await self._outbox.wait()
                finally:
                    self._idle_since_s = inf
            elif self._under_way:
                await self._wait_for_one()
            else:
                return

    def _begin(self, session: BrokerSession, message: Message) -> None:
        key = self._taken = self._taken + 1
        self._under_way[key] = message, time.monotonic()
        try:
            session.send(message, key)
        except MessageRejectedError as error:
            self._over(key, error)

    def _over(self, key: int, error: MessageRejectedError | None) -> None:
        """Take note that a message has left, or that it never will."""
        if key not in self._under_way:  # of a session that is over
            return
        message, taken_s = self._under_way.pop(key)
        if error is None:
            self._outbox.sent(message, taken_s)
        else:
            self._outbox.refused(message, taken_s, error.reason)
            _log.warning("broker %s: a message to %s is dropped: %s", self._broker, message.topic, error)
        self._one_is_over.set()

    def _put_back(self) -> None:
        for key in sorted(self._under_way, reverse=True):
            self._outbox.put_back(self._under_way.pop(key)[0])

    async def _wait_for_one(self) -> None:
        self._one_is_over.clear()
        await self._one_is_over.wait()

    async def _say_goodbye(self, session: BrokerSession) -> None:
        with contextlib.suppress(BrokerError, MessageRejectedError, TimeoutError):
            async with asyncio.timeout(_GOODBYE_S):
                await session.publish(self._goodbye)


class _Pauses:
    """How long is waited after a session, or after none, by how it ended."""

    def __init__(self, client_id: str) -> None:
        self._client_id = client_id
        self._backoff = Backoff(_FIRST_PAUSE_S, _LONGEST_PAUSE_S)
        self._when_refused = Backoff(_REFUSED_PAUSE_S, _LONGEST_REFUSED_PAUSE_S)
        self._short_ones = 0

    def after(self, error: BrokerError, lasted_s: float | None) -> tuple[float, str]:
        """Return the pause before the next try, in seconds, and what else is to be said.

        Args:
            error: why there is no session any more.
            lasted_s: how long there was one, in seconds; None if there was none.

        """
        if lasted_s is not None and lasted_s > _STABLE_S:
            self._backoff.reset()
            self._when_refused.reset()
            self._short_ones = 0
        elif lasted_s is not None:
            self._short_ones += 1
        if isinstance(error, BrokerRefusedError):
            return self._when_refused.next_s(), ""
        hint = ""
        if self._short_ones >= _MANY_SHORT:  # a broker need not say that it was this
            hint = f" ({self._short_ones} short sessions: does another client use the id {self._client_id}?)"
        return self._backoff.next_s(), hint
