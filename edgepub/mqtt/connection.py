"""One MQTT session with the broker: the only importer of aiomqtt and paho. It tries nothing twice.

MQTT 5.0: OASIS Standard, March 2019. MQTT 3.1.1: OASIS Standard, October 2014.
"""

import asyncio
import contextlib
import socket
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Literal

import aiomqtt
from aiomqtt.exceptions import MqttConnectError
from pydantic import SecretStr

from edgepub.config.fields import BROKER_PORTS
from edgepub.config.settings import MqttSettings
from edgepub.core.errors import BrokerError, BrokerRefusedError
from edgepub.core.redaction import redact_line
from edgepub.mqtt.client import (
    LOST,
    SILENT,
    UNSUPPORTED_VERSION,
    UNWANTED,
    Client,
    Done,
    connect_properties,
    describe_error,
)
from edgepub.mqtt.messages import Message
from edgepub.mqtt.session import WINDOW, Session

__all__ = ["Session", "connect"]

_SOCKET_OPTIONS = [
    # What the kernel may hold unsent; it would take megabytes, and a slow link would then get messages minutes old.
    (socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT, 16_384),
    # Else a message waits until the broker's kernel has acknowledged the last one, for which it takes up to 40 ms.
    (socket.IPPROTO_TCP, socket.TCP_NODELAY, 1),
]
_LONGEST_RECEIVED_BYTES = 65_536
_TIMEOUT_S = 10.0
_GOODBYE_S = 1.0
_VERSIONS = {"5": aiomqtt.ProtocolVersion.V5, "3.1.1": aiomqtt.ProtocolVersion.V311}
_TRANSPORTS: dict[str, Literal["tcp", "websockets", "unix"]] = {"ws": "websockets", "wss": "websockets", "unix": "unix"}


@asynccontextmanager
async def connect(
    settings: MqttSettings,
    client_id: str,
    password: SecretStr | None,
    done: Done = lambda key, error: None,  # noqa: ARG005
    will: Message | None = None,
    max_received_bytes: int | None = _LONGEST_RECEIVED_BYTES,
) -> AsyncIterator[Session]:
    """Connect to the broker, and disconnect cleanly at the end.

    Args:
        settings: the broker and how to reach it.
        client_id: the MQTT client identifier.
        password: the password of `settings.username`.
        done: called in the event loop for each message of `Session.send`, when it is over.
        will: what the broker publishes when we vanish, if anything.
        max_received_bytes: bytes of the largest packet that is wanted from the broker (MQTT 5); None: any.

    Raises:
        BrokerError: no connection; one line with the reason.
        BrokerRefusedError: the broker does not want us.

    """
    wanted = ["5", "3.1.1"] if settings.protocol == "auto" else [settings.protocol]
    for version in wanted:
        client = _client(settings, client_id, password, will, version, max_received_bytes, done)
        try:
            await _enter(client, settings, password)
            client.be_quiet()
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


async def _enter(client: Client, settings: MqttSettings, password: SecretStr | None) -> None:
    try:
        await client.__aenter__()
    except asyncio.CancelledError:
        client.abandon()
        raise
    except MqttConnectError as error:
        code = getattr(error.rc, "value", error.rc)
        who = f" (user {settings.username!r}, and no password given)" if settings.username and not password else ""
        text = f"the broker refuses us: {describe_error(error)}{who}"
        if code == UNSUPPORTED_VERSION:
            raise _NotThisVersionError(text) from None
        raise (BrokerRefusedError if code in UNWANTED else BrokerError)(text) from None
    except ValueError as error:  # a host that is no name, which aiomqtt lets pass
        raise BrokerError(redact_line(error)) from None
    except aiomqtt.MqttError as error:
        if str(error) == LOST:
            why = f": {describe_error(client.log.lost_by)}" if client.log.lost_by else ""
            raise _NotThisVersionError(f"it ends the connection without an answer{why}") from None
        if str(error) == "Operation timed out":  # of aiomqtt itself, when CONNACK does not come
            # The socket may be open still, and the broker would know two of us after the next try.
            await _leave(client)
        elif str(error) != SILENT:
            raise BrokerError(describe_error(error)) from None
        raise _NotThisVersionError(SILENT) from None


async def _leave(client: Client) -> None:
    client.timeout = _GOODBYE_S
    with contextlib.suppress(aiomqtt.MqttError):
        await client.__aexit__(None, None, None)
    client.cut()


def _client(
    settings: MqttSettings,
    client_id: str,
    password: SecretStr | None,
    will: Message | None,
    version: str,
    max_received_bytes: int | None,
    done: Done,
) -> Client:
    parts = settings.parts
    is_unix = parts.scheme == "unix"
    return Client(
        done,
        hostname=parts.path if is_unix else str(parts.hostname),
        port=parts.port or BROKER_PORTS[parts.scheme] or BROKER_PORTS["mqtt"],
        username=settings.username,
        password=password.get_secret_value() if password else None,
        identifier=client_id,
        protocol=_VERSIONS[version],
        properties=connect_properties(max_received_bytes) if version == "5" and max_received_bytes else None,
        will=aiomqtt.Will(will.topic, will.encoded(), will.qos, will.retain) if will else None,
        transport=_TRANSPORTS.get(parts.scheme, "tcp"),
        timeout=_TIMEOUT_S,
        keepalive=settings.keepalive_s,
        max_inflight_messages=WINDOW + 1,  # and the goodbye
        socket_options=[] if is_unix else _SOCKET_OPTIONS,
        tls_context=_tls_context(settings) if parts.scheme in {"mqtts", "wss"} else None,
        websocket_path=(parts.path or "/mqtt") if parts.scheme in {"ws", "wss"} else None,
    )


def _tls_context(settings: MqttSettings) -> ssl.SSLContext:
    tls = settings.tls
    try:
        context = ssl.create_default_context(cafile=tls.ca_file)
        if tls.cert_file:
            context.load_cert_chain(tls.cert_file, tls.key_file)
    except (OSError, ssl.SSLError) as error:
        raise BrokerError(f"mqtt.tls: a certificate or key cannot be used: {describe_error(error)}") from None
    if tls.insecure:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context
