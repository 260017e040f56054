"""`edgepub discovery --purge`: clear a node's retained topics from its broker."""

import asyncio
import contextlib
import logging
from collections.abc import Iterable
from contextlib import AbstractAsyncContextManager
from pathlib import Path

from edgepub.config.secrets import read_broker_password
from edgepub.config.settings import NodeSettings
from edgepub.core.errors import BrokerError, MessageRejectedError, StateInUseError, SubscriptionRefusedError
from edgepub.core.identity import is_foreign
from edgepub.core.machine import machine_key
from edgepub.core.state_dir import default_state_dir, lock_state_dir
from edgepub.home_assistant.device import belongs_to_node, is_discovery
from edgepub.mqtt import connection, store
from edgepub.mqtt.messages import state_message
from edgepub.mqtt.session import Session
from edgepub.mqtt.topics import Topics, find_nodes

_log = logging.getLogger(__name__)
_QUIET_S = 2.0
"""Retained messages arrive immediately, one after the other, but nothing marks the last one."""


def clear_known(settings: NodeSettings, directory: Path) -> None:
    """Clear the retained topics that are recorded in a node's state directory, and no others.

    Raises:
        StateInUseError: the node is running.
        BrokerError: there is no session with the broker, or it broke.

    """
    with lock_state_dir(directory), store.open_store(directory) as node_store:
        asyncio.run(_clear_known(settings, node_store))


async def _clear_known(settings: NodeSettings, node_store: store.Store) -> None:
    async with _connect(settings) as session:
        await _clear(session, sorted(node_store.retained_topics()), node_store)


def purge(settings: NodeSettings) -> list[str]:
    """Clear what is retained below the node's topic, and the topics recorded in its state directory. Return the topics.

    A state directory that was copied from another node may list topics of that one. These stay.

    Raises:
        StateInUseError: the node is running.
        BrokerError: there is no session with the broker, or it broke.

    """
    directory = default_state_dir()
    with lock_state_dir(directory), store.open_store(directory) as node_store:
        try:
            return asyncio.run(_purge(settings, directory, node_store))
        except BrokerError as error:
            raise BrokerError(f"broker {settings.mqtt.display_url}: {error}") from None


async def _purge(settings: NodeSettings, directory: Path, node_store: store.Store) -> list[str]:
    topics = Topics(settings.mqtt.topic_prefix, settings.node)
    async with _connect(settings) as session:
        discovery = f"{settings.home_assistant.discovery_prefix}/device/+/config"
        recorded = [] if is_foreign(directory, machine_key()) else node_store.retained_topics()
        others = [other for other in find_nodes(recorded) if other != topics]
        found = await _read_retained(session, f"{topics.root}/#", discovery, *(other.status for other in others))
        if found.get(topics.status) == b"online":
            raise StateInUseError(
                f"{topics.status} is online: stop edgepub first; if it is not running, clear this topic with "
                f"mosquitto_pub -r -n -t {topics.status}"
            )
        found_topics = {
            topic
            for topic, payload in found.items()
            if topic.startswith(f"{topics.root}/") or belongs_to_node(topic, payload, settings.node)
        }
        running = [other for other in others if found.get(other.status) == b"online"]
        for other in running:
            _log.warning("%s is online: the topics of that node stay", other.status)
        of_others = {
            topic
            for topic in recorded
            for other in running
            if topic.startswith(f"{other.root}/") or belongs_to_node(topic, found.get(topic, b""), other.node)
        }
        return await _clear(session, {*found_topics, *recorded} - of_others, node_store)


def _connect(settings: NodeSettings) -> AbstractAsyncContextManager[Session]:
    client_id = f"{settings.client_id}-purge"
    return connection.connect(settings.mqtt, client_id, read_broker_password(settings.mqtt), max_received_bytes=None)


async def _clear(session: Session, topics: Iterable[str], node_store: store.Store) -> list[str]:
    """Clear topics. Return those that the broker accepted."""
    cleared = []
    # An entity is removed before its state.
    for topic in sorted(topics, key=lambda topic: (not is_discovery(topic), topic)):
        try:
            await session.publish(state_message(topic, b""))
        except MessageRejectedError as error:
            _log.warning("%s cannot be cleared: %s", topic, error)
            continue
        cleared.append(topic)
        node_store.remove_retained(topic)
    return cleared


async def _read_retained(session: Session, *topics: str) -> dict[str, bytes]:
    """Return the retained messages there that the broker lets this user read."""
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
