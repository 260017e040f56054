"""One MQTT session with the broker: the only importer of aiomqtt and paho. It tries nothing twice.

MQTT 5.0: OASIS Standard, March 2019. MQTT 3.1.1: OASIS Standard, October 2014.
"""

import contextlib
import math
import re
import socket
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Literal

import aiomqtt
from aiomqtt.exceptions import MqttConnectError
from pydantic import SecretStr

from edgepub.errors import BrokerError, NotAllowedError
from edgepub.fields import BROKER_PORTS
from edgepub.messages import Message, Received
from edgepub.redaction import one_line
from edgepub.settings import MqttSettings

IN_FLIGHT = 16
"""Publishes under way at once: several share a turn of the event loop, and paho's own lists stay short."""

_UNSENT_BYTES = 16_384
"""What the kernel may hold unsent; it would take megabytes, and a slow link would then get messages minutes old."""
_TIMEOUT_S = 10.0
_GOODBYE_S = 1.0
_REFUSED = 0x80  # from here on, the reason codes of both versions are failures
_UNSUPPORTED_VERSION = 0x84  # MQTT 5.0, 3.2.2.2; paho gives the answer 1 of MQTT 3.1.1 the same number
_VERSIONS = {"5": aiomqtt.ProtocolVersion.V5, "3.1.1": aiomqtt.ProtocolVersion.V311}
_TRANSPORTS: dict[str, Literal["tcp", "websockets", "unix"]] = {"ws": "websockets", "wss": "websockets", "unix": "unix"}


class Session:
    """A connection that the broker has accepted."""

    def __init__(self, client: aiomqtt.Client, version: str) -> None:
        self._client = client
        self.version = version
        """The MQTT version spoken, `5` or `3.1.1`."""

    async def publish(self, message: Message) -> None:
        """Send a message; QoS 0: until the socket has taken it, QoS 1: until the broker has.

        Raises:
            BrokerError: the connection is broken.

        """
        try:
            # Without a time limit of its own: who publishes also watches `received`, and that one does end.
            await self._client.publish(message.topic, message.encoded(), message.qos, message.retain, timeout=math.inf)
        except aiomqtt.MqttError as error:
            raise BrokerError(_words(error)) from None

    async def subscribe(self, topic: str) -> None:
        """Ask for the messages of a topic, wildcards allowed, at QoS 1.

        Raises:
            BrokerError: the connection is broken.
            NotAllowedError: the broker says no.

        """
        try:
            answers = await self._client.subscribe(topic, qos=1)
        except aiomqtt.MqttError as error:
            raise BrokerError(_words(error)) from None
        if any(getattr(answer, "value", answer) >= _REFUSED for answer in answers):
            raise NotAllowedError(f"the broker refuses the subscription to {topic}")

    async def received(self) -> AsyncIterator[Received]:
        """Yield each message that comes, until the connection's end.

        Raises:
            BrokerError: the connection is broken.

        """
        try:
            async for message in self._client.messages:
                yield Received(message.topic.value, bytes(message.payload), message.retain)
        except aiomqtt.MqttError as error:
            raise BrokerError(_words(error)) from None


@asynccontextmanager
async def connect(
    settings: MqttSettings, client_id: str, password: SecretStr | None, will: Message | None = None
) -> AsyncIterator[Session]:
    """Connect to the broker, and disconnect cleanly at the end.

    Args:
        settings: the broker and how to reach it.
        client_id: the MQTT client identifier.
        password: the password of `settings.username`.
        will: what the broker publishes when we vanish, if anything.

    Raises:
        BrokerError: no connection, or it was refused; one line with the reason.

    """
    wanted = ["5", "3.1.1"] if settings.protocol == "auto" else [settings.protocol]
    for version in wanted:
        client = _client(settings, client_id, password, will, version)
        try:
            await _enter(client)
            break
        except _NotThisVersionError as error:
            if version == wanted[-1]:
                raise BrokerError(str(error)) from None
    try:
        yield Session(client, version)
    finally:
        await _leave(client)


class _NotThisVersionError(Exception):
    """The broker refused the MQTT version, or gave no answer at all, as some do to a version that they do not know."""


async def _enter(client: aiomqtt.Client) -> None:
    try:
        await client.__aenter__()
    except MqttConnectError as error:
        text = f"the broker refuses us: {_words(error)}"
        if getattr(error.rc, "value", error.rc) == _UNSUPPORTED_VERSION:
            raise _NotThisVersionError(text) from None
        raise BrokerError(text) from None
    except ValueError as error:  # a host that is no name, which aiomqtt lets pass
        raise BrokerError(one_line(error)) from None
    except aiomqtt.MqttError as error:
        if str(error) != "Operation timed out":  # of aiomqtt itself, when CONNACK does not come
            raise BrokerError(_words(error)) from None
        # The socket may be open still, and the broker would know two of us after the next try.
        await _leave(client)
        raise _NotThisVersionError(f"no answer within {_TIMEOUT_S:.0f} s") from None


async def _leave(client: aiomqtt.Client) -> None:
    client.timeout = _GOODBYE_S
    with contextlib.suppress(aiomqtt.MqttError):
        await client.__aexit__(None, None, None)


def _client(
    settings: MqttSettings, client_id: str, password: SecretStr | None, will: Message | None, version: str
) -> aiomqtt.Client:
    parts = settings.parts
    is_unix = parts.scheme == "unix"
    client = aiomqtt.Client(
        parts.path if is_unix else str(parts.hostname),
        parts.port or BROKER_PORTS[parts.scheme] or BROKER_PORTS["mqtt"],
        username=settings.username,
        password=password.get_secret_value() if password else None,
        identifier=client_id,
        protocol=_VERSIONS[version],
        will=aiomqtt.Will(will.topic, will.encoded(), will.qos, will.retain) if will else None,
        transport=_TRANSPORTS.get(parts.scheme, "tcp"),
        timeout=_TIMEOUT_S,
        keepalive=settings.keepalive_s,
        max_inflight_messages=IN_FLIGHT,
        socket_options=[] if is_unix else [(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT, _UNSENT_BYTES)],
        tls_context=_tls_context(settings) if parts.scheme in {"mqtts", "wss"} else None,
        websocket_path=(parts.path or "/mqtt") if parts.scheme in {"ws", "wss"} else None,
    )
    client.pending_calls_threshold = 2 * IN_FLIGHT  # it complains above 10
    return client


def _tls_context(settings: MqttSettings) -> ssl.SSLContext:
    tls = settings.tls
    try:
        context = ssl.create_default_context(cafile=tls.ca_file)
        if tls.cert_file:
            context.load_cert_chain(tls.cert_file, tls.key_file)
    except (OSError, ssl.SSLError) as error:
        raise BrokerError(f"mqtt.tls: a certificate or key cannot be used: {one_line(error)}") from None
    if tls.insecure:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context


def _words(error: aiomqtt.MqttError) -> str:
    cause = error.__cause__ if isinstance(error.__cause__, aiomqtt.MqttError) else error
    words = re.sub(r"^\[code:[^]]*\] ", "", str(cause))
    return "the connection is lost" if words == "Unspecified error" else one_line(words)
