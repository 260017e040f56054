"""What Home Assistant is told of the node: at the start, when there is something new, and when it starts itself."""

import asyncio
import logging
import random
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import orjson

from edgepub.home_assistant import is_discovery
from edgepub.messages import JSON, Received, state
from edgepub.outbox import Outbox

_SETTLE_S = 2.0
"""Of two updates of a device that follow each other, Home Assistant may lose some of the second."""
_LONGEST_PAUSE_S = 5.0
"""Not all who hear of its start shall answer at once."""
_BIRTH = b"online"
_log = logging.getLogger(__name__)


class Announcer:
    """Keeps Home Assistant's discovery messages as they are to be.

    Args:
        make: makes them, payloads by topic, from the topics where something is retained.
        published: returns these.
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
        self._announced: dict[str, bytes] = {}
        self._loop: asyncio.AbstractEventLoop | None = None
        self._changed = asyncio.Event()
        self._born = asyncio.Event()

    def begin(self) -> None:
        """Take back what earlier starts announced and this one does not, and announce.

        To be done before any state is put into the outbox: what is announced comes before it, and what goes is no
        entity any more when its state is cleared.
        """
        published = list(self._published())
        wanted = self._make(published)
        for topic in published:
            if is_discovery(topic) and topic not in wanted:
                self._outbox.put(state(topic, b""))
        self._put(wanted)

    async def run(self) -> None:
        """Announce what is new, and answer Home Assistant's births, until cancelled."""
        self._loop = asyncio.get_running_loop()
        async with asyncio.TaskGroup() as group:
            group.create_task(self._follow(), name="announcements")
            group.create_task(self._answer(), name="births")

    def look_again(self) -> None:
        """Announce soon what is new; from any thread, at once."""
        if self._loop:
            self._loop.call_soon_threadsafe(self._changed.set)

    def hear(self, message: Received) -> None:
        """Take what Home Assistant says of itself; what the broker has kept of it is of another time."""
        if message.payload == _BIRTH and not message.retained:
            self._born.set()

    async def _follow(self) -> None:
        while True:
            await self._changed.wait()
            await asyncio.sleep(_SETTLE_S)  # and what is new seldom comes alone
            self._changed.clear()
            self._put(self._make(self._published()))

    async def _answer(self) -> None:
        while True:
            await self._born.wait()
            await asyncio.sleep(random.uniform(0, _LONGEST_PAUSE_S))  # noqa: S311
            self._born.clear()
            _log.info("Home Assistant has started: it is told everything again")
            self._outbox.resend_state(pictures=False)

    def _put(self, wanted: Mapping[str, Mapping[str, Any]]) -> None:
        for topic, payload in wanted.items():
            encoded = orjson.dumps(payload)
            if encoded != self._announced.get(topic):
                self._announced[topic] = encoded
                self._outbox.put(state(topic, encoded, JSON))
