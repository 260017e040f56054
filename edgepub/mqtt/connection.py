"""One MQTT session with the broker. Nothing is tried twice here."""

import functools
import socket
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Literal
from urllib.parse import SplitResult

import aiomqtt
from aiomqtt.exceptions import MqttConnectError
from pydantic import SecretStr

from edgepub.config.fields import BROKER_PORTS
from edgepub.config.mqtt import MqttSettings, Retain
from edgepub.config.tls import TlsFileError, make_tls_context
from edgepub.core.errors import BrokerError, BrokerRefusedError, NameTakenError
from edgepub.core.redaction import redact_line
from edgepub.core.threads import run_in_thread
from edgepub.mqtt.client import MAX_IN_FLIGHT, Client
from edgepub.mqtt.fast_client import FastClient
from edgepub.mqtt.limits import Limits
from edgepub.mqtt.messages import Message, OnDone
from edgepub.mqtt.paho_internals import is_fast_path_possible
from edgepub.mqtt.paho_log import PahoLog
from edgepub.mqtt.protocol import (
    UNSUPPORTED_VERSION,
    UNWANTED,
    EndedError,
    NoAnswerError,
    connect_properties,
    describe_error,
    reason_code,
)
from edgepub.mqtt.session import Session
from edgepub.mqtt.slow_client import SlowClient

_SOCKET_OPTIONS = [
    # What the kernel may hold unsent; it would take megabytes, and a slow link would then get messages minutes old.
    (socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT, 16_384),
    # Else a message waits until the broker's kernel has acknowledged the last one, which takes up to 40 ms.
    (socket.IPPROTO_TCP, socket.TCP_NODELAY, 1),
]
_MAX_RECEIVED_BYTES = 65_536
_TIMEOUT_S = 10.0
_VERSIONS = {"5": aiomqtt.ProtocolVersion.V5, "3.1.1": aiomqtt.ProtocolVersion.V311}
_TRANSPORTS: dict[str, Literal["tcp", "websockets", "unix"]] = {"ws": "websockets", "wss": "websockets", "unix": "unix"}


@asynccontextmanager
async def connect(
    settings: MqttSettings,
    client_id: str,
    password: SecretStr | None,
    on_done: OnDone = lambda message, error: None,  # noqa: ARG005
    will: Message | None = None,
    max_received_bytes: int | None = _MAX_RECEIVED_BYTES,
    *,
    fast: bool | None = None,
    timeout_s: float = _TIMEOUT_S,
) -> AsyncIterator[Session]:
    """Connect to the broker, and disconnect at the end.

    After a BrokerError in the body the broker publishes the last will, as after any end that was not intended. Only a
    node whose name is taken leaves it unpublished: the status is that of the other node.

    Args:
        settings: the broker and how to reach it.
        client_id: the MQTT client identifier.
        password: the password of `settings.username`.
        on_done: called in the event loop for each message of `Session.send` when it is done, with the reason if the
            broker does not take it.
        will: what the broker publishes when the connection is lost, if anything.
        max_received_bytes: the largest packet that the broker may send; None: any size. A broker knows it by MQTT 5;
            the fast path ignores a larger message.
        fast: whether to publish through private parts of aiomqtt and paho; None: if they are as expected.
        timeout_s: how long to wait for an answer of the broker.

    Raises:
        BrokerError: no connection; one line with the reason.
        BrokerRefusedError: the broker does not accept this client.

    """
    is_fast = is_fast_path_possible() if fast is None else fast
    versions = ["5", "3.1.1"] if settings.protocol == "auto" else [settings.protocol]
    tls_context = await _tls_context(settings)

    async def open_client(version: str, limits: Limits) -> Client:
        log = PahoLog()
        mqtt = _mqtt_client(
            settings, client_id, password, will, version, limits, max_received_bytes, timeout_s, log, tls_context
        )
        client: Client
        if is_fast:
            client = FastClient(mqtt, log, on_done, max_received_bytes, settings.display_url)
        else:
            client = SlowClient(mqtt, log, on_done)
        await _open(client, settings, password, limits)
        return client

    for version in versions:
        try:
            may_guess = will is not None and version == versions[-1]
            client = await _open_within_limits(open_client, version, settings.retain, may_guess=may_guess)
            break
        except _NotThisVersionError as error:
            if version == versions[-1]:
                raise BrokerError(str(error)) from None
    if settings.retain == "true" and not client.limits.retain:
        await client.close()
        raise BrokerError("the broker keeps no retained messages, but mqtt.retain is true: use auto or false")
    try:
        yield Session(client, version)
    except NameTakenError:
        raise
    except BrokerError:
        client.hang_up()
        raise
    finally:
        await client.close()


class _NotThisVersionError(Exception):
    """The broker refused the MQTT version, or gave no readable answer, as some do to a version that is new to them."""


class _EndedError(_NotThisVersionError):
    """The broker ended the connection without an answer."""


