"""What Home Assistant is told of the node: at the start, when there is something new, and when it starts itself."""

import asyncio
import logging
import random
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import orjson

from edgepub.home_assistant.discovery import is_discovery
from edgepub.mqtt.messages import Received, announcement_message
from edgepub.mqtt.outbox.outbox import Outbox

_SETTLE_S = 2.0
"""Of two updates of a device that follow each other at once, Home Assistant may lose a part of the second."""
_LONGEST_PAUSE_S = 5.0
"""Not all who hear of its start shall answer at once."""
_BIRTH = b"online"
_log = logging.getLogger(__name__)


class Announcer:
    """Keeps Home Assistant's discovery messages as they are to be.

    Args:
        make: makes them, payloads by topic, from the topics where something is retained, or was.
        published: returns where something is.
        outbox: takes the messages.

    """

    def __init__(
        self,
        make: Callable[[Iterable[str]], Mapping[str, Mapping[str, Any]]],
        published: Callable[[], Iterable[str]],
        outbox: Outbox,
    ) -> None:
        self._make = make
        self._published = published
        self._outbox = outbox
        self._ever: dict[str, None] = {}  # published, in this life: what is gone from there is still to be told
        self._announced: dict[str, bytes] = {}
        self._loop: asyncio.AbstractEventLoop | None = None
        self._changed = asyncio.Event()
        self._born = asyncio.Event()

    def begin(self) -> None:
        """Take back what earlier starts announced and this one does not, and announce.

        To be done before states that are no more are cleared: what goes is then no entity any more.
        """
        wanted = self._wanted()
        for topic in self._ever:
            if is_discovery(topic) and topic not in wanted:
                self._outbox.put(announcement_message(topic, b""))
        self._put(wanted)

    async def run(self) -> None:
        """Announce what is new, and answer Home Assistant's births, until cancelled."""
        self._loop = asyncio.get_running_loop()
        async with asyncio.TaskGroup() as group:
            group.create_task(self._follow(), name="announcements")
            group.create_task(self._answer(), name="births")

    def schedule(self) -> None:
        """Announce soon what is new; from any thread, at once."""
        if self._loop:
            self._loop.call_soon_threadsafe(self._changed.set)

    def on_birth(self, message: Received) -> None:
        """Take what Home Assistant says of itself; what the broker has kept of it is of another time."""
        if message.payload == _BIRTH and not message.retained:
            self._born.set()

    async def _follow(self) -> None:
        while True:
            await self._changed.wait()
            await asyncio.sleep(_SETTLE_S)  # what is new seldom comes alone
            self._changed.clear()
            if self._put(self._wanted()):
                await asyncio.sleep(_SETTLE_S)
                self._outbox.resend("announcements")  # for what was lost, should another update have just gone before

    async def _answer(self) -> None:
        while True:
            await self._born.wait()
            await asyncio.sleep(random.uniform(0, _LONGEST_PAUSE_S))  # noqa: S311
            self._born.clear()
            _log.info("Home Assistant has started: it is told everything again")
            self._outbox.resend("announcements")
            await asyncio.sleep(_SETTLE_S)  # until it listens to the states
            self._outbox.resend("state")

    def _wanted(self) -> Mapping[str, Mapping[str, Any]]:
        self._ever.update(dict.fromkeys(self._published()))
        return self._make(self._ever)

    def _put(self, wanted: Mapping[str, Mapping[str, Any]]) -> bool:
        """Announce what is not announced yet; return whether there is any."""
        encoded = {topic: orjson.dumps(payload) for topic, payload in wanted.items()}
        new = [topic for topic in encoded if encoded[topic] != self._announced.get(topic)]
        self._announced = encoded
        for topic in new:
            self._outbox.put(announcement_message(topic, encoded[topic]))
        return bool(new)
