"""At the start of a session: ask the broker which retained values it has, and send the others again."""

import asyncio
from typing import Protocol

from edgepub.core.errors import SubscriptionRefusedError
from edgepub.mqtt.limits import Limits
from edgepub.mqtt.messages import Received
from edgepub.mqtt.outbox.outbox import Outbox

_TIMEOUT_S = 0.5
_PAUSE_S = 5.0


class AskingSession(Protocol):
    """A session that can subscribe and unsubscribe."""

    limits: Limits

    async def subscribe(self, topic: str) -> None:
        """Subscribe to a topic, or raise BrokerError, or SubscriptionRefusedError if the session continues."""

    async def unsubscribe(self, topic: str) -> None:
        """End a subscription, or raise BrokerError."""


class Confirmation:
    """Finds the node's checkpoint on the broker (`edgepub.mqtt.outbox.checkpoint`).

    Args:
        outbox: has the values.
        timeout_s: how long to wait for the checkpoint. Without it all values are sent again.
        pause_s: the time between two checkpoints.

    """

    def __init__(self, outbox: Outbox, timeout_s: float = _TIMEOUT_S, pause_s: float = _PAUSE_S) -> None:
        self._outbox = outbox
        self._timeout_s = timeout_s
        self._pause_s = pause_s
        self._found: asyncio.Future[bytes] | None = None

    async def run(self, session: AskingSession) -> None:
        """Send again what the broker may have lost; then publish checkpoints until cancelled, if that makes sense.

        Raises:
            BrokerError: the session is over.

        """
        topic = self._outbox.checkpoint_topic
        if topic is None or not session.limits.retain:
            self._outbox.resend_lost(b"")
            return
        self._found = asyncio.get_running_loop().create_future()
        try:
            await session.subscribe(topic)
        except SubscriptionRefusedError:
            self._outbox.resend_lost(b"")  # and no checkpoint could be read later
            return
        await asyncio.wait([self._found], timeout=self._timeout_s)
        self._outbox.resend_lost(self._found.result() if self._found.done() else b"")
        self._found = None
        await session.unsubscribe(topic)
        while True:
            await asyncio.sleep(self._pause_s)
            self._outbox.put_checkpoint()

    def take(self, message: Received) -> bool:
        """Take a message from the broker; return whether it is a checkpoint."""
        if message.topic != self._outbox.checkpoint_topic:
            return False
        if message.retained and self._found is not None and not self._found.done():
            self._found.set_result(message.payload)
        return True
