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
_NOTE = "acknowledgements"


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
        status: gets a note while a message is not acknowledged and later ones are.
        timeout_s: how long the oldest message may wait for its acknowledgement.

    Attributes:
        are_missing: whether the broker acknowledged nothing, and the session ended because of that.

    """

    def __init__(self, outbox: Outbox, status: BrokerStatus, timeout_s: float = TIMEOUT_S) -> None:
        self.are_missing = False
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
        wait_s = self._timeout_s / 2
        while True:
            await asyncio.sleep(min(_POLL_S, wait_s))
            oldest = self._outbox.oldest_unacknowledged
            if oldest is None or time.monotonic() - oldest[1] < wait_s:
                self._status.notes.pop(_NOTE, None)
                continue
            await session.ping()  # on a slow link it may still be on its way
            await asyncio.sleep(wait_s)
            if self._outbox.oldest_unacknowledged == oldest:
                self._check(*oldest)

    def _check(self, message: Message, taken_s: float) -> None:
        now_s = time.monotonic()
        if self._outbox.is_skipped:
            if now_s - self._last_skip_s > 2 * self._patience_s:
                self._patience_s = self._timeout_s
            if now_s - taken_s < self._patience_s:
                self._status.notes[_NOTE] = f"{message.topic} is not acknowledged, and later messages are"
                return
            self._patience_s = min(2 * self._patience_s, _MAX_PATIENCE_S)
            self._last_skip_s = now_s
        else:
            self.are_missing = True
        text = f"it answers, but has not acknowledged {message.topic} for {now_s - taken_s:.0f} s"
        raise BrokerError(f"{text} (messages under way: {self._outbox.unacknowledged})")