class _LimitedError(Exception):
    """The broker refused the connection because of its limits."""

    def __init__(self, limits: Limits) -> None:
        super().__init__()
        self.limits = limits


async def _open_within_limits(
    open_client: Callable[[str, Limits], Awaitable[Client]], version: str, retain: Retain, *, may_guess: bool
) -> Client:
    """Connect; if the broker does not take the last will as it is, then without the retain flag, or with QoS 0.

    Before MQTT 5 a broker does not say why it ends the connection. Then it is tried out, and believed only if the
    connection with everything fails once more: the broker may just have started.
    """
    limits = Limits(retain=retain != "false", is_retain_wanted=retain != "false")
    while True:
        try:
            return await open_client(version, limits)
        except _LimitedError as error:
            limits = error.limits
        except _EndedError as error:
            ended = error
            break
    for lesser in limits.lesser() if may_guess and version != "5" else []:
        try:
            client = await open_client(version, lesser)
        except _NotThisVersionError:
            continue
        await client.close()
        try:
            return await open_client(version, limits)
        except _EndedError:
            return await open_client(version, lesser)
    raise ended


async def _open(client: Client, settings: MqttSettings, password: SecretStr | None, limits: Limits) -> None:
    try:
        await client.open()
        client.limits = limits.within(client.granted("RetainAvailable", 1), client.granted("MaximumQoS", 1))
    except MqttConnectError as error:
        if less := limits.without(reason_code(error)):
            raise _LimitedError(less) from None
        missing = f" (user {settings.username!r}, and no password given)" if settings.username and not password else ""
        text = f"the broker refuses the connection: {describe_error(error)}{missing}"
        if reason_code(error) == UNSUPPORTED_VERSION:
            raise _NotThisVersionError(text) from None
        raise (BrokerRefusedError if reason_code(error) in UNWANTED else BrokerError)(text) from None
    except (ValueError, LookupError) as error:  # a host that is not a name, or paho cannot parse what it gets
        raise BrokerError(redact_line(error)) from None
    except aiomqtt.MqttError as error:
        if _is_timeout(error):
            client.abandon()  # the broker would know two of us after the next try
        elif not isinstance(error, NoAnswerError):
            raise BrokerError(describe_error(error)) from None
        if unreadable := client.log.unreadable:
            client.abandon()
            text = f"the broker's answer to CONNECT cannot be read: {describe_error(unreadable)}"
            raise _NotThisVersionError(text) from None
        reason = client.log.last_error
        if isinstance(error, EndedError) or reason:
            details = f": {describe_error(reason)}" if reason else ""
            raise _EndedError(f"the broker closes the connection without an answer{details}") from None
        raise _NotThisVersionError("no answer") from None


def _is_timeout(error: aiomqtt.MqttError) -> bool:
    """Return whether CONNACK did not come in time.

    aiomqtt raises the same type for this and for a socket that cannot connect. The timeout of asyncio has no arguments,
    and that of a socket has.
    """
    return isinstance(error.__context__, TimeoutError) and not error.__context__.args


def _mqtt_client(
    settings: MqttSettings,
    client_id: str,
    password: SecretStr | None,
    will: Message | None,
    version: str,
    limits: Limits,
    max_received_bytes: int | None,
    timeout_s: float,
    log: PahoLog,
    tls_context: ssl.SSLContext | None,
) -> aiomqtt.Client:
    parts = settings.parts
    is_unix = parts.scheme == "unix"
    return aiomqtt.Client(
        hostname=parts.path if is_unix else str(parts.hostname),
        port=parts.port or BROKER_PORTS[parts.scheme] or BROKER_PORTS["mqtt"],
        username=settings.username,
        password=password.get_secret_value() if password else None,
        logger=log,
        identifier=client_id,
        protocol=_VERSIONS[version],
        properties=connect_properties(max_received_bytes) if version == "5" and max_received_bytes else None,
        will=aiomqtt.Will(will.topic, will.encoded(), limits.qos, will.retain and limits.retain) if will else None,
        transport=_TRANSPORTS.get(parts.scheme, "tcp"),
        timeout=timeout_s,
        keepalive=settings.keepalive_s,
        max_inflight_messages=MAX_IN_FLIGHT + 1,  # and the last one before the disconnect
        socket_options=[] if is_unix else _SOCKET_OPTIONS,
        tls_context=tls_context,
        websocket_path=_websocket_target(parts) if parts.scheme in {"ws", "wss"} else None,
    )


def _websocket_target(parts: SplitResult) -> str:
    return f"{parts.path or '/mqtt'}{'?' * bool(parts.query)}{parts.query}"


async def _tls_context(settings: MqttSettings) -> ssl.SSLContext | None:
    """Return a new context, because certificates are renewed from time to time; None without TLS."""
    if not settings.uses_tls:
        return None
    try:
        return await run_in_thread("tls", functools.partial(make_tls_context, settings.tls))
    except TlsFileError as error:
        raise BrokerError(f"mqtt.tls.{error.key}: {error}") from None
