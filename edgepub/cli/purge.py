"""Everything that a node has retained on its broker is cleared."""

import asyncio
import contextlib
import logging
from collections.abc import Iterable
from contextlib import AbstractAsyncContextManager
from pathlib import Path

from edgepub.config.secrets import read_broker_password
from edgepub.config.settings import NodeSettings
from edgepub.core.errors import BrokerError, MessageRejectedError, StateInUseError, SubscriptionRefusedError
from edgepub.core.state_dir import default_state_dir, lock_state_dir
from edgepub.home_assistant.discovery import belongs_to_node, is_discovery
from edgepub.mqtt import connection, store
from edgepub.mqtt.messages import state_message
from edgepub.mqtt.session import Session
from edgepub.mqtt.topics import Topics

_log = logging.getLogger(__name__)
_QUIET_S = 2.0
"""What is retained comes at once and in one go; nobody tells when that was all."""


def take_back(settings: NodeSettings, folder: Path) -> None:
    """Clear what the node that has a state folder has retained, and nothing that it does not know of.

    Raises:
        StateInUseError: the node is running.
        BrokerError: no session with the broker, or it broke.

    """
    with lock_state_dir(folder), store.open_store(folder) as its:
        asyncio.run(_take_back(settings, its))


async def _take_back(settings: NodeSettings, its: store.Store) -> None:
    async with _connected(settings) as session:
        await _clear(session, its.retained_topics(), its)


def purge(settings: NodeSettings) -> list[str]:
    """Clear what is retained below the node's topic, and wherever else its state folder says; return the topics.

    Raises:
        StateInUseError: the node is running.
        BrokerError: no session with the broker, or it broke.

    """
    folder = default_state_dir()
    with lock_state_dir(folder), store.open_store(folder) as its:
        try:
            return asyncio.run(_purge(settings, its))
        except BrokerError as error:
            raise BrokerError(f"broker {settings.mqtt.url}: {error}") from None


async def _purge(settings: NodeSettings, its: store.Store) -> list[str]:
    topics = Topics(settings.mqtt.topic_prefix, settings.node)
    async with _connected(settings) as session:
        announced = f"{settings.home_assistant.discovery_prefix}/device/+/config"
        found = await _retained(session, f"{topics.root}/#", announced)
        if found.get(topics.status) == b"online":
            raise StateInUseError(
                f"{topics.status} is online: stop edgepub first; if it does not run any more, clear that one with "
                f"mosquitto_pub -r -n -t {topics.status}"
            )
        ours = {
            topic
            for topic, payload in found.items()
            if topic.startswith(f"{topics.root}/") or belongs_to_node(topic, payload, settings.node)
        }
        return await _clear(session, {*ours, *its.retained_topics()}, its)


def _connected(settings: NodeSettings) -> AbstractAsyncContextManager[Session]:
    client_id = f"{settings.client_id}-purge"
    return connection.connect(settings.mqtt, client_id, read_broker_password(settings.mqtt), max_received_bytes=None)


async def _clear(session: Session, topics: Iterable[str], its: store.Store) -> list[str]:
    """Clear topics, and return those that were."""
    cleared = []
    for topic in sorted(topics, key=lambda topic: (not is_discovery(topic), topic)):  # an entity goes before its state
        try:
            await session.publish(state_message(topic, b""))
        except MessageRejectedError as error:
            _log.warning("%s is not cleared: %s", topic, error)
            continue
        cleared.append(topic)
        its.remove_retained(topic)
    return cleared


async def _retained(session: Session, *topics: str) -> dict[str, bytes]:
    """Return what the broker holds there, and lets us read."""
    found = {}
    for topic in topics:
        with contextlib.suppress(SubscriptionRefusedError):
            await session.subscribe(topic)
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(_QUIET_S) as limit:
            async for message in session.messages():
                if message.retained:
                    found[message.topic] = message.payload
                    limit.reschedule(asyncio.get_running_loop().time() + _QUIET_S)
    return found
