"""Everything that a node has retained on its broker is cleared."""

import asyncio
import contextlib
import logging

from edgepub import mqtt, store
from edgepub.configuration import broker_password
from edgepub.errors import BrokerError, NotAllowedError, NotTakenError, StateInUseError
from edgepub.home_assistant import is_discovery, is_of_node
from edgepub.messages import state
from edgepub.mqtt import Session
from edgepub.settings import Settings
from edgepub.state_folder import claimed, default_folder
from edgepub.topics import Topics

_log = logging.getLogger(__name__)
_QUIET_S = 2.0
"""What is retained comes at once and in one go; nobody tells when that was all."""


def purge(settings: Settings) -> list[str]:
    """Clear what is retained below the node's topic, and wherever else its state folder says; return the topics.

    Raises:
        StateInUseError: the node is running.
        BrokerError: no session with the broker, or it broke.

    """
    folder = default_folder()
    with claimed(folder), store.opened(folder) as its:
        try:
            return asyncio.run(_purge(settings, its))
        except BrokerError as error:
            raise BrokerError(f"broker {settings.mqtt.url}: {error}") from None


async def _purge(settings: Settings, its: store.Store) -> list[str]:
    topics = Topics(settings.mqtt.topic_prefix, settings.node)
    client_id = f"{settings.client_id}-purge"
    password = broker_password(settings.mqtt)
    async with mqtt.connect(settings.mqtt, client_id, password, largest_received=None) as session:
        announced = f"{settings.home_assistant.discovery_prefix}/device/+/config"
        found = await _retained(session, f"{topics.root}/#", announced)
        if found.get(topics.status) == b"online":
            raise StateInUseError(
                f"{topics.status} is online: stop edgepub first; if it does not run any more, clear that one with "
                f"mosquitto_pub -r -n -t {topics.status}"
            )
        cleared = []
        ours = {
            topic
            for topic, payload in found.items()
            if topic.startswith(f"{topics.root}/") or is_of_node(topic, payload, settings.node)
        }
        # Home Assistant forgets an entity before its state is taken away.
        for topic in sorted({*ours, *its.retained()}, key=lambda topic: (not is_discovery(topic), topic)):
            try:
                await session.publish(state(topic, b""))
            except NotTakenError as error:
                _log.warning("%s is not cleared: %s", topic, error)
                continue
            cleared.append(topic)
            its.remove_retained(topic)
    return cleared


async def _retained(session: Session, *topics: str) -> dict[str, bytes]:
    """Return what the broker holds there, and lets us read."""
    found = {}
    for topic in topics:
        with contextlib.suppress(NotAllowedError):
            await session.subscribe(topic)
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(_QUIET_S) as limit:
            async for message in session.received():
                if message.retained:
                    found[message.topic] = message.payload
                    limit.reschedule(asyncio.get_running_loop().time() + _QUIET_S)
    return found
