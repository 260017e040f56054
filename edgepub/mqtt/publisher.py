"""The session loop: connect, send what waits, notice the end of the session, pause, connect again."""

import asyncio
import contextlib
import logging
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from math import inf
from typing import Protocol

from edgepub.core.errors import BrokerError, MessageRejectedError
from edgepub.mqtt.acknowledgements import TIMEOUT_S, Acknowledgements
from edgepub.mqtt.confirmation import Confirmation
from edgepub.mqtt.limits import Limits
from edgepub.mqtt.messages import Message, OnDone, Received
from edgepub.mqtt.outbox.outbox import Outbox
from edgepub.mqtt.reconnect import ReconnectPauses
from edgepub.mqtt.subscriptions import Subscriptions
from edgepub.telemetry.status import BrokerStatus

_CONNECT_TIMEOUT_S = 120.0
_WAKE_TIMEOUT_S = 10.0
_GOODBYE_TIMEOUT_S = 1.0
_REFUSED = "refused"
_log = logging.getLogger(__name__)


class BrokerSession(Protocol):
    """A connection to a broker (`edgepub.mqtt.session` has one)."""

    version: str
    window: int
    limits: Limits

    def send(self, message: Message) -> None:
        """Start to send a message, or raise BrokerError or MessageRejectedError."""

    async def publish(self, message: Message) -> None:
        """Send a message and wait until it is done, or raise BrokerError or MessageRejectedError."""

    async def ping(self) -> None:
        """Return when the broker has read all that was sent before, or immediately if that cannot be known."""

    async def subscribe(self, topic: str) -> None:
        """Subscribe to a topic, or raise BrokerError, or SubscriptionRefusedError if the session continues."""

    async def unsubscribe(self, topic: str) -> None:
        """End a subscription, or raise BrokerError."""

    def messages(self) -> AsyncIterator[Received]:
        """Yield each message that comes; raise BrokerError when the connection ends."""


