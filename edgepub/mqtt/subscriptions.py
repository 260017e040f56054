"""Subscriptions: a broker that refuses one is asked again, because it may grant it later."""

import asyncio
import logging
from collections.abc import Callable, Sequence
from typing import Protocol

from edgepub.core.backoff import Backoff
from edgepub.core.errors import SubscriptionRefusedError
from edgepub.telemetry.status import BrokerStatus

_MIN_PAUSE_S = 1.0
_MAX_PAUSE_S = 60.0
_NOTE = "subscriptions"
_log = logging.getLogger(__name__)


class SubscribingSession(Protocol):
    """A session that can subscribe."""

    async def subscribe(self, topic: str) -> None:
        """Subscribe to a topic, or raise BrokerError, or SubscriptionRefusedError if the session continues."""


class Subscriptions:
    """Subscribes in each session.

    Args:
        topics: the topics, wildcards allowed.
        broker: the broker's name, for the log.
        status: has a note while subscriptions are refused.
        make_pauses: makes the pauses between two attempts in one session.
        optional: more topics, first in each session; that the broker refuses them is no problem to report.

    """

    def __init__(
        self,
        topics: Sequence[str],
        broker: str,
        status: BrokerStatus,
        make_pauses: Callable[[], Backoff] = lambda: Backoff(_MIN_PAUSE_S, _MAX_PAUSE_S),
        optional: Sequence[str] = (),
    ) -> None:
        self._topics = [*optional, *topics]
        self._optional = set(optional)
        self._broker = broker
        self._status = status
        self._make_pauses = make_pauses

    async def subscribe(self, session: SubscribingSession) -> None:
        """Subscribe to all topics; return when the broker has granted all.

        Raises:
            BrokerError: the session is over.

        """
        pauses, topics, has_warned = self._make_pauses(), self._topics, False
        try:
            while topics := await self._ask(session, topics, has_warned=has_warned):
                has_warned |= _NOTE in self._status.notes
                await asyncio.sleep(pauses.next_s())
            if has_warned:
                _log.info("broker %s: all subscriptions are granted now", self._broker)
        finally:
            self._status.notes.pop(_NOTE, None)

    async def _ask(self, session: SubscribingSession, topics: Sequence[str], *, has_warned: bool) -> list[str]:
        """Subscribe to these topics; return those that the broker refuses."""
        refused, reasons = [], []
        for topic in topics:
            try:
                await session.subscribe(topic)
            except SubscriptionRefusedError as error:
                refused.append(topic)
                if topic not in self._optional:
                    reasons.append(str(error))
        if reasons:
            more = f" (and {len(reasons) - 1} more like it)" if len(reasons) > 1 else ""
            text = f"{reasons[0]}{more}; messages there are ignored until it grants that"
            self._status.notes[_NOTE] = text
            if not has_warned:
                _log.warning("broker %s: %s", self._broker, text)
        return refused
