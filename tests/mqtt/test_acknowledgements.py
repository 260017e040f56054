"""Messages that the broker has read and does not acknowledge."""

import asyncio
import time

from edgepub.core.errors import BrokerError
from edgepub.mqtt.acknowledgements import Acknowledgements
from edgepub.mqtt.messages import state_message
from edgepub.mqtt.outbox.outbox import Outbox
from edgepub.telemetry.status import BrokerStatus

TIMEOUT_S = 0.1
HELLO = state_message("status", "online")


class Session:
    async def ping(self):
        """Return immediately: the broker has read everything."""


class Site:
    """A broker that acknowledges all messages but those of some topics."""

    def __init__(self, *ignored):
        self.ignored = ignored
        self.outbox, self.status = Outbox(9), BrokerStatus()
        self.acknowledgements = Acknowledgements(self.outbox, self.status, TIMEOUT_S)

    async def session(self, seconds=30):
        """Serve a session; return after how long it ended, and the reason; None if it lasted so many seconds."""
        self.outbox.start_session(16, HELLO)
        self.outbox.resend_lost(b"")
        began_s = time.monotonic()
        serving = asyncio.create_task(self._serve())
        try:
            async with asyncio.timeout(seconds):
                await self.acknowledgements.watch(Session())
        except TimeoutError:
            return None
        except BrokerError as error:
            return time.monotonic() - began_s, str(error)
        finally:
            serving.cancel()
            await asyncio.wait([serving])
            self.outbox.end_session()

    async def _serve(self):
        number = 0
        while True:
            number += 1
            self.outbox.put(state_message("count", str(number)))
            while message := self.outbox.take():
                if message.topic not in self.ignored:
                    self.outbox.done(message)
            await asyncio.sleep(0.005)


async def test_one_message_that_is_not_acknowledged_ends_sessions_more_and_more_rarely():
    site = Site("info")
    site.outbox.put(state_message("info", "x"))
    for factor in (1, 2, 4):
        lasted_s, reason = await site.session()
        assert lasted_s >= factor * TIMEOUT_S
        assert "info" in reason
        assert site.acknowledgements.missing == "info"


async def test_after_a_while_without_it_is_a_new_case():
    site = Site("info")
    site.outbox.put(state_message("info", "x"))
    for _ in range(3):
        await site.session()
    site.ignored = ()
    assert await site.session(20 * TIMEOUT_S) is None
    assert site.acknowledgements.missing is None
    assert site.status.problem is None
    site.ignored = ("info",)
    site.outbox.put(state_message("info", "y"))
    lasted_s, _ = await site.session()
    assert lasted_s < 4 * TIMEOUT_S


async def test_a_broker_that_acknowledges_nothing_is_no_matter_of_one_message():
    site = Site("count", "status")
    for _ in range(3):
        _, reason = await site.session()
        assert "count" in reason
        assert site.acknowledgements.missing == "count"
