"""Notices a broker that reads messages and does not acknowledge them."""

import asyncio
import time
from math import inf
from typing import Protocol

from edgepub.core.errors import BrokerError
from edgepub.mqtt.messages import Message
from edgepub.mqtt.outbox.outbox import Outbox
from edgepub.telemetry.status import BrokerStatus

TIMEOUT_S = 20.0
_POLL_S = 1.0
_MAX_PATIENCE_S = 3600.0


class PingingSession(Protocol):
    """A session that can ping."""

    async def ping(self) -> None:
        """Return when the broker has read all that was sent before, or now if that cannot be known."""


class Acknowledgements:
    """Ends the session if the broker has read a message, and does not acknowledge it in time.

    In the next session it is sent again. If the broker acknowledges later messages, only this one is missing. Each end
    of a session disturbs all others, so the next one comes after twice the time, unless it is a new case.

    Args:
        outbox: knows the messages in flight.
        status: has the problem, also in the next sessions.
        timeout_s: how long the oldest message may wait for its acknowledgement.

    Attributes:
        missing: the topic of a message that was not acknowledged in time; None: all is well.

    """

    def __init__(self, outbox: Outbox, status: BrokerStatus, timeout_s: float = TIMEOUT_S) -> None:
        self.missing: str | None = None
        self._outbox = outbox
        self._status = status
        self._timeout_s = timeout_s
        self._patience_s = timeout_s
        self._last_skip_s = -inf

    async def watch(self, session: PingingSession) -> None:
        """Watch a session until cancelled.

        Raises:
            BrokerError: a message was not acknowledged in time.

        """
        wait_s, began_s = self._timeout_s / 2, time.monotonic()
        while True:
            await asyncio.sleep(min(_POLL_S, wait_s))
            oldest, now_s = self._outbox.oldest_unacknowledged, time.monotonic()
            if oldest is None or now_s - oldest[1] < wait_s:
                if now_s - began_s > self._timeout_s:
                    self._end_problem()  # that message is acknowledged, or it is no longer to be sent
                continue
            await session.ping()  # on a slow link it may still be on its way
            await asyncio.sleep(wait_s)
            if self._outbox.oldest_unacknowledged == oldest:
                self._check(*oldest)

    def count(self, message: Message) -> None:
        """Note that a message is acknowledged; to be called while one is missing."""
        if message.topic == self.missing:
            self._end_problem()

    def _end_problem(self) -> None:
        if self.missing is not None:
            self.missing = self._status.problem = None

    def _check(self, message: Message, taken_s: float) -> None:
        now_s = time.monotonic()
        self.missing = message.topic
        text = f"it answers, but has not acknowledged {message.topic} for {now_s - taken_s:.0f} s"
        if self._outbox.is_skipped:
            if now_s - self._last_skip_s > 2 * self._patience_s:
                self._patience_s = self._timeout_s
            if now_s - taken_s < self._patience_s:
                self._status.problem = f"{text}, and later messages are acknowledged"
                return
            self._patience_s = min(2 * self._patience_s, _MAX_PATIENCE_S)
            self._last_skip_s = now_s
        raise BrokerError(f"{text} (messages under way: {self._outbox.unacknowledged})")
