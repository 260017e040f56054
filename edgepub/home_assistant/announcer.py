"""Publishes the discovery messages: at the start, when something is new, and when Home Assistant starts."""

import asyncio
import logging
import random
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import orjson

from edgepub.home_assistant.device import is_discovery
from edgepub.mqtt.messages import Received, announcement_message
from edgepub.mqtt.outbox.outbox import Outbox

SETTLE_S = 2.0
"""Home Assistant may lose a part of the second of two updates of one device that follow each other immediately."""
MAX_BIRTH_DELAY_S = 5.0
"""The reply to a birth message is delayed by a random time up to this, so that not all nodes reply together."""
_MAX_FORMER = 1000
"""Topics that were retained in this run and are no more. The entities of older ones were removed long ago."""
_BIRTH = b"online"
_log = logging.getLogger(__name__)


class Announcer:
    """Keeps Home Assistant's discovery messages up to date.

    Args:
        build: builds the messages, payloads by topic, from the topics where something is retained, the longest
            unchanged first, and those where something is or was retained in this run, the oldest first.
        retained_topics: returns the topics where something is retained now, without those that are being cleared.
        outbox: takes the messages.
        settle_s: seconds between two updates of one device.
        max_birth_delay_s: upper bound of the random delay before a birth message is answered.

    """

    def __init__(
        self,
        build: Callable[[Sequence[str], Iterable[str]], Mapping[str, Mapping[str, Any]]],
        retained_topics: Callable[[], Sequence[str]],
        outbox: Outbox,
        *,
        settle_s: float = SETTLE_S,
        max_birth_delay_s: float = MAX_BIRTH_DELAY_S,
    ) -> None:
        self._build = build
        self._retained_topics = retained_topics
        self._outbox = outbox
        self._settle_s = settle_s
        self._max_birth_delay_s = max_birth_delay_s
        # In this run; an ordered set. The removal of what is no longer retained must still be announced.
        self._ever_retained: dict[str, None] = {}
        self._announced: dict[str, bytes] = {}
        self._loop: asyncio.AbstractEventLoop | None = None
        self._changed = asyncio.Event()
        self._birth = asyncio.Event()

    def announce(self) -> None:
        """Remove what earlier runs announced and this one does not, and announce what is new.

        Call it before obsolete states are cleared, so that no entity uses them when they go.
        """
        messages = self._build_messages()
        for topic in self._retained_topics():
            if is_discovery(topic) and topic not in messages:
                self._outbox.put(announcement_message(topic, b""))
        self._put_changed(messages)

    async def run(self) -> None:
        """Announce what is new and answer birth messages, until cancelled."""
        self._loop = asyncio.get_running_loop()
        async with asyncio.TaskGroup() as group:
            group.create_task(self._announce_changes(), name="announcements")
            group.create_task(self._answer_births(), name="births")

    def schedule(self) -> None:
        """Announce soon what is new. Call it from any thread; it does not block."""
        if self._loop:
            self._loop.call_soon_threadsafe(self._changed.set)

    def on_birth(self, message: Received) -> None:
        """Handle a message on a birth topic. Retained ones are ignored: they are about an earlier start."""
        if message.payload == _BIRTH and not message.retained:
            self._birth.set()

    async def _announce_changes(self) -> None:
        while True:
            await self._changed.wait()
            await asyncio.sleep(self._settle_s)  # several changes usually come together
            self._changed.clear()
            if self._put_changed(self._build_messages()):
                await asyncio.sleep(self._settle_s)
                # Again, because Home Assistant may have lost a part of it right after another update.
                self._outbox.resend("announcements")

    async def _answer_births(self) -> None:
        while True:
            await self._birth.wait()
            await asyncio.sleep(random.uniform(0, self._max_birth_delay_s))  # noqa: S311
            self._birth.clear()
            _log.info("Home Assistant has started: sending all discovery messages and states again")
            self._outbox.resend("announcements")
            await asyncio.sleep(self._settle_s)  # until it has subscribed to the states
            self._outbox.resend("state")

    def _build_messages(self) -> Mapping[str, Mapping[str, Any]]:
        retained = self._retained_topics()
        self._ever_retained.update(dict.fromkeys(retained))
        former = self._ever_retained.keys() - set(retained)
        for topic in [topic for topic in self._ever_retained if topic in former][:-_MAX_FORMER]:
            del self._ever_retained[topic]
        return self._build(retained, self._ever_retained)

    def _put_changed(self, messages: Mapping[str, Mapping[str, Any]]) -> bool:
        """Announce what differs from what was announced; return whether anything did."""
        encoded = {topic: orjson.dumps(payload) for topic, payload in messages.items()}
        changed = [topic for topic in encoded if encoded[topic] != self._announced.get(topic)]
        self._announced = encoded
        for topic in changed:
            self._outbox.put(announcement_message(topic, encoded[topic]))
        return bool(changed)