class Publisher:
    """Empties the outbox into one session after another.

    Args:
        outbox: the messages to send.
        connect: opens a new session; it calls the function given for each message of `send` when it is done, with the
            reason if the broker does not take it.
        broker: the broker's name, for the log.
        client_id: the MQTT client identifier, for the log.
        hello: a message that the broker accepts if it accepts any; sent first while sessions end over messages.
        goodbye: the last message before a clean disconnect, after which the broker sends no last will.
        subscriptions: the topics to subscribe to.
        on_message: takes each message that comes there.
        status: updated with the state of the connection.
        pauses: between two connections.
        connect_timeout_s: the publisher is stuck if a connect takes longer.
        wake_timeout_s: the publisher is stuck if it waits longer although there is something to send.
        acknowledge_timeout_s: a session ends if the broker answers, but acknowledges a message not even in this time.

    """

    def __init__(
        self,
        outbox: Outbox,
        connect: Callable[[OnDone], AbstractAsyncContextManager[BrokerSession]],
        broker: str,
        client_id: str,
        hello: Message,
        goodbye: Message,
        subscriptions: Subscriptions,
        on_message: Callable[[Received], None],
        status: BrokerStatus,
        *,
        pauses: ReconnectPauses | None = None,
        connect_timeout_s: float = _CONNECT_TIMEOUT_S,
        wake_timeout_s: float = _WAKE_TIMEOUT_S,
        acknowledge_timeout_s: float = TIMEOUT_S,
    ) -> None:
        self._outbox = outbox
        self._connect = connect
        self._broker = broker
        self._client_id = client_id
        self._hello = hello
        self._goodbye = goodbye
        self._confirmation = Confirmation(outbox)
        self._subscriptions = subscriptions
        self._on_message = on_message
        self._status = status
        self._pauses = pauses or ReconnectPauses()
        self._connect_timeout_s = connect_timeout_s
        self._wake_timeout_s = wake_timeout_s
        self._acknowledgements = Acknowledgements(outbox, status, acknowledge_timeout_s)
        self._deadline_s = inf
        self._idle_since_s = inf
        self._message_done = asyncio.Event()

    @property
    def is_stuck(self) -> bool:
        """Whether a connect takes longer than it may, or the publisher waits although there is something to send."""
        return time.monotonic() > self._deadline_s or (
            time.monotonic() > self._idle_since_s + self._wake_timeout_s and self._outbox.has_work
        )

    async def run(self) -> None:
        """Publish until the outbox is drained, through as many sessions as that takes."""
        while True:
            connected_s, is_over_message = None, False
            self._set_deadline(self._connect_timeout_s)
            try:
                async with self._connect(self._on_done) as session:
                    self._set_deadline(inf)  # from now on the keep-alive notices a broken connection
                    _log.info("broker %s: connected, MQTT %s", self._broker, session.version)
                    connected_s = time.monotonic()
                    self._note_limits(session.limits)
                    self._status.notes.pop(_REFUSED, None)
                    self._status.sessions += 1
                    if self._acknowledgements.missing is None:
                        self._status.problem = None
                    await self._serve(session)
                    return
            except BrokerError as caught:
                error = caught
                self._status.problem = str(error)
                is_over_message = error.is_over_message and connected_s is not None
            finally:
                self._status.problem = self._status.problem or "the session is over"
                # Only now: until the goodbye the broker may still acknowledge some.
                self._outbox.end_session(is_over_message=is_over_message)
            pause_s = self._pauses.next_s(error, None if connected_s is None else time.monotonic() - connected_s)
            hint = self._pauses.hint(error, self._client_id)
            _log.warning("broker %s: %s%s; trying again in %.1f s", self._broker, error, hint, pause_s)
            self._set_deadline(pause_s + self._connect_timeout_s)
            await asyncio.sleep(pause_s)

    def _note_limits(self, limits: Limits) -> None:
        """Log once what is missing because of the broker."""
        for name, line in limits.describe().items():
            if line is None:
                self._status.notes.pop(name, None)
            elif line != self._status.notes.get(name):
                self._status.notes[name] = line
                _log.warning("broker %s: %s", self._broker, line)

    def _set_deadline(self, seconds: float) -> None:
        self._deadline_s = time.monotonic() + seconds

    async def _serve(self, session: BrokerSession) -> None:
        if self._outbox.start_session(session.window, self._hello):
            self._pauses.reset()  # there may be more such messages, and this makes the search for them short
        try:
            await self._send_and_listen(session)
        except asyncio.CancelledError:
            await self._say_goodbye(session)
            raise
        await self._say_goodbye(session)

    async def _send_and_listen(self, session: BrokerSession) -> None:
        try:
            async with asyncio.TaskGroup() as group:
                tasks = [
                    group.create_task(self._listen(session), name="broker-messages"),
                    group.create_task(self._subscriptions.subscribe(session), name="broker-subscriptions"),
                    group.create_task(self._confirmation.run(session), name="broker-confirmation"),
                    group.create_task(self._acknowledgements.watch(session), name="broker-acknowledgements"),
                ]
                await self._send(session)
                for helper in tasks:
                    helper.cancel()
        except* BrokerError as errors:
            error = errors.exceptions[0]
        else:
            return
        if (task := asyncio.current_task()) is not None and task.cancelling():
            raise asyncio.CancelledError  # before Python 3.13 a TaskGroup drops it for the errors of its tasks
        raise error

    async def _listen(self, session: BrokerSession) -> None:
        """Pass commands on, and notice the end of the connection."""
        async for message in session.messages():
            if not self._confirmation.take(message):
                self._on_message(message)

    async def _send(self, session: BrokerSession) -> None:
        """Send one message after another, in their order, until the outbox is drained and all are done."""
        while True:
            if message := self._outbox.take():
                try:
                    session.send(message)
                except MessageRejectedError as error:
                    self._on_done(message, error)
            elif not self._outbox.is_drained:
                self._idle_since_s = time.monotonic()
                try:
                    await self._outbox.wait()
                finally:
                    self._idle_since_s = inf
            elif self._outbox.in_flight:
                await self._wait_for_done()
            else:
                return

    def _on_done(self, message: Message, error: MessageRejectedError | None) -> None:
        """Mark a message in the outbox as sent, or as rejected by the broker."""
        self._outbox.done(message, error)
        if self._acknowledgements.missing is not None and error is None:
            self._acknowledgements.count(message)
        if error is not None:
            _log.warning("broker %s: message to %s dropped: %s", self._broker, message.topic, error)
            self._status.notes[_REFUSED] = f"message to {message.topic} dropped: {error}"
        self._message_done.set()

    async def _wait_for_done(self) -> None:
        self._message_done.clear()
        await self._message_done.wait()

    async def _say_goodbye(self, session: BrokerSession) -> None:
        with contextlib.suppress(BrokerError, MessageRejectedError, TimeoutError):
            async with asyncio.timeout(_GOODBYE_TIMEOUT_S):
                await session.publish(self._goodbye)
